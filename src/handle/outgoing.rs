//! Messages on their way to a sender on its ring thread.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};

use super::batch::{Batch, Fragment, Kind, Size};
use super::error::RemoteError;
use super::limits::QueueLimits;
use super::locked::{Locked, ready_when, wake};
use super::notices::{Notice, Notices};
use crate::driver::{catch_panic, sleep};
use crate::net::{SendError, SendProgress, Sender};
use crate::protocol::AbortReason;

/// How long a peer that does not read may keep what is queued from leaving before the connection
/// is given up. As long as a submission buffer has at the end of a connection.
const ABORT_PATIENCE: Duration = Duration::from_secs(5);

/// What a [`RemoteSender`](super::RemoteSender) and its task on the ring thread share.
#[derive(Debug)]
pub(super) struct Outgoing {
    limits: QueueLimits,
    max_message_size: u64,
    /// Whether the wire has messages in parts, and says more than messages.
    is_native: bool,
    state: Locked<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Batch,
    notices: Notices,
    /// Whether the last one taken was a part that others are to follow.
    is_mid_message: bool,
    /// Messages taken from the caller.
    accepted: u64,
    /// How many of them the caller wants the kernel to have.
    wanted: u64,
    /// How many of them the kernel has.
    flushed: u64,
    closing: bool,
    /// Why the connection is given up behind what was accepted.
    aborting: Option<AbortReason>,
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
enum TaskStep {
    Send,
    Flush(u64),
    Finish(Last),
}

/// What the task does last.
enum Last {
    Close,
    Abort(AbortReason),
    Leave,
    Fail(SendError),
}

/// What the task has taken over and not sent yet.
#[derive(Debug, Default)]
struct Departing {
    batch: Batch,
    notices: Notices,
    /// Messages sent.
    sent: u64,
}

impl Outgoing {
    pub(super) fn new(limits: QueueLimits, max_message_size: u64, is_native: bool) -> Self {
        Self {
            limits,
            max_message_size,
            is_native,
            state: Locked::default(),
        }
    }

    pub(super) fn max_message_size(&self) -> u64 {
        self.max_message_size
    }

    /// Returns how much waits, for `Debug`.
    pub(super) fn waiting(&self) -> Option<Size> {
        self.state.try_with(|state| state.waiting.size())
    }

    /// Tells what is too long to ever be sent, in one piece or behind `sent` bytes of the same message.
    pub(super) fn check_length(
        &self,
        sent: u64,
        length: usize,
    ) -> Result<(), RemoteError<SendError>> {
        let limit = self.max_message_size;
        if sent.saturating_add(length as u64) > limit {
            let length = length.saturating_add(usize::try_from(sent).unwrap_or(usize::MAX));
            return Err(SendError::TooLarge { length, limit }.into());
        }
        Ok(())
    }

    /// Waits until the queue is within its bounds. Only the one sender adds messages, so it stays
    /// so until the next.
    pub(super) fn poll_room(
        &self,
        context: &Context<'_>,
    ) -> Poll<Result<(), RemoteError<SendError>>> {
        self.poll_by_caller(context, |state| (state.look_for_room(0, self.limits), None))
    }

    /// Takes a message, whether there is room or not.
    pub(super) fn push(&self, message: Bytes) -> Result<(), RemoteError<SendError>> {
        // If it is not taken, it is dropped out here: it may have an owner of its own.
        let mut message = Some(message);
        let task = self.state.with(|state| {
            state.check()?;
            Ok::<_, RemoteError<SendError>>(
                message
                    .take()
                    .and_then(|message| state.accept(Fragment::whole(message))),
            )
        })?;
        wake(task);
        Ok(())
    }

    /// Waits for room and takes the fragment in one go.
    pub(super) fn poll_send(
        &self,
        context: &Context<'_>,
        fragment: &mut Option<Fragment>,
    ) -> Poll<Result<(), RemoteError<SendError>>> {
        let length = fragment.as_ref().map_or(0, |it| it.bytes.len());
        self.poll_by_caller(context, |state| {
            let room = state.look_for_room(length, self.limits);
            let task = match room {
                Poll::Ready(Ok(())) => fragment.take().and_then(|it| state.accept(it)),
                _ => None,
            };
            (room, task)
        })
    }

    /// Begins a message in parts, whatever has become of one before, if the wire has that.
    pub(super) fn begin_message(&self) -> Result<(), RemoteError<SendError>> {
        if !self.is_native {
            return Err(SendError::NoParts.into());
        }
        let task = self.state.with(|state| {
            state.check()?;
            Ok::<_, RemoteError<SendError>>(state.give_message_up())
        })?;
        wake(task);
        Ok(())
    }

    /// Gives up the message of which parts were taken, if there is one.
    pub(super) fn give_message_up(&self) {
        wake(self.state.with(State::give_message_up));
    }

