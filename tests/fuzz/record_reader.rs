//! Reads a stream of the native wire's records as an edge does, and checks what any reader relies on.

use ringseal::protocol::layout::{End, Incoming, Step};
use ringseal::protocol::native::record::{Event, OpenError, Opener};

use crate::record_model::Given;

/// What is between two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Waits,
    Ended,
    Failed,
}

pub(crate) struct Reader {
    opener: Opener,
    buffer: Vec<u8>,
    /// Below this the opener must not be able to go on.
    needed: usize,
    /// Whether parts are opened into places of their own where that can be.
    opens_into_places: bool,
    pub(crate) given: Vec<Given>,
    pub(crate) state: State,
}

impl Reader {
    pub(crate) fn new(opener: Opener, opens_into_places: bool) -> Self {
        Self {
            opener,
            buffer: Vec::new(),
            needed: 0,
            opens_into_places,
            given: Vec::new(),
            state: State::Waits,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
        while self.state == State::Waits {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(OpenError::Ended) => self.end(),
                Err(error) => self.fail(&error),
            }
        }
    }

    /// Whether there may be more to do.
    fn step(&mut self) -> Result<bool, OpenError> {
        if self.opens_into_places
            && let Some(length) = self.opener.part_ahead(&self.buffer)
        {
            let mut place = vec![0xaa; length];
            let step = self.opener.open_into(&self.buffer, &mut place)?;
            let consumed = self.take(step.expect("it said so"), &place)?;
            self.buffer.drain(..consumed);
            return Ok(true);
        }
        let before = self.buffer.len();
        let mut buffer = core::mem::take(&mut self.buffer);
        let step = self.opener.open(&mut buffer);
        let consumed = match step {
            Ok(Step::Incomplete { consumed, needed }) => {
                assert_eq!(consumed, 0);
                // Memory for a record, within the limit, and no more than is needed to go on.
                assert!(needed > before && needed <= self.opener.longest_record());
                self.needed = needed;
                self.buffer = buffer;
                return Ok(false);
            }
            Ok(step) => self.take(step, &buffer),
            Err(error) => Err(error),
        };
        self.buffer = buffer;
        assert!(
            consumed.is_err() || before >= self.needed,
            "it went on with less than it needed"
        );
        self.needed = 0;
        self.buffer.drain(..consumed?);
        Ok(true)
    }

    /// Takes what a step has brought, which lies in `bytes`; returns how much is done with.
    fn take(&mut self, step: Step<Event>, bytes: &[u8]) -> Result<usize, OpenError> {
        match step {
            Step::Incomplete { .. } => unreachable!("it was looked at before"),
            Step::Message {
                plaintext,
                consumed,
            } => {
                self.given.push(Given::Message(bytes[plaintext].to_vec()));
                Ok(consumed)
            }
            Step::Packed { region, consumed } => {
                let region = &bytes[region];
                while let Some(message) = self.opener.next_packed(region)? {
                    self.given.push(Given::Message(region[message].to_vec()));
                }
                Ok(consumed)
            }
            Step::Part {
                plaintext,
                last,
                consumed,
            } => {
                assert_eq!(self.opener.is_mid_message(), !last);
                self.given
                    .push(Given::Part(bytes[plaintext].to_vec(), last));
                Ok(consumed)
            }
            Step::Event { event, consumed } => {
                self.given.push(Given::Event(event));
                Ok(consumed)
            }
        }
    }

    fn end(&mut self) {
        assert_eq!(self.opener.finish(0), Ok(End::Authenticated));
        self.state = State::Ended;
    }

    /// Every error is final.
    fn fail(&mut self, error: &OpenError) {
        assert!(!matches!(error, OpenError::Truncated | OpenError::Unread));
        let again = self.opener.open(&mut self.buffer);
        assert_eq!(again, Err(OpenError::Closed));
        assert_eq!(
            self.opener.open_into(&self.buffer, &mut []),
            Err(OpenError::Closed)
        );
        assert_eq!(self.opener.next_packed(&[]), Err(OpenError::Closed));
        assert_eq!(self.opener.finish(0), Err(OpenError::Closed));
        self.state = State::Failed;
    }

    /// What it means that the stream ends here.
    pub(crate) fn finish(&self) -> Result<End, OpenError> {
        self.opener.finish(self.buffer.len())
    }
}
