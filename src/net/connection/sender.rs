//! The sending half of a connection.

use core::future::{Future, poll_fn};
use core::ops::{Deref, DerefMut, Range};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::rc::Rc;

use super::loan::{Borrower, Loan};
use super::message::Message;
use super::outbox::{Outbox, OutboxError};
use super::send_progress::SendProgress;
use crate::memory::{Account, Buffer, Claim, Class, Grant, Request};
use crate::net::error::SendError;
use crate::net::thread::shard::{Shard, count};
use crate::protocol::AbortReason;
use crate::protocol::layout::{Draft, Place, Planned};

/// Seals messages straight into submission buffers; small ones of the native wire are copied once, into
/// the record that they share there.
///
/// [`send`](Self::send) returns when the message is sealed; it leaves when the buffer is full or
/// the thread has nothing else to run, whichever comes first. [`flush`](Self::flush) tells that
/// the kernel has it. Errors of the socket surface on the next call.
///
/// Dropping the sender without [`close`](Self::close) sends what is sealed and then the end in the
/// background, and tells nobody if that fails. When the receiver is gone as well, time is limited as
/// [`Connection`](crate::Connection) says.
#[derive(Debug)]
pub struct Sender {
    outbox: Rc<Outbox>,
    /// What has become of the buffer that fills while a reservation is out. Still here at the next
    /// call when the reservation was leaked, with the messages that were appended before it.
    reserved: Option<Reserved>,
    /// Whether a message has begun to leave in parts. Still set at the next call when its writer was
    /// dropped, or leaked.
    is_streaming: bool,
    /// How much of a turn was used by what was sent since others had one because of it.
    in_a_row: usize,
}

/// How much may be sent before other tasks have a turn, the writer among them: 16 384 empty messages,
/// about 60 KiB of small ones, which are then on their way while the next are sealed, or a slot of
/// those from 1 KiB on.
const TURN: usize = 16_384;

/// Returns how much of a [`TURN`] a message of `length` bytes uses.
#[inline]
const fn turn_share(length: usize) -> usize {
    /// Those that take longer to seal than a turn of others costs fill their buffer first.
    const LONG: usize = 256;
    let counted = if length < LONG { length } else { LONG };
    1 + counted / 4
}

/// Where the buffer of a reservation is.
#[derive(Debug)]
enum Reserved {
    Here(Draft<Buffer>),
    /// With a read, unless that was given up.
    Lent(Rc<dyn Borrower>),
}

impl Reserved {
    const fn draft(&self) -> Option<&Draft<Buffer>> {
        match self {
            Self::Here(draft) => Some(draft),
            Self::Lent(_) => None,
        }
    }

    const fn draft_mut(&mut self) -> Option<&mut Draft<Buffer>> {
        match self {
            Self::Here(draft) => Some(draft),
            Self::Lent(_) => None,
        }
    }
}

impl Sender {
    pub(crate) fn new(outbox: Rc<Outbox>) -> Self {
        Self {
            outbox,
            reserved: None,
            is_streaming: false,
            in_a_row: 0,
        }
    }

    /// Returns the longest message that can be sent, in bytes.
    pub fn max_message_size(&self) -> u64 {
        self.outbox.message_limit()
    }