    /// Takes a message if there is room; returns whether there was.
    pub(super) fn try_send(&self, message: &Bytes) -> Result<bool, RemoteError<SendError>> {
        let (is_taken, task) = self.state.with(|state| {
            Ok::<_, RemoteError<SendError>>(match state.look_for_room(message.len(), self.limits) {
                Poll::Ready(room) => {
                    room?;
                    (true, state.accept(Fragment::whole(message.clone())))
                }
                Poll::Pending => (false, None),
            })
        })?;
        wake(task);
        Ok(is_taken)
    }

    /// Has the wire say something behind the messages taken so far, if it can; returns whether.
    pub(super) fn notify(
        &self,
        change: impl FnOnce(&mut Notice),
    ) -> Result<bool, RemoteError<SendError>> {
        let task = self.state.with(|state| {
            state.check()?;
            if !self.is_native {
                return Ok(None);
            }
            change(state.notices.behind(state.accepted));
            Ok::<_, RemoteError<SendError>>(state.idle_task.take())
        })?;
        wake(task);
        Ok(self.is_native)
    }

    /// Gives the connection up behind the messages taken so far, unless the direction ends already.
    pub(super) fn abort(&self, reason: AbortReason) {
        let wakers = self.state.with(|state| {
            if !state.closing {
                state.aborting = Some(reason);
            }
            [state.idle_task.take(), state.task.take()]
        });
        wakers.into_iter().for_each(wake);
    }

    /// Returns how many messages were taken and confirmed.
    pub(super) fn progress(&self) -> SendProgress {
        self.state
            .with(|state| SendProgress::new(state.accepted, state.flushed))
    }

    /// Waits until the kernel has all that was taken so far.
    pub(super) fn poll_flush(
        &self,
        context: &Context<'_>,
    ) -> Poll<Result<(), RemoteError<SendError>>> {
        self.poll_by_caller(context, |state| {
            if state.flushed >= state.accepted {
                return (Poll::Ready(Ok(())), None);
            }
            if let Err(error) = state.check() {
                return (Poll::Ready(Err(error)), None);
            }
            state.wanted = state.accepted;
            (Poll::Pending, state.idle_task.take())
        })
    }

    /// Sends what was taken, then the end, and waits for both.
    pub(super) fn poll_close(
        &self,
        context: &Context<'_>,
    ) -> Poll<Result<(), RemoteError<SendError>>> {
        self.poll_by_caller(context, |state| {
            if matches!(state.outcome, Some(Ok(()))) {
                return (Poll::Ready(Ok(())), None);
            }
            if let Err(error) = state.check_failure() {
                return (Poll::Ready(Err(error)), None);
            }
            state.closing = true;
            (Poll::Pending, state.idle_task.take())
        })
    }

    fn poll_by_caller<T>(
        &self,
        context: &Context<'_>,
        look: impl FnMut(&mut State) -> (Poll<T>, Option<Waker>),
    ) -> Poll<T> {
        self.state.poll(context, |state| &mut state.caller, look)
    }

    /// The sender is gone.
    pub(super) fn drop_sender(&self) {
        let wakers = self.state.with(|state| {
            state.sender_dropped = true;
            [state.idle_task.take(), state.task.take()]
        });
        wakers.into_iter().for_each(wake);
    }

    /// The receiver of the same connection is gone.
    pub(super) fn drop_receiver(&self) {
        let task = self.state.with(|state| {
            state.receiver_dropped = true;
            state.task.take()
        });
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
        let last = {
            let sending = pin!(self.send_until_last(&mut sender));
            let overdue = pin!(self.wait_for_overdue_abort());
            match select(sending, overdue).await {
                Either::Left((last, _)) | Either::Right((last, _)) => last,
            }
        };
        match last {
            Last::Close => self.end(sender.close().await.map_err(RemoteError::from)),
            Last::Abort(reason) => {
                sender.abort(reason);
                self.end(Err(SendError::Closed.into()));
            }
            Last::Leave => {}
            Last::Fail(error) => self.end(Err(error.into())),
        }
    }

    async fn send_until_last(&self, sender: &mut Sender) -> Last {
        let mut departing = Departing::default();
        loop {
            let result = match poll_fn(|context| self.poll_step(context, &mut departing)).await {
                TaskStep::Send => departing.send(sender).await,
                TaskStep::Flush(target) => {
                    let result = sender.flush().await;
                    if result.is_ok() {
                        self.note_flushed(target);
                    }
                    result
                }
                TaskStep::Finish(last) => return last,
            };
            if let Err(error) = result {
                return Last::Fail(error);
            }
        }
    }

    fn poll_step(&self, context: &Context<'_>, departing: &mut Departing) -> Poll<TaskStep> {
        self.state.poll(
            context,
            |state| &mut state.idle_task,
            |state| {
                if !state.waiting.is_empty() || !state.notices.is_empty() {
                    departing.batch.append(&mut state.waiting);
                    departing.notices.append(&mut state.notices);
                    return (Poll::Ready(TaskStep::Send), state.caller.take());
                }
                (state.next_step(), None)
            },
        )
    }

