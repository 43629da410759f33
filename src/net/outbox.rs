//! Sealed records on their way to the kernel: one buffer in flight while the next one fills.
//!
//! ```text
//! Sender --seals--> filling --full--> queued --writer task--> in flight --> kernel
//!                      \_____________ writer idle ____________/
//! ```
//!
//! The sender seals into `filling` and wakes the writer once. The writer runs when the tasks
//! before it in the thread's queue have run, so whatever they seal until then leaves in the same
//! submission: a lone message is not held back, and a stream coalesces by itself. Two buffers
//! are the bound; a sender that has filled both waits for the kernel.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::ops::Range;
use core::task::{Context, Poll, Waker};
use std::io;
use std::rc::Rc;

use super::context::count;
use super::link::Link;
use super::time_limits::TimeLimit;
use crate::memory::{Buffer, Pool};
use crate::ring::ShutdownSide;

/// How many buffers a sender may have filled or in flight.
const MAX_BUFFERS: usize = Pool::SENDER_SLOTS;

/// A buffer and how much of it holds sealed records.
#[derive(Debug)]
pub(crate) struct Filling {
    pub(crate) buffer: Buffer,
    pub(crate) length: usize,
}

impl Filling {
    pub(crate) fn new(buffer: Buffer) -> Self {
        Self { buffer, length: 0 }
    }

    pub(crate) fn room(&self) -> usize {
        self.buffer.len() - self.length
    }
}

/// How far the direction is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Records may come.
    Open,
    /// No more records; what there is still goes out.
    Closing,
    /// All is out and the end is said.
    Closed,
    /// Nothing more goes out.
    Aborted,
}

#[derive(Debug)]
struct State {
    filling: Option<Filling>,
    queued: Option<Filling>,
    /// What is left of the buffer in flight, as a range of it.
    in_flight: Option<Range<usize>>,
    /// Bytes sealed since the beginning.
    sealed: u64,
    /// Bytes the kernel has taken.
    written: u64,
    phase: Phase,
    failure: Option<Refusal>,
    failed: bool,
    sender: Option<Waker>,
}

/// What the sender and the writer task share.
#[derive(Debug)]
pub(crate) struct Outbox {
    link: Rc<Link>,
    state: RefCell<State>,
    /// The writer task, while it has nothing to do.
    idle_writer: RefCell<Option<Waker>>,
    sender_alive: Cell<bool>,
    receiver_alive: Cell<bool>,
}

/// Why the outbox takes nothing more.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It was said before.
    Closed,
    /// The first to hear of it.
    Failed(io::Error),
    /// The first to hear that a limit was over.
    TimedOut(TimeLimit),
}

impl Outbox {
    pub(crate) fn new(link: Rc<Link>) -> Self {
        Self {
            link,
            state: RefCell::new(State {
                filling: None,
                queued: None,
                in_flight: None,
                sealed: 0,
                written: 0,
                phase: Phase::Open,
                failure: None,
                failed: false,
                sender: None,
            }),
            idle_writer: RefCell::default(),
            sender_alive: Cell::new(true),
            receiver_alive: Cell::new(true),
        }
    }

    pub(crate) fn link(&self) -> &Rc<Link> {
        &self.link
    }

    /// Takes the current buffer to seal into, if it has room for `length` bytes. Give it back
    /// with [`put`](Self::put).
    ///
    /// # Errors
    ///
    /// [`Refusal`] after a failure.
    #[inline]
    pub(crate) fn take(&self, length: usize) -> Result<Option<Filling>, Refusal> {
        let mut state = self.state.borrow_mut();
        state.check()?;
        match &state.filling {
            Some(filling) if filling.room() >= length => Ok(state.filling.take()),
            _ => Ok(None),
        }
    }

