//! The receiving half of a connection.

use core::future::poll_fn;
use core::ops::Range;
use core::task::{Context, Poll, ready};
use std::rc::Rc;

use super::context::count;
use super::error::RecvError;
use super::link::Link;
use super::message::Message;
use super::message_stream::MessageStream;
use super::outbox::Outbox;
use crate::memory::{Acquire, Buffer, Class};
use crate::protocol::record::{Opener, Progress};
use crate::ring::Completion;

/// What the operation in flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// Nothing is in flight.
    Idle,
    /// For something to read, holding no slot.
    Readiness,
    /// For bytes, behind the `filled` ones of the buffer that is in flight.
    Bytes { filled: usize },
}

/// Opens messages in the slots that the kernel read them into.
///
/// ```text
/// slot: | messages given out (views) | not opened yet         | room |
///       0                            buffer starts here       filled
/// ```
///
/// What is not opened yet stays in its slot until the next [`recv`](Self::recv): a receiver that
/// is left alone may hold one that others of its thread wait for, as messages that are kept do.
#[derive(Debug)]
pub struct Receiver {
    opener: Opener,
    outbox: Rc<Outbox>,
    /// What is not opened yet, and the room behind it. In flight while a read is.
    buffer: Option<Buffer>,
    /// Bytes at the start of `buffer` that came from the peer.
    filled: usize,
    /// How many of them the next step of the opener needs.
    needed: usize,
    waiting: Waiting,
    ended: bool,
    failed: bool,
}

impl Receiver {
    pub(crate) fn new(opener: Opener, outbox: Rc<Outbox>) -> Self {
        Self {
            opener,
            outbox,
            buffer: None,
            filled: 0,
            needed: 1,
            waiting: Waiting::Idle,
            ended: false,
            failed: false,
        }
    }

    pub(crate) fn link(&self) -> &Rc<Link> {
        self.outbox.link()
    }

    /// Returns the next message, or `None` when the peer has ended its direction.
    ///
    /// On the commonware wire the end is not authenticated: whoever can cut the connection
    /// between two records makes it look like one. Mark your own end if it matters.
    ///
    /// All messages that one read brought are given without another system call.
    ///
    /// # Errors
    ///
    /// Final: every later call gives [`RecvError::Closed`]. Messages given before are authentic.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing; the next call carries on.
    #[inline]
    pub async fn recv(&mut self) -> Result<Option<Message>, RecvError> {
        if self.failed {
            return Err(RecvError::Closed);
        }
        // Given up with the future, and with it the place in the pool's queue.
        let mut acquire = None;
        poll_fn(|context| self.poll_recv(context, &mut acquire)).await
    }

    /// Gives the messages as a [`Stream`](futures_util::Stream).
    pub fn into_stream(self) -> MessageStream {
        MessageStream::new(self)
    }

    /// Does what [`recv`](Self::recv) does. What `acquire` holds is to be dropped when nobody
    /// polls on: it may be a slot.
    #[inline]
    pub(super) fn poll_recv(
        &mut self,
        context: &mut Context<'_>,
        acquire: &mut Option<Acquire>,
    ) -> Poll<Result<Option<Message>, RecvError>> {
        if self.failed {
            return Poll::Ready(Err(RecvError::Closed));
        }
        let result = ready!(self.poll_next_message(context, acquire));
        self.failed = result.is_err();
        Poll::Ready(result)
    }

    /// Returns the next message that is here already, `None` when there is to be a read first.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    #[inline]
    pub(crate) fn recv_buffered(&mut self) -> Result<Option<Message>, RecvError> {
        if self.failed {
            return Err(RecvError::Closed);
        }
        let result = self.next_buffered();
        self.failed = result.is_err();
        result
    }

    #[inline]
    fn poll_next_message(
        &mut self,
        context: &mut Context<'_>,
        acquire: &mut Option<Acquire>,
    ) -> Poll<Result<Option<Message>, RecvError>> {
        loop {
            if let Some(message) = self.next_buffered()? {
                return Poll::Ready(Ok(Some(message)));
            }
            if self.ended {
                self.opener.finish(self.filled)?;
                return Poll::Ready(Ok(None));
            }
            ready!(self.poll_fill(context, acquire))?;
        }
    }

