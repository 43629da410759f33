//! Messages on their way to a sender on its ring thread.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::select;

use super::batch::Batch;
use super::error::RemoteError;
use super::limits::QueueLimits;
use super::wakers::{set, wake};
use crate::net::{SendError, Sender};

/// What a [`RemoteSender`](super::RemoteSender) and its task on the ring thread share.
#[derive(Debug)]
pub(super) struct Outgoing {
    limits: QueueLimits,
    max_message_size: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Batch,
    /// Messages taken from the caller.
    accepted: u64,
    /// How many of them the caller wants the kernel to have.
    wanted: u64,
    /// How many of them the kernel has.
    flushed: u64,
    closing: bool,
    sender_dropped: bool,
    receiver_dropped: bool,
    /// What the task ended with, until the caller was told of an error.
    outcome: Option<Result<(), RemoteError<SendError>>>,
    ended: bool,
    caller: Option<Waker>,
    /// The task, while it has nothing to do.
    idle_task: Option<Waker>,
    /// The task, whatever it does.
    task: Option<Waker>,
}

/// What the task does next.
enum Order {
    Send,
    Flush(u64),
    Close,
    Leave,
}

impl Outgoing {
    pub(super) fn new(limits: QueueLimits, max_message_size: u64) -> Self {
        Self {
            limits,
            max_message_size,
            state: Mutex::default(),
        }
    }