    /// Seals `message` from the caller's bytes into the current submission buffer.
    ///
    /// Waits when two buffers are full because the peer does not read, or when one is and the pool
    /// has no slot for another. A message whose record is longer than a slot gets a heap block of
    /// its own. So does one that finds neither a slot nor anything of its sender's on the way:
    /// peers that do not read stop nobody else. Records of more than 32 KiB may then have to wait
    /// for their turn, within
    /// [`RuntimeBuilder::heap_budget`](crate::RuntimeBuilder::heap_budget). Once in 16 384 messages, or
    /// about 60 KiB of small ones, it gives other tasks a turn.
    ///
    /// # Errors
    ///
    /// [`SendError::TooLarge`] leaves the sender usable; every other error is final.
    ///
    /// # Cancellation
    ///
    /// Dropping the future before it is done sends nothing; the sender stays usable.
    #[inline]
    pub fn send<'a>(
        &'a mut self,
        message: &'a [u8],
    ) -> impl Future<Output = Result<(), SendError>> + use<'a> {
        self.send_from(message, Step::First)
    }

    #[inline]
    const fn send_from<'a>(&'a mut self, message: &'a [u8], step: Step) -> SendFuture<'a> {
        SendFuture {
            sender: self,
            message,
            step,
            claim: None,
        }
    }

    /// Sends `message` as [`send`](Self::send) does if that takes no waiting; returns whether it did.
    /// If not, the peer does not keep up, or memory is short: [`send`](Self::send) waits for that.
    ///
    /// For those who count nanoseconds: a loop of this has no future to poll.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    #[inline]
    pub fn try_send(&mut self, message: &[u8]) -> Result<bool, SendError> {
        let Some(planned) = self.outbox().append_unplanned(message)? else {
            return Ok(true);
        };
        Ok(self.try_make_room(planned)? && self.outbox.append(planned, message)?)
    }

    /// Sends a message that was received: from where it lies, or, where it has to wait for room and lies
    /// in a slot, from a copy, and the slot is free meanwhile. So a peer that sends and does not read
    /// keeps no slot from others. The copy, of at most the bytes of a slot, counts for no budget; there
    /// is one for each call.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Cancellation
    ///
    /// As for [`send`](Self::send); the message is gone.
    pub async fn forward(&mut self, message: Message) -> Result<(), SendError> {
        if self.in_a_row < TURN && self.try_send(&message)? {
            self.in_a_row += turn_share(message.len());
            return Ok(());
        }
        if !message.is_in_slot() {
            return self.send(&message).await;
        }
        let copy = message.to_vec();
        drop(message);
        self.send(&copy).await
    }

    /// Gives room for a message of `length` bytes inside a submission buffer, zeroed, to be
    /// written by the caller and then sent: no copy at all.
    ///
    /// Messages sent before wait for it, so don't hold it for long.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send), and [`SendError::TooLongInPlace`], which leaves the sender usable
    /// as well.
    ///
    /// # Cancellation
    ///
    /// As for [`send`](Self::send). Dropping the reservation sends nothing either. Leaking it
    /// (`core::mem::forget`) is dropping it with the next call. While a read that is given up still
    /// has its buffer (see [`PlainReader::read_into`](crate::PlainReader::read_into)), the sender
    /// waits for that.
    pub async fn reserve(&mut self, length: usize) -> Result<Reservation<'_>, SendError> {
        let planned = self.outbox().plan_in_place(length)?;
        let (mut draft, place) = loop {
            match self.outbox.reserve(planned)? {
                Some(reserved) => break reserved,
                None => self.make_room(planned).await?,
            }
        };
        // Whoever had the slot before, its bytes are not for this caller.
        draft.plaintext_mut(&place).fill(0);
        self.reserved = Some(Reserved::Here(draft));
        Ok(Reservation {
            sender: self,
            place: Some(place),
        })
    }

    /// Sends the messages in order, after checking all of their sizes.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send); a batch with one message that is too large sends none.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends a part of the batch, whole messages from its start.
    pub async fn send_many<M: AsRef<[u8]>>(&mut self, messages: &[M]) -> Result<(), SendError> {
        let limit = self.max_message_size();
        for length in messages.iter().map(|message| message.as_ref().len()) {
            if length as u64 > limit {
                self.outbox().plan(length)?;
            }
        }
        for message in messages {
            let message = message.as_ref();
            match self.append_in_turn(message)? {
                Step::Done => {}
                waits => self.send_from(message, waits).await?,
            }
        }
        Ok(())
    }

    /// Waits until the kernel has taken all that was sent. Says nothing about the peer.
    ///
    /// # Errors
    ///
    /// [`SendError::Transport`], [`SendError::TimedOut`] and [`SendError::Closed`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        Ok(self.outbox().flush().await?)
    }

    /// Returns how many messages were sent, and how many of them are confirmed by a
    /// [`flush`](Self::flush): also after the connection has failed, to know what the peer may not
    /// have.
    pub fn progress(&self) -> SendProgress {
        self.outbox.progress()
    }

    /// Has what is sent from here on sealed with new keys, and the old ones wiped; returns whether
    /// the wire has that. The native one has (NATIVE section 4.3), and does so by itself once a
    /// gigabyte. [`flush`](Self::flush) does not wait for it.
    pub fn update_keys(&mut self) -> bool {
        self.outbox().update()
    }

    /// Asks the peer to begin nothing new and then to end, because this end would like to. Returns
    /// whether the wire has that: the native one has. The peer finds `reason`, which is the
    /// application's, in [`Receiver::leaving`](crate::Receiver::leaving).
    /// [`flush`](Self::flush) does not wait for it.
    pub fn announce_leaving(&mut self, reason: u16) -> bool {
        self.outbox().announce_leaving(reason)
    }

    /// Gives the connection up: nothing more is received, and what was sent before still leaves. On
    /// the native wire the peer's error then is
    /// [`RecvError::Aborted`](crate::RecvError::Aborted) with this reason, of which those from
    /// [`AbortReason::FIRST_OF_APPLICATION`] on are yours. On the commonware wire the peer sees a
    /// reset, where the transport has those.
    pub fn abort(mut self, reason: AbortReason) {
        let outbox = self.outbox();
        outbox.link().abort(reason, outbox.can_abort());
    }

    /// Flushes, then tells the peer that no more messages follow.
    ///
    /// # Errors
    ///
    /// As for [`flush`](Self::flush).
    ///
    /// # Cancellation
    ///
    /// Dropping the future is dropping the sender.
    pub async fn close(mut self) -> Result<(), SendError> {
        Ok(self.outbox().close().await?)
    }

    /// Appends `message` if the buffer that fills has room for it now, and others need not have a turn
    /// before. Returns how a future that sends it goes on.
    #[inline]
    fn append_in_turn(&mut self, message: &[u8]) -> Result<Step, SendError> {
        if self.in_a_row >= TURN {
            return Ok(Step::Waits(None));
        }
        let Some(planned) = self.try_append(message)? else {
            self.in_a_row += turn_share(message.len());
            return Ok(Step::Done);
        };
        Ok(Step::Waits(Some(planned)))
    }

    /// Appends `message` if the buffer that fills has room for it now; returns what was planned if it
    /// has none.
    #[inline]
    pub(crate) fn try_append(&mut self, message: &[u8]) -> Result<Option<Planned>, SendError> {
        self.outbox().append_unplanned(message)
    }

    /// Gets another buffer to fill, with room for the message, if that takes no waiting.
    #[cold]
    fn try_make_room(&self, planned: Planned) -> Result<bool, SendError> {
        if !self.outbox.has_place()? {
            return Ok(false);
        }
        let pool = &self.outbox.link().shard.pool;
        let length = planned.room();
        let fits_slot = length <= pool.slot_size();
        if fits_slot && let Some(slot) = pool.try_acquire(Class::Send) {
            self.outbox.fill(slot);
            return Ok(true);
        }
        // A block in the place of a slot is for those alone who have nothing on the way.
        if fits_slot && !self.outbox.has_nothing_outbound() {
            return Ok(false);
        }
        let request = Request::new(self.block_length(planned), fits_slot);
        let Some(grant) = self.outbox.account().try_take(request) else {
            return Ok(false);
        };
        self.fill_with_block(grant, length)?;
        Ok(true)
    }

    /// Returns how long a heap block for the message is.
    fn block_length(&self, planned: Planned) -> usize {
        let slot_size = self.outbox.link().shard.pool.slot_size();
        if planned.room() <= slot_size {
            planned.room().max(Account::BLOCK.min(slot_size))
        } else {
            planned.room()
        }
    }

    fn fill_with_block(&self, grant: Grant, length: usize) -> Result<(), SendError> {
        count(&self.outbox.link().shard.counters.large_blocks, 1);
        let block = Buffer::heap(grant).map_err(|_| SendError::OutOfMemory { length })?;
        self.outbox.fill(block);
        Ok(())
    }

    /// Does what [`send`](Self::send) does. `planned` is what was planned for `message` before, and
    /// is kept for the next poll. `claim` keeps its place in line for memory, and is to be dropped
    /// when nobody polls on.
    pub(crate) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        planned: &mut Option<Planned>,
        claim: &mut Option<Claim>,
        message: &[u8],
    ) -> Poll<Result<(), SendError>> {
        let planned = match *planned {
            Some(planned) => planned,
            None => *planned.insert(self.outbox().plan(message.len())?),
        };
        if self.in_a_row >= TURN {
            ready!(self.poll_turn(context));
        }
        while !self.outbox.append(planned, message)? {
            ready!(self.poll_room(context, claim, planned))?;
        }
        self.in_a_row += turn_share(message.len());
        Poll::Ready(Ok(()))
    }

    /// Gives other tasks a turn, once.
    #[cold]
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if core::mem::take(&mut self.in_a_row) < TURN {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Returns the outbox with all that was appended in it.
    #[inline]
    pub(crate) fn outbox(&mut self) -> &Outbox {
        if self.reserved.is_some() {
            self.put_reserved_back();
        }
        self.give_message_up();
        &self.outbox
    }

    /// Gives the message up that has begun to leave in parts, if there is one.
    pub(crate) fn give_message_up(&mut self) {
        if self.is_streaming {
            self.drop_message();
        }
    }

    /// Tells the peer that the message which has begun to leave in parts is given up.
    #[cold]
    fn drop_message(&mut self) {
        self.is_streaming = false;
        self.outbox.drop_message();
    }

    /// Appends the next part of a message, as much of `rest` as goes into one record; returns how much
    /// that was.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub(crate) async fn append_part(
        &mut self,
        rest: &[u8],
        is_last: bool,
    ) -> Result<usize, SendError> {
        let planned = self.outbox.plan_part(rest.len());
        let planned = planned.ok_or(SendError::NoParts)?;
        let part = &rest[..planned.length()];
        if self.in_a_row >= TURN {
            poll_fn(|context| self.poll_turn(context)).await;
        }
        self.in_a_row += turn_share(part.len());
        while !self.outbox.append_part(part, is_last)? {
            self.make_room(planned).await?;
        }
        self.is_streaming = !is_last;
        Ok(part.len())
    }

    #[cold]
    fn put_reserved_back(&mut self) {
        match self.reserved.take() {
            Some(Reserved::Here(draft)) => self.outbox.put_back(draft),
            Some(Reserved::Lent(borrower)) => borrower.give_up(&self.outbox),
            None => {}
        }
    }

    /// Has the full buffer written and another one fill that has room for the message.
    #[cold]
    async fn make_room(&self, planned: Planned) -> Result<(), SendError> {
        // Given up with the future, and with it the place in line.
        let mut claim = None;
        let _given_up = EndsWaiting(&self.outbox);
        poll_fn(|context| self.poll_room(context, &mut claim, planned)).await
    }

    fn poll_room(
        &self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
        planned: Planned,
    ) -> Poll<Result<(), SendError>> {
        let room = self.poll_another(context, claim, planned);
        self.outbox.note_waiting(room.is_pending());
        room
    }

    fn poll_another(
        &self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
        planned: Planned,
    ) -> Poll<Result<(), SendError>> {
        ready!(self.outbox.poll_vacancy(context)).inspect_err(|_| *claim = None)?;
        let pool = &self.outbox.link().shard.pool;
        let length = planned.room();
        let fits_slot = length <= pool.slot_size();
        if fits_slot {
            if let Some(slot) = pool.try_acquire(Class::Send) {
                *claim = None;
                self.outbox.fill(slot);
                return Poll::Ready(Ok(()));
            }
            // Peers that do not read may keep all slots for sending, but only stop their own
            // senders.
            ready!(self.outbox.poll_empty(context));
        }
        let request = Request::new(self.block_length(planned), fits_slot);
        let waiting = claim.get_or_insert_with(|| Claim::new(self.outbox.account()));
        let grant = ready!(waiting.poll(context, request));
        *claim = None;
        Poll::Ready(self.fill_with_block(grant, length))
    }
}

