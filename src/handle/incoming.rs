//! Messages on their way from a receiver on its ring thread.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use futures_util::future::select;

use super::batch::{Batch, Fragment, Kind, Size};
use super::copier::Copier;
use super::error::RemoteError;
use super::limits::QueueLimits;
use super::locked::{Locked, ready_when, wake};
use crate::driver::{self, catch_panic};
use crate::net::{Piece, Receiver, RecvError};
use crate::protocol::layout::End;

/// How many messages are taken over before other tasks of the thread have a turn: a slot may hold
/// hundreds of thousands.
const TURN: usize = 1024;

/// Why no more is gathered.
enum Stop {
    /// There is to be a read first.
    Drained,
    /// The queue is, or it is somebody else's turn.
    Full,
    Ended(Ending),
}

/// How a direction ended: what the end proves, or why there is none.
type Ending = Result<Option<End>, RemoteError<RecvError>>;

/// What a [`RemoteReceiver`](super::RemoteReceiver) and its task on the ring thread share.
#[derive(Debug)]
pub(super) struct Incoming {
    limits: QueueLimits,
    state: Locked<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Batch,
    /// Why the peer would like this end to end.
    leaving: Option<Leaving>,
    /// How the direction ended, behind what waits, until the caller was told of an error.
    end: Option<Ending>,
    ended: bool,
    receiver_dropped: bool,
    caller: Option<Waker>,
    /// The task, while it waits for room.
    idle_task: Option<Waker>,
    /// The task, whatever it does.
    task: Option<Waker>,
}

#[derive(Debug)]
struct Leaving {
    /// Behind how many messages the peer has said so first.
    after: u64,
    /// What it has said last.
    reason: u16,
}

/// What the caller has taken over.
#[derive(Debug, Default)]
pub(super) struct Taken {
    batch: Batch,
    /// Messages given out.
    given: u64,
    /// What the end proves, when it has come.
    end: Option<End>,
}

impl Taken {
    pub(super) fn size(&self) -> Size {
        self.batch.size()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    pub(super) fn pop(&mut self) -> Option<Fragment> {
        let fragment = self.batch.pop()?;
        self.given += u64::from(fragment.completes());
        Some(fragment)
    }
}

/// What the task has received and not put into the queue yet.
#[derive(Debug, Default)]
struct Arriving {
    copier: Copier,
    batch: Batch,
    /// Messages received, in all.
    received: u64,
    /// Whether parts of the next one were.
    is_mid_message: bool,
    /// What the peer has said last of leaving, as far as it was put into the queue.
    leaving: Option<u16>,
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

    /// Moves what waits into `taken`, which is empty, and waits until there is something. It stays
    /// empty at the end.
    pub(super) fn poll_take(
        &self,
        context: &Context<'_>,
        taken: &mut Taken,
    ) -> Poll<Result<(), RemoteError<RecvError>>> {
        self.state.poll(
            context,
            |state| &mut state.caller,
            |state| {
                let result = state.take(taken);
                let task = match result {
                    Poll::Ready(Ok(())) => state.idle_task.take(),
                    _ => None,
                };
                (result, task)
            },
        )
    }

    /// Returns why the peer would like this end to end, if it has said so before any message that
    /// the caller does not have.
    pub(super) fn leaving(&self, taken: &Taken) -> Option<u16> {
        self.state.with(|state| {
            let leaving = state.leaving.as_ref()?;
            (leaving.after <= taken.given).then_some(leaving.reason)
        })
    }

    /// This end gives the connection up: whatever came, nothing more is received.
    pub(super) fn give_up(&self) {
        let (wakers, _unused) = self.state.with(|state| {
            state.receiver_dropped = true;
            state.ended = true;
            let end = state.end.replace(Err(RecvError::Closed.into()));
            let unused = (core::mem::take(&mut state.waiting), end);
            ([state.caller.take(), state.task.take()], unused)
        });
        wakers.into_iter().for_each(wake);
    }

    /// The receiver is gone, and nobody takes what waits.
    pub(super) fn drop_receiver(&self) {
        let (task, _unused) = self.state.with(|state| {
            state.receiver_dropped = true;
            (state.task.take(), core::mem::take(&mut state.waiting))
        });
        wake(task);
    }

    /// Runs on the ring thread until the direction has ended.
    pub(super) async fn fill_from(&self, receiver: Box<Receiver>) {
        let _guard = EndGuard(self);
        let dropped = pin!(poll_fn(|context| self.poll_dropped(context)));
        let receiving = pin!(self.receive_all(receiver));
        select(dropped, receiving).await;
    }

