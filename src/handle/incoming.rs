//! Messages on their way from a receiver on its ring thread.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::select;

use super::batch::Batch;
use super::copier::Copier;
use super::error::RemoteError;
use super::limits::QueueLimits;
use super::wakers::{set, wake};
use crate::net::{Receiver, RecvError};

/// What a [`RemoteReceiver`](super::RemoteReceiver) and its task on the ring thread share.
#[derive(Debug)]
pub(super) struct Incoming {
    limits: QueueLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Batch,
    /// How the direction ended, behind what waits, until the caller was told of an error.
    end: Option<Result<(), RemoteError<RecvError>>>,
    ended: bool,
    receiver_dropped: bool,
    caller: Option<Waker>,
    /// The task, while it waits for room.
    idle_task: Option<Waker>,
    /// The task, whatever it does.
    task: Option<Waker>,
}

impl Incoming {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two states, so a poisoned lock guards good data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves what waits into `batch`, which is empty, and waits until there is something. The
    /// batch stays empty at the end.
    pub(super) fn poll_take(
        &self,
        context: &mut Context<'_>,
        batch: &mut Batch,
    ) -> Poll<Result<(), RemoteError<RecvError>>> {
        let mut state = self.state();
        if !state.waiting.is_empty() {
            batch.append(&mut state.waiting);
            let task = state.idle_task.take();
            drop(state);
            wake(task);
            return Poll::Ready(Ok(()));
        }
        if !state.ended {
            set(&mut state.caller, context);
            return Poll::Pending;
        }
        let result = match state.end.take() {
            Some(Ok(())) => {
                state.end = Some(Ok(()));
                Ok(())
            }
            Some(Err(error)) => Err(error),
            None => Err(RecvError::Closed.into()),
        };
        Poll::Ready(result)
    }

    /// The receiver is gone.
    pub(super) fn drop_receiver(&self) {
        let mut state = self.state();
        state.receiver_dropped = true;
        let task = state.task.take();
        drop(state);
        wake(task);
    }

    /// Runs on the ring thread until the direction has ended.
    pub(super) async fn fill_from(&self, receiver: Receiver) {
        let _guard = EndGuard(self);
        let dropped = pin!(poll_fn(|context| self.poll_dropped(context)));
        let receiving = pin!(self.receive_all(receiver));
        select(dropped, receiving).await;
    }

    async fn receive_all(&self, mut receiver: Receiver) {
        let mut copier = Copier::default();
        let mut batch = Batch::default();
        loop {
            let mut next = receiver.recv().await;
            let end = loop {
                match next {
                    Ok(Some(message)) => batch.push(copier.copy(&message)),
                    Ok(None) => break Some(Ok(())),
                    Err(error) => break Some(Err(error.into())),
                }
                next = match receiver.recv_buffered() {
                    Ok(None) => break None,
                    next => next,
                };
            };
            self.put(&mut batch);
            if let Some(end) = end {
                return self.end(end);
            }
            if !self.has_room() {
                receiver.step_aside();
                poll_fn(|context| self.poll_room(context)).await;
            }
        }
    }

    /// Hands over a batch, and with it wakes the caller at most once.
    fn put(&self, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        let mut state = self.state();
        state.waiting.append(batch);
        let caller = state.caller.take();
        drop(state);
        wake(caller);
    }

    /// Whether what waits is within its bounds.
    fn has_room(&self) -> bool {
        self.state().waiting.has_room(0, self.limits)
    }

    /// Waits until it is.
    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.waiting.has_room(0, self.limits) {
            return Poll::Ready(());
        }
        state.idle_task = Some(context.waker().clone());
        Poll::Pending
    }

    fn poll_dropped(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.receiver_dropped {
            return Poll::Ready(());
        }
        set(&mut state.task, context);
        Poll::Pending
    }

    /// Says how the direction ended. Only the first to say so is heard.
    fn end(&self, end: Result<(), RemoteError<RecvError>>) {
        let mut state = self.state();
        if state.ended {
            return;
        }
        state.ended = true;
        state.end = Some(end);
        let caller = state.caller.take();
        state.idle_task = None;
        state.task = None;
        drop(state);
        wake(caller);
    }
}

/// Ends the direction when its task goes, whatever made it go.
struct EndGuard<'a>(&'a Incoming);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        self.0.end(Err(RemoteError::ThreadEnded));
    }
}