/// What [`Sender::send`] gives. Not an async block, which the compiler keeps apart from who awaits it:
/// most messages are appended at once, and then that is most of what they cost.
struct SendFuture<'a> {
    sender: &'a mut Sender,
    message: &'a [u8],
    step: Step,
    /// Given up with this, and with it the place in line.
    claim: Option<Claim>,
}

/// How far a [`SendFuture`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    First,
    /// The message could not be appended at once. What was planned is kept, once there was a plan.
    Waits(Option<Planned>),
    Done,
}

impl Future for SendFuture<'_> {
    type Output = Result<(), SendError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.step == Step::First {
            match this.sender.append_in_turn(this.message) {
                Ok(waits @ Step::Waits(_)) => this.step = waits,
                done => {
                    this.step = Step::Done;
                    return Poll::Ready(done.map(|_| ()));
                }
            }
        }
        this.poll_slowly(context)
    }
}

impl SendFuture<'_> {
    #[inline(never)]
    fn poll_slowly(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Step::Waits(planned) = &mut self.step else {
            // It would be sent twice.
            panic!("polled after the message was sent");
        };
        let sent = ready!(
            self.sender
                .poll_send(context, planned, &mut self.claim, self.message)
        );
        self.end_waiting();
        Poll::Ready(sent)
    }

    fn end_waiting(&mut self) {
        self.step = Step::Done;
        self.claim = None;
        self.sender.outbox.note_waiting(false);
    }
}