    async fn receive_all(&self, mut receiver: Box<Receiver>) {
        let mut arriving = Arriving::default();
        loop {
            let first = self.receive_first(&mut receiver, &mut arriving).await;
            let stop = self.gather(first, &mut receiver, &mut arriving);
            self.put(&mut arriving.batch);
            match stop {
                Stop::Ended(end) => return self.end(end),
                Stop::Drained => {}
                Stop::Full => driver::give_others_a_turn().await,
            }
            if !self.has_room() {
                // What it keeps may be needed elsewhere while the caller takes nothing.
                receiver.step_aside();
                poll_fn(|context| self.poll_room(context)).await;
            }
        }
    }

    /// Waits for a message, or for the next part of one, and meanwhile puts what else the peer
    /// says into the queue.
    async fn receive_first(
        &self,
        receiver: &mut Receiver,
        arriving: &mut Arriving,
    ) -> Result<Option<Piece>, RecvError> {
        // Given up with the future, and with it the place in line.
        let mut claim = None;
        poll_fn(|context| {
            let piece = receiver.poll_ahead(context, &mut claim);
            self.hear(receiver, arriving);
            // While some wait, those that come share what is left of the block: it stays as long as they do.
            if piece.is_pending() && self.state.with(|state| state.waiting.is_empty()) {
                arriving.copier.rest();
            }
            piece
        })
        .await
    }

    /// Adds the messages that are here to the batch, within the bounds of the queue. What is not
    /// added stays with the receiver, where it lies.
    fn gather(
        &self,
        first: Result<Option<Piece>, RecvError>,
        receiver: &mut Receiver,
        arriving: &mut Arriving,
    ) -> Stop {
        // The caller can only make it less.
        let waiting = self.state.with(|state| state.waiting.size());
        let mut next = first;
        loop {
            match next {
                Ok(Some(piece)) => arriving.push(&piece),
                Ok(None) => return Stop::Ended(Ok(receiver.end())),
                Err(RecvError::MessageGivenUp) => arriving.give_message_up(),
                Err(error) => return Stop::Ended(Err(error.into())),
            }
            let gathered = arriving.batch.size();
            if !(waiting + gathered).has_room(0, self.limits) || gathered.messages >= TURN {
                return Stop::Full;
            }
            let following = receiver.ahead_buffered();
            self.hear(receiver, arriving);
            next = match following {
                Ok(None) => return Stop::Drained,
                following => following,
            };
        }
    }

    /// Notes if the peer has said that it would like this end to end, behind the messages received
    /// so far.
    fn hear(&self, receiver: &Receiver, arriving: &mut Arriving) {
        let leaving = receiver.leaving();
        if leaving != arriving.leaving {
            arriving.leaving = leaving;
            self.note_leaving(leaving, arriving.received);
        }
    }

    #[cold]
    fn note_leaving(&self, reason: Option<u16>, received: u64) {
        self.state.with(|state| {
            // What the caller knows of already is not behind messages again.
            let after = state.leaving.as_ref().map_or(received, |known| known.after);
            state.leaving = reason.map(|reason| Leaving { after, reason });
        });
    }

    /// Puts a batch into the queue, which wakes the caller at most once.
    fn put(&self, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        let caller = self.state.with(|state| {
            if state.receiver_dropped {
                return None;
            }
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
    fn end(&self, end: Ending) {
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

impl Arriving {
    fn push(&mut self, piece: &Piece) {
        let fragment = Fragment {
            bytes: self.copier.copy(&piece.bytes),
            kind: match (self.is_mid_message, piece.is_last) {
                (false, true) => Kind::Whole,
                (true, true) => Kind::Last,
                (_, false) => Kind::Part,
            },
        };
        self.is_mid_message = !piece.is_last;
        self.received += u64::from(piece.is_last);
        self.batch.push(fragment);
    }

    fn give_message_up(&mut self) {
        self.is_mid_message = false;
        self.batch.push(Fragment::GIVEN_UP);
    }
}

impl State {
    /// Moves what waits into `taken`, which stays empty at the end.
    fn take(&mut self, taken: &mut Taken) -> Poll<Result<(), RemoteError<RecvError>>> {
        if !self.waiting.is_empty() {
            taken.batch.append(&mut self.waiting);
            return Poll::Ready(Ok(()));
        }
        if !self.ended {
            return Poll::Pending;
        }
        // An error is told once, and the end as often as somebody asks.
        Poll::Ready(match self.end.take() {
            Some(Ok(proof)) => {
                self.end = Some(Ok(proof));
                taken.end = proof;
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
