//! Records that an input describes, sealed with the right keys, and what is to come of them.

use ringseal::internals::native_raw::{RawSealer, raw_pair};
use ringseal::protocol::layout::End;
use ringseal::protocol::native::record::OpenError;
use ringseal::protocol::native::{Settings, Suite};

use crate::record_model::Model;
use crate::record_reader::{Reader, State};

/// Both ends of a direction, the one that receives twice: as it is, and as a model.
pub(crate) struct Stream {
    sealer: RawSealer,
    reader: Reader,
    model: Model,
    piece: usize,
    /// Whether something was malformed or changed on the way.
    has_failed: bool,
}

pub(crate) struct Setup {
    pub(crate) suite: Suite,
    pub(crate) own: Settings,
    pub(crate) answer_due: bool,
    /// For how many blocks the key was used before.
    pub(crate) used: u64,
    pub(crate) opens_into_places: bool,
    /// In how many bytes at a time the stream comes.
    pub(crate) piece: usize,
}

impl Stream {
    pub(crate) fn new(setup: &Setup) -> Self {
        let Setup {
            own,
            answer_due,
            used,
            ..
        } = setup;
        let (sealer, opener) = raw_pair(setup.suite, own, *answer_due, *used);
        Self {
            sealer,
            reader: Reader::new(opener, setup.opens_into_places),
            model: Model::new(own, *answer_due, *used),
            piece: setup.piece,
            has_failed: false,
        }
    }

    /// Whether what follows is looked at.
    pub(crate) const fn is_live(&self) -> bool {
        !self.has_failed && !self.model.has_ended
    }

    /// Sends a record and compares what comes of it.
    pub(crate) fn send(&mut self, kind: u8, body: &[u8]) {
        let record = self.sealer.record(kind, body);
        self.deliver(&record);
        if !self.is_live() {
            return self.compare();
        }
        self.has_failed = self.model.record(kind, body).is_err();
        if kind == 3 && body == [3] && !self.has_failed {
            self.sealer.update();
        }
        self.compare();
    }

    /// Sends a record of which one bit was changed on the way.
    pub(crate) fn send_changed(&mut self, kind: u8, body: &[u8], bit: usize) {
        let mut record = self.sealer.record(kind, body);
        let bit = bit % (record.len() * 8);
        record[bit / 8] ^= 1 << (bit % 8);
        self.deliver(&record);
        if self.is_live() {
            self.has_failed = true;
            // It may wait for the rest of a record that is longer now.
            assert!(self.reader.state != State::Ended, "it was changed");
        }
        assert_eq!(self.reader.given, self.model.given);
    }

    fn deliver(&mut self, record: &[u8]) {
        record
            .chunks(self.piece)
            .for_each(|piece| self.reader.push(piece));
    }

    fn compare(&mut self) {
        assert_eq!(self.reader.given, self.model.given);
        let state = match (self.has_failed, self.model.has_ended) {
            (true, _) => State::Failed,
            (false, true) => State::Ended,
            (false, false) => State::Waits,
        };
        // What was changed may have made a record longer, for the rest of which it waits.
        let waits_for_more = self.has_failed && self.reader.state == State::Waits;
        assert!(waits_for_more || self.reader.state == state);
        // What was compared is not compared again.
        self.reader.given.clear();
        self.model.given.clear();
    }

    /// The stream ends here.
    pub(crate) fn finish(self) {
        let end = self.reader.finish();
        match self.reader.state {
            State::Ended => assert_eq!(end, Ok(End::Authenticated)),
            State::Failed => assert_eq!(end, Err(OpenError::Closed)),
            State::Waits => assert_eq!(end, Err(OpenError::Truncated)),
        }
    }
}
