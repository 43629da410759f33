//! Both directions against the vectors, against a model of the receiver, and against everything
//! an outsider, or a peer that does not keep to the wire, can do to a stream.

mod hostile;
mod layouts;
mod limits;
mod model;
mod outgoing;
mod vectors;

use super::header::Kind;
use super::*;
use crate::protocol::layout::{Draft, End, Incoming, Outgoing, Step};
use crate::protocol::native::derive::Secret;
use crate::protocol::native::{Library, Settings, Suite};
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU32;

const SECRET: [u8; 32] = [0x42; 32];

/// Returns both ends of a direction whose records are as short as a peer may ask for.
pub(crate) fn pair(suite: Suite) -> (Sealer, Opener) {
    let wire = Wire::new(suite).limits(Settings::MIN_RECORD_LIMIT, 1 << 20);
    (wire.sealer(), wire.opener())
}

/// One direction of the tests: what both ends of it are told.
#[derive(Clone, Copy)]
struct Wire {
    suite: Suite,
    library: Library,
    secret: [u8; 32],
    settings: Settings,
    answer_due: bool,
}

impl Wire {
    fn new(suite: Suite) -> Self {
        Self {
            suite,
            library: Library::for_suite(suite),
            secret: SECRET,
            settings: Settings::new(65_536, Settings::UNLIMITED).unwrap(),
            answer_due: false,
        }
    }

    fn limits(self, record_limit: u32, message_limit: u64) -> Self {
        Self {
            settings: Settings::new(record_limit, message_limit).unwrap(),
            ..self
        }
    }

    fn keys(self) -> Direction {
        Direction::new(self.suite, self.library, Secret::new(self.secret))
    }

    fn sealer(self) -> Sealer {
        Sealer::new(self.keys(), &self.settings, &SealOptions::default())
    }

    fn sealer_with(self, packing_limit: usize, padding: u32) -> Sealer {
        let options = SealOptions {
            packing_limit,
            padding: NonZeroU32::new(padding),
        };
        Sealer::new(self.keys(), &self.settings, &options)
    }

    fn opener(self) -> Opener {
        Opener::new(self.keys(), &self.settings, self.answer_due)
    }

    fn raw(self) -> Raw {
        Raw(self.keys())
    }

    fn read(self, stream: &[u8]) -> Reader {
        let mut reader = Reader::new(self.opener());
        reader.push(stream);
        reader
    }
}

/// A peer that seals whatever it is told to.
struct Raw(Direction);

impl Raw {
    fn record(&mut self, kind: Kind, body: &[u8]) -> Vec<u8> {
        let mut record = vec![0; body.len() + header::OVERHEAD];
        self.0.seal(kind, body, &mut record).unwrap();
        record
    }

    fn stream(&mut self, records: &[(Kind, &[u8])]) -> Vec<u8> {
        records
            .iter()
            .flat_map(|(kind, body)| self.record(*kind, body))
            .collect()
    }
}

/// Reads a stream as an edge does: keeps what is not consumed, and asks again once as much has
/// come as was needed.
struct Reader {
    opener: Opener,
    buffer: Vec<u8>,
    /// Below this the opener must not be able to go on.
    needed: usize,
    /// The parts of the message under way.
    parts: Vec<u8>,
    messages: Vec<Vec<u8>>,
    events: Vec<Event>,
    error: Option<OpenError>,
}

impl Reader {
    fn new(opener: Opener) -> Self {
        Self {
            opener,
            buffer: vec![],
            needed: 0,
            parts: vec![],
            messages: vec![],
            events: vec![],
            error: None,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
        while self.error.is_none() {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(OpenError::Ended) if self.ended() => return,
                Err(error) => self.fail(error),
            }
        }
    }

    /// Whether there may be more to do.
    fn step(&mut self) -> Result<bool, OpenError> {
        let before = self.buffer.len();
        let consumed = match self.opener.open(&mut self.buffer)? {
            Step::Incomplete { consumed, needed } => {
                assert_eq!(consumed, 0);
                assert!(needed > before && needed <= self.opener.longest_record());
                self.needed = needed;
                return Ok(false);
            }
            Step::Message {
                plaintext,
                consumed,
            } => {
                self.messages.push(self.buffer[plaintext].to_vec());
                consumed
            }
            Step::Packed { region, consumed } => {
                let region = self.buffer[region].to_vec();
                loop {
                    let short = self.opener.next_short(&region);
                    let Some(message) = short.map_or_else(
                        || self.opener.next_packed(&region),
                        |message| Ok(Some(message)),
                    )?
                    else {
                        break;
                    };
                    self.messages.push(region[message].to_vec());
                }
                consumed
            }
            Step::Part {
                plaintext,
                last,
                consumed,
            } => {
                self.parts.extend(&self.buffer[plaintext]);
                assert_eq!(self.opener.is_mid_message(), !last);
                if last {
                    self.messages.push(core::mem::take(&mut self.parts));
                }
                consumed
            }
            Step::Event { event, consumed } => {
                if event == Event::Dropped {
                    self.parts.clear();
                }
                self.events.push(event);
                consumed
            }
        };
        assert!(before >= self.needed, "went on with less than it needed");
        self.needed = 0;
        self.buffer.drain(..consumed);
        Ok(true)
    }

    fn ended(&self) -> bool {
        self.opener.finish(0) == Ok(End::Authenticated)
    }

    /// Every error is final.
    fn fail(&mut self, error: OpenError) {
        let again = self.opener.open(&mut self.buffer);
        assert_eq!(again, Err(OpenError::Closed));
        assert_eq!(self.opener.next_packed(&[]), Err(OpenError::Closed));
        assert_eq!(self.opener.finish(0), Err(OpenError::Closed));
        self.error = Some(error);
    }
}

/// Appends each message to one draft and gives what leaves.
fn sealed<M: AsRef<[u8]>>(sealer: &mut Sealer, messages: &[M]) -> Vec<u8> {
    let planned: Vec<_> = messages
        .iter()
        .map(|message| sealer.plan(message.as_ref().len()).unwrap())
        .collect();
    let room = planned.iter().map(|planned| planned.room()).sum();
    let mut draft = Draft::new(vec![0xaa; room]);
    for (planned, message) in planned.into_iter().zip(messages) {
        sealer
            .append(&mut draft, planned, message.as_ref())
            .unwrap();
    }
    sealer.finish(&mut draft).unwrap();
    draft.sealed().to_vec()
}

/// Seals one control frame.
fn frame(sealer: &mut Sealer, frame: Frame) -> Vec<u8> {
    let mut draft = Draft::new(vec![0; Sealer::CONTROL_ROOM]);
    sealer.control(&mut draft, frame).unwrap();
    draft.sealed().to_vec()
}

/// A message that no other is like.
fn message(tag: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| (tag * 37 + index + index / 256).to_le_bytes()[0])
        .collect()
}
