//! One connection of a listener.

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;

use ringseal::{Connection, Message, Receiver, SendError, Sender};
use rustix::process::{Resource, getrlimit};
use tokio::sync::mpsc;

use super::peers::{Counted, Line, Member, Peers};
use super::stop::{Losses, Phase, Stop, add};
use crate::args::{LEAVING, Mode};
use crate::failure::Failure;
use crate::log;
use crate::output::{Lines, Room, needed};
use crate::report::Tally;
use crate::standstill::elapsed;

/// How long a peer whose echoes were all sent may say nothing, once the listener drains.
const QUIET: Duration = Duration::from_millis(500);
/// Bytes of typed lines that are handed to the kernel before the next are.
const FLUSH_SIZE: usize = 64 * 1024;
/// Bytes of echoes of which it may be unknown whether the kernel has them.
const MAX_UNFLUSHED: usize = 1024 * 1024;
/// Bytes of one peer that are read ahead while nobody reads standard output, to find its end.
const READ_AHEAD: usize = 64 * 1024;
/// How many connections that have ended may wait for standard output, beside its queue.
const MAX_ENDED: usize = 64;

/// What all sessions share.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) mode: Mode,
    pub(super) answer_timeout: Duration,
    pub(super) lines: Lines,
    pub(super) peers: Rc<Peers>,
    pub(super) stop: Rc<Stop>,
    pub(super) losses: Rc<Losses>,
    pub(super) crowd: Rc<Crowd>,
}

/// How many sessions wait for standard output.
#[derive(Debug)]
pub(super) struct Crowd {
    /// Those that keep a descriptor meanwhile, because they can't read on to the end.
    stuck: Cell<usize>,
    max_stuck: usize,
    /// Those whose connection has ended.
    ended: Cell<usize>,
}

impl Crowd {
    /// Half of the descriptors that this process may have are for those who wait.
    pub(super) fn new() -> Self {
        let descriptors = getrlimit(Resource::Nofile).current;
        Self {
            stuck: Cell::new(0),
            max_stuck: descriptors.map_or(usize::MAX, |most| {
                usize::try_from(most / 2).unwrap_or(usize::MAX)
            }),
            ended: Cell::new(0),
        }
    }
}

/// One connection: what it has brought, what of that waits for standard output, and of how many
/// echoes it is not known that the kernel has them.
#[derive(Debug)]
pub(super) struct Session {
    common: Common,
    tally: RefCell<Tally>,
    waiting: RefCell<Waiting>,
    unechoed: Cell<u64>,
    /// Whether the connection is closed, and only lines of it are left.
    is_closed: Cell<bool>,
}

/// Lines for which standard output had no room, in order. All but the last two have taken room
/// that is kept for this.
#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<(Vec<u8>, Option<Room>)>,
    bytes: usize,
}

impl Waiting {
    /// Whether to read on. Who sends one message is read to its end in any case.
    fn has_room(&self) -> bool {
        let has_all = |(_, room): &(_, Option<Room>)| room.is_some();
        self.lines.len() < 2 || (self.bytes < READ_AHEAD && self.lines.back().is_some_and(has_all))
    }

    fn push(&mut self, line: Vec<u8>, room: Option<Room>) {
        self.bytes += line.len();
        self.lines.push_back((line, room));
    }

    fn pop(&mut self) -> Option<(Vec<u8>, Option<Room>)> {
        let next = self.lines.pop_front()?;
        self.bytes -= next.0.len();
        Some(next)
    }
}

impl Session {
    pub(super) fn new(common: Common) -> Self {
        Self {
            common,
            tally: RefCell::default(),
            waiting: RefCell::default(),
            unechoed: Cell::new(0),
            is_closed: Cell::new(false),
        }
    }

    /// Serves until the peer has ended, or the listener's time is over.
    pub(super) async fn run(self, connection: Connection) {
        let (peer, address) = (connection.peer(), connection.peer_address().clone());
        log::connected(&format!("{peer} connected from {address}"));
        let (sender, receiver) = connection.split();
        let result = tokio::select! {
            biased;
            result = self.serve(sender, receiver) => result,
            () = self.cut() => Ok(()),
        };
        // The connection is closed, so nothing of it waits for who reads this.
        if self.common.mode == Mode::Sink {
            let figures = self.tally.borrow().figures();
            let line = figures.json_with_peer(peer).to_string();
            let lines = &self.common.lines;
            lines.print_or_count(lines.line(line.as_bytes()));
        }
        if let Err(Failure::Failed(text)) = result {
            log::line_about_peer(&format!(
                "the connection with {peer} at {address} failed: {text}"
            ));
        }
    }

