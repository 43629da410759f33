//! A peer that seals whatever it is told to, and both ends of one direction with settings of choice.
//!
//! For fuzzing: bytes that fail a tag reach nothing of what is behind it.

use super::header::{Kind, OVERHEAD};
use super::{Direction, Opener, SealOptions, Sealer};
use crate::protocol::cipher::TAG_LEN;
use crate::protocol::native::derive::Secret;
use crate::protocol::native::{Library, Settings, Suite};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// Seals bodies as records of any kind.
pub struct RawSealer(Direction);

impl RawSealer {
    /// Goes on where `sealer` is, whose records are all in what has left.
    #[must_use]
    pub fn behind(sealer: Sealer) -> Self {
        Self(sealer.into_keys())
    }

    /// Seals `body`. Of a kind that nobody knows, the record holds zeros behind its header.
    pub fn record(&mut self, kind: u8, body: &[u8]) -> Vec<u8> {
        let mut record = vec![0; body.len() + OVERHEAD];
        if let Some(kind) = Kind::from_byte(kind) {
            let sealed = self.0.seal(kind, body, &mut record);
            sealed.expect("a key is not used for that much");
        } else if let Some(header) = record.first_chunk_mut() {
            *header = Kind::Packed.with_length(body.len() + TAG_LEN);
            header[0] = kind;
        }
        record
    }

    /// Moves on to the next keys, as a peer does behind Update.
    pub fn update(&mut self) {
        self.0.update();
    }
}

impl fmt::Debug for RawSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSealer").finish_non_exhaustive()
    }
}

/// Returns such a peer and who receives from it: an end that has told it `own`, that waits to be
/// accepted if `answer_due`, and with which it has used its first key for `used` blocks before.
#[must_use]
pub fn raw_pair(suite: Suite, own: &Settings, answer_due: bool, used: u64) -> (RawSealer, Opener) {
    let mut opener = Opener::new(keys(suite), own, answer_due);
    opener.keys_mut().use_up(used);
    (RawSealer(keys(suite)), opener)
}

/// Returns both ends of a direction whose receiver has told the sender `own`.
#[must_use]
pub fn pair(suite: Suite, own: &Settings, options: &SealOptions) -> (Sealer, Opener) {
    let sealer = Sealer::new(keys(suite), own, options);
    (sealer, Opener::new(keys(suite), own, false))
}

fn keys(suite: Suite) -> Direction {
    Direction::new(suite, Library::for_suite(suite), Secret::new([0x42; 32]))
}
