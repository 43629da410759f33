//! ChaCha20-Poly1305 in the widest registers that x86-64 has.
//!
//! Why there is one of our own: the libraries stop at AVX2, or take it up only for long messages,
//! and each of their calls computes one nonce's keystream by itself. Nonces of a connection count
//! up, so that one pass over sixteen lanes gives [`NONCES_AHEAD`] of them all that short messages
//! need. It is off where the processor lacks the instructions
//! ([`is_supported`](instructions::is_supported)), and a library does the work. Nobody outside
//! this project has audited it, which is why it is an option.
//!
//! No branch and no address depends on a secret: lengths, nonces and whether a tag fits decide,
//! nothing else does. The rooms:
//!
//! * [`chacha20`]: keystream, sixteen blocks at a time;
//! * [`poly1305`]: the authenticator, eight blocks at a time and one at a time;
//! * [`instructions`]: what the processor does;
//! * here: the construction, and what is kept for the next nonces.
//!
//! The one `unsafe` of this folder is the step into code that was compiled for these
//! instructions. Registers are filled from arrays and written to arrays.
//!
//! Builds for tests are compiled for no instructions in particular and run on a model of these
//! (`tests/model.rs`), so that every machine tries this source. `tests/cipher_mutations.rs` shows
//! that the tests notice when it is wrong.

mod chacha20;
#[cfg_attr(test, path = "tests/model.rs")]
mod instructions;
mod poly1305;

use super::aead::{Aead, AeadError, TAG_LEN, split};
use super::portable::Portable;
use alloc::boxed::Box;
use chacha20::{BLOCK_LEN, LANES, NONCES_AHEAD};
use chacha20poly1305::aead::inout::InOutBuf;
use core::fmt;
use instructions::is_supported;
use poly1305::Poly1305;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a message that one pass over the lanes covers.
const CHUNK_LEN: usize = LANES * BLOCK_LEN;

// What a pass seals is authenticated beside the rounds of the next one, so it must be whole steps,
// and no more of them than there are double rounds.
const _: () = assert!(CHUNK_LEN.is_multiple_of(poly1305::STEP_LEN));
const _: () = assert!(CHUNK_LEN / poly1305::STEP_LEN <= chacha20::DOUBLE_ROUNDS);

/// How many bytes after the first block make it worth while to authenticate in lanes too, by
/// measurement. Fewer take one pass.
const LANES_FROM: usize = 3 * poly1305::STEP_LEN;
const _: () = assert!(LANES_FROM <= CHUNK_LEN);

/// The longest message: the block counter has 32 bits, and the first block is the one-time key.
const MAX_MESSAGE_LEN: u64 = (u32::MAX as u64) * BLOCK_LEN as u64;

/// Far from every nonce, which has 96 bits.
const NO_NONCE: u128 = 1 << 127;

/// ChaCha20-Poly1305 of our own on processors with AVX-512 and its integer multiplication, and of
/// a library on others.
///
/// The key and the keystream of the next nonces lie behind a box, so that moving this value
/// leaves no copies, and are wiped when it is dropped. What working with them leaves on the stack
/// is wiped with the sealer or opener; registers are beyond reach.
pub struct Avx512(Choice);

enum Choice {
    /// Made only where [`is_supported`] says yes.
    Wide(Box<Wide>),
    Portable(Portable),
}

impl Aead for Avx512 {
    fn name() -> &'static str {
        if is_supported() {
            "avx512"
        } else {
            Portable::name()
        }
    }

    fn new(key: &[u8; 32]) -> Self {
        Self(if is_supported() {
            Choice::Wide(Wide::new(key))
        } else {
            Choice::Portable(Portable::new(key))
        })
    }

    #[inline]
    fn seal(
        &mut self,
        nonce: &[u8; 12],
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        match &mut self.0 {
            Choice::Wide(wide) => {
                let (body, tag) = split(sealed)?;
                let buffer = InOutBuf::new(plaintext, body).map_err(|_| AeadError)?;
                *tag = wide.run(nonce, buffer, Direction::Seal)?;
                Ok(())
            }
            Choice::Portable(portable) => portable.seal(nonce, plaintext, sealed),
        }
    }

    #[inline]
    fn seal_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
        match &mut self.0 {
            Choice::Wide(wide) => {
                let (body, tag) = split(sealed)?;
                *tag = wide.run(nonce, body.into(), Direction::Seal)?;
                Ok(())
            }
            Choice::Portable(portable) => portable.seal_in_place(nonce, sealed),
        }
    }

    #[inline]
    fn open_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
        match &mut self.0 {
            Choice::Wide(wide) => {
                let (body, tag) = split(sealed)?;
                let expected = wide.run(nonce, (&mut *body).into(), Direction::Open)?;
                if bool::from(expected.ct_eq(tag)) {
                    return Ok(());
                }
                // It was opened in one go; what is not authentic stays with nobody.
                body.fill(0);
                Err(AeadError)
            }
            Choice::Portable(portable) => portable.open_in_place(nonce, sealed),
        }
    }
}

#[cfg(any(test, feature = "internals"))]
impl Avx512 {
    /// With a one-time key of choice for nonce 0, by which tests bring the authenticator to its
    /// extremes. Changes nothing where a library does the work.
    pub(crate) fn with_one_time_key(key: &[u8; 32], one_time_key: &[u8; 32]) -> Self {
        let mut cipher = Self::new(key);
        // Looks ahead from nonce 0.
        let sealed = cipher.seal_in_place(&[0; 12], &mut [0; TAG_LEN]);
        if let (Ok(()), Choice::Wide(wide)) = (sealed, &mut cipher.0) {
            wide.ahead.0[0][0][..one_time_key.len()].copy_from_slice(one_time_key);
        }
        cipher
    }
}

