//! One connection of a listener.

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::rc::Rc;

use ringseal::{Connection, Message, Receiver, SendError, Sender};
use tokio::sync::mpsc;

use super::peers::{Line, Member, Peers};
use super::stop::{Losses, Phase, Stop, add};
use crate::args::Mode;
use crate::failure::Failure;
use crate::log;
use crate::output::Lines;
use crate::report::Tally;
use crate::standstill::elapsed;

/// How long a peer whose echoes were all sent may say nothing, once the listener drains.
const QUIET: Duration = Duration::from_millis(500);
/// Bytes of typed lines that are handed to the kernel before the next are.
const FLUSH_SIZE: usize = 64 * 1024;

/// What all sessions share.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) mode: Mode,
    pub(super) answer_timeout: Duration,
    pub(super) lines: Lines,
    pub(super) peers: Rc<Peers>,
    pub(super) stop: Rc<Stop>,
    pub(super) losses: Rc<Losses>,
}

/// One connection: what it has brought, and what of that waits for standard output.
#[derive(Debug)]
pub(super) struct Session {
    common: Common,
    tally: RefCell<Tally>,
    unprinted: Cell<u64>,
}

impl Session {
    pub(super) fn new(common: Common) -> Self {
        Self {
            common,
            tally: RefCell::default(),
            unprinted: Cell::new(0),
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
        let unprinted = self.unprinted.get();
        lines.count_lost(unprinted);
        if unprinted > 0 || self.tally.borrow().messages() != before {
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
        let mut sending = pin!(send_typed(sender, queue, member));
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

    async fn receive(&self, mut receiver: Receiver) -> Result<(), Failure> {
        while let Some(message) = receiver.recv().await? {
            self.tally.borrow_mut().add(message.len());
            if self.common.mode == Mode::Print {
                let line = self.common.lines.line(&message);
                // No slot is held while standard output is waited for.
                drop(message);
                if self.print(line, &mut receiver).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Prints a line. While there is no room for it the next message may come as well, or the
    /// end, of which it says whether it came: a peer that has gone needs no open connection for
    /// its last line to wait.
    async fn print(&self, mut line: Vec<u8>, receiver: &mut Receiver) -> Result<bool, Failure> {
        let lines = &self.common.lines;
        loop {
            self.unprinted.set(1);
            let message = tokio::select! {
                biased;
                room = lines.room_for(&line) => {
                    lines.queue(line, room?)?;
                    self.unprinted.set(0);
                    return Ok(false);
                }
                message = receiver.recv() => message?,
            };
            let Some(message) = message else {
                if let Err(line) = lines.print_now(line) {
                    lines.print(line).await?;
                }
                self.unprinted.set(0);
                return Ok(true);
            };
            self.tally.borrow_mut().add(message.len());
            let next = lines.line(&message);
            drop(message);
            self.unprinted.set(2);
            lines.print(line).await?;
            line = next;
        }
    }

    /// Sends everything back, until the peer ends.
    async fn echo(&self, mut sender: Sender, mut receiver: Receiver) -> Result<(), Failure> {
        loop {
            let message = tokio::select! {
                biased;
                message = receiver.recv() => message?,
                () = self.is_drained() => break,
            };
            let Some(message) = message else {
                return Ok(sender.close().await?);
            };
            self.tally.borrow_mut().add(message.len());
            send_back(&mut sender, message).await?;
        }
        sender.close().await?;
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

/// Sends typed lines until no more come, and then the end.
async fn send_typed(
    mut sender: Sender,
    mut queue: mpsc::UnboundedReceiver<Line>,
    member: &Member,
) -> Result<(), Failure> {
    let (mut lines, mut bytes) = (0, 0);
    while let Some(line) = queue.recv().await {
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
