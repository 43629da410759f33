//! ChaCha20-Poly1305 in the widest registers that x86-64 has.
//!
//! Why there is one of our own: the libraries stop at AVX2, or take it up only for long messages,
//! and each of their calls computes one nonce's keystream by itself. Nonces of a connection count
//! up, so that one pass over sixteen lanes gives [`NONCES_AHEAD`] of them all that short messages
//! need. It is off where the processor lacks the instructions ([`is_supported`]), and a library
//! does the work.
//!
//! No branch and no address depends on a secret: lengths, nonces and whether a tag fits decide,
//! nothing else does. The rooms:
//!
//! * [`chacha20`]: keystream, sixteen blocks at a time;
//! * [`poly1305`]: the authenticator, eight blocks at a time and one at a time;
//! * here: the construction, and what is kept for the next nonces.
//!
//! The one `unsafe` of this folder is the step into code that was compiled for these
//! instructions. Registers are filled from arrays and written to arrays.

mod chacha20;
mod poly1305;

use super::{Aead, AeadError, Portable, TAG_LEN, split};
use alloc::boxed::Box;
use chacha20::{BLOCK_LEN, LANES};
use chacha20poly1305::aead::inout::InOutBuf;
use core::fmt;
use poly1305::Poly1305;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How many nonces one pass over the lanes serves: each takes the block with its one-time key and
/// the first block of its keystream.
const NONCES_AHEAD: usize = LANES / 2;

/// Bytes of a message that one pass over the lanes covers.
const CHUNK_LEN: usize = LANES * BLOCK_LEN;

/// How many bytes after the first block make it worth while to authenticate in lanes too, by
/// measurement. Fewer take one pass.
const LANES_FROM: usize = 3 * poly1305::STEP_LEN;
const _: () = assert!(LANES_FROM <= CHUNK_LEN);

/// The longest message: the block counter has 32 bits, and the first block is the one-time key.
const MAX_MESSAGE_LEN: u64 = (u32::MAX as u64) * BLOCK_LEN as u64;

/// Far from every nonce, which has 96 bits.
const NO_NONCE: u128 = 1 << 127;

/// Whether this processor and kernel have what the code here is compiled for.
fn is_supported() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("bmi2")
}

/// ChaCha20-Poly1305 of our own on processors with AVX-512 and its integer multiplication, and of
/// a library on others.
///
/// The key and the keystream of the next nonces lie behind a box, so that moving this value
/// leaves no copies, and are wiped when it is dropped. What working with them leaves on the stack
/// and in registers is beyond reach.
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
        Box::new(Self {
            key: chacha20::Key::new(key),
            ahead: chacha20::FirstBlocks::EMPTY,
            first: NO_NONCE,
        })
    }

    /// Passes `buffer` through the cipher and gives the tag over its ciphertext.
    #[inline]
    #[allow(
        unsafe_code,
        reason = "code for instructions that not every processor has"
    )]
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

    #[target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2")]
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
    #[target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2")]
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
    #[target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2")]
    fn look_ahead(&mut self, nonce: u128) -> usize {
        let index = nonce.wrapping_sub(self.first);
        if index < NONCES_AHEAD as u128 {
            return index as usize;
        }
        self.key.first_blocks(nonce, &mut self.ahead);
        self.first = nonce;
        0
    }
}

/// Passes bytes through the cipher and their ciphertext to the authenticator.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2")]
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
mod tests {
    use super::*;
    use crate::protocol::cipher::RustCrypto;
    use alloc::vec;
    use alloc::vec::Vec;

    fn sealed<A: Aead>(cipher: &mut A, nonce: u128, len: usize) -> Vec<u8> {
        let nonce = *nonce.to_le_bytes().first_chunk().expect("twelve bytes");
        let message: Vec<u8> = (0..len).map(|at| at.to_le_bytes()[0] ^ 0xa5).collect();
        let mut sealed = vec![0; len + TAG_LEN];
        cipher.seal(&nonce, &message, &mut sealed).unwrap();
        sealed
    }

    fn agree(nonces: impl IntoIterator<Item = u128>, len: impl Fn(usize) -> usize) {
        let key = [0x42; 32];
        let (mut ours, mut reference) = (Avx512::new(&key), RustCrypto::new(&key));
        for (index, nonce) in nonces.into_iter().enumerate() {
            let len = len(index);
            let expected = sealed(&mut reference, nonce, len);
            assert_eq!(
                sealed(&mut ours, nonce, len),
                expected,
                "nonce {nonce}, {len} bytes"
            );
        }
    }

    #[test]
    fn every_length_to_some_passes_is_sealed_as_elsewhere() {
        agree(0..4_500, |index| index);
    }

    // As connections use it: short and long messages under nonces that count up.
    #[test]
    fn short_and_long_messages_take_their_turns() {
        let lengths = [
            4, 64, 4, 16_384, 4, 0, 4, 1_088, 65, 4, 1_089, 2_112, 448, 449,
        ];
        agree(0..1_000, |index| lengths[index % lengths.len()]);
    }

    #[test]
    fn nonces_may_come_in_any_order() {
        let far = 1 << 95;
        agree(
            [
                5,
                4,
                12,
                13,
                5,
                6,
                0,
                7,
                8,
                3,
                far,
                1,
                far + 7,
                far + 8,
                far - 1,
            ],
            |_| 20,
        );
    }

    // A block that is kept for later has the nonce it is kept for, across every carry.
    #[test]
    fn kept_blocks_carry_through_the_nonce() {
        for bits in [8, 32, 64] {
            let turn = 1_u128 << bits;
            agree(turn - 9..turn + 9, |_| 33);
        }
        let last = (1 << 96) - 1;
        agree((last - 20..=last).chain([0, 1]), |_| 33);
    }

    #[test]
    fn what_is_not_authentic_is_wiped() {
        for len in [1, 64, 65, 500, 1_500, 20_000] {
            let mut cipher = Avx512::new(&[7; 32]);
            let mut forged = sealed(&mut cipher, 9, len);
            forged[len / 2] ^= 0x10;
            let mut nonce = [0; 12];
            nonce[0] = 9;
            assert_eq!(cipher.open_in_place(&nonce, &mut forged), Err(AeadError));
            if is_supported() {
                assert_eq!(forged[..len], vec![0; len]);
            }
        }
    }

    #[test]
    fn a_library_does_the_work_elsewhere() {
        let mut elsewhere = Avx512(Choice::Portable(Portable::new(&[3; 32])));
        let mut here = Avx512::new(&[3; 32]);
        for len in [0, 64, 5_000] {
            assert_eq!(sealed(&mut elsewhere, 1, len), sealed(&mut here, 1, len));
        }
    }
}
