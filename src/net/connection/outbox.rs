//! A sending direction as its sender and its writer task share it: [`Sending`] decides, this moves
//! the buffers and wakes whoever waits.
//!
//! The sender appends and wakes the writer once. The writer runs when the tasks before it in the
//! thread's queue have run, so whatever they append until then leaves in the same submission: a
//! lone message is not held back, and a stream coalesces by itself.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::ops::Range;
use core::task::{Context, Poll};
use std::io;
use std::rc::Rc;

use super::dump;
use super::link::Link;
use super::records::{AppendError, OutgoingRecords};
use super::send_progress::SendProgress;
use super::sending::{Next, NotOpen, Progress, Sending};
use crate::driver::{self, Completion, WakerCell};
use crate::memory::{Account, Buffer, Class};
use crate::net::error::SendError;
use crate::net::thread::counters::Waiting;
use crate::net::thread::shard::count;
use crate::net::thread::time_limits::TimeLimit;
use crate::protocol::RecordCounts;
use crate::protocol::layout::{Draft, Outgoing, Place, Planned};
use crate::protocol::{AbortReason, RefuseReason};

/// Whether a write failed because nobody reads it any more. What the peer sent before may still come.
fn is_peer_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};

    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected
    )
}

#[derive(Debug)]
struct State {
    sending: Sending<Buffer>,
    records: OutgoingRecords,
    /// What failed, until somebody was told.
    failure: Option<OutboxError>,
}

/// What the sender and the writer task share.
#[derive(Debug)]
pub(crate) struct Outbox {
    link: Rc<Link>,
    /// The heap blocks that are filled and written.
    account: Account,
    state: RefCell<State>,
    /// Who waits for buffers to be written.
    sender: WakerCell,
    /// The writer task, while it has nothing to do.
    idle_writer: WakerCell,
    /// Messages that were appended.
    accepted: Cell<u64>,
    /// How many of them a flush has confirmed.
    flushed: Cell<u64>,
    /// Records that the thread's counters have.
    counted: Cell<RecordCounts>,
    /// Whoever waits for room.
    waiting: Waiting,
}

/// What a flush waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    position: u64,
    /// Messages appended before it.
    messages: u64,
}

impl Mark {
    /// All that is appended until it is looked at.
    pub(crate) const ALL: Self = Self {
        position: u64::MAX,
        messages: u64::MAX,
    };
}

/// Why the outbox takes nothing more.
#[derive(Debug)]
pub(crate) enum OutboxError {
    /// This end has closed it, or its failure was told before.
    Closed,
    /// The first to hear of a failure.
    Failed(io::Error),
    /// The first to hear that the listener does not take this end.
    Refused(RefuseReason),
    /// The first to hear that a limit was over.
    TimedOut(TimeLimit),
}

impl From<io::Error> for OutboxError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// What stops the writer.
enum Stop {
    Socket(io::Error),
    /// The cipher, or what calls it.
    Records(AppendError),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

impl From<AppendError> for Stop {
    fn from(error: AppendError) -> Self {
        Self::Records(error)
    }
}

impl Outbox {
    pub(crate) fn new(link: Rc<Link>, records: OutgoingRecords) -> Self {
        Self {
            account: link.shard.pool.account(Class::Send),
            link,
            state: RefCell::new(State {
                sending: Sending::new(),
                records,
                failure: None,
            }),
            sender: WakerCell::default(),
            idle_writer: WakerCell::default(),
            accepted: Cell::new(0),
            flushed: Cell::new(0),
            counted: Cell::default(),
            waiting: Waiting::default(),
        }
    }

    /// Returns how many messages were appended and confirmed.
    pub(crate) fn progress(&self) -> SendProgress {
        SendProgress::new(self.accepted.get(), self.flushed.get())
    }

    /// Notes whether somebody waits for room now.
    #[inline]
    pub(crate) fn note_waiting(&self, waits: bool) {
        if waits {
            self.waiting.begin(driver::now);
        } else if self.waiting.is_waiting() {
            let waits = &self.link.shard.counters.send_waits;
            self.waiting.end(waits, driver::now);
        }
    }