    async fn serve(&self, sender: Sender, receiver: Receiver) -> Result<(), Failure> {
        if self.common.mode == Mode::Echo {
            return self.echo(sender, receiver).await;
        }
        let (member, queue) = self.common.peers.enter();
        let result = self.take(sender, receiver, queue, &member).await;
        self.is_closed.set(true);
        member.leave();
        self.print_rest().await;
        result.map_err(|failure| match member.unsent() {
            0 => failure,
            count => failure.and(&format!("{count} typed lines were not sent to it")),
        })
    }

    /// Is done when the listener's time is over; counts what is lost by that.
    async fn cut(&self) {
        let Common {
            stop,
            losses,
            lines,
            ..
        } = &self.common;
        stop.reached(Phase::Draining).await;
        let before = self.tally.borrow().messages();
        stop.reached(Phase::Cut).await;
        self.print_what_has_room();
        let unprinted = self.waiting.borrow().lines.len() as u64;
        let unechoed = self.unechoed.get();
        lines.count_lost(unprinted);
        add(&losses.echoes, unechoed);
        let is_moving = self.tally.borrow().messages() != before;
        let is_losing = unprinted > 0 || unechoed > 0 || is_moving;
        if is_losing && !self.is_closed.get() {
            add(&losses.connections, 1);
        }
    }

    /// Takes messages until the peer ends, and sends what is typed.
    async fn take(
        &self,
        sender: Sender,
        receiver: Receiver,
        queue: mpsc::UnboundedReceiver<Line>,
        member: &Member,
    ) -> Result<(), Failure> {
        let mut sending = pin!(send_typed(sender, queue, member, &self.common.stop));
        let mut receiving = pin!(self.receive(receiver));
        tokio::select! {
            biased;
            () = member.has_fallen_behind() => {
                return Err(Failure::new("it reads too slowly what is typed for all"));
            }
            result = &mut receiving => result?,
            result = &mut sending => {
                // What the peer has said is taken, whatever became of our lines.
                let end = receiving.await;
                return result.and(end);
            }
        }
        tokio::select! {
            biased;
            result = &mut sending => result,
            () = member.no_answer_for(self.common.answer_timeout) => {
                member.leave();
                sending.await
            }
        }
    }

    /// Takes messages until the peer ends. While there is no room to print one, a few more are
    /// taken, to find the end: a peer that has gone needs no open connection for its last lines to
    /// wait.
    async fn receive(&self, mut receiver: Receiver) -> Result<(), Failure> {
        loop {
            let (is_waiting, has_room) = {
                let waiting = self.waiting.borrow();
                (!waiting.lines.is_empty(), waiting.has_room())
            };
            let stuck = &self.common.crowd.stuck;
            let _counted = (!has_room).then(|| Counted::new(stuck));
            if !has_room && stuck.get() > self.common.crowd.max_stuck {
                let text = "nobody reads standard output, and too many peers wait for that";
                return Err(Failure::new(text));
            }
            let message = tokio::select! {
                biased;
                result = self.print_first(), if is_waiting => {
                    result?;
                    continue;
                }
                message = receiver.recv(), if has_room => message?,
            };
            let Some(message) = message else {
                self.print_what_has_room();
                return Ok(());
            };
            self.tally.borrow_mut().add(message.len());
            if self.common.mode == Mode::Print {
                let line = self.common.lines.line(&message);
                // No slot is held while standard output is waited for.
                drop(message);
                self.print(line)?;
            }
        }
    }

    /// Prints a line, or has it wait behind those that do.
    fn print(&self, line: Vec<u8>) -> Result<(), Failure> {
        let lines = &self.common.lines;
        let mut waiting = self.waiting.borrow_mut();
        if waiting.lines.is_empty()
            && let Some(room) = lines.room_now(&line)
        {
            return lines.queue(line, room);
        }
        let room = lines.spare_room_now(&line);
        waiting.push(line, room);
        Ok(())
    }

    /// Prints the line that has waited longest, when there is room for it.
    async fn print_first(&self) -> Result<(), Failure> {
        let lines = &self.common.lines;
        let needed = self
            .waiting
            .borrow()
            .lines
            .front()
            .map(|(line, _)| needed(line));
        let Some(needed) = needed else {
            return Ok(());
        };
        let room = lines.room_for(needed).await?;
        let first = self.waiting.borrow_mut().pop();
        match first {
            Some((line, _)) => lines.queue(line, room),
            None => Ok(()),
        }
    }

