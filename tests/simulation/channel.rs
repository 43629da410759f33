//! One direction of a wire: bytes under way, what is done to them, and who waits for them.

use core::fmt;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::io;

use crate::random::Random;

/// How a direction ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// What is under way arrives, then the end, as by a peer that was killed.
    End,
    /// Both ends of both directions fail at once, and what is under way is lost.
    Reset,
    /// What is under way arrives and nothing after it, and nobody is told.
    Silence,
}

/// What a direction does to all that it carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// How long bytes are under way, in milliseconds, from the first to the last.
    pub(crate) latency: (u64, u64),
    /// Bytes that may be under way or unread.
    pub(crate) capacity: usize,
    /// Bytes that one call moves at most.
    pub(crate) chunk: usize,
    /// How many times in a hundred a call that could be done at once is done later.
    pub(crate) hesitation: u32,
}

/// What becomes of the direction at some byte of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Damage {
    Cut(Cut),
    /// These bits of the byte change.
    Flip(u8),
}

/// What is to happen later, in milliseconds from now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Later<E>(pub(crate) u64, pub(crate) E);

/// What happens to a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// All up to this byte has arrived.
    Arrive(u64),
    /// The end has arrived.
    End,
    /// The reader is woken, for a reason or for none.
    WakeReader,
    WakeWriter,
    Stall,
    Resume,
    Cut(Cut),
}

pub(crate) struct Channel {
    conditions: Conditions,
    random: Random,
    /// Accepted and not read yet.
    under_way: VecDeque<u8>,
    /// Bytes since the beginning: accepted, arrived, read.
    written: u64,
    arrived: u64,
    read: u64,
    damage: Option<(u64, Damage)>,
    is_stalled: bool,
    /// The writer says that nothing follows, or is gone.
    is_ended: bool,
    has_end_arrived: bool,
    /// When the reader was dropped.
    pub(crate) reader_gone_at: Option<u64>,
    cut: Option<Cut>,
    /// The byte that was changed.
    flipped: Option<u64>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// When bytes were read last.
    pub(crate) delivered_at: u64,
    /// When the read began that is not done.
    pub(crate) read_since: Option<u64>,
    /// For how long a read has waited for bytes, at the most.
    pub(crate) longest_wait: u64,
    /// When the write began that is not done.
    pub(crate) write_since: Option<u64>,
    /// When there was no room last.
    full_at: Option<u64>,
    /// What was written, if it is recorded.
    record: Option<Vec<u8>>,
}

/// Bytes that are recorded at most.
const RECORDED: usize = 6 * 1024;

impl Channel {
    pub(crate) fn new(conditions: Conditions, random: Random, now: u64) -> Self {
        Self {
            conditions,
            random,
            under_way: VecDeque::new(),
            written: 0,
            arrived: 0,
            read: 0,
            damage: None,
            is_stalled: false,
            is_ended: false,
            has_end_arrived: false,
            reader_gone_at: None,
            cut: None,
            flipped: None,
            reader: None,
            writer: None,
            delivered_at: now,
            read_since: None,
            longest_wait: 0,
            write_since: None,
            full_at: None,
            record: None,
        }
    }

    /// Has something happen at the byte that comes `behind` bytes after what is written by now.
    pub(crate) fn damage_behind(&mut self, behind: u64, damage: Damage) {
        self.damage = Some((self.written + behind, damage));
    }

    /// Records what is written from now on.
    pub(crate) fn record(&mut self) {
        self.record = Some(Vec::new());
    }

    pub(crate) fn recorded(&self) -> Option<&[u8]> {
        self.record.as_deref()
    }

    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    pub(crate) const fn cut(&self) -> Option<Cut> {
        self.cut
    }

    pub(crate) const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Whether the byte was read that was changed.
    pub(crate) fn has_delivered_flip(&self) -> bool {
        self.flipped.is_some_and(|at| at < self.read)
    }

    /// Whether something was done to it that its ends have to notice.
    pub(crate) const fn is_damaged(&self) -> bool {
        self.cut.is_some() || self.flipped.is_some()
    }

    /// Whether it has taken everything that anybody wanted to write before `now`.
    pub(crate) fn is_at_ease(&self, now: u64) -> bool {
        let was_full = self.full_at.is_some_and(|at| at >= now);
        self.room() > 0 && !was_full && !self.is_damaged() && self.write_error().is_none()
    }

    fn hesitates(&mut self) -> bool {
        self.random.chance(self.conditions.hesitation)
    }

    fn latency(&mut self) -> u64 {
        let (first, last) = self.conditions.latency;
        self.random.between(first, last)
    }

    pub(crate) fn poll_write(
        &mut self,
        context: &Context<'_>,
        now: u64,
        bytes: &[u8],
        later: &mut Vec<Later<Event>>,
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.write_error() {
            return Poll::Ready(Err(error));
        }
        self.write_since.get_or_insert(now);
        let room = self.room();
        if room == 0 {
            self.full_at = Some(now);
        }
        if room == 0 || self.hesitates() {
            self.writer = Some(context.waker().clone());
            if room > 0 {
                later.push(Later(0, Event::WakeWriter));
            }
            return Poll::Pending;
        }
        let most = self.random.length(1, self.conditions.chunk);
        let count = bytes.len().min(room).min(most);
        self.accept(&bytes[..count], later);
        Poll::Ready(Ok(count))
    }

    fn write_error(&self) -> Option<io::Error> {
        match self.cut {
            Some(Cut::End) => Some(io::ErrorKind::BrokenPipe.into()),
            Some(Cut::Reset) => Some(io::ErrorKind::ConnectionReset.into()),
            _ if self.is_ended || self.reader_gone_at.is_some() => {
                Some(io::ErrorKind::BrokenPipe.into())
            }
            _ => None,
        }
    }