    /// Adds the records that were sealed meanwhile to the thread's counters.
    fn count_records(&self, records: &OutgoingRecords) {
        let counts = records.counts();
        let added = counts.since(self.counted.replace(counts));
        self.link.shard.counters.add_sent(added);
    }

    /// Notes that the first `messages` messages, or all, are with the kernel.
    fn confirm(&self, messages: u64) {
        let confirmed = messages.min(self.accepted.get());
        self.flushed.set(self.flushed.get().max(confirmed));
    }

    pub(crate) fn link(&self) -> &Rc<Link> {
        &self.link
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// Returns the longest message in bytes.
    pub(crate) fn message_limit(&self) -> u64 {
        self.state.borrow().records.message_limit()
    }

    /// Checks whether a message of `length` bytes may be sent.
    ///
    /// # Errors
    ///
    /// Only that it is too large.
    #[inline]
    pub(crate) fn plan(&self, length: usize) -> Result<Planned, SendError> {
        Ok(self.state.borrow().records.plan(length)?)
    }

    /// Checks whether a message of `length` bytes may be written in place.
    ///
    /// # Errors
    ///
    /// That it is too large, for the wire or for that.
    pub(crate) fn plan_in_place(&self, length: usize) -> Result<Planned, SendError> {
        Ok(self.state.borrow().records.plan_in_place(length)?)
    }

    /// Puts a message into the buffer that fills, and has it written; returns whether there was
    /// room.
    ///
    /// # Errors
    ///
    /// [`SendError`], final.
    #[inline]
    pub(crate) fn append(&self, planned: Planned, message: &[u8]) -> Result<bool, SendError> {
        self.link.check_process().map_err(SendError::Transport)?;
        let appended = self.with_open(|sending, records| sending.append(records, planned, message));
        let has_room = appended?;
        if has_room {
            self.appended();
        }
        Ok(has_room)
    }

    /// Plans a message, puts it into the buffer that fills, and has it written; returns what was planned
    /// if there was no room.
    ///
    /// # Errors
    ///
    /// That it is too large, after which the direction goes on; others are final.
    #[inline]
    pub(crate) fn append_unplanned(&self, message: &[u8]) -> Result<Option<Planned>, SendError> {
        self.link.check_process().map_err(SendError::Transport)?;
        let mut state = self.state.borrow_mut();
        let State {
            sending, records, ..
        } = &mut *state;
        let is_appended = sending.append_at_once(records, message);
        drop(state);
        if is_appended {
            self.appended();
            return Ok(None);
        }
        let no_room = self.with_open(|sending, records| {
            let planned = records.plan(message.len())?;
            let is_appended = sending.append(records, planned, message)?;
            Ok((!is_appended).then_some(planned))
        })?;
        if no_room.is_none() {
            self.appended();
        }
        Ok(no_room)
    }

    /// Plans the next part of a message that leaves in parts, at most `rest` bytes and no longer than
    /// a slot holds; `None` on a wire without parts.
    pub(crate) fn plan_part(&self, rest: usize) -> Option<Planned> {
        let room = self.link.shard.pool.slot_size();
        self.state.borrow().records.plan_part(rest, room)
    }

    /// Puts the next part of a message into the buffer that fills, and has it written; returns whether
    /// there was room.
    ///
    /// # Errors
    ///
    /// As for [`append`](Self::append), and that the message gets too large.
    pub(crate) fn append_part(&self, part: &[u8], is_last: bool) -> Result<bool, SendError> {
        self.link.check_process().map_err(SendError::Transport)?;
        let has_room = self.with_open(|sending, records| {
            sending.append_with(records, |records, draft| {
                records.append_part(draft, part, is_last)
            })
        })?;
        if has_room && is_last {
            self.appended();
        } else if has_room {
            self.idle_writer.wake();
        }
        Ok(has_room)
    }

    /// Has the peer told that the message which has begun to leave in parts is given up, if one has.
    pub(crate) fn drop_message(&self) {
        self.state.borrow_mut().records.drop_message();
        self.idle_writer.wake();
    }

    /// Takes the buffer that fills out, with a place for a message in it, if it has room. It is to
    /// be [put back](Self::put_back).
    ///
    /// # Errors
    ///
    /// As for [`append`](Self::append), and that the wire can't have such a message in place.
    pub(crate) fn reserve(
        &self,
        planned: Planned,
    ) -> Result<Option<(Draft<Buffer>, Place)>, SendError> {
        self.link.check_process().map_err(SendError::Transport)?;
        self.with_open(|sending, records| sending.reserve(records, planned))
    }

    /// Puts the message at `place` into `draft`, and gives that back.
    ///
    /// # Errors
    ///
    /// As for [`append`](Self::append).
    pub(crate) fn append_reserved(
        &self,
        mut draft: Draft<Buffer>,
        place: Place,
    ) -> Result<(), SendError> {
        let checked = self.state.borrow_mut().check();
        if let Err(error) = checked {
            // What was appended before it may still leave.
            self.put_back(draft);
            return Err(error.into());
        }
        let mut returned = None;
        let appended = self.with_open(|sending, records| {
            let appended = records.append_reserved(&mut draft, place);
            returned = sending.put_back(draft);
            appended
        });
        drop(returned);
        appended?;
        self.appended();
        Ok(())
    }

    /// Makes the message at `place` end after `length` bytes, if it is longer.
    pub(crate) fn shorten(&self, draft: &mut Draft<Buffer>, place: &mut Place, length: usize) {
        let moved = self.state.borrow().records.shorten(draft, place, length);
        count(&self.link.shard.counters.moved_bytes, moved);
    }

    /// Gives back what [`reserve`](Self::reserve) gave.
    pub(crate) fn put_back(&self, draft: Draft<Buffer>) {
        let returned = self.state.borrow_mut().sending.put_back(draft);
        drop(returned);
        self.idle_writer.wake();
    }

    /// Wakes whoever waits for room, to poll again.
    pub(crate) fn wake_sender(&self) {
        self.sender.wake();
    }

    /// Does what appends, while messages are taken.
    #[inline]
    fn with_open<T>(
        &self,
        work: impl FnOnce(&mut Sending<Buffer>, &mut OutgoingRecords) -> Result<T, AppendError>,
    ) -> Result<T, SendError> {
        let mut state = self.state.borrow_mut();
        state.check()?;
        let State {
            sending, records, ..
        } = &mut *state;
        let result = work(sending, records);
        // After a failure of the cipher a record may be incomplete, so nothing may follow it.
        let stopped = match &result {
            Err(error) if error.is_final() => sending.abort(),
            _ => None,
        };
        drop(state);
        if stopped.is_some() {
            drop(stopped);
            self.link.end_writing();
            self.link.writer.wake();
        }
        Ok(result?)
    }

    #[inline]
    fn appended(&self) {
        self.accepted.set(self.accepted.get() + 1);
        count(&self.link.shard.counters.messages_sent, 1);
        self.idle_writer.wake();
    }

    /// Whether there may be a new buffer to fill: the full one is on its way.
    ///
    /// # Errors
    ///
    /// As for [`append`](Self::append).
    pub(crate) fn has_place(&self) -> Result<bool, SendError> {
        self.link.check_process().map_err(SendError::Transport)?;
        let has_place = self.with_open(Sending::make_place)?;
        self.idle_writer.wake();
        Ok(has_place)
    }

    /// Whether nothing is ready or out.
    pub(crate) fn has_nothing_outbound(&self) -> bool {
        self.state.borrow().sending.has_nothing_outbound()
    }

    /// Waits until there may be a new buffer to fill.
    ///
    /// # Errors
    ///
    /// As for [`append`](Self::append).
    pub(crate) fn poll_vacancy(&self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.has_place()? {
            return Poll::Ready(Ok(()));
        }
        self.sender.set(context.waker());
        Poll::Pending
    }

    /// Waits until nothing is ready or out, behind [`poll_vacancy`](Self::poll_vacancy).
    pub(crate) fn poll_empty(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.has_nothing_outbound() {
            return Poll::Ready(());
        }
        self.sender.set(context.waker());
        Poll::Pending
    }

    /// Has `buffer` fill next. Behind [`poll_vacancy`](Self::poll_vacancy).
    pub(crate) fn fill(&self, buffer: Buffer) {
        self.state.borrow_mut().sending.fill(buffer);
    }

    /// Waits until the kernel has taken all that was appended so far.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] after a failure.
    pub(crate) async fn flush(&self) -> Result<(), OutboxError> {
        let mark = Mark {
            position: self.state.borrow().sending.position(),
            messages: self.accepted.get(),
        };
        poll_fn(|context| self.poll_written(context, mark)).await
    }

    /// Waits until the kernel has taken all up to `mark`.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] after a failure.
    pub(crate) fn poll_written(
        &self,
        context: &mut Context<'_>,
        mark: Mark,
    ) -> Poll<Result<(), OutboxError>> {
        self.link.check_process()?;
        let mut state = self.state.borrow_mut();
        if state.sending.is_written(mark.position) {
            drop(state);
            self.confirm(mark.messages);
            return Poll::Ready(Ok(()));
        }
        state.check()?;
        drop(state);
        self.idle_writer.wake();
        self.sender.set(context.waker());
        Poll::Pending
    }

    /// Sends what was appended, then the end, and waits for both.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] after a failure.
    pub(crate) async fn close(&self) -> Result<(), OutboxError> {
        poll_fn(|context| self.poll_close(context)).await
    }

    /// Does what [`close`](Self::close) does.
    pub(crate) fn poll_close(&self, context: &mut Context<'_>) -> Poll<Result<(), OutboxError>> {
        self.link.check_process()?;
        self.begin_close();
        let mut state = self.state.borrow_mut();
        if state.sending.is_closed() {
            drop(state);
            self.confirm(u64::MAX);
            return Poll::Ready(Ok(()));
        }
        if state.sending.has_stopped() {
            return Poll::Ready(Err(state.take_failure()));
        }
        drop(state);
        self.sender.set(context.waker());
        Poll::Pending
    }

    fn begin_close(&self) {
        self.close_messages();
        self.idle_writer.wake();
    }

    /// Takes no more messages. Wakes nobody: the writer calls it as well.
    fn close_messages(&self) {
        let mut state = self.state.borrow_mut();
        let State {
            sending, records, ..
        } = &mut *state;
        sending.close(records);
    }

    /// Nobody sends any more. If nothing is left to be written the peer sees the end at once, whether
    /// this thread runs on or not.
    pub(crate) fn leave(&self) {
        if self.link.check_process().is_err() {
            return;
        }
        if self.link.is_left_by_panic() {
            self.link.abort(AbortReason::UNSPECIFIED, self.can_abort());
        }
        self.begin_close();
        let state = self.state.borrow();
        let is_drained = state.sending.is_drained() && !state.sending.has_stopped();
        drop(state);
        // A user's stream is shut down in its own way, by the writer task, and a refused peer sees a
        // reset instead.
        let is_socket = |link: &Link| link.socket().is_some_and(|socket| !socket.is_foreign());
        if is_drained && !self.link.lifetime.is_peer_refused() && is_socket(&self.link) {
            self.end_at_once();
        }
        self.link.sender_left();
    }

    /// Says the end past the writer task, with nothing else to be written: in the wire's way where it
    /// has one, and then by shutting down.
    fn end_at_once(&self) {
        self.take_notices();
        loop {
            match self.next() {
                Ok(Next::Room(bytes)) => {
                    if self.fill_with_block(bytes).is_err() {
                        return;
                    }
                }
                Ok(Next::Submit { buffer, range }) => {
                    self.note_leaving(&buffer, &range);
                    let bytes = buffer.get(range.clone()).unwrap_or_default();
                    let socket = self.link.socket();
                    let written = socket.map_or(0, |socket| socket.write_at_once(bytes));
                    count(&self.link.shard.counters.bytes_sent, written);
                    let progress = self.state.borrow_mut().sending.completed(written);
                    if let Progress::Remaining(rest) = progress {
                        // The rest is for the writer task.
                        self.link.note_writing();
                        return self.link.start_write(buffer, rest);
                    }
                }
                Ok(Next::End) => return self.link.end_writing(),
                _ => return,
            }
        }
    }

    /// The writer task: runs until the direction has ended.
    pub(crate) async fn write(self: Rc<Self>) {
        poll_fn(|context| self.poll_write(context)).await;
    }

    fn poll_write(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.poll_work(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => {
                self.link.sending_ended();
                self.sender.wake();
                Poll::Ready(())
            }
            Poll::Ready(Err(stop)) => self.stop(stop),
        }
    }

    /// Does what there is to do until the direction has ended.
    fn poll_work(&self, context: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        loop {
            if self.link.lifetime.has_sender_left() {
                self.close_messages();
            }
            self.take_notices();
            match self.next()? {
                Next::Completion => {
                    if self.link.socket().is_none() {
                        // Whoever closed it knows why; the write only knows that it was cancelled.
                        return Poll::Ready(Err(self.link.failure().into()));
                    }
                    let Poll::Ready(completion) = self.link.poll_write(context) else {
                        return Poll::Pending;
                    };
                    self.completed(completion)?;
                }
                Next::Submit { buffer, range } => {
                    self.note_leaving(&buffer, &range);
                    self.submit(buffer, range)?;
                    self.sender.wake();
                }
                Next::Room(bytes) => self.fill_with_block(bytes)?,
                Next::Messages => {
                    self.idle_writer.set(context.waker());
                    self.link.writer.set(context.waker());
                    // A reservation that was dropped is nothing to wait for any more. While a read has
                    // its buffer, sender and writer would only wake each other.
                    if !self.state.borrow().sending.is_lent() {
                        self.sender.wake();
                    }
                    return Poll::Pending;
                }
                Next::End if self.is_to_be_reset() => {
                    // Nobody asked for an end in order.
                    let stopped = self.state.borrow_mut().sending.abort();
                    drop(stopped);
                    self.link.reset();
                }
                Next::End => {
                    // An abort has to get through as well.
                    if self.link.poll_end_writing(context).is_pending() {
                        return Poll::Pending;
                    }
                    self.state.borrow_mut().sending.ended();
                }
                Next::Over => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Has a block of `bytes` fill next, for what the wire has to say of its own.
    fn fill_with_block(&self, bytes: usize) -> io::Result<()> {
        self.fill(Buffer::heap(self.account.take_short(bytes))?);
        Ok(())
    }

    /// Has the wire say what others have asked for.
    fn take_notices(&self) {
        let (alive, abort) = (self.link.take_alive_due(), self.link.take_abort_due());
        let leaving = self.link.take_leaving_due();
        if !alive && abort.is_none() && leaving.is_none() {
            return;
        }
        let mut state = self.state.borrow_mut();
        let State {
            sending, records, ..
        } = &mut *state;
        if alive {
            records.alive();
        }
        if let Some(reason) = leaving {
            records.leave(reason);
        }
        if let Some(reason) = abort
            && records.abort(reason)
        {
            sending.give_up();
        }
    }

    /// Whether the wire can say that this end gives up, and why.
    pub(crate) fn can_abort(&self) -> bool {
        self.state.borrow().records.can_abort()
    }

    /// Has what follows sealed with new keys; returns whether the wire can.
    pub(crate) fn update(&self) -> bool {
        let can = self.state.borrow_mut().records.update();
        self.idle_writer.wake();
        can
    }

    /// Has the peer told that this end would like to end; returns whether the wire can.
    pub(crate) fn announce_leaving(&self, reason: u16) -> bool {
        let can = self.state.borrow_mut().records.leave(reason);
        self.idle_writer.wake();
        can
    }

    fn next(&self) -> Result<Next<Buffer>, Stop> {
        let has_socket = self.link.socket().is_some();
        let mut state = self.state.borrow_mut();
        let State {
            sending, records, ..
        } = &mut *state;
        if !has_socket && !sending.is_out() {
            drop(state);
            return Err(self.link.failure().into());
        }
        Ok(sending.next(records)?)
    }

    fn is_to_be_reset(&self) -> bool {
        self.link.lifetime.is_peer_refused() && self.link.lifetime.has_sender_left()
    }

    /// Notes what a write has sent, and submits the rest.
    fn completed(&self, completion: Completion) -> io::Result<()> {
        let (written, buffer) = completion.into_parts()?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        count(&self.link.shard.counters.bytes_sent, written);
        let progress = self.state.borrow_mut().sending.completed(written);
        self.link.wrote();
        if let Progress::Remaining(range) = progress {
            return self.submit(buffer, range);
        }
        count(&self.link.shard.counters.writes, 1);
        drop(buffer);
        self.sender.wake();
        Ok(())
    }

    /// Counts the records that leave, and tells of them if anybody wants to know.
    fn note_leaving(&self, buffer: &Buffer, range: &Range<usize>) {
        let state = self.state.borrow();
        self.count_records(&state.records);
        if dump::is_wanted() {
            let sealed = buffer.get(range.clone()).unwrap_or_default();
            state.records.dump(sealed);
        }
    }

    fn submit(&self, buffer: Buffer, range: Range<usize>) -> io::Result<()> {
        if !self.link.shard.is_current() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.link.note_writing();
        self.link.start_write(buffer, range);
        Ok(())
    }

    /// Ends the direction early.
    fn stop(&self, stop: Stop) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        let stopped = match &stop {
            Stop::Records(_) => state.sending.abort(),
            Stop::Socket(_) => state.sending.fail(),
        };
        match stop {
            Stop::Records(error) => {
                drop(state);
                let _telling = self.link.telling();
                tracing::debug!(?error, "a record could not be sealed");
                self.link.end_writing();
                self.link.sending_ended();
            }
            Stop::Socket(error) if stopped.is_some() => {
                let _telling = self.link.telling();
                tracing::debug!(%error, "the sending direction failed");
                let is_peer_gone = is_peer_gone(&error);
                state.failure = Some(self.cause(error));
                let has_end = state.records.can_abort();
                drop(state);
                // The peer may wait for what does not come, and this end for the peer.
                if has_end {
                    self.link.end_writing();
                } else if !is_peer_gone {
                    // Anything else would be taken for an end, and what was sent for received.
                    self.link.reset();
                }
                self.link.sending_failed();
            }
            Stop::Socket(_) => {
                drop(state);
                self.link.sending_ended();
            }
        }
        drop(stopped);
        self.sender.wake();
        Poll::Ready(())
    }

    /// Returns what is behind the failure of a write, as the sender is told.
    fn cause(&self, error: io::Error) -> OutboxError {
        if let Some(reason) = self.link.refusal() {
            return OutboxError::Refused(reason);
        }
        let result = Err::<(), _>(error);
        match (self.link.limit_behind(&result), result) {
            (Some(limit), _) => OutboxError::TimedOut(limit),
            (None, Err(error)) => OutboxError::Failed(error),
            (None, Ok(())) => OutboxError::Closed,
        }
    }
}

impl State {
    #[inline]
    fn check(&mut self) -> Result<(), OutboxError> {
        match self.sending.check() {
            Ok(()) => Ok(()),
            Err(NotOpen::Closed) => Err(OutboxError::Closed),
            Err(NotOpen::Failed) => Err(self.take_failure()),
        }
    }

    #[cold]
    fn take_failure(&mut self) -> OutboxError {
        self.failure.take().unwrap_or(OutboxError::Closed)
    }
}
