//! A connected stream together with the runtime it belongs to, and how far its life is.
//!
//! ```text
//! handshake --> halves in use --> retirement --> closed
//!     |              |                              ^
//!     +--------------+--------- cut ----------------+
//! ```
//!
//! A link has its socket for as long as that is needed, not for as long as somebody has the link:
//! halves, and messages, may outlive it.

use core::cell::{Cell, OnceCell, RefCell};
use core::future::poll_fn;
use core::ops::Range;
use core::task::{Context, Poll};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};

use tracing::Span;
use tracing::span::Entered;

use crate::driver::{
    Completion, DriverError, Duplex, KeepAlive, ProcessMark, ShutdownSide, Socket, WakerCell,
    is_silence,
};
use crate::memory::Buffer;
use crate::net::thread::counters::ConnectionStage;
use crate::net::thread::lifetime::{Lifetime, Need};
use crate::net::thread::retirement::{self, MAX_RETIRING, Retiring};
use crate::net::thread::shard::{Member, Shard, count};
use crate::net::thread::time_limits::{IdleTracker, Limited, TimeLimit};
use crate::protocol::{AbortReason, RefuseReason};

/// A socket on its ring.
#[derive(Debug)]
pub(crate) struct Link {
    /// `None` once the connection is over.
    socket: RefCell<Option<Rc<Socket>>>,
    pub(crate) shard: Rc<Shard>,
    pub(crate) tracker: IdleTracker,
    process: ProcessMark,
    /// Whether the kernel looks after the peer's host.
    keeps_alive: Cell<bool>,
    pub(crate) lifetime: Lifetime,
    /// Whether the handshake is over, and with it the time when nothing needs to arrive.
    is_established: Cell<bool>,
    stage: Cell<ConnectionStage>,
    /// What is told of the connection is told within it.
    span: OnceCell<Span>,
    /// Whether it was counted that the peer's host was silent for too long.
    is_silence_counted: Cell<bool>,
    is_retiring: Cell<bool>,
    /// Who waits for the read in flight.
    reader: WakerCell,
    /// The task that writes.
    pub(crate) writer: WakerCell,
    /// Who sees to the end.
    pub(crate) retirement: WakerCell,
    /// Writes that have completed.
    written: Cell<u64>,
    /// Whether the peer is to be told that this end is there.
    is_alive_due: Cell<bool>,
    /// Why the peer is to be asked to end.
    leaving_due: Cell<Option<u16>>,
    /// Whether a server has given it to a handler.
    is_served: Cell<bool>,
    /// Whether the sender was told to give the connection up.
    is_given_up: Cell<bool>,
    /// What the peer is to be told about what it has sent, instead of an end.
    abort_due: Cell<Option<AbortReason>>,
    /// Why the listener does not take this end, if it has said so.
    refusal: Cell<Option<RefuseReason>>,
    /// Why the connection was cut, for the half that did not see it.
    failure: RefCell<Option<io::Error>>,
    key: usize,
}

impl Link {
    /// # Errors
    ///
    /// What the system says about the socket.
    pub(crate) fn new(shard: Rc<Shard>, descriptor: OwnedFd) -> io::Result<Rc<Self>> {
        let socket = Socket::new(descriptor, &shard.driver)?;
        Ok(Self::of(shard, socket))
    }

    /// Takes any stream of bytes instead of a socket.
    pub(crate) fn over(shard: Rc<Shard>, stream: impl Duplex + 'static) -> Rc<Self> {
        let socket = Socket::over(stream, &shard.driver);
        Self::of(shard, socket)
    }

