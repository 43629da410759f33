//! A receiver of the native wire by the text of its specification (NATIVE section 4), which knows what
//! was sealed. It shares nothing with the one that it is a model of but the names of events.

use ringseal::protocol::native::Settings;
use ringseal::protocol::native::record::{AbortReason, Event, RefuseReason};

const MAX_PACKED_LEN: usize = 65_536;
/// What one key may seal, in blocks.
const MAX_BLOCKS: u64 = 1 << 26;

/// What a caller gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Message(Vec<u8>),
    Part(Vec<u8>, bool),
    Event(Event),
}

/// The record is not as the wire demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

pub(crate) struct Model {
    record_limit: usize,
    message_limit: u64,
    answer_due: bool,
    /// Blocks that the key was used for, and records.
    used: u64,
    records: u64,
    under_way: Option<u64>,
    pub(crate) has_ended: bool,
    pub(crate) given: Vec<Given>,
}

impl Model {
    pub(crate) fn new(own: &Settings, answer_due: bool, used: u64) -> Self {
        Self {
            record_limit: own.record_limit().try_into().expect("32 bits"),
            message_limit: own.message_limit(),
            answer_due,
            used,
            records: 0,
            under_way: None,
            has_ended: false,
            given: Vec::new(),
        }
    }

    /// Takes a record that was sealed and came unchanged.
    pub(crate) fn record(&mut self, kind: u8, body: &[u8]) -> Result<(), Malformed> {
        if kind > 4 || body.len() > self.record_limit {
            return Err(Malformed);
        }
        self.used += (body.len() as u64).div_ceil(16) + 2;
        self.records += 1;
        if self.used > MAX_BLOCKS || (self.answer_due && kind != 3) {
            return Err(Malformed);
        }
        match kind {
            3 => self.control(body),
            4 => self.padded(body),
            kind => self.content(kind, body),
        }
    }

    fn content(&mut self, kind: u8, body: &[u8]) -> Result<(), Malformed> {
        match kind {
            0 => self.packed(body),
            1 => self.message(body),
            _ => self.part(body),
        }
    }

    fn packed(&mut self, mut body: &[u8]) -> Result<(), Malformed> {
        if self.under_way.is_some() || body.is_empty() || body.len() > MAX_PACKED_LEN {
            return Err(Malformed);
        }
        while !body.is_empty() {
            let (length, rest) = varint(body).ok_or(Malformed)?;
            if length > self.message_limit {
                return Err(Malformed);
            }
            let length = usize::try_from(length).map_err(|_| Malformed)?;
            let (message, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
            self.given.push(Given::Message(message.to_vec()));
            body = rest;
        }
        Ok(())
    }

    fn message(&mut self, body: &[u8]) -> Result<(), Malformed> {
        self.grow(body.len())?;
        self.given.push(match self.under_way.take() {
            Some(_) => Given::Part(body.to_vec(), true),
            None => Given::Message(body.to_vec()),
        });
        Ok(())
    }

    fn part(&mut self, body: &[u8]) -> Result<(), Malformed> {
        if body.is_empty() {
            return Err(Malformed);
        }
        self.under_way = Some(self.grow(body.len())?);
        self.given.push(Given::Part(body.to_vec(), false));
        Ok(())
    }

    fn grow(&self, added: usize) -> Result<u64, Malformed> {
        let length = self.under_way.unwrap_or(0) + added as u64;
        if length > self.message_limit {
            return Err(Malformed);
        }
        Ok(length)
    }

    fn padded(&mut self, body: &[u8]) -> Result<(), Malformed> {
        let ([kind, high, middle, low], rest) = body.split_first_chunk().ok_or(Malformed)?;
        let length = u32::from_be_bytes([0, *high, *middle, *low]);
        let inner = rest
            .get(..length.try_into().expect("24 bits"))
            .ok_or(Malformed)?;
        match kind {
            0xff if inner.is_empty() => {
                self.given.push(Given::Event(Event::Padding));
                Ok(())
            }
            0..=2 => self.content(*kind, inner),
            _ => Err(Malformed),
        }
    }

    fn control(&mut self, frame: &[u8]) -> Result<(), Malformed> {
        let event = event(frame).ok_or(Malformed)?;
        let is_answer = matches!(event, Event::Accepted | Event::Refused(_));
        let is_misplaced = match event {
            Event::Updated => self.records == 1,
            Event::Ended => self.under_way.is_some(),
            Event::Dropped => self.under_way.is_none(),
            _ => false,
        };
        if is_answer != self.answer_due || is_misplaced {
            return Err(Malformed);
        }
        self.answer_due = false;
        match event {
            Event::Updated => (self.used, self.records) = (0, 0),
            Event::Dropped => self.under_way = None,
            Event::Ended | Event::Refused(_) | Event::Aborted(_) => self.has_ended = true,
            _ => {}
        }
        self.given.push(Given::Event(event));
        Ok(())
    }
}

/// The table of NATIVE section 4.3.
fn event(frame: &[u8]) -> Option<Event> {
    if frame.len() > 255 {
        return None;
    }
    let reason = |data: &[u8]| data.try_into().ok().map(u16::from_be_bytes);
    let (first, data) = frame.split_first()?;
    let plain = |event| data.is_empty().then_some(event);
    match first {
        1 => plain(Event::Accepted),
        2 => reason(data).map(|reason| Event::Refused(RefuseReason(reason))),
        3 => plain(Event::Updated),
        4 => plain(Event::Ended),
        5 => plain(Event::Alive),
        6 => plain(Event::Dropped),
        7 => reason(data).map(|reason| Event::Aborted(AbortReason(reason))),
        0x80 => reason(data).map(Event::Leaving),
        0x81.. => Some(Event::Ignored(*first)),
        _ => None,
    }
}

/// Reads a varint of 32 bits in its shortest form by the rule: groups of seven bits, the lowest first.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = bytes.iter().position(|byte| *byte < 128)? + 1;
    let (groups, rest) = bytes.split_at(length);
    let value = groups.iter().rev().try_fold(0_u64, |value, byte| {
        Some(value.checked_mul(128)? + u64::from(byte % 128))
    })?;
    let is_shortest = length == 1 || groups.last() != Some(&0);
    (is_shortest && value <= u64::from(u32::MAX)).then_some((value, rest))
}