    /// Prints the lines that have room already, or find some.
    fn print_what_has_room(&self) {
        let lines = &self.common.lines;
        let mut waiting = self.waiting.borrow_mut();
        while let Some((line, room)) = waiting.pop() {
            let Some(room) = room.or_else(|| lines.any_room_now(&line)) else {
                waiting.bytes += line.len();
                waiting.lines.push_front((line, None));
                return;
            };
            // Whoever accepts connections sees for itself when there is no reader.
            let _ = lines.queue(line, room);
        }
    }

    /// Prints what is left of a connection that has ended, or counts it where too many wait.
    async fn print_rest(&self) {
        self.print_what_has_room();
        let ended = &self.common.crowd.ended;
        if ended.get() < MAX_ENDED {
            let _counted = Counted::new(ended);
            while !self.waiting.borrow().lines.is_empty() {
                if self.print_first().await.is_err() {
                    break;
                }
            }
        }
        while let Some((line, _)) = self.waiting.borrow_mut().pop() {
            self.common.lines.print_or_count(line);
        }
    }

    /// Sends everything back, until the peer ends.
    async fn echo(&self, mut sender: Sender, mut receiver: Receiver) -> Result<(), Failure> {
        let mut is_told = false;
        let mut unflushed = 0;
        loop {
            let message = tokio::select! {
                biased;
                message = receiver.recv() => message?,
                result = sender.flush(), if self.unechoed.get() > 0 => {
                    result?;
                    self.unechoed.set(0);
                    unflushed = 0;
                    continue;
                }
                () = self.common.stop.reached(Phase::Draining), if !is_told => {
                    is_told = true;
                    sender.announce_leaving(LEAVING);
                    continue;
                }
                () = self.is_drained() => break,
            };
            let Some(message) = message else {
                return Ok(sender.close().await?);
            };
            self.tally.borrow_mut().add(message.len());
            self.unechoed.set(self.unechoed.get() + 1);
            unflushed += message.len();
            send_back(&mut sender, message).await?;
            // Or nobody would know how many are lost when they get stuck.
            if unflushed >= MAX_UNFLUSHED {
                sender.flush().await?;
                self.unechoed.set(0);
                unflushed = 0;
            }
        }
        sender.close().await?;
        self.unechoed.set(0);
        // A peer that was told of the end ends too. What it says until then comes too late.
        while let Some(message) = receiver.recv().await? {
            self.tally.borrow_mut().add(message.len());
            add(&self.common.losses.echoes, 1);
        }
        Ok(())
    }

    /// Is done when the listener drains and nothing comes any more.
    async fn is_drained(&self) {
        self.common.stop.reached(Phase::Draining).await;
        elapsed(QUIET).await;
    }
}

/// Sends a message from the slot that it came in, or a copy if it has to wait: whoever waits for a
/// peer that does not read holds no slot.
async fn send_back(sender: &mut Sender, message: Message) -> Result<(), SendError> {
    let sent = {
        let mut sending = pin!(sender.send(&message));
        poll_fn(|context| Poll::Ready(sending.as_mut().poll(context))).await
    };
    match sent {
        Poll::Ready(result) => result,
        Poll::Pending => {
            let copy = message.to_vec();
            drop(message);
            sender.send(&copy).await
        }
    }
}

/// Sends typed lines until no more come, and then the end. Says first that the end is near when
/// the listener drains.
async fn send_typed(
    mut sender: Sender,
    mut queue: mpsc::UnboundedReceiver<Line>,
    member: &Member,
    stop: &Stop,
) -> Result<(), Failure> {
    let (mut lines, mut bytes) = (0, 0);
    let mut is_told = false;
    loop {
        let line = tokio::select! {
            biased;
            () = stop.reached(Phase::Draining), if !is_told => {
                is_told = true;
                sender.announce_leaving(LEAVING);
                continue;
            }
            line = queue.recv() => line,
        };
        let Some(line) = line else {
            break;
        };
        sender.send(&line).await?;
        lines += 1;
        bytes += line.len();
        // Lines count as sent when the kernel has them.
        if queue.is_empty() || bytes >= FLUSH_SIZE {
            sender.flush().await?;
            member.sent(lines, bytes);
            (lines, bytes) = (0, 0);
        }
    }
    Ok(sender.close().await?)
}
