//! The ChaCha20 block function (RFC 8439, section 2.3) on sixteen blocks at once.
//!
//! A register holds the same word of the state for all sixteen blocks, a lane each, so that the
//! rounds need no shuffles; at the end the words are sorted into blocks.

#![cfg_attr(
    test,
    allow(
        clippy::redundant_closure,
        reason = "what is compiled for instructions can be called but not passed"
    )
)]

use super::instructions::{
    _mm512_add_epi32, _mm512_rol_epi32, _mm512_set1_epi32, _mm512_shuffle_i32x4,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    _mm512_xor_si512, Register,
};
use chacha20poly1305::aead::inout::InOutBuf;
use zeroize::Zeroize;

/// Bytes in a block.
pub(super) const BLOCK_LEN: usize = 64;

/// Blocks that one pass makes.
pub(super) const LANES: usize = 16;

/// How many nonces one pass over the lanes serves: each takes the block with its one-time key and
/// the first block of its keystream.
pub(super) const NONCES_AHEAD: usize = LANES / 2;

/// [`LANES`], as the block counter counts.
pub(super) const COUNTERS: u32 = 16;
const _: () = assert!(COUNTERS as usize == LANES);

/// Twenty rounds, ten times on columns and on diagonals.
pub(super) const DOUBLE_ROUNDS: usize = 10;

/// "expand 32-byte k", as words.
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// One word of the state for each block.
type Words = [u32; LANES];

/// A key, as words.
#[derive(Zeroize)]
pub(super) struct Key([u32; 8]);

/// Of each of some nonces, the blocks with counters 0 and 1.
#[derive(Zeroize)]
#[repr(align(64))]
pub(super) struct FirstBlocks(pub(super) [[[u8; BLOCK_LEN]; 2]; NONCES_AHEAD]);

impl FirstBlocks {
    pub(super) const EMPTY: Self = Self([[[0; BLOCK_LEN]; 2]; NONCES_AHEAD]);
}

impl Key {
    pub(super) const EMPTY: Self = Self([0; 8]);