    fn of(shard: Rc<Shard>, socket: Socket) -> Rc<Self> {
        let stage = Cell::new(shard.counters.connections.begin());
        Rc::new_cyclic(|link| Self {
            socket: RefCell::new(Some(Rc::new(socket))),
            key: shard.register(link.clone() as Weak<dyn Member>),
            shard,
            tracker: IdleTracker::default(),
            process: ProcessMark::current(),
            keeps_alive: Cell::new(false),
            lifetime: Lifetime::default(),
            is_established: Cell::new(false),
            stage,
            span: OnceCell::new(),
            is_silence_counted: Cell::new(false),
            is_retiring: Cell::new(false),
            reader: WakerCell::default(),
            writer: WakerCell::default(),
            retirement: WakerCell::default(),
            written: Cell::new(0),
            is_alive_due: Cell::new(false),
            leaving_due: Cell::new(None),
            is_served: Cell::new(false),
            is_given_up: Cell::new(false),
            abort_due: Cell::new(None),
            refusal: Cell::new(None),
            failure: RefCell::default(),
        })
    }

    /// Returns the socket, unless the connection is over.
    pub(crate) fn socket(&self) -> Option<Rc<Socket>> {
        self.socket.borrow().clone()
    }

    /// Notes that the handshake is over: from here on what is sent has to arrive.
    pub(crate) fn establish(&self) {
        self.is_established.set(true);
        self.move_on(ConnectionStage::Open);
    }

    /// Has what is told of the connection from here on told within `span`.
    pub(crate) fn describe(&self, span: Span) {
        // Once, by whoever makes the connection.
        let _ = self.span.set(span);
    }

