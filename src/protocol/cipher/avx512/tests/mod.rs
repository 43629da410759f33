//! What the cipher must do, tried twice: on the model of its instructions, and, where the features
//! and the processor allow it, as users get it.

#[cfg(all(feature = "avx512", target_arch = "x86_64"))]
mod hardware;
#[cfg(target_arch = "x86_64")]
mod instructions;

use super::super::RustCrypto;
use super::super::tests::{refuses_wrong_lengths, vectors_hold_for, wycheproof_holds_for};
use super::*;
use alloc::vec;
use alloc::vec::Vec;
use universal_hash::KeyInit;

/// One of the two ways in which the cipher is tried.
trait Subject: Aead {
    /// As [`Avx512::with_one_time_key`].
    fn with_one_time_key(key: &[u8; 32], one_time_key: &[u8; 32]) -> Self;
}

impl Subject for Avx512 {
    fn with_one_time_key(key: &[u8; 32], one_time_key: &[u8; 32]) -> Self {
        Self::with_one_time_key(key, one_time_key)
    }
}

/// Makes a test for each way of each function.
macro_rules! on_model_and_hardware {
    ($($name:ident),* $(,)?) => {
        mod on_the_model {
            $(#[test] fn $name() { super::$name::<super::Avx512>(); })*
        }

        #[cfg(all(feature = "avx512", target_arch = "x86_64"))]
        mod on_hardware {
            use super::hardware::{Hardware, is_there};
            $(#[test] fn $name() { if is_there() { super::$name::<Hardware>(); } })*
        }
    };
}

on_model_and_hardware! {
    vectors_hold,
    wycheproof_holds,
    buffers_of_the_wrong_length_are_refused,
    every_length_to_some_passes_is_sealed_as_elsewhere,
    every_length_to_some_passes_is_opened_again,
    short_and_long_messages_take_their_turns,
    nonces_may_come_in_any_order,
    kept_blocks_carry_through_the_nonce,
    what_is_not_authentic_is_refused_and_wiped,
    extreme_one_time_keys_and_blocks_give_the_same_tags,
}

fn vectors_hold<A: Subject>() {
    vectors_hold_for::<A>();
}

fn wycheproof_holds<A: Subject>() {
    wycheproof_holds_for::<A>();
}

fn buffers_of_the_wrong_length_are_refused<A: Subject>() {
    refuses_wrong_lengths::<A>();
}

fn twelve_bytes(nonce: u128) -> [u8; 12] {
    *nonce.to_le_bytes().first_chunk().expect("twelve bytes")
}

fn sealed<A: Aead>(cipher: &mut A, nonce: u128, len: usize) -> Vec<u8> {
    let message: Vec<u8> = (0..len).map(|at| at.to_le_bytes()[0] ^ 0xa5).collect();
    let mut sealed = vec![0; len + TAG_LEN];
    cipher
        .seal(&twelve_bytes(nonce), &message, &mut sealed)
        .unwrap();
    sealed
}

fn agree<A: Subject>(nonces: impl IntoIterator<Item = u128>, len: impl Fn(usize) -> usize) {
    let key = [0x42; 32];
    let (mut ours, mut reference) = (A::new(&key), RustCrypto::new(&key));
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

fn every_length_to_some_passes_is_sealed_as_elsewhere<A: Subject>() {
    agree::<A>(0..5_001, |index| index);
}

fn every_length_to_some_passes_is_opened_again<A: Subject>() {
    let key = [0x24; 32];
    let (mut ours, mut reference) = (A::new(&key), RustCrypto::new(&key));
    for (nonce, len) in (0..5_001).enumerate() {
        let nonce = nonce as u128;
        let mut buffer = sealed(&mut reference, nonce, len);
        let opened = ours.open_in_place(&twelve_bytes(nonce), &mut buffer);
        assert_eq!(opened, Ok(()), "{len} bytes");
        let intact = |(at, byte): (usize, &u8)| *byte == at.to_le_bytes()[0] ^ 0xa5;
        assert!(buffer[..len].iter().enumerate().all(intact), "{len} bytes");
    }
}

// As connections use it: short and long messages under nonces that count up.
fn short_and_long_messages_take_their_turns<A: Subject>() {
    let lengths = [
        4, 64, 4, 16_384, 4, 0, 4, 1_088, 65, 4, 1_089, 2_112, 448, 449,
    ];
    agree::<A>(0..1_000, |index| lengths[index % lengths.len()]);
}

fn nonces_may_come_in_any_order<A: Subject>() {
    let far = 1 << 95;
    let nonces = [
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
    ];
    for len in [20, 200, 2_000] {
        agree::<A>(nonces, |_| len);
    }
}

// A block that is kept for later has the nonce it is kept for, across every carry.
fn kept_blocks_carry_through_the_nonce<A: Subject>() {
    for bits in [8, 32, 64] {
        let turn = 1_u128 << bits;
        agree::<A>(turn - 9..turn + 9, |_| 33);
    }
    let last = (1 << 96) - 1;
    agree::<A>((last - 20..=last).chain([0, 1]), |_| 33);
}

fn what_is_not_authentic_is_refused_and_wiped<A: Subject>() {
    for len in [1, 64, 65, 500, 1_500, 20_000] {
        let mut cipher = A::new(&[7; 32]);
        let good = sealed(&mut cipher, 9, len);
        for bit in [0, 8 * (len / 2) + 4, 8 * len - 1, 8 * len, 8 * len + 127] {
            let mut forged = good.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let opened = cipher.open_in_place(&twelve_bytes(9), &mut forged);
            assert_eq!(opened, Err(AeadError), "bit {bit} of {len} bytes");
            assert_eq!(forged[..len], vec![0; len]);
        }
    }
}

/// The tag by the `poly1305` crate.
pub(super) fn reference_tag(one_time_key: &[u8; 32], ciphertext: &[u8]) -> [u8; TAG_LEN] {
    let mut padded = ciphertext.to_vec();
    padded.resize(ciphertext.len().next_multiple_of(TAG_LEN) + 8, 0);
    padded.extend((ciphertext.len() as u64).to_le_bytes());
    ::poly1305::Poly1305::new(one_time_key.into())
        .compute_unpadded(&padded)
        .into()
}

/// Blocks that bring sums to where limbs and the modulus end.
pub(super) fn extreme_blocks() -> [u128; 8] {
    let five_below = u128::MAX - 4;
    [
        0,
        1,
        u128::MAX,
        five_below,
        five_below + 1,
        u128::MAX << 64,
        u128::MAX >> 64,
        1 << 127,
    ]
}

pub(super) fn extreme_one_time_keys() -> impl Iterator<Item = [u8; 32]> {
    let clamped = 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff_u128;
    let r = [
        0,
        1,
        2,
        5,
        clamped,
        clamped >> 64,
        clamped << 64,
        1 << 123,
        u128::MAX,
    ];
    r.into_iter().flat_map(|r| {
        [0, 1, u128::MAX].map(|s: u128| bytemuck::must_cast([r.to_le_bytes(), s.to_le_bytes()]))
    })
}

/// Takes two extreme blocks in turns, so many blocks in all.
pub(super) fn extreme_messages(blocks: usize) -> impl Iterator<Item = Vec<u8>> {
    let pairs = extreme_blocks()
        .into_iter()
        .flat_map(|first| extreme_blocks().map(|second| [first, second]));
    pairs.map(move |pair| {
        let pair = pair.map(u128::to_le_bytes);
        pair.iter()
            .cycle()
            .take(blocks)
            .flatten()
            .copied()
            .collect()
    })
}

// One pass without lanes, one with them, more than two, and one that ends within a step.
fn extreme_one_time_keys_and_blocks_give_the_same_tags<A: Subject>() {
    for one_time_key in extreme_one_time_keys() {
        for blocks in [1, 5, 28, 29, 140] {
            for ciphertext in extreme_messages(blocks) {
                let mut cipher = A::with_one_time_key(&[1; 32], &one_time_key);
                let tag = reference_tag(&one_time_key, &ciphertext);
                let sealed = [&ciphertext[..], &tag].concat();
                let mut buffer = sealed.clone();
                assert_eq!(cipher.open_in_place(&[0; 12], &mut buffer), Ok(()));
                cipher.seal_in_place(&[0; 12], &mut buffer).unwrap();
                assert_eq!(buffer, sealed);
            }
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

// Up to the last counter there is, and from the first one on again after it. The reference has the
// older form with a counter of 64 bits, whose upper half is the nonce's first word here.
#[test]
fn the_block_counter_counts_to_its_end() {
    use ::chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
    let (key, nonce) = ([0x31; 32], [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    let mut ours = chacha20::Key::EMPTY;
    ours.set(&key);
    for counter in [0, 2, 0xffff, 0x7fff_fff8, u32::MAX - 15, u32::MAX - 13] {
        let keystream = ours.keystream(&nonce, counter, || ());
        let keystream: [[u8; BLOCK_LEN]; LANES] = bytemuck::must_cast(keystream);
        for (lane, block) in (0..).zip(keystream) {
            let counter = counter.wrapping_add(lane);
            let older_nonce = [1, 2, 3, 4, 5, 6, 7, 8];
            let mut reference = ::chacha20::ChaCha20Legacy::new(&key.into(), &older_nonce.into());
            reference.seek(u64::from(counter) * BLOCK_LEN as u64);
            let mut expected = [0; BLOCK_LEN];
            reference.apply_keystream(&mut expected);
            assert_eq!(block, expected, "counter {counter}");
        }
    }
}