impl Drop for SendFuture<'_> {
    #[inline]
    fn drop(&mut self) {
        if matches!(self.step, Step::Waits(_)) {
            self.end_waiting();
        }
    }
}

/// Ends the wait for room of whoever gives it up.
struct EndsWaiting<'a>(&'a Outbox);

impl Drop for EndsWaiting<'_> {
    fn drop(&mut self) {
        self.0.note_waiting(false);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.outbox.note_waiting(false);
        self.outbox().leave();
    }
}

/// What lets a reservation reach its buffer.
const RESERVED: &str = "the buffer is the reservation's until it is used";

/// Room for one message inside a submission buffer. Write the plaintext, then
/// [`send`](Self::send) it.
#[derive(Debug)]
pub struct Reservation<'a> {
    sender: &'a mut Sender,
    /// Where the plaintext goes in the buffer. There until the message is sent.
    place: Option<Place>,
}

impl Reservation<'_> {
    /// Has the message end after `length` bytes, as [`Vec::truncate`] does: nothing happens if it
    /// is no longer than that.
    ///
    /// What stays is not moved, but for one case: where the length before a message takes fewer
    /// bytes for a shorter one, the message moves by the difference. That is so on the commonware
    /// wire with CUPS V0, where messages of up to 111, 16 367 and 2 097 135 bytes have one, two and
    /// three bytes of length, and with messages of the native wire that are
    /// [packed](crate::protocol::native::record::SealOptions), which are small.
    pub fn truncate(&mut self, length: usize) {
        let reserved = self.sender.reserved.as_mut();
        let draft = reserved.and_then(Reserved::draft_mut).expect(RESERVED);
        let place = self.place.as_mut().expect(RESERVED);
        self.sender.outbox.shorten(draft, place, length);
    }

    /// Sends the message from where it stands.
    ///
    /// # Errors
    ///
    /// As for [`Sender::send`], all final: the direction may have ended meanwhile.
    pub fn send(mut self) -> Result<(), SendError> {
        let place = self.place.take().expect(RESERVED);
        let draft = self.take_draft();
        self.sender.outbox.append_reserved(draft, place)
    }

    /// Returns the thread that the buffer belongs to.
    pub(crate) fn shard(&self) -> &Rc<Shard> {
        &self.sender.outbox.link().shard
    }

    /// Gives the buffer away for a read, with the range in it that stands for `range` of the
    /// message. If this is dropped before it is [given back](Self::redeem), `borrower` is told.
    pub(crate) fn lend(
        &mut self,
        range: Range<usize>,
        borrower: Rc<dyn Borrower>,
    ) -> (Buffer, Range<usize>, Loan) {
        let place = self.place.as_ref().expect(RESERVED);
        let start = place.plaintext().start;
        let range = start + range.start..start + range.end;
        assert!(range.end <= place.plaintext().end, "beyond the reservation");
        let draft = self.take_draft();
        self.sender.reserved = Some(Reserved::Lent(borrower));
        let (buffer, loan) = Loan::new(&self.sender.outbox, draft);
        (buffer, range, loan)
    }

    /// Takes the buffer back.
    pub(crate) fn redeem(&mut self, loan: Loan, buffer: Buffer) {
        debug_assert!(loan.is_from(&self.sender.outbox), "its own");
        self.sender.reserved = Some(Reserved::Here(loan.redeem(buffer)));
    }

    fn take_draft(&mut self) -> Draft<Buffer> {
        match self.sender.reserved.take() {
            Some(Reserved::Here(draft)) => draft,
            Some(Reserved::Lent(_)) | None => unreachable!("{RESERVED}"),
        }
    }
}

impl Deref for Reservation<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let reserved = self.sender.reserved.as_ref();
        let draft = reserved.and_then(Reserved::draft).expect(RESERVED);
        draft.plaintext(self.place.as_ref().expect(RESERVED))
    }
}

impl DerefMut for Reservation<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let reserved = self.sender.reserved.as_mut();
        let draft = reserved.and_then(Reserved::draft_mut).expect(RESERVED);
        draft.plaintext_mut(self.place.as_ref().expect(RESERVED))
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.sender.put_reserved_back();
    }
}

impl From<OutboxError> for SendError {
    fn from(error: OutboxError) -> Self {
        match error {
            OutboxError::Closed => Self::Closed,
            OutboxError::Failed(error) => Self::Transport(error),
            OutboxError::Refused(reason) => Self::Refused { reason },
            OutboxError::TimedOut(limit) => Self::TimedOut { limit },
        }
    }
}
