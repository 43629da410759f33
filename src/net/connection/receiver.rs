//! The receiving half of a connection.

use core::future::{Future, poll_fn};
use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::rc::Rc;

use super::assembling::{Assembling, Room, Step, Whole};
use super::link::Link;
use super::message::Message;
use super::receiving::{Found, Memory, Read, Receiving, Shape, Wanted};
use super::records::{Event, IncomingRecords};
use crate::driver::Completion;
use crate::memory::{Account, Buffer, Claim, Class, Grant, Request, View};
use crate::net::error::{RecvError, Remedy};
use crate::net::thread::shard::count;
use crate::protocol::RecordCounts;
use crate::protocol::layout::{End, Incoming};

/// How much is done without a message that comes of it before others have a turn: one for a record,
/// more for a read.
const TURN: usize = 256;
const READ: usize = 16;
/// How many messages are given before others have a turn: of empty ones a slot holds hundreds of
/// thousands.
const MESSAGES: u32 = 16_384;

/// Opens messages in the slots that the kernel read them into.
///
/// ```text
/// slot: | messages given out (views) | not opened yet         | room |
///       0                            buffer starts here       filled
/// ```
///
/// What is not opened yet stays in its slot until the next [`recv`](Self::recv). A receiver that is
/// left alone, as well as a message that is kept, costs the other connections of the thread speed at
/// most: where slots are short, they are read into heap blocks.
///
/// The socket is closed when both directions have ended, though the halves are kept: this one when
/// [`recv`](Self::recv) has given `None` or an error, or it is dropped; the other one when
/// [`Sender::close`](crate::Sender::close) is done, sending has failed, or it is dropped. An error of
/// the socket ends both.
#[derive(Debug)]
pub struct Receiver {
    records: IncomingRecords,
    receiving: Receiving,
    assembling: Assembling,
    link: Rc<Link>,
    /// The heap blocks that are read into, and those that messages given out are views of.
    account: Account,
    /// What is not opened yet, and the room behind it. In flight while a read is.
    buffer: Option<Buffer>,
    /// Messages of one record that are opened and not given out.
    packed: Option<View>,
    /// What was given out and put back. `packed` is in there meanwhile.
    untaken: Option<Untaken>,
    /// The parts of a message that are put together.
    block: Option<Buffer>,
    /// A part that was opened in its slot.
    part: Option<View>,
    /// What the end that was given out proves.
    end: Option<End>,
    /// Why the peer would like this end to end.
    leaving: Option<u16>,
    /// Whether that is to be told to who waits for it.
    is_leaving_news: bool,
    /// What was done since the last message, or since others had a turn.
    idle_work: usize,
    /// Messages that were given since others had a turn because of it, or something was waited for.
    in_a_row: u32,
    /// Whether a message was not complete when receiving failed.
    was_mid_message: bool,
    /// Records that the thread's counters have.
    counted: RecordCounts,
}

/// A message that was put back, and what comes behind it.
#[derive(Debug)]
struct Untaken {
    message: Message,
    packed: Option<View>,
}

/// A piece of a message that is taken in parts.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) bytes: Message,
    /// Whether the message is complete with it.
    pub(crate) is_last: bool,
}

impl Piece {
    /// Makes one of all of a message.
    const fn whole(message: Message) -> Self {
        Self {
            bytes: message,
            is_last: true,
        }
    }
}

/// What [`Receiver::recv_event`] gives.
#[derive(Debug)]
#[non_exhaustive]
pub enum Received {
    /// A message.
    Message(Message),
    /// The peer asks this end to begin nothing new and then to end. The reason is the application's;
    /// [`Sender::announce_leaving`](crate::Sender::announce_leaving) sends it.
    Leaving(u16),
}

impl Receiver {
    pub(crate) fn new(records: IncomingRecords, link: Rc<Link>, message_limit: usize) -> Self {
        Self {
            records,
            receiving: Receiving::new(),
            assembling: Assembling::new(message_limit),
            account: link.shard.pool.account(Class::Receive),
            link,
            buffer: None,
            packed: None,
            untaken: None,
            block: None,
            part: None,
            end: None,
            leaving: None,
            is_leaving_news: false,
            idle_work: 0,
            in_a_row: 0,
            was_mid_message: false,
            counted: RecordCounts::default(),
        }
    }

    pub(crate) fn link(&self) -> &Rc<Link> {
        &self.link
    }