    /// How many bytes may be written now.
    fn room(&self) -> usize {
        let unread = usize::try_from(self.written - self.read).expect("within memory");
        let room = self.conditions.capacity.saturating_sub(unread);
        match self.damage {
            Some((at, Damage::Cut(_))) if self.cut.is_none() => room.min(
                usize::try_from(at - self.written)
                    .unwrap_or(usize::MAX)
                    .max(1),
            ),
            _ => room,
        }
    }

    fn accept(&mut self, bytes: &[u8], later: &mut Vec<Later<Event>>) {
        if let Some(record) = self
            .record
            .as_mut()
            .filter(|record| record.len() < RECORDED)
        {
            record.extend_from_slice(bytes);
        }
        let before = self.written;
        self.written += bytes.len() as u64;
        if self.cut == Some(Cut::Silence) {
            return;
        }
        self.under_way.extend(bytes);
        later.push(Later(self.latency(), Event::Arrive(self.written)));
        match self.damage {
            Some((at, Damage::Flip(bits))) if (before..self.written).contains(&at) => {
                let from_end = usize::try_from(self.written - at).expect("within these bytes");
                let place = self.under_way.len() - from_end;
                self.under_way[place] ^= bits;
                self.flipped = Some(at);
            }
            Some((at, Damage::Cut(cut))) if at <= self.written => {
                later.push(Later(0, Event::Cut(cut)));
                self.damage = None;
                if cut == Cut::Silence {
                    self.cut = Some(cut);
                }
            }
            _ => {}
        }
    }

    /// The write that was under way is done.
    pub(crate) const fn flush(&mut self) {
        self.write_since = None;
    }

    /// Reads what has arrived; zero bytes are the end.
    pub(crate) fn poll_read(
        &mut self,
        context: &Context<'_>,
        now: u64,
        bytes: &mut [u8],
        later: &mut Vec<Later<Event>>,
    ) -> Poll<io::Result<usize>> {
        if self.cut == Some(Cut::Reset) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let here = usize::try_from(self.arrived - self.read).expect("within memory");
        let is_over = here == 0 && self.is_over();
        let is_ready = !self.is_stalled && (here > 0 || is_over);
        if !is_ready || self.hesitates() {
            self.read_since.get_or_insert(now);
            self.reader = Some(context.waker().clone());
            if is_ready {
                later.push(Later(0, Event::WakeReader));
            }
            return Poll::Pending;
        }
        let began = self.read_since.take().unwrap_or(now);
        if is_over {
            return Poll::Ready(Ok(0));
        }
        let waited = now - began.max(self.delivered_at);
        self.longest_wait = self.longest_wait.max(waited);
        let most = self.random.length(1, self.conditions.chunk);
        let count = here.min(bytes.len()).min(most);
        if self.room() == 0 {
            self.full_at = Some(now);
        }
        self.take(&mut bytes[..count]);
        self.delivered_at = now;
        later.push(Later(0, Event::WakeWriter));
        Poll::Ready(Ok(count))
    }

    /// Whether the end is here, behind all bytes.
    fn is_over(&self) -> bool {
        match self.cut {
            Some(Cut::Silence) => false,
            Some(Cut::End) => self.read == self.written,
            _ => self.has_end_arrived && self.read == self.written,
        }
    }

    fn take(&mut self, bytes: &mut [u8]) {
        let (front, back) = self.under_way.as_slices();
        let in_front = front.len().min(bytes.len());
        let (first, rest) = bytes.split_at_mut(in_front);
        first.copy_from_slice(&front[..in_front]);
        rest.copy_from_slice(&back[..rest.len()]);
        self.under_way.drain(..bytes.len());
        self.read += bytes.len() as u64;
    }

    /// Nothing more will be written.
    pub(crate) fn end(&mut self, later: &mut Vec<Later<Event>>) {
        if !self.is_ended {
            self.is_ended = true;
            let (_, last) = self.conditions.latency;
            later.push(Later(last, Event::End));
        }
    }

    /// Nobody reads any more.
    pub(crate) fn abandon(&mut self, now: u64, later: &mut Vec<Later<Event>>) {
        self.reader_gone_at = Some(now);
        later.push(Later(0, Event::WakeWriter));
    }

    /// Has something happen; whoever is returned is to be woken.
    pub(crate) fn apply(&mut self, event: Event) -> [Option<Waker>; 2] {
        match event {
            Event::Arrive(up_to) => self.arrived = self.arrived.max(up_to),
            Event::End => self.has_end_arrived = true,
            Event::Stall => self.is_stalled = true,
            Event::Resume => self.is_stalled = false,
            Event::Cut(cut) => self.cut = Some(cut),
            Event::WakeReader | Event::WakeWriter => {}
        }
        let (reader, writer) = match event {
            Event::Arrive(_) | Event::End | Event::WakeReader | Event::Resume => (true, false),
            Event::WakeWriter => (false, true),
            Event::Cut(_) => (true, true),
            Event::Stall => (false, false),
        };
        [
            reader.then(|| self.reader.take()).flatten(),
            writer.then(|| self.writer.take()).flatten(),
        ]
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Channel")
            .field("written", &self.written)
            .field("arrived", &self.arrived)
            .field("read", &self.read)
            .field("is_ended", &self.is_ended)
            .field("reader_gone_at", &self.reader_gone_at)
            .field("is_reader_waiting", &self.reader.is_some())
            .field("is_writer_waiting", &self.writer.is_some())
            .finish_non_exhaustive()
    }
}
