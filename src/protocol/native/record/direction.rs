//! The keys of one direction and how much they were used (NATIVE section 3).
//!
//! A direction goes through generations of keys. Each record takes the next nonce of its
//! generation, whether it leaves or not, and counts in blocks against what one key may do; past
//! that nothing seals and nothing opens. Since a record counts two blocks at least, a generation
//! ends after 2^25 records at the latest, so that no counter can wrap.

use super::header::{HEADER_LEN, Kind};
use crate::protocol::RecordCounts;
use crate::protocol::cipher::{AeadError, TAG_LEN};
use crate::protocol::native::aead::{Key, Nonce};
use crate::protocol::native::derive::{self, Secret};
use crate::protocol::native::{Library, Suite};
use crate::protocol::secret::{on_wiped_stack, wipe_stack};
use alloc::boxed::Box;
use zeroize::Zeroize;

/// How many blocks one key may seal.
const MAX_BLOCKS: u64 = 1 << 26;

/// What Update itself counts.
const UPDATE_BLOCKS: u64 = blocks(1);

/// What a record counts.
#[inline]
pub(super) const fn blocks(body_len: usize) -> u64 {
    (body_len as u64).div_ceil(16) + 2
}

/// One direction of one connection, of either end. Boxed, so that moving it leaves no copies.
pub(in crate::protocol::native) struct Direction(Box<State>);

struct State {
    /// Of this generation, for the next one.
    secret: Secret,
    key: Key,
    iv: Nonce,
    /// Number of the next record in this generation.
    counter: u64,
    /// Records of the generations before.
    earlier: u64,
    /// How many generations came before.
    updates: u64,
    /// Blocks that this generation has used.
    used: u64,
    suite: Suite,
    library: Library,
}

impl Direction {
    /// Begins with generation 0.
    pub(in crate::protocol::native) fn new(suite: Suite, library: Library, secret: Secret) -> Self {
        on_wiped_stack(|| {
            let (key, iv) = keys(suite, library, &secret);
            Self(Box::new(State {
                secret,
                key,
                iv,
                counter: 0,
                earlier: 0,
                updates: 0,
                used: 0,
                suite,
                library,
            }))
        })
    }

    /// Moves on to the next generation and wipes this one.
    pub(super) fn update(&mut self) {
        on_wiped_stack(|| {
            let state = &mut *self.0;
            let next = derive::secret(&state.secret, "update", &[]);
            state.secret.copy_from_slice(&*next);
            (state.key, state.iv) = keys(state.suite, state.library, &next);
            state.earlier += state.counter;
            state.updates += 1;
            (state.counter, state.used) = (0, 0);
        });
    }

    /// How much was sealed or opened.
    pub(super) const fn counts(&self) -> RecordCounts {
        RecordCounts {
            records: self.0.earlier + self.0.counter,
            updates: self.0.updates,
        }
    }

    /// Whether no record of this generation was sealed or opened yet.
    pub(super) const fn is_fresh(&self) -> bool {
        self.0.counter == 0
    }

    /// Whether the record before this one was the generation's first.
    pub(super) const fn is_behind_first(&self) -> bool {
        self.0.counter == 1
    }

    /// Whether this generation can seal so many more blocks, and the Update behind them.
    #[inline]
    pub(super) const fn lasts_for(&self, blocks: u64) -> bool {
        self.0.used + blocks + UPDATE_BLOCKS <= MAX_BLOCKS
    }

    /// Whether one more record of this generation may have a body of `body_len` bytes.
    #[inline]
    pub(super) const fn allows(&self, body_len: usize) -> bool {
        self.0.used + blocks(body_len) <= MAX_BLOCKS
    }

    /// Seals `body` to the start of `record`, which is as long as the record.
    #[inline]
    pub(super) fn seal(
        &mut self,
        kind: Kind,
        body: &[u8],
        record: &mut [u8],
    ) -> Result<(), AeadError> {
        let (header, sealed, nonce) = self.begin(kind, record)?;
        self.0.key.seal(&nonce, header, body, sealed)
    }

    /// Seals the body that lies in `record` between the room for header and tag.
    #[inline]
    pub(super) fn seal_in_place(&mut self, kind: Kind, record: &mut [u8]) -> Result<(), AeadError> {
        let (header, sealed, nonce) = self.begin(kind, record)?;
        self.0.key.seal_in_place(&nonce, header, sealed)
    }

    /// Opens `record`, which is as long as its header says, in place.
    #[inline]
    pub(super) fn open_in_place(&mut self, record: &mut [u8]) -> Result<(), AeadError> {
        let (header, sealed) = record
            .split_first_chunk_mut::<HEADER_LEN>()
            .ok_or(AeadError)?;
        let body_len = sealed.len().checked_sub(TAG_LEN).ok_or(AeadError)?;
        let nonce = self.0.spend(body_len);
        self.0.key.open_in_place(&nonce, header, sealed)
    }

    /// Opens `record`, which is as long as its header says, into `plaintext`, which is as long as
    /// its body.
    #[inline]
    pub(super) fn open(&mut self, record: &[u8], plaintext: &mut [u8]) -> Result<(), AeadError> {
        let (header, sealed) = record.split_first_chunk::<HEADER_LEN>().ok_or(AeadError)?;
        let nonce = self.0.spend(plaintext.len());
        self.0.key.open(&nonce, header, sealed, plaintext)
    }

    /// Writes the header and spends the nonce: from here on there is no second try.
    #[inline]
    fn begin<'a>(
        &mut self,
        kind: Kind,
        record: &'a mut [u8],
    ) -> Result<(&'a [u8; HEADER_LEN], &'a mut [u8], Nonce), AeadError> {
        let (header, sealed) = record
            .split_first_chunk_mut::<HEADER_LEN>()
            .ok_or(AeadError)?;
        let body_len = sealed.len().checked_sub(TAG_LEN).ok_or(AeadError)?;
        if !self.allows(body_len) {
            return Err(AeadError);
        }
        *header = kind.with_length(sealed.len());
        Ok((header, sealed, self.0.spend(body_len)))
    }

    /// Acts as if records of so many blocks had been sealed or opened.
    #[cfg(any(test, feature = "internals"))]
    pub(super) const fn use_up(&mut self, blocks: u64) {
        self.0.used += blocks;
    }

    #[cfg(test)]
    pub(in crate::protocol::native) fn secrets(&self) -> (&Secret, Nonce) {
        (&self.0.secret, self.0.iv)
    }
}

impl State {
    /// Gives out the next nonce, once.
    #[inline]
    fn spend(&mut self, body_len: usize) -> Nonce {
        let counter = self.counter.to_be_bytes();
        self.counter += 1;
        self.used += blocks(body_len);
        let mut nonce = self.iv;
        let (_, low) = nonce.split_at_mut(4);
        low.iter_mut()
            .zip(counter)
            .for_each(|(byte, count)| *byte ^= count);
        nonce
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.iv.zeroize();
        // What sealing and opening left of the key.
        wipe_stack();
    }
}

fn keys(suite: Suite, library: Library, secret: &Secret) -> (Key, Nonce) {
    let key = derive::secret(secret, "key", &[]);
    let mut iv = Nonce::default();
    derive::label(secret, "iv", &[], &mut iv);
    (Key::new(suite, library, &key), iv)
}