    /// Returns how long a message may get that [`recv`](Self::recv) puts together of parts, in bytes.
    pub(crate) fn message_limit(&self) -> usize {
        self.assembling.limit()
    }

    /// Whether the peer may send longer ones, for those who take them in parts.
    fn takes_longer_in_parts(&self) -> bool {
        self.records.message_limit() > self.message_limit() as u64
    }

    /// Returns the next message, or `None` when the peer has ended its direction.
    ///
    /// On the commonware wire the end is not authenticated: whoever can cut the connection
    /// between two records makes it look like one. Mark your own end if it matters.
    /// [`end`](Self::end) tells which it was.
    ///
    /// All messages that one read brought are given without another system call. Once in 16 384
    /// messages it gives other tasks a turn.
    ///
    /// # Errors
    ///
    /// Final: every later call gives [`RecvError::Closed`]. Messages given before are authentic.
    /// After [`RecvError::Record`] the peer sees a reset when both halves are dropped, so that it
    /// knows; unless [`Sender::close`](crate::Sender::close) ends in order, or the transport has no
    /// resets.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing; the next call carries on.
    #[inline]
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>, RecvError>> + use<'_> {
        RecvFuture {
            receiver: self,
            claim: None,
        }
    }

    /// Returns the next message of the record that is opened, if there is one and nothing else is to be
    /// done first.
    #[inline]
    fn recv_packed(&mut self) -> Result<Option<Message>, RecvError> {
        if self.packed.is_none() || self.in_a_row >= MESSAGES {
            return Ok(None);
        }
        self.check()?;
        let result = self.next_packed();
        if let Err(error) = &result {
            self.fail(error);
        }
        result
    }

    /// Does what [`recv_packed`](Self::recv_packed) does for all but the last message of a record, where
    /// nothing is wrong and nothing else is to be done first. In registers as far as can be: what a
    /// message of a few bytes costs is mostly the moves of what stands for it.
    #[inline(always)]
    fn recv_short(&mut self) -> Option<Message> {
        let region = self.packed.as_ref()?;
        if self.in_a_row >= MESSAGES || self.check().is_err() {
            return None;
        }
        let range = self.records.next_short(region)?;
        self.idle_work = 0;
        self.in_a_row += 1;
        count(&self.link.shard.counters.messages_received, 1);
        Some(Message::new(region.within(range)))
    }

    /// Puts the message back that was given last: it is the next one again.
    pub(super) fn put_back(&mut self, message: Message) {
        let packed = self.packed.take();
        self.untaken = Some(Untaken { message, packed });
    }

    /// Returns the message that was put back, if one was.
    #[inline]
    fn take_untaken(&mut self) -> Option<Message> {
        let Untaken { message, packed } = self.untaken.take()?;
        self.packed = packed;
        Some(message)
    }

    /// Waits for the next part of the message that is taken in parts, or of the next one.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv), and [`RecvError::MessageGivenUp`], which is not final.
    pub(super) async fn next_piece(&mut self) -> Result<Option<Piece>, RecvError> {
        let mut claim = None;
        poll_fn(|context| self.poll_piece(context, &mut claim)).await
    }

    /// Waits for what comes next, for who does not know how it will be taken: a message, or parts of one
    /// where the peer may send longer ones than are put together. `claim` as for
    /// [`poll_recv`](Self::poll_recv).
    pub(crate) fn poll_ahead(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
    ) -> Poll<Result<Option<Piece>, RecvError>> {
        if self.takes_longer_in_parts() {
            return self.poll_piece(context, claim);
        }
        let message = self.poll_recv(context, claim);
        message.map_ok(|message| message.map(Piece::whole))
    }

    /// Returns what [`poll_ahead`](Self::poll_ahead) does if it is here already; `None` when there is to
    /// be a read first, or something else is to be told.
    pub(crate) fn ahead_buffered(&mut self) -> Result<Option<Piece>, RecvError> {
        if self.takes_longer_in_parts() {
            return self.piece_buffered();
        }
        let message = self.recv_buffered();
        message.map(|message| message.map(Piece::whole))
    }

    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
    ) -> Poll<Result<Option<Piece>, RecvError>> {
        self.check()?;
        let result = ready!(self.poll_next_piece(context, claim));
        match &result {
            Ok(_) | Err(RecvError::MessageGivenUp) => {}
            Err(error) => self.fail(error),
        }
        Poll::Ready(result)
    }

    fn poll_next_piece(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
    ) -> Poll<Result<Option<Piece>, RecvError>> {
        loop {
            // Not only at first: what was skipped may be over now.
            self.assembling.give_out();
            if let Some(piece) = self.next_piece_buffered()? {
                return Poll::Ready(Ok(Some(piece)));
            }
            if self.assembling.assembles() {
                continue;
            }
            if self.assembling.take_given_up() {
                return Poll::Ready(Err(RecvError::MessageGivenUp));
            }
            if ready!(self.poll_more(context, claim))? {
                return Poll::Ready(self.finish().map(|_| None));
            }
        }
    }

    fn piece_buffered(&mut self) -> Result<Option<Piece>, RecvError> {
        self.check()?;
        self.assembling.give_out();
        let result = self.next_piece_buffered();
        if let Err(error) = &result {
            self.fail(error);
        }
        result
    }

    /// Returns the next part that is here.
    fn next_piece_buffered(&mut self) -> Result<Option<Piece>, RecvError> {
        // Parts that came before somebody asked for them.
        if let Some(length) = self.assembling.take_begun()
            && let Some(block) = self.block.take()
            && length > 0
        {
            let view = block.freeze().narrow(0..length);
            return Ok(Some(self.give_part(view, false)));
        }
        if let Some(message) = self.next_buffered()? {
            self.assembling.message_was_whole();
            return Ok(Some(Piece::whole(message)));
        }
        let Some(is_last) = self.assembling.take_part() else {
            return Ok(None);
        };
        let part = self.part.take();
        Ok(part.map(|view| self.give_part(view, is_last)))
    }

    fn give_part(&mut self, view: View, is_last: bool) -> Piece {
        let bytes = self.give(view, is_last);
        Piece { bytes, is_last }
    }

    /// Whoever took a message in parts is gone: what still comes of it is for nobody.
    pub(super) fn skip_rest(&mut self) {
        self.assembling.skip_rest();
    }

    /// Returns where the next message lies in the record that is opened, if there is one.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    #[inline]
    pub(crate) fn next_range(&mut self) -> Result<Option<Range<usize>>, RecvError> {
        let Some(region) = self.packed.as_ref().filter(|_| self.in_a_row < MESSAGES) else {
            return Ok(None);
        };
        match self.records.next_packed(region) {
            Ok(Some(range)) => {
                self.in_a_row += 1;
                count(&self.link.shard.counters.messages_received, 1);
                Ok(Some(range))
            }
            Ok(None) => {
                self.packed = None;
                Ok(None)
            }
            Err(error) => {
                self.fail(&error);
                Err(error)
            }
        }
    }

    /// Returns the message that lies there in the record that is opened.
    #[inline]
    pub(crate) fn packed(&self, range: Range<usize>) -> Option<&[u8]> {
        self.packed.as_ref()?.get(range)
    }

    /// Returns what the end of the peer's direction proves, once [`recv`](Self::recv) has given
    /// `None`.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Whether the start of a message has come, and not the rest of it; once receiving has failed,
    /// whether that was so then. What is lost with this receiver is told by it: the messages that
    /// came whole were given out. A piece of what the wire says beside messages looks the same.
    pub fn is_mid_message(&self) -> bool {
        if self.receiving.has_failed() {
            return self.was_mid_message;
        }
        let is_mid_record = self.receiving.is_mid_record() && !self.receiving.may_open();
        is_mid_record || self.assembling.is_mid_message()
    }

    /// Does what [`recv`](Self::recv) does. `claim` keeps its place in line for memory, and is to be
    /// dropped when nobody polls on.
    #[inline]
    pub(crate) fn poll_recv(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
    ) -> Poll<Result<Option<Message>, RecvError>> {
        self.check()?;
        self.skip_rest();
        if self.in_a_row >= MESSAGES {
            return self.poll_turn(context);
        }
        let result = ready!(self.poll_next_message(context, claim));
        if let Err(error) = &result {
            self.fail(error);
        }
        Poll::Ready(result)
    }

    /// Returns the reason that the peer gave for asking this end to begin nothing new and then to
    /// end, if it has: see [`Sender::announce_leaving`](crate::Sender::announce_leaving).
    pub fn leaving(&self) -> Option<u16> {
        self.leaving
    }

    /// Waits for the next message as [`recv`](Self::recv) does, and for the peer's asking this end to
    /// leave, which [`recv`](Self::recv) only notes for [`leaving`](Self::leaving). `None` as for
    /// [`recv`](Self::recv).
    ///
    /// ```
    /// use ringseal::Received;
    ///
    /// # async fn take(receiver: &mut ringseal::Receiver) -> Result<bool, ringseal::RecvError> {
    /// while let Some(received) = receiver.recv_event().await? {
    ///     match received {
    ///         Received::Message(message) => drop(message),
    ///         Received::Leaving(_) => return Ok(true), // send nothing new, then close
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(false)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancellation
    ///
    /// As for [`recv`](Self::recv).
    pub async fn recv_event(&mut self) -> Result<Option<Received>, RecvError> {
        let mut claim = None;
        poll_fn(|context| self.poll_event(context, &mut claim)).await
    }

    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
    ) -> Poll<Result<Option<Received>, RecvError>> {
        self.check()?;
        self.skip_rest();
        if self.in_a_row >= MESSAGES {
            return self.poll_turn(context);
        }
        let result = ready!(self.poll_next_event(context, claim));
        if let Err(error) = &result {
            self.fail(error);
        }
        Poll::Ready(result)
    }

    fn poll_next_event(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
    ) -> Poll<Result<Option<Received>, RecvError>> {
        loop {
            if let Some(reason) = self.take_leaving() {
                return Poll::Ready(Ok(Some(Received::Leaving(reason))));
            }
            if let Some(message) = self.next_buffered()? {
                return Poll::Ready(Ok(Some(Received::Message(message))));
            }
            if !self.is_leaving_news && ready!(self.poll_room_or_more(context, claim))? {
                self.finish()?;
                return Poll::Ready(Ok(None));
            }
        }
    }

    fn take_leaving(&mut self) -> Option<u16> {
        let is_news = core::mem::take(&mut self.is_leaving_news);
        self.leaving.filter(|_| is_news)
    }

    /// Waits until the listener has accepted, where it says so.
    pub(crate) async fn accepted(&mut self) -> Result<(), RecvError> {
        let mut claim = None;
        let accepted = poll_fn(|context| self.poll_accepted(context, &mut claim)).await;
        accepted.inspect_err(|error| self.fail(error))
    }

    fn poll_accepted(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
    ) -> Poll<Result<(), RecvError>> {
        while self.records.is_answer_due() {
            if let Some(buffer) = &mut self.buffer
                && let Found::Event { cut, event } =
                    self.receiving.open(&mut self.records, buffer)?
            {
                drop(buffer.split_to(cut));
                self.take_event(event)?;
            } else if self.receiving.is_stream_over() {
                self.finish()?;
            } else {
                ready!(self.poll_fill(context, claim))?;
            }
        }
        self.let_go_of_empty_buffer();
        Poll::Ready(Ok(()))
    }

    /// Returns the next message that is here already, `None` when there is to be a read first, or
    /// others are to have a turn.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    #[inline]
    pub(crate) fn recv_buffered(&mut self) -> Result<Option<Message>, RecvError> {
        self.check()?;
        self.skip_rest();
        if let Some(message) = self.take_untaken() {
            return Ok(Some(message));
        }
        if self.in_a_row >= MESSAGES {
            return Ok(None);
        }
        let result = self.next_buffered();
        if let Err(error) = &result {
            self.fail(error);
        }
        result
    }

    /// Notes that nothing more is received.
    #[cold]
    fn fail(&mut self, error: &RecvError) {
        // A record that is not acceptable is not one of which the rest is missing.
        let is_record_cut = error.says_record_is_cut();
        let is_record_cut = is_record_cut.unwrap_or_else(|| !self.receiving.may_open());
        self.was_mid_message =
            self.assembling.is_mid_message() || (is_record_cut && self.receiving.is_mid_record());
        self.receiving.fail();
        self.assembling.clear();
        self.buffer = None;
        self.packed = None;
        self.untaken = None;
        self.block = None;
        self.part = None;
        match error.remedy() {
            Remedy::FailSocket(error) if self.link.shard.is_running() => self.link.fail(error),
            Remedy::RefusePeer => self.link.refuse_peer(),
            Remedy::TellRefused(reason) => self.link.refused(reason),
            Remedy::EndBoth => {
                let kind = std::io::ErrorKind::ConnectionAborted;
                self.link
                    .fail_with(std::io::Error::new(kind, error.to_string()));
            }
            Remedy::AbortPeer(reason) => self.link.abort_peer(reason),
            Remedy::FailSocket(_) | Remedy::Leave => self.link.receiver_left(),
        }
    }

    #[inline]
    pub(super) fn check(&self) -> Result<(), RecvError> {
        // The sender may have given the connection up.
        if self.receiving.has_failed() || self.link.is_given_up() {
            return Err(RecvError::Closed);
        }
        self.link().check_process().map_err(RecvError::Transport)
    }

    #[inline]
    fn poll_next_message(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
    ) -> Poll<Result<Option<Message>, RecvError>> {
        loop {
            if let Some(message) = self.next_buffered()? {
                return Poll::Ready(Ok(Some(message)));
            }
            if ready!(self.poll_room_or_more(context, claim))? {
                return Poll::Ready(self.finish());
            }
        }
    }

    /// Gets room for the part that comes next, or more to open; returns whether nothing more comes.
    #[inline]
    fn poll_room_or_more(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
    ) -> Poll<Result<bool, RecvError>> {
        match self.next_step() {
            Step::Room(added) if self.idle_work < TURN => {
                ready!(self.poll_room(context, claim, added))?;
                Poll::Ready(Ok(false))
            }
            _ => self.poll_more(context, claim),
        }
    }

    /// Gives others a turn.
    #[cold]
    fn poll_turn<T>(&mut self, context: &mut Context<'_>) -> Poll<T> {
        self.idle_work = 0;
        self.in_a_row = 0;
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Gets more to open, where nothing that is here can be, or gives others a turn; returns whether
    /// nothing more comes.
    #[inline]
    fn poll_more(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
    ) -> Poll<Result<bool, RecvError>> {
        if self.idle_work >= TURN {
            return self.poll_turn(context);
        }
        if self.receiving.is_stream_over() {
            return Poll::Ready(Ok(true));
        }
        ready!(self.poll_fill(context, claim))?;
        Poll::Ready(Ok(false))
    }

    /// Says how the peer's direction has ended.
    #[cold]
    fn finish(&mut self) -> Result<Option<Message>, RecvError> {
        if self.end.is_none() {
            self.end = Some(self.receiving.finish(&self.records)?);
            self.buffer = None;
            self.link.peer_ended();
        }
        Ok(None)
    }

    /// Opens the next message of the buffer, if it is all there.
    #[inline]
    fn next_buffered(&mut self) -> Result<Option<Message>, RecvError> {
        if let Some(message) = self.next_packed()? {
            return Ok(Some(message));
        }
        while self.idle_work < TURN {
            self.idle_work += 1;
            match self.next_step() {
                Step::Open => {}
                Step::OpenInto(place) => {
                    if let Some(message) = self.open_part(place)? {
                        return Ok(Some(message));
                    }
                    continue;
                }
                Step::Move(place) => {
                    if let Some(message) = self.move_part(place) {
                        return Ok(Some(message));
                    }
                    continue;
                }
                Step::Drop => {
                    self.part = None;
                    self.assembling.gone();
                    continue;
                }
                Step::Room(_) | Step::Nothing => return Ok(None),
            }
            let Some(buffer) = &mut self.buffer else {
                return Ok(None);
            };
            match self.receiving.open(&mut self.records, buffer)? {
                Found::Nothing => return Ok(None),
                Found::Message { cut, plaintext } => {
                    let view = buffer.split_to(cut).freeze().narrow(plaintext);
                    return Ok(Some(self.give(view, true)));
                }
                Found::Packed { cut, region } => {
                    self.packed = Some(buffer.split_to(cut).freeze().narrow(region));
                    if let Some(message) = self.next_packed()? {
                        return Ok(Some(message));
                    }
                }
                Found::Part {
                    cut,
                    plaintext,
                    last: is_last,
                } => {
                    self.assembling.came(plaintext.len(), is_last);
                    self.part = Some(buffer.split_to(cut).freeze().narrow(plaintext));
                }
                Found::Header { cut } => drop(buffer.split_to(cut)),
                Found::Event { cut, event } => {
                    drop(buffer.split_to(cut));
                    self.take_event(event)?;
                }
            }
        }
        Ok(None)
    }

    /// Returns the next message of the record that is opened, if there is one.
    #[inline]
    fn next_packed(&mut self) -> Result<Option<Message>, RecvError> {
        let Some(region) = &self.packed else {
            return Ok(self.take_untaken());
        };
        match self.records.next_packed(region)? {
            Some(range) if range.end < region.len() => {
                let view = region.clone().narrow(range);
                Ok(Some(self.give(view, true)))
            }
            last => {
                // The slot is for whoever has the last message alone.
                let region = self.packed.take();
                let view = region.zip(last).map(|(region, range)| region.narrow(range));
                Ok(view.map(|view| self.give(view, true)))
            }
        }
    }

    /// Gives a message out, or a part of one.
    #[inline]
    fn give(&mut self, view: View, completes: bool) -> Message {
        self.idle_work = 0;
        self.in_a_row += 1;
        let shard = &self.link.shard;
        count(&shard.counters.messages_received, usize::from(completes));
        self.let_go_of_empty_buffer();
        Message::new(view)
    }

    /// Keeps no memory with nothing in it: the next call may be far away, others wait for slots, and a
    /// heap block is not read into again.
    #[inline]
    fn let_go_of_empty_buffer(&mut self) {
        if self.receiving.filled() > 0 {
            return;
        }
        let pool = &self.link.shard.pool;
        let is_kept = |buffer: &Buffer| buffer.is_slot() && pool.may_wait_holding_slot();
        if !self.buffer.as_ref().is_some_and(is_kept) {
            self.buffer = None;
        }
    }

    /// Returns what is done next about the parts of a message.
    #[inline]
    fn next_step(&self) -> Step {
        self.assembling.next(|| {
            let buffer = self.buffer.as_ref()?;
            self.receiving.part_ahead(&self.records, buffer)
        })
    }

    /// Opens the part that comes next into its place in the block. Returns the message if it is complete
    /// with that.
    fn open_part(&mut self, place: Range<usize>) -> Result<Option<Message>, RecvError> {
        let (Some(block), Some(buffer)) = (&mut self.block, &mut self.buffer) else {
            return Ok(None);
        };
        let length = place.len();
        let place = block.get_mut(place).unwrap_or_default();
        let found = (self.receiving).open_into(&mut self.records, buffer, place)?;
        let Found::Part { cut, last, .. } = found else {
            return Ok(None);
        };
        drop(buffer.split_to(cut));
        let whole = self.assembling.placed(length, last);
        Ok(whole.and_then(|whole| self.complete(whole)))
    }

    /// Moves the part that has come to its place in the block. Returns the message if it is complete with
    /// that.
    fn move_part(&mut self, place: Range<usize>) -> Option<Message> {
        let (block, part) = self.block.as_mut().zip(self.part.take())?;
        block.get_mut(place)?.copy_from_slice(&part);
        count(&self.link.shard.counters.moved_bytes, part.len());
        drop(part);
        let whole = self.assembling.moved()?;
        self.complete(whole)
    }

    /// Gives the message out of which the last part has come.
    fn complete(&mut self, whole: Whole) -> Option<Message> {
        let Whole {
            length,
            is_block_long,
        } = whole;
        let mut block = self.block.take()?;
        if is_block_long {
            block = block.shrink(length);
        }
        Some(self.give(block.freeze().narrow(0..length), true))
    }

    /// Gets a block for the message in parts that has room for `added` more bytes.
    fn poll_room(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
        added: usize,
    ) -> Poll<Result<(), RecvError>> {
        let Some(room) = self.assembling.room_for(added, Account::BLOCK) else {
            let limit = self.message_limit();
            return Poll::Ready(Err(RecvError::TooLong { limit }));
        };
        let Room {
            likely,
            grown,
            whole,
        } = room;
        let request = |bytes: usize| Request {
            bytes,
            replaces: self.block_bytes(),
            begun: 0,
            fits_slot: false,
            shared_slot: None,
        };
        let grant = likely.and_then(|bytes| self.account.try_take_within(request(bytes)));
        // Nobody needs as much yet.
        let block = grant.and_then(|grant| self.block_of(grant).ok());
        let mut block = match block {
            Some(block) => block,
            None => ready!(self.poll_block(context, claim, request(grown), whole))?,
        };
        *claim = None;
        let length = self.assembling.has_room(block.len());
        if let Some(begun) = &self.block {
            block[..length].copy_from_slice(&begun[..length]);
            count(&self.link.shard.counters.moved_bytes, length);
        }
        self.block = Some(block);
        Poll::Ready(Ok(()))
    }

    /// Does what the wire says beside messages.
    #[cold]
    fn take_event(&mut self, event: Event) -> Result<(), RecvError> {
        match event {
            Event::Ended => {
                self.finish()?;
            }
            Event::Refused(reason) => return Err(RecvError::Refused { reason }),
            Event::Aborted(reason) => return Err(RecvError::Aborted { reason }),
            Event::Dropped => {
                self.block = None;
                self.assembling.message_given_up();
            }
            Event::Leaving(reason) => {
                self.leaving = Some(reason);
                self.is_leaving_news = true;
            }
            Event::Accepted
            | Event::Updated
            | Event::Alive
            | Event::Ignored(_)
            | Event::Padding => {}
        }
        Ok(())
    }

    /// Gets more bytes, or the end.
    #[cold]
    fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
    ) -> Poll<Result<(), RecvError>> {
        self.in_a_row = 0;
        if !self.receiving.is_waiting() {
            ready!(self.poll_start(context, claim, false))?;
        }
        let completion = ready!(self.link.poll_read(context));
        if self.receiving.completed() {
            return Poll::Ready(self.take_in(completion));
        }
        match completion.result {
            // Readable, or broken: the read says which.
            Ok(_) => self.poll_start(context, claim, true),
            Err(error) => Poll::Ready(Err(self.failure(error))),
        }
    }

    /// Notes what a read has brought.
    fn take_in(&mut self, completion: Completion) -> Result<(), RecvError> {
        if let Some(limit) = self.link.limit_behind(&completion.result) {
            return Err(RecvError::TimedOut { limit });
        }
        let parts = completion.into_parts();
        let (count_read, buffer) =
            parts.map_err(|error| RecvError::Transport(self.link.explain(error)))?;
        self.idle_work += READ;
        self.link.note_read();
        self.receiving.came(count_read);
        if count_read == 0 {
            self.link.peer_ended();
        } else {
            let counters = &self.link.shard.counters;
            count(&counters.reads, 1);
            count(&counters.bytes_received, count_read);
            self.buffer = Some(buffer);
        }
        Ok(())
    }

    /// Adds the records that were opened meanwhile to the thread's counters.
    fn count_records(&mut self) {
        let counts = self.records.counts();
        let before = core::mem::replace(&mut self.counted, counts);
        self.link.shard.counters.add_received(counts.since(before));
    }

    /// Returns why a read has failed.
    fn failure(&self, error: std::io::Error) -> RecvError {
        match self.link.tracker.expired() {
            Some(limit) => RecvError::TimedOut { limit },
            None => RecvError::Transport(error),
        }
    }

    /// Submits the next read, or a wait for something to read when slots are short.
    fn poll_start(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
        is_readable: bool,
    ) -> Poll<Result<(), RecvError>> {
        self.count_records();
        self.check_link()?;
        self.step_aside();
        let is_readable = is_readable || claim.is_some();
        let read = self
            .receiving
            .next_read(self.shape(), self.memory(), is_readable);
        let filled = self.receiving.filled();
        match (read, &mut self.buffer) {
            (Read::Readable, _) => {
                self.buffer = None;
                self.link.note_reading(self.is_waiting_for_rest());
                self.receiving.waits();
                self.link.start_readable();
                return Poll::Ready(Ok(()));
            }
            (Read::Front, Some(buffer)) => {
                count(&self.link.shard.counters.moved_bytes, filled);
                buffer.reclaim(filled);
            }
            // Both are about a buffer that there is.
            (Read::Behind | Read::Front, _) => {}
            (Read::Elsewhere(wanted), _) => {
                if filled == 0 {
                    self.buffer = None;
                }
                let block = ready!(self.poll_memory(context, claim, wanted))?;
                self.move_to(block);
            }
        }
        *claim = None;
        self.check_link()?;
        if let Some(buffer) = self.buffer.take() {
            let range = filled..buffer.len();
            self.link.note_reading(self.is_waiting_for_rest());
            self.receiving.reads();
            self.link.start_read(buffer, range);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether a part of a message has come: the rest must not be waited for without limit.
    fn is_waiting_for_rest(&self) -> bool {
        self.receiving.is_mid_record() || self.assembling.is_mid_message()
    }

    fn shape(&self) -> Option<Shape> {
        self.buffer.as_ref().map(|buffer| Shape {
            offset: buffer.offset(),
            length: buffer.len(),
            is_slot: buffer.is_slot(),
            is_sole: buffer.is_sole_holder(),
        })
    }

    fn memory(&self) -> Memory {
        let pool = &self.link.shard.pool;
        Memory {
            slot_size: pool.slot_size(),
            block_size: Account::BLOCK,
            are_slots_short: !pool.may_wait_holding_slot(),
        }
    }

    /// Whether there is a socket to read from.
    fn check_link(&self) -> Result<(), RecvError> {
        self.link.check_running().map_err(RecvError::Transport)?;
        if self.link.socket().is_none() {
            return Err(self.failure(self.link.failure()));
        }
        Ok(())
    }

    fn move_to(&mut self, mut block: Buffer) {
        let filled = self.receiving.filled();
        if let Some(buffer) = &self.buffer {
            block[..filled].copy_from_slice(&buffer[..filled]);
            count(&self.link.shard.counters.moved_bytes, filled);
        }
        self.buffer = Some(block);
    }

    /// Has the start of a record leave its slot if slots are short: a read for the rest may have to
    /// wait for the peer. Also for who gives up receiving for long, whatever is not opened yet.
    pub(crate) fn step_aside(&mut self) {
        let Some(bytes) = self.receiving.steps_aside(self.shape(), self.memory()) else {
            return;
        };
        // Without memory the slot is kept: nobody waits for it.
        let grant = self.account.try_take(Request::new(bytes, false));
        if let Some(Ok(block)) = grant.map(Buffer::heap) {
            count(&self.link.shard.counters.large_blocks, 1);
            self.move_to(block);
        }
    }

    /// Returns the bytes of the heap block with the parts that have come of a message.
    fn block_bytes(&self) -> usize {
        let block = self.block.as_ref();
        block.map_or(0, Buffer::heap_bytes_if_sole)
    }

    /// Takes memory to read into: a slot, or a heap block.
    fn poll_memory(
        &self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
        wanted: Wanted,
    ) -> Poll<Result<Buffer, RecvError>> {
        let pool = &self.link.shard.pool;
        if wanted.fits_slot
            && let Some(slot) = pool.try_acquire(Class::Receive)
        {
            return Poll::Ready(Ok(slot));
        }
        let buffer = self.buffer.as_ref();
        let request = Request {
            bytes: wanted.bytes,
            replaces: buffer.map_or(0, Buffer::heap_bytes_if_sole),
            begun: self.block_bytes(),
            fits_slot: wanted.fits_slot,
            // A slot that is too short would be of no use without its other holders either.
            shared_slot: buffer.filter(|_| wanted.fits_slot).and_then(Buffer::slot),
        };
        self.poll_block(context, claim, request, wanted.whole)
    }

    /// Takes a heap block: as long as `request` says if there is memory for it now. Whoever waits, waits
    /// for the `whole` bytes that are needed, and not again.
    fn poll_block(
        &self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
        mut request: Request,
        whole: usize,
    ) -> Poll<Result<Buffer, RecvError>> {
        let grant = match self.account.try_take(request) {
            Some(grant) => grant,
            None => {
                self.check_link()?;
                self.link.wake_when_over(context);
                request.bytes = whole;
                let waiting = claim.get_or_insert_with(|| Claim::new(&self.account));
                ready!(waiting.poll(context, request))
            }
        };
        Poll::Ready(self.block_of(grant))
    }

    fn block_of(&self, grant: Grant) -> Result<Buffer, RecvError> {
        count(&self.link.shard.counters.large_blocks, 1);
        let length = grant.bytes();
        Buffer::heap(grant).map_err(|_| RecvError::OutOfMemory { length })
    }
}

/// What [`Receiver::recv`] gives. Not an async block, which the compiler keeps apart from who awaits it:
/// most messages are here already, and then that is most of what they cost. Polled again when it is done
/// it gives the next message.
struct RecvFuture<'a> {
    receiver: &'a mut Receiver,
    /// Given up with this, and with it the place in line.
    claim: Option<Claim>,
}

impl RecvFuture<'_> {
    #[inline(never)]
    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Message>, RecvError>> {
        let poll = match self.receiver.recv_packed() {
            Ok(None) => self.receiver.poll_recv(context, &mut self.claim),
            given => Poll::Ready(given),
        };
        if poll.is_ready() {
            self.claim = None;
        }
        poll
    }
}

impl Future for RecvFuture<'_> {
    type Output = Result<Option<Message>, RecvError>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(message) = this.receiver.recv_short() {
            return Poll::Ready(Ok(Some(message)));
        }
        this.poll_recv(context)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.count_records();
        self.link.receiver_left();
    }
}
