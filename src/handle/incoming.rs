//! Messages on their way from a receiver on its ring thread.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use futures_util::future::select;

use super::batch::{Batch, Size};
use super::copier::Copier;
use super::error::RemoteError;
use super::limits::QueueLimits;
use super::locked::{Locked, ready_when, wake};
use crate::driver::catch_panic;
use crate::net::{Message, Receiver, RecvError};

/// How many messages are taken over before other tasks of the thread have a turn: a slot may hold
/// hundreds of thousands.
const TURN: usize = 1024;

/// Why no more is gathered.
enum Stop {
    /// There is to be a read first.
    Drained,
    /// The queue is, or it is somebody else's turn.
    Full,
    Ended(Result<(), RemoteError<RecvError>>),
}

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

    /// Returns how much waits, for `Debug`.
    pub(super) fn waiting(&self) -> Option<Size> {
        self.state.try_with(|state| state.waiting.size())
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
            let first = receiver.recv().await;
            let stop = self.gather(first, &mut receiver, &mut copier, &mut batch);
            self.put(&mut batch);
            match stop {
                Stop::Ended(end) => return self.end(end),
                // What it keeps may be needed elsewhere while the caller takes nothing.
                Stop::Drained if !self.has_room() => receiver.step_aside(),
                Stop::Drained => continue,
                Stop::Full => others_first().await,
            }
            poll_fn(|context| self.poll_room(context)).await;
        }
    }

    /// Adds the messages that are here to `batch`, within the bounds of the queue. What is not added
    /// stays with the receiver, where it lies.
    fn gather(
        &self,
        first: Result<Option<Message>, RecvError>,
        receiver: &mut Receiver,
        copier: &mut Copier,
        batch: &mut Batch,
    ) -> Stop {
        // The caller can only make it less.
        let waiting = self.state.with(|state| state.waiting.size());
        let mut next = first;
        loop {
            match next {
                Ok(Some(message)) => batch.push(copier.copy(&message)),
                Ok(None) => return Stop::Ended(Ok(())),
                Err(error) => return Stop::Ended(Err(error.into())),
            }
            let has_room = (waiting + batch.size()).has_room(0, self.limits);
            if !has_room || batch.size().messages >= TURN {
                return Stop::Full;
            }
            next = match receiver.recv_buffered() {
                Ok(None) => return Stop::Drained,
                next => next,
            };
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
            .with(|state| state.waiting.size().has_room(0, self.limits))
    }

    /// Waits until it is.
    fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        self.state.poll(
            context,
            |state| &mut state.idle_task,
            |state| {
                let has_room = state.waiting.size().has_room(0, self.limits);
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

/// Has every other task that is ready run once.
async fn others_first() {
    let mut had_a_turn = false;
    poll_fn(|context| {
        if core::mem::replace(&mut had_a_turn, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Ends the direction when its task goes, whatever made it go.
struct EndGuard<'a>(&'a Incoming);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        // Calls the caller's waker, perhaps while a panic unwinds already: a second would abort.
        let _ = catch_panic(|| self.0.end(Err(RemoteError::ThreadEnded)));
    }
}