    /// Has what is told until this is dropped told of this connection.
    pub(crate) fn telling(&self) -> Option<Entered<'_>> {
        self.span.get().map(Span::enter)
    }

    fn move_on(&self, stage: ConnectionStage) {
        self.shard.counters.connections.move_on(&self.stage, stage);
    }

    /// Whether the ring of this socket can take operations now.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotConnected`] outside the runtime that made the socket, or when that is
    /// ending.
    pub(crate) fn check_running(&self) -> io::Result<()> {
        if self.shard.is_running() {
            return Ok(());
        }
        self.check_process()?;
        Err(io::Error::new(
            io::ErrorKind::NotConnected,
            "the runtime of this connection is not running on this thread",
        ))
    }

    /// Whether the connection is this process' own, and not one that a forked child has inherited:
    /// that has none of the memory, and is to leave the socket alone.
    ///
    /// # Errors
    ///
    /// [`DriverError::Forked`].
    #[inline]
    pub(crate) fn check_process(&self) -> io::Result<()> {
        if self.process.is_inherited() {
            return Err(DriverError::Forked.into());
        }
        Ok(())
    }

    /// Has the kernel look after the peer's host.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn keep_alive(&self, settings: KeepAlive) -> io::Result<()> {
        self.keeps_alive.set(true);
        match self.socket() {
            Some(socket) => socket.keep_alive(settings),
            None => Ok(()),
        }
    }

    /// Returns the time limit that an operation has ended by, if it has.
    pub(crate) fn limit_behind<T>(&self, result: &io::Result<T>) -> Option<TimeLimit> {
        let is_silent = |error: &io::Error| self.keeps_alive.get() && is_silence(error);
        let silent = result.as_ref().err().filter(|&error| is_silent(error));
        self.tracker.expired().or_else(|| {
            silent?;
            if !self.is_silence_counted.replace(true) {
                self.shard.watched.count(TimeLimit::Host);
            }
            Some(TimeLimit::Host)
        })
    }

    /// Notes that a read, or a wait for something to read, begins.
    pub(crate) fn note_reading(&self, mid_record: bool) {
        let upcoming = self.shard.watched.upcoming();
        self.tracker.begin_read(mid_record, upcoming);
    }

    /// Notes that a read has brought something.
    #[inline]
    pub(crate) fn note_read(&self) {
        self.tracker.reading.note(self.shard.watched.upcoming());
    }

    /// Notes that a write begins.
    #[inline]
    pub(crate) fn note_writing(&self) {
        self.tracker.writing.note(self.shard.watched.upcoming());
    }

    /// Starts a read into `range` of `buffer`.
    pub(crate) fn start_read(&self, buffer: Buffer, range: Range<usize>) {
        if let Some(socket) = self.socket() {
            socket.start_read(buffer, range);
        }
    }

    /// Starts a wait for readability in the place of a read.
    pub(crate) fn start_readable(&self) {
        if let Some(socket) = self.socket() {
            socket.start_readable();
        }
    }

    /// Starts a write of `range` of `buffer`.
    pub(crate) fn start_write(&self, buffer: Buffer, range: Range<usize>) {
        if let Some(socket) = self.socket() {
            socket.start_write(buffer, range);
        }
    }

    /// Polls the read in flight, which is cancelled if the connection is over.
    pub(crate) fn poll_read(&self, context: &mut Context<'_>) -> Poll<Completion> {
        let Some(socket) = self.socket() else {
            return Poll::Ready(Completion::cancelled());
        };
        let poll = socket.poll_read(context);
        self.reader.follow(&poll, context.waker());
        poll
    }

    /// Has `context` woken when the connection is over, for a receiver that waits for memory.
    pub(crate) fn wake_when_over(&self, context: &Context<'_>) {
        self.reader.set(context.waker());
    }

    /// Polls the write in flight, which is cancelled if the connection is over.
    pub(crate) fn poll_write(&self, context: &mut Context<'_>) -> Poll<Completion> {
        let Some(socket) = self.socket() else {
            return Poll::Ready(Completion::cancelled());
        };
        let poll = socket.poll_write(context);
        if poll.is_pending() {
            self.writer.set(context.waker());
        }
        poll
    }

    /// Shuts our writing down. Nothing may be in flight.
    pub(crate) fn poll_end_writing(&self, context: &mut Context<'_>) -> Poll<()> {
        let Some(socket) = self.socket() else {
            return Poll::Ready(());
        };
        self.writer.set(context.waker());
        socket.poll_end_writing(context)
    }

    /// Shuts our writing down at once, whatever is in flight.
    pub(crate) fn end_writing(&self) {
        if let Some(socket) = self.socket() {
            socket.shutdown(ShutdownSide::Write);
        }
    }

    /// Reads into the first `length` bytes of `buffer`. A count of zero is the end.
    ///
    /// When the future is dropped the read goes on, and ends when the link is dropped.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub(crate) async fn read(&self, buffer: Buffer, length: usize) -> io::Result<(usize, Buffer)> {
        self.check_running()?;
        self.start_read(buffer, 0..length);
        let completion = poll_fn(|context| self.poll_read(context)).await;
        let (read, buffer) = completion.into_parts()?;
        count(&self.shard.counters.bytes_received, read);
        Ok((read, buffer))
    }

    /// Writes the first `length` bytes of `buffer`, all of them.
    ///
    /// # Errors
    ///
    /// What the kernel says; part may have been written.
    pub(crate) async fn write_all(&self, buffer: Buffer, length: usize) -> io::Result<()> {
        let mut buffer = buffer;
        let mut range = 0..length;
        while !range.is_empty() {
            self.check_running()?;
            self.start_write(buffer, range.clone());
            let completion = poll_fn(|context| self.poll_write(context)).await;
            let (written, rest) = completion.into_parts()?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            count(&self.shard.counters.bytes_sent, written);
            range.start += written;
            buffer = rest;
        }
        // Not cleared at each write: a writer task is there as long as the connection.
        self.writer.clear();
        Ok(())
    }

    /// Notes that a write has completed.
    pub(crate) fn wrote(&self) {
        self.written.set(self.written.get() + 1);
        self.retirement.wake();
    }

    /// Nobody sends any more; what is sealed still goes out.
    pub(crate) fn sender_left(self: &Rc<Self>) {
        if self.process.is_inherited() {
            return;
        }
        self.lifetime.sender_left();
        self.writer.wake();
        self.settle();
    }

    /// All is out that ever will be.
    pub(crate) fn sending_ended(self: &Rc<Self>) {
        self.lifetime.sending_ended();
        self.settle();
    }

    /// The socket takes nothing more.
    pub(crate) fn sending_failed(self: &Rc<Self>) {
        self.lifetime.sending_failed();
        self.settle();
    }

    /// Nobody receives any more.
    pub(crate) fn receiver_left(self: &Rc<Self>) {
        if self.process.is_inherited() {
            return;
        }
        self.lifetime.receiver_left();
        if self.socket().is_some_and(|socket| socket.is_reading()) {
            self.retire();
        }
        self.settle();
    }

    /// Nothing more is sent or received. What was sent to a stranger arrives, unless too many
    /// connections end at a time: it must not cost those of others anything.
    pub(crate) fn linger_if_few(self: &Rc<Self>) {
        if self.shard.unfinished() > MAX_RETIRING / 4 {
            return self.cut();
        }
        self.establish();
        self.end_writing();
        self.lifetime.sending_ended();
        self.receiver_left();
    }

    /// Returns whether the peer is to be told so, once.
    pub(crate) fn take_alive_due(&self) -> bool {
        self.is_alive_due.take()
    }

    /// Notes that a server gives it to a handler. From now on a sender that a panic drops gives the
    /// connection up, so that the peer does not take that for an end in order.
    pub(crate) fn note_served(&self) {
        self.is_served.set(true);
    }

    /// Whether a sender that is dropped now gives the connection up.
    pub(crate) fn is_left_by_panic(&self) -> bool {
        self.is_served.get() && std::thread::panicking()
    }

    /// This end gives the connection up: the peer is told, where the wire `can_abort`, and sees a reset
    /// elsewhere.
    pub(crate) fn abort(self: &Rc<Self>, reason: AbortReason, can_abort: bool) {
        self.give_up();
        if can_abort {
            self.abort_peer(reason);
        } else {
            self.refuse_peer();
        }
    }

    /// Has the peer asked to begin nothing new and then to end, if the wire can.
    pub(crate) fn announce_leaving(&self, reason: u16) {
        self.leaving_due.set(Some(reason));
        self.writer.wake();
    }

    /// Returns why the peer is to be asked to end, once.
    pub(crate) fn take_leaving_due(&self) -> Option<u16> {
        self.leaving_due.take()
    }

    /// This end wants nothing more of the connection, neither half of it.
    pub(crate) fn give_up(self: &Rc<Self>) {
        self.is_given_up.set(true);
        self.reader.wake();
    }

    /// Whether this end wants nothing more of the connection.
    #[inline]
    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.get()
    }

    /// Has the peer told, instead of an end, that what it has sent is not acceptable; and nothing
    /// more of it is read.
    pub(crate) fn abort_peer(self: &Rc<Self>, reason: AbortReason) {
        self.abort_due.set(Some(reason));
        self.writer.wake();
        self.receiver_left();
    }

    /// Returns what to tell the peer instead of an end, once.
    pub(crate) fn take_abort_due(&self) -> Option<AbortReason> {
        self.abort_due.take()
    }

    /// What the peer sent is not acceptable, and nothing more of it is read.
    pub(crate) fn refuse_peer(self: &Rc<Self>) {
        self.lifetime.peer_refused();
        self.settle();
    }

    /// Closes the socket now, so that the peer sees a reset. Where the end is not authenticated, it
    /// would take anything else for one, and what it has sent for received.
    pub(crate) fn reset(&self) {
        if let Some(socket) = self.socket() {
            socket.reset_when_closed();
        }
        self.close(false);
    }

    /// The peer's end was read.
    pub(crate) fn peer_ended(self: &Rc<Self>) {
        self.lifetime.peer_ended();
        self.settle();
    }

    /// The socket has failed, for both directions.
    pub(crate) fn fail(&self, error: &io::Error) {
        self.fail_with(copy(error));
    }

    /// The connection is over, for both directions, and this is what the sender is told.
    pub(crate) fn fail_with(&self, error: io::Error) {
        self.failure.replace(Some(error));
        self.cut();
    }

    /// The listener does not take this end, and this is what the sender is told.
    pub(crate) fn refused(&self, reason: RefuseReason) {
        self.refusal.set(Some(reason));
        self.fail_with(io::ErrorKind::ConnectionRefused.into());
    }

    /// Returns why the listener does not take this end, if it has said so.
    pub(crate) fn refusal(&self) -> Option<RefuseReason> {
        self.refusal.get()
    }

    /// Returns why the connection was cut, if somebody said so.
    pub(crate) fn failure(&self) -> io::Error {
        let reason = self.failure.take();
        reason.unwrap_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Returns why an operation has failed with `error`: a cut says more than that it was cancelled.
    pub(crate) fn explain(&self, error: io::Error) -> io::Error {
        match &*self.failure.borrow() {
            Some(failure) if self.socket.borrow().is_none() => copy(failure),
            _ => error,
        }
    }

    /// Does what the state of both directions asks for.
    fn settle(self: &Rc<Self>) {
        match self.lifetime.need() {
            Need::Use => {}
            Need::Arrival => self.retire(),
            Need::Nothing => self.cut(),
        }
        self.retirement.wake();
    }

    fn retire(self: &Rc<Self>) {
        if self.socket.borrow().is_some() && !self.is_retiring.replace(true) {
            self.move_on(ConnectionStage::Ending);
            let work = retirement::retire(Rc::clone(self));
            self.shard.retire(Rc::clone(self) as Rc<dyn Member>, work);
        }
    }

    /// Closes the socket now. Whoever waits for it is told.
    pub(crate) fn cut(&self) {
        self.close(true);
    }

    fn close(&self, in_order: bool) {
        let Some(socket) = self.socket.take() else {
            return;
        };
        self.move_on(ConnectionStage::Over);
        let _telling = self.telling();
        if self.is_established.get() {
            tracing::debug!("a connection is over");
        }
        let is_in_flight = socket.is_in_flight();
        // An operation in flight keeps the socket open, and one that a failed driver never gives
        // back does so for good: shut it down explicitly.
        if is_in_flight && in_order || self.shard.driver.check().is_err() {
            socket.shutdown(ShutdownSide::Write);
        }
        if is_in_flight {
            self.shard.collect(socket);
        }
        self.reader.wake();
        self.writer.wake();
        self.retirement.wake();
    }
}

