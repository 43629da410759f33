//! Messages on their way from a receiver on its ring thread.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use futures_util::future::select;

use super::batch::Batch;
use super::copier::Copier;
use super::error::RemoteError;
use super::limits::QueueLimits;
use super::locked::{Locked, ready_when, wake};
use crate::driver::catch_panic;
use crate::net::{Receiver, RecvError};

/// What a [`RemoteReceiver`](super::RemoteReceiver) and its task on the ring thread share.
#[derive(Debug)]
pub(super) struct Incoming {
    limits: QueueLimits,
    state: Locked<State>,
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
            state: Locked::default(),
        }
    }

    /// Moves what waits into `batch`, which is empty, and waits until there is something. The
    /// batch stays empty at the end.
    pub(super) fn poll_take(
        &self,
        context: &Context<'_>,
        batch: &mut Batch,
    ) -> Poll<Result<(), RemoteError<RecvError>>> {
        self.state.poll(
            context,
            |state| &mut state.caller,
            |state| {
                let taken = state.take(batch);
                let task = match taken {
                    Poll::Ready(Ok(())) => state.idle_task.take(),
                    _ => None,
                };
                (taken, task)
            },
        )
    }

    /// The receiver is gone.
    pub(super) fn drop_receiver(&self) {
        let task = self.state.with(|state| {
            state.receiver_dropped = true;
            state.task.take()
        });
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
        let caller = self.state.with(|state| {
            state.waiting.append(batch);
            state.caller.take()
        });
        wake(caller);
    }

    /// Whether what waits is within its bounds.
    fn has_room(&self) -> bool {
        self.state
            .with(|state| state.waiting.has_room(0, self.limits))
    }

    /// Waits until it is.
    fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        self.state.poll(
            context,
            |state| &mut state.idle_task,
            |state| {
                let has_room = state.waiting.has_room(0, self.limits);
                (ready_when(has_room), None)
            },
        )
    }

    fn poll_dropped(&self, context: &Context<'_>) -> Poll<()> {
        self.state.poll(
            context,
            |state| &mut state.task,
            |state| (ready_when(state.receiver_dropped), None),
        )
    }

    /// Says how the direction ended. Only the first to say so is heard.
    fn end(&self, end: Result<(), RemoteError<RecvError>>) {
        // Whatever is not kept is dropped out here, an error of the user's stream for one.
        let mut end = Some(end);
        let (caller, _unused) = self.state.with(|state| {
            if state.ended {
                return (None, None);
            }
            state.ended = true;
            state.end = end.take();
            let unused = (state.idle_task.take(), state.task.take());
            (state.caller.take(), Some(unused))
        });
        wake(caller);
    }
}

impl State {
    /// Moves what waits into `batch`, which stays empty at the end.
    fn take(&mut self, batch: &mut Batch) -> Poll<Result<(), RemoteError<RecvError>>> {
        if !self.waiting.is_empty() {
            batch.append(&mut self.waiting);
            return Poll::Ready(Ok(()));
        }
        if !self.ended {
            return Poll::Pending;
        }
        // An error is told once, and the end as often as somebody asks.
        Poll::Ready(match self.end.take() {
            Some(Ok(())) => {
                self.end = Some(Ok(()));
                Ok(())
            }
            Some(Err(error)) => Err(error),
            None => Err(RecvError::Closed.into()),
        })
    }
}

/// Ends the direction when its task goes, whatever made it go.
struct EndGuard<'a>(&'a Incoming);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        // Calls the caller's waker, perhaps while a panic unwinds already: a second would abort.
        let _ = catch_panic(|| self.0.end(Err(RemoteError::ThreadEnded)));
    }
}