impl fmt::Debug for Avx512 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Avx512").finish_non_exhaustive()
    }
}

/// On which side of the cipher the authenticated bytes are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Seal,
    Open,
}

/// The key, and the first two blocks of each of the next nonces.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Wide {
    key: chacha20::Key,
    /// The blocks with counters 0 and 1 of the nonces from `first` on.
    ahead: chacha20::FirstBlocks,
    /// As a number; [`NO_NONCE`] while there are no blocks.
    first: u128,
}

impl Wide {
    fn new(key: &[u8; 32]) -> Box<Self> {
        let mut wide = Box::new(Self {
            key: chacha20::Key::EMPTY,
            ahead: chacha20::FirstBlocks::EMPTY,
            first: NO_NONCE,
        });
        // Where it stays, so that no copy is left elsewhere.
        wide.key.set(key);
        wide
    }

    /// Passes `buffer` through the cipher and gives the tag over its ciphertext.
    #[inline]
    #[allow(
        unsafe_code,
        reason = "code for instructions that not every processor has"
    )]
    #[cfg_attr(test, allow(unused_unsafe, reason = "the model runs everywhere"))]
    fn run(
        &mut self,
        nonce: &[u8; 12],
        buffer: InOutBuf<'_, '_, u8>,
        direction: Direction,
    ) -> Result<[u8; TAG_LEN], AeadError> {
        if buffer.len() as u64 > MAX_MESSAGE_LEN {
            return Err(AeadError);
        }
        // SAFETY: the processor has the instructions: Avx512::new, which alone makes this type,
        // asked is_supported for exactly those that the function is compiled for.
        Ok(unsafe { self.run_wide(nonce, buffer, direction) })
    }

    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    fn run_wide(
        &mut self,
        nonce: &[u8; 12],
        buffer: InOutBuf<'_, '_, u8>,
        direction: Direction,
    ) -> [u8; TAG_LEN] {
        let length = buffer.len();
        let index = self.look_ahead(as_number(nonce));
        let [one_time_key, first_block] = &self.ahead.0[index];
        let mut authenticator = Poly1305::new(one_time_key);
        let (first, rest) = buffer.split_at(length.min(BLOCK_LEN));
        both(&mut authenticator, direction, first, |first| {
            chacha20::apply_block(first_block, first);
        });
        if rest.len() >= LANES_FROM {
            self.run_in_lanes(nonce, rest, direction, &mut authenticator);
        } else if !rest.is_empty() {
            let keystream = self.key.keystream(nonce, 2, || ());
            both(&mut authenticator, direction, rest, |rest| {
                chacha20::apply_blocks(keystream, rest);
            });
        }
        authenticator.finish(length as u64)
    }

    /// Passes what follows the first block through cipher and authenticator at once: what is
    /// sealed in one pass is authenticated during the next, what is opened during its own.
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    fn run_in_lanes(
        &self,
        nonce: &[u8; 12],
        mut rest: InOutBuf<'_, '_, u8>,
        direction: Direction,
        authenticator: &mut Poly1305,
    ) {
        let mut lanes = authenticator.begin_lanes();
        let mut sealed: &[u8] = &[];
        let mut counter = 2;
        while !rest.is_empty() {
            let len = rest.len().min(CHUNK_LEN);
            let (mut now, later) = rest.split_at(len);
            rest = later;
            let due = match direction {
                Direction::Seal => sealed,
                Direction::Open => now.get_in(),
            };
            let (steps, odd) = due.as_chunks();
            let mut steps = steps.iter();
            let keystream = self.key.keystream(nonce, counter, || {
                if let Some(step) = steps.next() {
                    lanes.absorb(step);
                }
            });
            if direction == Direction::Open && rest.is_empty() {
                authenticator.end_lanes(&lanes);
                authenticator.absorb(odd);
            }
            chacha20::apply_blocks(keystream, now.reborrow());
            sealed = now.into_out();
            // The length was checked: it wraps after the last pass at the most.
            counter = counter.wrapping_add(chacha20::COUNTERS);
        }
        if direction == Direction::Seal {
            let (steps, odd) = sealed.as_chunks();
            for step in steps {
                lanes.absorb(step);
            }
            authenticator.end_lanes(&lanes);
            authenticator.absorb(odd);
        }
    }

    /// Sees to it that the first blocks of this nonce are there, and says where.
    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    fn look_ahead(&mut self, nonce: u128) -> usize {
        let index = nonce.wrapping_sub(self.first);
        if index < NONCES_AHEAD as u128 {
            return index as usize;
        }
        // In between there are none, should a panic leave it at that.
        self.first = NO_NONCE;
        self.key.first_blocks(nonce, &mut self.ahead);
        self.first = nonce;
        0
    }
}

/// Passes bytes through the cipher and their ciphertext to the authenticator.
#[inline]
#[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
fn both(
    authenticator: &mut Poly1305,
    direction: Direction,
    mut bytes: InOutBuf<'_, '_, u8>,
    apply: impl FnOnce(InOutBuf<'_, '_, u8>),
) {
    if direction == Direction::Open {
        authenticator.absorb(bytes.get_in());
    }
    apply(bytes.reborrow());
    if direction == Direction::Seal {
        authenticator.absorb(bytes.get_out());
    }
}

/// A nonce as the number that connections count with; it has 96 bits.
#[inline]
fn as_number(nonce: &[u8; 12]) -> u128 {
    let mut bytes = [0; 16];
    bytes[..nonce.len()].copy_from_slice(nonce);
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests;