    /// Gives the current buffer back with `added` more bytes sealed in it, and has it written.
    #[inline]
    pub(crate) fn put(&self, filling: Filling, added: usize) {
        let mut state = self.state.borrow_mut();
        debug_assert!(state.filling.is_none(), "one current buffer at a time");
        state.filling = Some(filling);
        state.sealed += added as u64;
        drop(state);
        self.wake_writer();
    }

    /// Waits until there may be a new current buffer: the full one is on its way and fewer than
    /// [`MAX_BUFFERS`] are out.
    ///
    /// # Errors
    ///
    /// [`Refusal`] after a failure.
    pub(crate) fn poll_vacancy(&self, context: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        let mut state = self.state.borrow_mut();
        state.check()?;
        if state.queued.is_none() && state.in_flight.is_none() {
            state.queued = state.filling.take().filter(|filling| filling.length > 0);
        }
        let out = usize::from(state.queued.is_some())
            + usize::from(state.in_flight.is_some())
            + usize::from(state.filling.is_some());
        let vacant = state.filling.is_none() && out < MAX_BUFFERS;
        if !vacant {
            state.set_sender(context.waker());
        }
        drop(state);
        self.wake_writer();
        if vacant {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    /// Waits until there is no buffer at all, behind [`poll_vacancy`](Self::poll_vacancy).
    pub(crate) fn poll_empty(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        if state.queued.is_none() && state.in_flight.is_none() {
            return Poll::Ready(());
        }
        state.set_sender(context.waker());
        Poll::Pending
    }

    /// Waits until the kernel has taken every byte sealed so far.
    ///
    /// # Errors
    ///
    /// [`Refusal`] after a failure.
    pub(crate) async fn flush(&self) -> Result<(), Refusal> {
        let target = self.state.borrow().sealed;
        poll_fn(|context| self.poll_written(context, target)).await
    }

    /// Waits until the kernel has taken the first `target` bytes, or all that are sealed.
    ///
    /// # Errors
    ///
    /// [`Refusal`] after a failure.
    pub(crate) fn poll_written(
        &self,
        context: &mut Context<'_>,
        target: u64,
    ) -> Poll<Result<(), Refusal>> {
        let mut state = self.state.borrow_mut();
        if state.written >= target.min(state.sealed) {
            return Poll::Ready(Ok(()));
        }
        state.check()?;
        state.set_sender(context.waker());
        drop(state);
        self.wake_writer();
        Poll::Pending
    }

    /// Sends what is sealed, then the end, and waits for both.
    ///
    /// # Errors
    ///
    /// [`Refusal`] after a failure.
    pub(crate) async fn close(&self) -> Result<(), Refusal> {
        poll_fn(|context| self.poll_close(context)).await
    }

    /// Does what [`close`](Self::close) does.
    pub(crate) fn poll_close(&self, context: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.begin_close();
        let mut state = self.state.borrow_mut();
        if state.phase == Phase::Closed {
            return Poll::Ready(Ok(()));
        }
        state.check_failure()?;
        if state.phase == Phase::Aborted {
            return Poll::Ready(Err(Refusal::Closed));
        }
        state.set_sender(context.waker());
        Poll::Pending
    }

    fn begin_close(&self) {
        let mut state = self.state.borrow_mut();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
        drop(state);
        self.wake_writer();
    }

    /// The sender is gone. What is sealed still goes out while there is a receiver.
    pub(crate) fn drop_sender(&self) {
        self.sender_alive.set(false);
        if self.receiver_alive.get() {
            self.begin_close();
        } else {
            self.abort();
        }
    }

    /// The receiver is gone. With the sender gone too, the connection ends at once.
    pub(crate) fn drop_receiver(&self) {
        self.receiver_alive.set(false);
        let phase = self.state.borrow().phase;
        if phase == Phase::Closing && !self.sender_alive.get() {
            self.abort();
            return;
        }
        if self.link.socket.is_reading() {
            self.link.socket.shutdown(ShutdownSide::Read);
            self.link.context.adopt(Rc::clone(&self.link.socket), false);
        }
    }

    /// Poisons the direction: a record may be incomplete, so nothing may follow it.
    pub(crate) fn abort(&self) {
        let mut state = self.state.borrow_mut();
        if state.phase == Phase::Closed {
            return;
        }
        state.phase = Phase::Aborted;
        state.filling = None;
        state.queued = None;
        drop(state);
        self.link.socket.shutdown(ShutdownSide::Write);
        self.wake_writer();
    }

    fn wake_writer(&self) {
        let waker = self.idle_writer.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn wake_sender(&self) {
        let waker = self.state.borrow_mut().sender.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The writer task: runs until the direction has ended.
    pub(crate) async fn write(self: Rc<Self>) {
        poll_fn(|context| self.poll_write(context)).await;
    }

    fn poll_write(&self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let in_flight = self.state.borrow_mut().in_flight.take();
            if let Some(mut range) = in_flight {
                let Poll::Ready(completion) = self.link.socket.poll_write(context) else {
                    self.state.borrow_mut().in_flight = Some(range);
                    return Poll::Pending;
                };
                let before = range.start;
                match self.link.continue_write(completion, &mut range) {
                    Ok(buffer) => {
                        self.state.borrow_mut().written += (range.start - before) as u64;
                        if range.is_empty() {
                            count(&self.link.context.counters.writes, 1);
                            drop(buffer);
                            self.wake_sender();
                        } else if let Err(error) = self.submit(buffer, range) {
                            return self.fail(error);
                        }
                    }
                    Err(error) => return self.fail(error),
                }
                continue;
            }
            let mut state = self.state.borrow_mut();
            let next = state
                .queued
                .take()
                .or_else(|| state.filling.take_if(|filling| filling.length > 0));
            let phase = state.phase;
            drop(state);
            match (next, phase) {
                (_, Phase::Aborted | Phase::Closed) => return Poll::Ready(()),
                (Some(Filling { buffer, length }), _) => {
                    if let Err(error) = self.submit(buffer, 0..length) {
                        return self.fail(error);
                    }
                    self.wake_sender();
                }
                (None, Phase::Closing) => {
                    if self.link.socket.poll_end_writing(context).is_pending() {
                        // An abort has to get through as well.
                        *self.idle_writer.borrow_mut() = Some(context.waker().clone());
                        return Poll::Pending;
                    }
                    self.state.borrow_mut().phase = Phase::Closed;
                    self.wake_sender();
                    return Poll::Ready(());
                }
                (None, Phase::Open) => {
                    *self.idle_writer.borrow_mut() = Some(context.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }

    fn submit(&self, buffer: Buffer, range: Range<usize>) -> io::Result<()> {
        self.link.check_running()?;
        self.link.watch.writing.note();
        self.link.socket.start_write(buffer, range.clone());
        self.state.borrow_mut().in_flight = Some(range);
        Ok(())
    }

    fn fail(&self, error: io::Error) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        tracing::debug!(%error, "the sending direction failed");
        state.failure = Some(match self.link.watch.overrun() {
            Some(limit) => Refusal::TimedOut(limit),
            None => Refusal::Failed(error),
        });
        state.failed = true;
        state.filling = None;
        state.queued = None;
        drop(state);
        self.wake_sender();
        Poll::Ready(())
    }
}

impl State {
    fn check_failure(&mut self) -> Result<(), Refusal> {
        if !self.failed {
            return Ok(());
        }
        Err(self.failure.take().unwrap_or(Refusal::Closed))
    }

    fn check(&mut self) -> Result<(), Refusal> {
        self.check_failure()?;
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Closing | Phase::Closed | Phase::Aborted => Err(Refusal::Closed),
        }
    }

    fn set_sender(&mut self, waker: &Waker) {
        match &mut self.sender {
            Some(sender) => sender.clone_from(waker),
            None => self.sender = Some(waker.clone()),
        }
    }
}