    /// Waits until what is queued may not keep the connection from being given up any more.
    async fn wait_for_overdue_abort(&self) -> Last {
        let reason = poll_fn(|context| self.poll_aborting(context)).await;
        sleep(ABORT_PATIENCE).await;
        Last::Abort(reason)
    }

    fn poll_aborting(&self, context: &Context<'_>) -> Poll<AbortReason> {
        self.state.poll(
            context,
            |state| &mut state.task,
            |state| (state.aborting.map_or(Poll::Pending, Poll::Ready), None),
        )
    }

    /// Waits until nobody has the connection any more, and its peer is not to be told why.
    fn poll_abandoned(&self, context: &Context<'_>) -> Poll<()> {
        self.state.poll(
            context,
            |state| &mut state.task,
            |state| {
                let is_held = !state.sender_dropped || !state.receiver_dropped;
                let is_abandoned = !is_held && state.aborting.is_none();
                (ready_when(is_abandoned), None)
            },
        )
    }

    fn note_flushed(&self, target: u64) {
        let caller = self.state.with(|state| {
            state.flushed = target;
            state.caller.take()
        });
        wake(caller);
    }

    /// Says how the direction ended. Only the first to say so is heard.
    fn end(&self, outcome: Result<(), RemoteError<SendError>>) {
        // Whatever is not kept is dropped out here: messages and an error of the user's stream may
        // have owners of their own.
        let mut outcome = Some(outcome);
        let (caller, _unused) = self.state.with(|state| {
            if state.ended {
                return (None, None);
            }
            state.ended = true;
            if matches!(outcome, Some(Ok(()))) {
                state.flushed = state.accepted;
            }
            state.outcome = outcome.take();
            // Nobody will take them any more.
            state.notices.clear();
            let rest = core::mem::take(&mut state.waiting);
            let unused = (rest, state.idle_task.take(), state.task.take());
            (state.caller.take(), Some(unused))
        });
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

    fn look_for_room(
        &mut self,
        length: usize,
        limits: QueueLimits,
    ) -> Poll<Result<(), RemoteError<SendError>>> {
        self.check()?;
        ready_when(self.waiting.size().has_room(length, limits)).map(Ok)
    }

    /// Returns what there is to do when nothing is queued.
    fn next_step(&self) -> Poll<TaskStep> {
        Poll::Ready(if let Some(reason) = self.aborting {
            TaskStep::Finish(Last::Abort(reason))
        } else if self.closing {
            TaskStep::Finish(Last::Close)
        } else if self.sender_dropped {
            TaskStep::Finish(Last::Leave)
        } else if self.wanted > self.flushed {
            TaskStep::Flush(self.accepted)
        } else {
            return Poll::Pending;
        })
    }

    /// Takes a message, or the next part of one; returns whom to wake for it.
    fn accept(&mut self, fragment: Fragment) -> Option<Waker> {
        if fragment.kind == Kind::Whole && self.is_mid_message {
            // Whoever wrote parts was leaked.
            self.waiting.push(Fragment::GIVEN_UP);
        }
        self.is_mid_message = fragment.kind == Kind::Part;
        self.accepted += u64::from(fragment.completes());
        self.waiting.push(fragment);
        self.idle_task.take()
    }

    /// Gives up the message of which parts were taken, if there is one; returns whom to wake for it.
    fn give_message_up(&mut self) -> Option<Waker> {
        // Nobody takes it any more once the direction has ended.
        if !core::mem::take(&mut self.is_mid_message) || self.ended {
            return None;
        }
        self.accept(Fragment::GIVEN_UP)
    }
}

impl Departing {
    /// Sends what is here, in order.
    async fn send(&mut self, sender: &mut Sender) -> Result<(), SendError> {
        loop {
            while let Some(notice) = self.notices.take_due(self.sent) {
                say(sender, notice);
            }
            let Some(fragment) = self.batch.pop() else {
                return Ok(());
            };
            match fragment.kind {
                Kind::Whole => sender.send(&fragment.bytes).await?,
                Kind::Part => append(sender, &fragment.bytes).await?,
                // What it ends with came as a part.
                Kind::Last => drop(sender.append_part(&[], true).await?),
                Kind::GivenUp => sender.give_message_up(),
            }
            self.sent += u64::from(fragment.completes());
        }
    }
}

/// Appends to a message as many parts as `bytes` take.
async fn append(sender: &mut Sender, bytes: &[u8]) -> Result<(), SendError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = sender.append_part(rest, false).await?;
        rest = &rest[length..];
    }
    Ok(())
}

/// Has the wire say what it can: that it can was looked at before.
fn say(sender: &mut Sender, notice: Notice) {
    if notice.updates_keys {
        sender.update_keys();
    }
    if let Some(reason) = notice.leaving {
        sender.announce_leaving(reason);
    }
}

/// Ends the direction when its task goes, whatever made it go.
struct EndGuard<'a>(&'a Outgoing);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        // Calls the caller's waker, perhaps while a panic unwinds already: a second would abort.
        let _ = catch_panic(|| self.0.end(Err(RemoteError::ThreadEnded)));
    }
}