    /// Opens the next message of the buffer, if it is all there.
    #[inline]
    fn next_buffered(&mut self) -> Result<Option<Message>, RecvError> {
        // While a read is in flight, `filled` counts what is not here.
        while let Some(buffer) = &mut self.buffer {
            if self.filled < self.needed {
                return Ok(None);
            }
            match self.opener.open(&mut buffer[..self.filled])? {
                Progress::Message {
                    plaintext,
                    consumed,
                } => {
                    let view = buffer.split_to(consumed).freeze().narrow(plaintext);
                    self.filled -= consumed;
                    self.needed = 1;
                    let context = &self.outbox.link().context;
                    count(&context.counters.messages_received, 1);
                    if self.filled == 0 && !context.pool.may_park_with_slot() {
                        // The next call may be far away, and others wait for slots.
                        self.buffer = None;
                    }
                    return Ok(Some(Message::new(view)));
                }
                Progress::Incomplete { consumed, needed } => {
                    if consumed > 0 {
                        drop(buffer.split_to(consumed));
                        self.filled -= consumed;
                    }
                    self.needed = needed;
                }
            }
        }
        Ok(None)
    }

    /// Gets more bytes, or the end.
    #[cold]
    fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        acquire: &mut Option<Acquire>,
    ) -> Poll<Result<(), RecvError>> {
        if self.waiting == Waiting::Idle {
            ready!(self.poll_start(context, acquire))?;
        }
        let outbox = Rc::clone(&self.outbox);
        let completion = ready!(outbox.link().socket.poll_read(context));
        let waiting = core::mem::replace(&mut self.waiting, Waiting::Idle);
        Poll::Ready(match (waiting, completion) {
            (Waiting::Bytes { filled }, completion) => self.take_in(filled, completion),
            // Readable, or broken: the read says which.
            (_, Completion { result: Ok(_), .. }) => {
                return self.poll_start_with_slot(context, acquire);
            }
            (
                _,
                Completion {
                    result: Err(error), ..
                },
            ) if outbox.link().should_retry(&error) => Ok(()),
            (
                _,
                Completion {
                    result: Err(error), ..
                },
            ) => Err(RecvError::Transport(error)),
        })
    }

    /// Takes in what a read behind `filled` bytes has brought.
    fn take_in(&mut self, filled: usize, completion: Completion) -> Result<(), RecvError> {
        let link = self.outbox.link();
        match completion {
            Completion {
                result: Err(error),
                buffer: Some(buffer),
            } if link.should_retry(&error) => {
                self.buffer = Some(buffer);
                self.filled = filled;
                Ok(())
            }
            completion => {
                if let Some(limit) = link.watch.overrun() {
                    return Err(RecvError::TimedOut { limit });
                }
                let (count_read, buffer) = completion.into_parts().map_err(RecvError::Transport)?;
                link.made_progress();
                link.watch.reading.note();
                self.buffer = Some(buffer);
                self.filled = filled + count_read;
                if count_read == 0 {
                    self.ended = true;
                } else {
                    count(&link.context.counters.reads, 1);
                }
                Ok(())
            }
        }
    }

    /// Submits the next read, or a wait for readability when slots are short.
    fn poll_start(
        &mut self,
        context: &mut Context<'_>,
        acquire: &mut Option<Acquire>,
    ) -> Poll<Result<(), RecvError>> {
        let link = Rc::clone(self.outbox.link());
        link.check_running().map_err(RecvError::Transport)?;
        if self.filled == 0 && acquire.is_none() {
            // Nothing is kept, so the slot goes back unless it can be read into right away.
            let reusable = self
                .buffer
                .take_if(|buffer| buffer.is_slot() && buffer.is_sole_holder())
                .filter(|_| self.needed <= link.context.pool.slot_size());
            self.buffer = None;
            if !link.context.pool.may_park_with_slot() {
                drop(reusable);
                link.watch.begin_read(self.is_mid_record());
                link.socket.start_readable();
                self.waiting = Waiting::Readiness;
                return Poll::Ready(Ok(()));
            }
            if let Some(mut buffer) = reusable {
                buffer.reclaim(0);
                self.read_into(buffer);
                return Poll::Ready(Ok(()));
            }
        }
        self.poll_start_with_slot(context, acquire)
    }

    /// Submits the next read into a place where the frame it completes can stay.
    fn poll_start_with_slot(
        &mut self,
        context: &mut Context<'_>,
        acquire: &mut Option<Acquire>,
    ) -> Poll<Result<(), RecvError>> {
        let link = Rc::clone(self.outbox.link());
        let slot_size = link.context.pool.slot_size();
        let to_heap = self.needed > slot_size || self.must_make_way();
        loop {
            let place = match &self.buffer {
                Some(buffer) if !(to_heap && buffer.is_slot()) => {
                    Place::choose(buffer, self.filled, self.needed, slot_size)
                }
                _ => Place::Elsewhere,
            };
            match (place, &mut self.buffer) {
                (Place::Behind, _) => break,
                (Place::Front, Some(buffer)) => {
                    count(&link.context.counters.moved_bytes, self.filled);
                    buffer.reclaim(self.filled);
                    break;
                }
                _ => {}
            }
            let Some(block) = ready!(self.poll_block(context, acquire, to_heap))? else {
                continue;
            };
            self.move_to(block);
            break;
        }
        *acquire = None;
        link.check_running().map_err(RecvError::Transport)?;
        if let Some(buffer) = self.buffer.take() {
            self.read_into(buffer);
        }
        Poll::Ready(Ok(()))
    }

    fn move_to(&mut self, mut block: Buffer) {
        if let Some(buffer) = &self.buffer {
            block[..self.filled].copy_from_slice(&buffer[..self.filled]);
            count(&self.link().context.counters.moved_bytes, self.filled);
        }
        self.buffer = Some(block);
    }

    /// Has the start of a record leave its slot if slots are short. For who gives up receiving for
    /// long, when [`recv_buffered`](Self::recv_buffered) has nothing more.
    pub(crate) fn step_aside(&mut self) {
        // Without memory the slot is kept, and the next read tells.
        if self.must_make_way()
            && let Ok(block) = self.heap_block()
        {
            self.move_to(block);
        }
    }

    /// Allocates what the next step of the opener needs.
    fn heap_block(&self) -> Result<Buffer, RecvError> {
        let length = self.needed;
        count(&self.link().context.counters.large_blocks, 1);
        Buffer::heap(length).map_err(|_| RecvError::OutOfMemory { length })
    }

    /// Whether the start of a record has to leave its slot, because slots are short.
    ///
    /// A read for the rest of a record may have to wait for the peer, whose sending may wait for
    /// slots of ours on other connections. If each such read held a slot, two ends could wait for
    /// each other for ever.
    fn must_make_way(&self) -> bool {
        self.filled > 0
            && self.buffer.as_ref().is_some_and(Buffer::is_slot)
            && !self.outbox.link().context.pool.may_park_with_slot()
    }

    /// Takes memory for what is needed: a slot, or a heap block. `None` when the last message that
    /// viewed the current slot went while this one waited for another.
    fn poll_block(
        &self,
        context: &mut Context<'_>,
        acquire: &mut Option<Acquire>,
        to_heap: bool,
    ) -> Poll<Result<Option<Buffer>, RecvError>> {
        let shared = &self.outbox.link().context;
        if to_heap {
            *acquire = None;
            return Poll::Ready(self.heap_block().map(Some));
        }
        let current = self.buffer.as_ref();
        if acquire.is_some()
            && current.is_some_and(|buffer| buffer.is_slot() && buffer.is_sole_holder())
        {
            *acquire = None;
            return Poll::Ready(Ok(None));
        }
        let waiting =
            acquire.get_or_insert_with(|| Acquire::new(shared.pool.clone(), Class::Receive));
        let block = ready!(waiting.poll(context));
        *acquire = None;
        Poll::Ready(Ok(Some(block)))
    }

    /// Whether a part of a record has come.
    fn is_mid_record(&self) -> bool {
        self.filled > 0 || self.needed > 1
    }

    fn read_into(&mut self, buffer: Buffer) {
        // A heap block is for one record alone; what follows belongs in a slot.
        let end = if buffer.is_slot() {
            buffer.len()
        } else {
            self.needed
        };
        let range: Range<usize> = self.filled..end;
        self.waiting = Waiting::Bytes {
            filled: self.filled,
        };
        let link = self.outbox.link();
        link.watch.begin_read(self.is_mid_record());
        self.filled = 0;
        link.socket.start_read(buffer, range);
    }
}

/// Where the next read goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Behind the bytes that are there.
    Behind,
    /// The same block, after moving the bytes to its front.
    Front,
    /// Another block, and the bytes with it.
    Elsewhere,
}

impl Place {
    fn choose(buffer: &Buffer, filled: usize, needed: usize, slot_size: usize) -> Self {
        let fits = needed <= buffer.len();
        // The kernel may only get a block that no message views.
        if !buffer.is_sole_holder() {
            return Self::Elsewhere;
        }
        if !buffer.is_slot() {
            return if fits { Self::Behind } else { Self::Elsewhere };
        }
        let room = buffer.len() - filled;
        // A short tail would make for many short reads; moving a frame's start costs less.
        if fits && (buffer.offset() == 0 || room >= slot_size / 2) {
            Self::Behind
        } else {
            Self::Front
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.outbox.drop_receiver();
    }
}