    /// Takes a key.
    pub(super) fn set(&mut self, key: &[u8; 32]) {
        for (word, bytes) in self.0.iter_mut().zip(key.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
    }

    /// The blocks with counters 0 and 1 of `nonce` and of those that follow it, as numbers.
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    pub(super) fn first_blocks(&self, nonce: u128, blocks: &mut FirstBlocks) {
        let mut tail: [Words; 4] = [[0; LANES]; 4];
        for index in 0..NONCES_AHEAD {
            // What goes beyond 96 bits falls off, as it would from the counter.
            let nonce = nonce.wrapping_add(index as u128).to_le_bytes();
            let nonce: [u32; 4] = words(&nonce);
            for (lane, counter) in [(2 * index, 0), (2 * index + 1, 1)] {
                tail[0][lane] = counter;
                for word in 0..3 {
                    tail[word + 1][lane] = nonce[word];
                }
            }
        }
        let keystream = self.sixteen_blocks(tail.map(from_words), || ());
        for (block, register) in blocks.0.as_flattened_mut().iter_mut().zip(keystream) {
            *block = to_bytes(register);
        }
    }

    /// The sixteen blocks of `nonce` from `counter` on. Calls `meanwhile` once each double
    /// round: what it does finds its place beside the rounds, which leave the multipliers idle.
    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    pub(super) fn keystream(
        &self,
        nonce: &[u8; 12],
        counter: u32,
        meanwhile: impl FnMut(),
    ) -> [Register; LANES] {
        const LANE_NUMBERS: Words = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let counters = _mm512_add_epi32(from_words(LANE_NUMBERS), broadcast(counter));
        let [nonce_0, nonce_1, nonce_2] = words(nonce).map(|word| broadcast(word));
        self.sixteen_blocks([counters, nonce_0, nonce_1, nonce_2], meanwhile)
    }

    /// The keystream for sixteen states that differ in their last four words.
    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    fn sixteen_blocks(&self, tail: Row, mut meanwhile: impl FnMut()) -> [Register; LANES] {
        let [c0, c1, c2, c3] = CONSTANTS.map(|word| broadcast(word));
        let [k0, k1, k2, k3, k4, k5, k6, k7] = self.0.map(|word| broadcast(word));
        let [t0, t1, t2, t3] = tail;
        let (mut a, mut b) = ([c0, c1, c2, c3], [k0, k1, k2, k3]);
        let (mut c, mut d) = ([k4, k5, k6, k7], [t0, t1, t2, t3]);
        for _ in 0..DOUBLE_ROUNDS {
            meanwhile();
            [a, b, c, d] = quarter_rounds(a, b, c, d);
            // Diagonals become columns, and columns again.
            [b, c, d] = [turn::<1>(b), turn::<2>(c), turn::<3>(d)];
            [a, b, c, d] = quarter_rounds(a, b, c, d);
            [b, c, d] = [turn::<3>(b), turn::<2>(c), turn::<1>(d)];
        }
        let words = [
            sums(a, [c0, c1, c2, c3]),
            sums(b, [k0, k1, k2, k3]),
            sums(c, [k4, k5, k6, k7]),
            sums(d, [t0, t1, t2, t3]),
        ];
        transpose(words)
    }
}

/// A row of the state, four words.
type Row = [Register; 4];

/// Passes at most a block of bytes through a block of keystream.
#[inline]
#[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
pub(super) fn apply_block(keystream: &[u8; BLOCK_LEN], buffer: InOutBuf<'_, '_, u8>) {
    apply_register(bytemuck::must_cast(*keystream), buffer);
}

/// Passes at most sixteen blocks of bytes through as many of keystream.
#[inline]
#[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
pub(super) fn apply_blocks(keystream: [Register; LANES], mut buffer: InOutBuf<'_, '_, u8>) {
    for register in keystream {
        let len = buffer.len().min(BLOCK_LEN);
        let (block, rest) = buffer.split_at(len);
        apply_register(register, block);
        buffer = rest;
    }
}

#[inline]
#[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
fn apply_register(keystream: Register, mut buffer: InOutBuf<'_, '_, u8>) {
    if let Some(input) = buffer.get_in().first_chunk::<BLOCK_LEN>() {
        let output = _mm512_xor_si512(bytemuck::must_cast(*input), keystream);
        buffer.get_out().copy_from_slice(&to_bytes(output));
    } else {
        let len = buffer.len();
        buffer.xor_in2out(&to_bytes(keystream)[..len]);
    }
}

/// Four quarter rounds, each on a column. They go step by step together, since each step waits
/// for the one before it.
#[inline]
#[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
fn quarter_rounds(mut a: Row, mut b: Row, mut c: Row, mut d: Row) -> [Row; 4] {
    a = sums(a, b);
    d = xor_and_rotate::<16>(d, a);
    c = sums(c, d);
    b = xor_and_rotate::<12>(b, c);
    a = sums(a, b);
    d = xor_and_rotate::<8>(d, a);
    c = sums(c, d);
    b = xor_and_rotate::<7>(b, c);
    [a, b, c, d]
}

#[inline]
#[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
fn sums([a0, a1, a2, a3]: Row, [b0, b1, b2, b3]: Row) -> Row {
    [
        _mm512_add_epi32(a0, b0),
        _mm512_add_epi32(a1, b1),
        _mm512_add_epi32(a2, b2),
        _mm512_add_epi32(a3, b3),
    ]
}

#[inline]
#[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
fn xor_and_rotate<const BITS: i32>([a0, a1, a2, a3]: Row, [b0, b1, b2, b3]: Row) -> Row {
    [
        _mm512_rol_epi32::<BITS>(_mm512_xor_si512(a0, b0)),
        _mm512_rol_epi32::<BITS>(_mm512_xor_si512(a1, b1)),
        _mm512_rol_epi32::<BITS>(_mm512_xor_si512(a2, b2)),
        _mm512_rol_epi32::<BITS>(_mm512_xor_si512(a3, b3)),
    ]
}

/// The row from its word `FIRST` on, round to the word before that.
#[inline]
fn turn<const FIRST: usize>(row: Row) -> Row {
    [
        row[FIRST % 4],
        row[(FIRST + 1) % 4],
        row[(FIRST + 2) % 4],
        row[(FIRST + 3) % 4],
    ]
}

/// From a register a word to a register a block.
#[inline]
#[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
fn transpose(rows: [Row; 4]) -> [Register; LANES] {
    // quads[g][b]: the words 4g to 4g + 3 of the blocks b, b + 4, b + 8 and b + 12.
    let mut quads = rows;
    for (quad, four) in quads.iter_mut().zip(rows) {
        let low_01 = _mm512_unpacklo_epi32(four[0], four[1]);
        let high_01 = _mm512_unpackhi_epi32(four[0], four[1]);
        let low_23 = _mm512_unpacklo_epi32(four[2], four[3]);
        let high_23 = _mm512_unpackhi_epi32(four[2], four[3]);
        *quad = [
            _mm512_unpacklo_epi64(low_01, low_23),
            _mm512_unpackhi_epi64(low_01, low_23),
            _mm512_unpacklo_epi64(high_01, high_23),
            _mm512_unpackhi_epi64(high_01, high_23),
        ];
    }
    let mut blocks = [rows[0][0]; LANES];
    for b in 0..4 {
        // Of a register its first two quarters (0x44), its last two (0xee), its even quarters
        // (0x88), its odd ones (0xdd).
        let [q0, q1, q2, q3] = [quads[0][b], quads[1][b], quads[2][b], quads[3][b]];
        let first_01 = _mm512_shuffle_i32x4::<0x44>(q0, q1);
        let first_23 = _mm512_shuffle_i32x4::<0x44>(q2, q3);
        let last_01 = _mm512_shuffle_i32x4::<0xee>(q0, q1);
        let last_23 = _mm512_shuffle_i32x4::<0xee>(q2, q3);
        blocks[b] = _mm512_shuffle_i32x4::<0x88>(first_01, first_23);
        blocks[b + 4] = _mm512_shuffle_i32x4::<0xdd>(first_01, first_23);
        blocks[b + 8] = _mm512_shuffle_i32x4::<0x88>(last_01, last_23);
        blocks[b + 12] = _mm512_shuffle_i32x4::<0xdd>(last_01, last_23);
    }
    blocks
}

#[inline]
#[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
fn broadcast(word: u32) -> Register {
    _mm512_set1_epi32(word.cast_signed())
}

#[inline]
fn from_words(words: Words) -> Register {
    bytemuck::must_cast(words)
}

#[inline]
fn to_bytes(register: Register) -> [u8; BLOCK_LEN] {
    bytemuck::must_cast(register)
}

/// Little-endian words; as many as fit.
#[inline]
fn words<const WORDS: usize>(bytes: &[u8]) -> [u32; WORDS] {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}