impl Member for Link {
    fn end(self: Rc<Self>) {
        if self.is_established.get() {
            self.sender_left();
            self.receiver_left();
        } else {
            self.close(true);
        }
    }

    fn cut(&self) {
        self.close(true);
    }

    fn is_retiring(&self) -> bool {
        self.is_retiring.get()
    }

    fn is_served(&self) -> bool {
        self.is_served.get() && self.socket.borrow().is_some()
    }
}

impl Retiring for Link {
    fn socket(&self) -> Option<Rc<Socket>> {
        self.socket.borrow().clone()
    }

    fn lifetime(&self) -> &Lifetime {
        &self.lifetime
    }

    fn written(&self) -> u64 {
        self.written.get()
    }

    fn waker(&self) -> &WakerCell {
        &self.retirement
    }

    fn peer_ended(self: &Rc<Self>) {
        Self::peer_ended(self);
    }

    fn scratch(&self) -> &Cell<Vec<u8>> {
        self.shard.scratch()
    }

    fn has_retired(self: &Rc<Self>) {
        self.is_retiring.set(false);
        match self.lifetime.need() {
            Need::Use => self.move_on(ConnectionStage::Open),
            Need::Arrival | Need::Nothing => self.close(true),
        }
    }
}

impl Limited for Link {
    fn tracker(&self) -> &IdleTracker {
        &self.tracker
    }

    fn socket(&self) -> Option<Rc<Socket>> {
        self.socket.borrow().clone()
    }

    fn need(&self) -> Need {
        self.lifetime.need()
    }

    fn span(&self) -> Option<Span> {
        self.span.get().cloned()
    }

    fn tell_alive(&self) {
        self.is_alive_due.set(true);
        self.writer.wake();
    }

    fn tell_leaving(&self) {
        self.announce_leaving(0);
    }

    fn cut(&self) {
        self.close(true);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.process.is_inherited() {
            // What is in there belongs to the parent.
            core::mem::forget(self.socket.take());
            return;
        }
        self.shard.forget(self.key);
        self.shard.watched.forget(&self.tracker);
        self.cut();
    }
}

/// Makes an error that says the same.
fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.kind().into(),
    }
}
