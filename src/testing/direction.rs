//! One direction of a wire: bytes under way, and who waits for them.

use core::cell::RefCell;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use super::{Conditions, Cut};
use crate::driver;

/// What both ends of a direction share.
#[derive(Debug)]
pub(super) struct Direction {
    conditions: Conditions,
    /// Chunks, by when they arrive.
    under_way: VecDeque<(Instant, VecDeque<u8>)>,
    /// Bytes in `under_way`, and those that silence has swallowed.
    length: usize,
    /// Bytes written since the beginning.
    written: u64,
    is_stalled: bool,
    /// The writer has ended it, or is gone.
    is_ended: bool,
    /// The reader is gone.
    is_unread: bool,
    cut: Option<Cut>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What a reader gets.
pub(super) enum Arrival {
    /// This many bytes; zero is the end.
    Bytes(usize),
    /// Nothing before then.
    At(Instant),
}

impl Direction {
    pub(super) fn new(conditions: Conditions) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            conditions,
            under_way: VecDeque::new(),
            length: 0,
            written: 0,
            is_stalled: false,
            is_ended: false,
            is_unread: false,
            cut: None,
            reader: None,
            writer: None,
        }))
    }

    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.cut_when_due();
        match self.cut {
            Some(Cut::End) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Some(Cut::Reset) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(Cut::Silence) | None => {}
        }
        if self.is_ended || self.is_unread {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = self.conditions.capacity.saturating_sub(self.length);
        let before_cut = match (self.cut, self.conditions.cut_after) {
            (None, Some((limit, _))) => usize::try_from(limit - self.written).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let count = (bytes.len())
            .min(room)
            .min(self.conditions.chunk)
            .min(before_cut);
        if count == 0 && !bytes.is_empty() {
            self.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        if self.cut.is_none() {
            let arrival = driver::now() + self.conditions.latency;
            let chunk = bytes[..count].iter().copied().collect();
            self.under_way.push_back((arrival, chunk));
        }
        self.length += count;
        self.written += count as u64;
        self.wake_reader();
        self.cut_when_due();
        Poll::Ready(Ok(count))
    }

    /// Reads what has arrived. With [`Arrival::At`] or `Pending` the reader's waker is kept.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<Arrival>> {
        self.reader = Some(context.waker().clone());
        if self.cut == Some(Cut::Reset) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.is_stalled {
            return Poll::Pending;
        }
        let Some((arrival, chunk)) = self.under_way.front_mut() else {
            let is_told = self.cut != Some(Cut::Silence);
            if is_told && (self.is_ended || self.cut == Some(Cut::End)) {
                return Poll::Ready(Ok(Arrival::Bytes(0)));
            }
            return Poll::Pending;
        };
        if *arrival > driver::now() {
            return Poll::Ready(Ok(Arrival::At(*arrival)));
        }
        let count = chunk.len().min(bytes.len()).min(self.conditions.chunk);
        for (place, byte) in bytes.iter_mut().zip(chunk.drain(..count)) {
            *place = byte;
        }
        if chunk.is_empty() {
            self.under_way.pop_front();
        }
        self.length -= count;
        self.wake_writer();
        Poll::Ready(Ok(Arrival::Bytes(count)))
    }

    /// Nothing more will be written.
    pub(super) fn end(&mut self) {
        self.is_ended = true;
        self.wake_reader();
    }

    /// Nobody will read any more.
    pub(super) fn abandon(&mut self) {
        self.is_unread = true;
        self.wake_writer();
    }

    fn cut_when_due(&mut self) {
        if let Some((limit, cut)) = self.conditions.cut_after
            && self.cut.is_none()
            && self.written >= limit
        {
            self.cut(cut);
        }
    }

    fn cut(&mut self, cut: Cut) {
        self.cut = Some(cut);
        self.wake_reader();
        self.wake_writer();
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

/// Has a hold of one direction while its ends are in use.
#[derive(Clone, Debug)]
pub struct DirectionControl {
    direction: Rc<RefCell<Direction>>,
}

impl DirectionControl {
    pub(super) fn new(direction: Rc<RefCell<Direction>>) -> Self {
        Self { direction }
    }

    /// Cuts the direction now.
    pub fn cut(&self, cut: Cut) {
        self.direction.borrow_mut().cut(cut);
    }

    /// Has nothing arrive until [`resume`](Self::resume).
    pub fn stall(&self) {
        self.direction.borrow_mut().is_stalled = true;
    }

    /// Has arrive what is due, again.
    pub fn resume(&self) {
        let mut direction = self.direction.borrow_mut();
        direction.is_stalled = false;
        direction.wake_reader();
    }

    /// Returns how many bytes were written to the direction.
    pub fn written(&self) -> u64 {
        self.direction.borrow().written
    }
}