    pub(super) fn max_message_size(&self) -> u64 {
        self.max_message_size
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two states, so a poisoned lock guards good data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what is too long to ever be sent.
    pub(super) fn check_length(&self, length: usize) -> Result<(), RemoteError<SendError>> {
        let limit = self.max_message_size;
        if length as u64 > limit {
            return Err(SendError::TooLarge { length, limit }.into());
        }
        Ok(())
    }

    /// Waits until the queue is within its bounds. Only the one sender adds messages, so it stays
    /// so until the next.
    pub(super) fn poll_room(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), RemoteError<SendError>>> {
        let mut state = self.state();
        state.check()?;
        if state.waiting.has_room(0, self.limits) {
            return Poll::Ready(Ok(()));
        }
        state.set_caller(context);
        Poll::Pending
    }

    /// Takes a message, whether there is room or not.
    pub(super) fn push(&self, message: Bytes) -> Result<(), RemoteError<SendError>> {
        let mut state = self.state();
        state.check()?;
        Self::accept(state, message);
        Ok(())
    }

    /// Waits for room and takes the message in one go.
    pub(super) fn poll_send(
        &self,
        context: &mut Context<'_>,
        message: &mut Option<Bytes>,
    ) -> Poll<Result<(), RemoteError<SendError>>> {
        let mut state = self.state();
        state.check()?;
        let length = message.as_ref().map_or(0, Bytes::len);
        if !state.waiting.has_room(length, self.limits) {
            state.set_caller(context);
            return Poll::Pending;
        }
        if let Some(message) = message.take() {
            Self::accept(state, message);
        }
        Poll::Ready(Ok(()))
    }

    fn accept(mut state: MutexGuard<'_, State>, message: Bytes) {
        state.waiting.push(message);
        state.accepted += 1;
        Self::rouse(state);
    }

    /// Wakes the task if it has nothing to do.
    fn rouse(mut state: MutexGuard<'_, State>) {
        let task = state.idle_task.take();
        drop(state);
        wake(task);
    }

    /// Waits until the kernel has all that was taken so far.
    pub(super) fn poll_flush(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), RemoteError<SendError>>> {
        let mut state = self.state();
        if state.flushed >= state.accepted {
            return Poll::Ready(Ok(()));
        }
        state.check()?;
        state.wanted = state.accepted;
        state.set_caller(context);
        Self::rouse(state);
        Poll::Pending
    }

    /// Sends what was taken, then the end, and waits for both.
    pub(super) fn poll_close(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), RemoteError<SendError>>> {
        let mut state = self.state();
        if matches!(state.outcome, Some(Ok(()))) {
            return Poll::Ready(Ok(()));
        }
        state.check_failure()?;
        state.closing = true;
        state.set_caller(context);
        Self::rouse(state);
        Poll::Pending
    }

    /// The sender is gone.
    pub(super) fn drop_sender(&self) {
        let mut state = self.state();
        state.sender_dropped = true;
        let wakers = [state.idle_task.take(), state.task.take()];
        drop(state);
        wakers.into_iter().for_each(wake);
    }

    /// The receiver of the same connection is gone.
    pub(super) fn drop_receiver(&self) {
        let mut state = self.state();
        state.receiver_dropped = true;
        let task = state.task.take();
        drop(state);
        wake(task);
    }

    /// Runs on the ring thread until the direction has ended.
    pub(super) async fn empty_into(&self, sender: Sender) {
        let _guard = EndGuard(self);
        let abandoned = pin!(poll_fn(|context| self.poll_abandoned(context)));
        let sending = pin!(self.send_all(sender));
        select(abandoned, sending).await;
    }

    async fn send_all(&self, mut sender: Sender) {
        let mut batch = Batch::default();
        loop {
            let result = match poll_fn(|context| self.poll_order(context, &mut batch)).await {
                Order::Send => send_batch(&mut sender, &mut batch).await,
                Order::Flush(target) => {
                    let result = sender.flush().await;
                    if result.is_ok() {
                        self.note_flushed(target);
                    }
                    result
                }
                Order::Close => return self.end(sender.close().await.map_err(RemoteError::from)),
                Order::Leave => return,
            };
            if result.is_err() {
                return self.end(result.map_err(RemoteError::from));
            }
        }
    }

    fn poll_order(&self, context: &mut Context<'_>, batch: &mut Batch) -> Poll<Order> {
        let mut state = self.state();
        if !state.waiting.is_empty() {
            batch.append(&mut state.waiting);
            let caller = state.caller.take();
            drop(state);
            wake(caller);
            return Poll::Ready(Order::Send);
        }
        if state.closing {
            return Poll::Ready(Order::Close);
        }
        if state.sender_dropped {
            return Poll::Ready(Order::Leave);
        }
        if state.wanted > state.flushed {
            return Poll::Ready(Order::Flush(state.accepted));
        }
        state.idle_task = Some(context.waker().clone());
        Poll::Pending
    }

    /// Waits until nobody has the connection any more.
    fn poll_abandoned(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.sender_dropped && state.receiver_dropped {
            return Poll::Ready(());
        }
        set(&mut state.task, context);
        Poll::Pending
    }

    fn note_flushed(&self, target: u64) {
        let mut state = self.state();
        state.flushed = target;
        let caller = state.caller.take();
        drop(state);
        wake(caller);
    }

    /// Says how the direction ended. Only the first to say so is heard.
    fn end(&self, outcome: Result<(), RemoteError<SendError>>) {
        let mut state = self.state();
        if state.ended {
            return;
        }
        state.ended = true;
        if outcome.is_ok() {
            state.flushed = state.accepted;
        }
        state.outcome = Some(outcome);
        // Nobody will take them any more.
        let rest = core::mem::take(&mut state.waiting);
        let caller = state.caller.take();
        state.idle_task = None;
        state.task = None;
        drop(state);
        drop(rest);
        wake(caller);
    }
}

impl State {
    /// Tells of a failure, the first time by its cause.
    fn check_failure(&mut self) -> Result<(), RemoteError<SendError>> {
        if !self.ended {
            return Ok(());
        }
        match self.outcome.take() {
            Some(Err(error)) => Err(error),
            outcome => {
                self.outcome = outcome;
                Err(SendError::Closed.into())
            }
        }
    }

    fn check(&mut self) -> Result<(), RemoteError<SendError>> {
        self.check_failure()?;
        if self.closing {
            return Err(SendError::Closed.into());
        }
        Ok(())
    }

    fn set_caller(&mut self, context: &Context<'_>) {
        set(&mut self.caller, context);
    }
}

/// Sends a batch and empties it.
async fn send_batch(sender: &mut Sender, batch: &mut Batch) -> Result<(), SendError> {
    while let Some(message) = batch.pop() {
        sender.send(&message).await?;
    }
    Ok(())
}

/// Ends the direction when its task goes, whatever made it go.
struct EndGuard<'a>(&'a Outgoing);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        self.0.end(Err(RemoteError::ThreadEnded));
    }
}
