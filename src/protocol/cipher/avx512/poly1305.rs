//! The Poly1305 authenticator (RFC 8439, section 2.5) of bytes that are padded to whole blocks,
//! as the construction pads them.
//!
//! Numbers modulo 2^130 - 5 are three limbs of 44, 44 and 42 bits. A product of two limbs with
//! weights that add up to 2^132 or more comes back with the factor 20, since
//! 2^132 = 4 * 2^130 = 20. Limbs need not be fully carried between blocks; the bounds stand
//! where they matter.
//!
//! Long input goes through eight lanes, each of which takes every eighth block and multiplies by
//! r^8; at the end lane i of 8 multiplies by r^(8-i) instead, and their sum is what one lane would
//! have come to.

#![allow(
    clippy::cast_possible_truncation,
    reason = "limbs are the low bits of their products"
)]

use super::instructions::{
    _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_or_si512, _mm512_reduce_add_epi64, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_slli_epi64, _mm512_srli_epi64, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64, Register,
};

const BLOCK_LEN: usize = 16;

/// Bytes that the lanes take in one step.
pub(super) const STEP_LEN: usize = 8 * BLOCK_LEN;

const MASK_44: u64 = (1 << 44) - 1;
const MASK_42: u64 = (1 << 42) - 1;

/// The bit above a whole block, 2^128, in the limb from 2^88 on.
const ABOVE_BLOCK: u64 = 1 << 40;

/// What the lanes take in one step.
pub(super) type Step = [u8; STEP_LEN];

/// The authenticator of one message.
pub(super) struct Poly1305 {
    r: Number,
    /// Added to the result, modulo 2^128.
    s: u128,
    sum: Number,
}

impl Poly1305 {
    /// With the one-time key at the start of `block`.
    #[inline]
    pub(super) fn new(block: &[u8; 64]) -> Self {
        let [r, s, ..]: [[u8; BLOCK_LEN]; 4] = bytemuck::must_cast(*block);
        let [r, s] = [r, s].map(u128::from_le_bytes);
        Self {
            r: Number::from_bits(r & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff, 0),
            s,
            sum: Number([0; 3]),
        }
    }

    /// Takes bytes, one block after the other. What is no whole block at their end counts as one
    /// that ends with zeros.
    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    pub(super) fn absorb(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<BLOCK_LEN>();
        for block in blocks {
            self.absorb_block(u128::from_le_bytes(*block));
        }
        if !rest.is_empty() {
            let mut block = [0; BLOCK_LEN];
            block[..rest.len()].copy_from_slice(rest);
            self.absorb_block(u128::from_le_bytes(block));
        }
    }

    /// The tag, after the length of the associated data, none, and that of the ciphertext.
    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    pub(super) fn finish(mut self, length: u64) -> [u8; BLOCK_LEN] {
        self.absorb_block(u128::from(length) << 64);
        self.sum.to_bits().wrapping_add(self.s).to_le_bytes()
    }

    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    fn absorb_block(&mut self, block: u128) {
        let block = Number::from_bits(block, ABOVE_BLOCK);
        self.sum = self.sum.add(block).multiply(self.r);
    }

    /// Lanes that go on from here.
    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    pub(super) fn begin_lanes(&self) -> Lanes {
        // The sum so far goes the way of the first block.
        let first = |limb| in_lanes([limb, 0, 0, 0, 0, 0, 0, 0]);
        let [limb_0, limb_1, limb_2] = self.sum.0;
        Lanes {
            sums: Numbers([first(limb_0), first(limb_1), first(limb_2)]),
            has_begun: false,
            powers: Powers::new(self.r),
        }
    }

    /// Goes on from what the lanes came to; they have taken a step at least.
    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    pub(super) fn end_lanes(&mut self, lanes: &Lanes) {
        self.sum = lanes.sums.multiply(&lanes.powers.each).sum();
    }
}

/// Eight authenticators side by side.
pub(super) struct Lanes {
    sums: Numbers,
    has_begun: bool,
    powers: Powers,
}

impl Lanes {
    /// Takes eight blocks.
    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    pub(super) fn absorb(&mut self, step: &Step) {
        if self.has_begun {
            self.sums = self.sums.multiply(&self.powers.eighth);
        }
        self.has_begun = true;
        self.sums = self.sums.add(Numbers::from_step(step));
    }
}

/// A number modulo 2^130 - 5: limbs from 2^0, 2^44 and 2^88 on.
#[derive(Clone, Copy)]
struct Number([u64; 3]);

impl Number {
    /// 128 bits, and what is added to the highest limb.
    #[inline]
    fn from_bits(bits: u128, above: u64) -> Self {
        let (low, high) = (bits as u64, (bits >> 64) as u64);
        Self([
            low & MASK_44,
            (low >> 44 | high << 20) & MASK_44,
            (high >> 24) + above,
        ])
    }

    #[inline]
    fn add(self, other: Self) -> Self {
        let ([a0, a1, a2], [b0, b1, b2]) = (self.0, other.0);
        Self([a0 + b0, a1 + b1, a2 + b2])
    }

    /// Takes limbs below 2^50 here and such as this gives there; gives limbs below 2^44,
    /// 2^44 + 2^12 and 2^42.
    #[inline]
    fn multiply(self, other: Self) -> Self {
        let [a0, a1, a2] = self.0.map(u128::from);
        let [b0, b1, b2] = other.0.map(u128::from);
        let [c1, c2] = [b1 * 20, b2 * 20];
        let d0 = a0 * b0 + a1 * c2 + a2 * c1;
        let d1 = a0 * b1 + a1 * b0 + a2 * c2 + (d0 >> 44);
        let d2 = a0 * b2 + a1 * b1 + a2 * b0 + (d1 >> 44);
        let limb_0 = (d0 as u64 & MASK_44) + (d2 >> 42) as u64 * 5;
        Self([
            limb_0 & MASK_44,
            (d1 as u64 & MASK_44) + (limb_0 >> 44),
            d2 as u64 & MASK_42,
        ])
    }

    /// The lowest 128 bits of what is below 2^130 - 5.
    #[inline]
    fn to_bits(self) -> u128 {
        let [mut limb_0, mut limb_1, mut limb_2] = self.0;
        // Brings the limbs into their bounds, the last one to 2^42 and a little more.
        limb_0 += (limb_2 >> 42) * 5;
        limb_2 &= MASK_42;
        limb_1 += limb_0 >> 44;
        limb_0 &= MASK_44;
        limb_2 += limb_1 >> 44;
        limb_1 &= MASK_44;
        // What has to be subtracted is 2^130 - 5, once if adding 5 reaches 2^130.
        let carry = (limb_1 + ((limb_0 + 5) >> 44)) >> 44;
        let reaches = (limb_2 + carry) >> 42;
        let bits = u128::from(limb_0) | u128::from(limb_1) << 44 | u128::from(limb_2) << 88;
        bits.wrapping_add(u128::from(reaches * 5))
    }
}

/// What the lanes multiply by.
struct Powers {
    /// r^8 for all.
    eighth: Factor,
    /// r^8 for the lane of the first block to r for that of the last.
    each: Factor,
}

impl Powers {
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    fn new(r: Number) -> Self {
        let r2 = r.multiply(r);
        let [r3, r4] = [r2.multiply(r), r2.multiply(r2)];
        let [r5, r6, r7, r8] = [r, r2, r3, r4].map(|power| power.multiply(r4));
        Self {
            eighth: Factor::new([r8; 8]),
            each: Factor::new([r8, r4, r7, r3, r6, r2, r5, r]),
        }
    }
}

/// A number a lane, to multiply by.
struct Factor {
    limbs: [Register; 3],
    /// The limbs from 2^44 and from 2^88 on, times 20.
    folded: [Register; 2],
}

impl Factor {
    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    fn new(numbers: [Number; 8]) -> Self {
        let limb =
            |index: usize, times: u64| in_lanes(numbers.map(|Number(limbs)| limbs[index] * times));
        Self {
            limbs: [limb(0, 1), limb(1, 1), limb(2, 1)],
            folded: [limb(1, 20), limb(2, 20)],
        }
    }
}

/// A number a lane. The blocks of a step lie in the order 0, 4, 1, 5, 2, 6, 3, 7.
#[derive(Clone, Copy)]
struct Numbers([Register; 3]);

impl Numbers {
    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    fn from_step(step: &[u8; STEP_LEN]) -> Self {
        let [first, last]: [Register; 2] = bytemuck::must_cast(*step);
        let low = _mm512_unpacklo_epi64(first, last);
        let high = _mm512_unpackhi_epi64(first, last);
        let mask = everywhere(MASK_44);
        let middle = _mm512_or_si512(_mm512_srli_epi64::<44>(low), _mm512_slli_epi64::<20>(high));
        Self([
            _mm512_and_si512(low, mask),
            _mm512_and_si512(middle, mask),
            _mm512_or_si512(_mm512_srli_epi64::<24>(high), everywhere(ABOVE_BLOCK)),
        ])
    }

    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    fn add(self, other: Self) -> Self {
        let ([a0, a1, a2], [b0, b1, b2]) = (self.0, other.0);
        Self([
            _mm512_add_epi64(a0, b0),
            _mm512_add_epi64(a1, b1),
            _mm512_add_epi64(a2, b2),
        ])
    }

    /// Takes limbs below 2^47 and gives limbs below 2^45. What it gives and a block together stay
    /// below 2^46.
    ///
    /// A product of limbs has two parts: its lowest 52 bits, and the others, which weigh 2^52 or,
    /// in units of the next limb, 2^8. Sums of three stay below 2^54 and, since the limbs of
    /// `factor` come from [`Number::multiply`], below 2^44.
    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    fn multiply(self, factor: &Factor) -> Self {
        let [a0, a1, a2] = self.0;
        let [b0, b1, b2] = factor.limbs;
        let [c1, c2] = factor.folded;
        let [low_0, high_0] = products([(a0, b0), (a1, c2), (a2, c1)]);
        let [low_1, high_1] = products([(a0, b1), (a1, b0), (a2, c2)]);
        let [low_2, high_2] = products([(a0, b2), (a1, b1), (a2, b0)]);
        // 20 * 2^8 = 2^12 + 2^10
        let folded = _mm512_add_epi64(
            _mm512_slli_epi64::<12>(high_2),
            _mm512_slli_epi64::<10>(high_2),
        );
        let d0 = _mm512_add_epi64(low_0, folded);
        let d1 = _mm512_add_epi64(low_1, _mm512_slli_epi64::<8>(high_0));
        let d2 = _mm512_add_epi64(low_2, _mm512_slli_epi64::<8>(high_1));
        let carry_2 = _mm512_srli_epi64::<42>(d2);
        let five_times = _mm512_add_epi64(carry_2, _mm512_slli_epi64::<2>(carry_2));
        // Each limb hands on what it has too much, and keeps what comes from the one below.
        let (mask_44, mask_42) = (everywhere(MASK_44), everywhere(MASK_42));
        Self([
            _mm512_add_epi64(_mm512_and_si512(d0, mask_44), five_times),
            _mm512_add_epi64(_mm512_and_si512(d1, mask_44), _mm512_srli_epi64::<44>(d0)),
            _mm512_add_epi64(_mm512_and_si512(d2, mask_42), _mm512_srli_epi64::<44>(d1)),
        ])
    }

    /// All lanes together; limbs below 2^48.
    #[inline]
    #[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
    fn sum(self) -> Number {
        let [a0, a1, a2] = self.0;
        Number([
            _mm512_reduce_add_epi64(a0).cast_unsigned(),
            _mm512_reduce_add_epi64(a1).cast_unsigned(),
            _mm512_reduce_add_epi64(a2).cast_unsigned(),
        ])
    }
}

/// The lower and the upper parts of three products, each added up.
#[inline]
#[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
fn products(pairs: [(Register, Register); 3]) -> [Register; 2] {
    let mut low = _mm512_setzero_si512();
    let mut high = _mm512_setzero_si512();
    for (a, b) in pairs {
        low = _mm512_madd52lo_epu64(low, a, b);
        high = _mm512_madd52hi_epu64(high, a, b);
    }
    [low, high]
}

#[inline]
fn in_lanes(numbers: [u64; 8]) -> Register {
    bytemuck::must_cast(numbers)
}

#[inline]
#[cfg_attr(not(test), target_feature(enable = "avx512f,avx512ifma,avx512vl,bmi2"))]
fn everywhere(number: u64) -> Register {
    _mm512_set1_epi64(number.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{extreme_messages, extreme_one_time_keys, reference_tag};
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    /// One block after the other; the first `in_lanes` steps after `before` bytes in lanes.
    fn tag(key: &[u8; 32], message: &[u8], before: usize, in_lanes: usize) -> [u8; 16] {
        let mut block = [0xee; 64];
        block[..32].copy_from_slice(key);
        let mut authenticator = Poly1305::new(&block);
        let (first, rest) = message.split_at(before);
        authenticator.absorb(first);
        let (steps, _) = rest.as_chunks::<STEP_LEN>();
        let steps = &steps[..in_lanes.min(steps.len())];
        if !steps.is_empty() {
            let mut lanes = authenticator.begin_lanes();
            for step in steps {
                lanes.absorb(step);
            }
            authenticator.end_lanes(&lanes);
        }
        authenticator.absorb(&rest[steps.len() * STEP_LEN..]);
        authenticator.finish(message.len() as u64)
    }

    fn agrees(key: &[u8; 32], message: &[u8]) {
        let expected = reference_tag(key, message);
        for before in [0, 16, 64] {
            for in_lanes in [0, 1, 2, usize::MAX] {
                let before = before.min(message.len());
                let tag = tag(key, message, before, in_lanes);
                assert_eq!(tag, expected, "{before} bytes, {in_lanes} steps");
            }
        }
    }

    #[test]
    fn extreme_keys_and_blocks_give_the_same_tags() {
        for key in extreme_one_time_keys() {
            for blocks in [0, 1, 2, 8, 9, 17, 40] {
                for message in extreme_messages(blocks) {
                    agrees(&key, &message);
                }
            }
        }
    }

    #[test]
    fn all_lengths_give_the_same_tags() {
        for len in 0..700 {
            agrees(&[0xff; 32], &vec![0xff; len]);
        }
    }

    /// The largest limbs that a product may have.
    const LARGEST_PRODUCT: Number = Number([MASK_44, MASK_44 + (1 << 12), MASK_42]);

    fn within(limbs: [u64; 3], bounds: [u64; 3]) -> bool {
        limbs.iter().zip(bounds).all(|(limb, bound)| *limb < bound)
    }

    // Both ways of multiplying keep what their comments say, at the largest limbs they may be given,
    // and agree there.
    #[test]
    fn products_keep_their_bounds() {
        const LARGEST: u64 = (1 << 47) - 1;
        let factor = LARGEST_PRODUCT;
        for limbs in 0..8 {
            let limb = |bit: u64| if limbs >> bit & 1 == 1 { LARGEST } else { 0 };
            let number = Number([limb(0), limb(1), limb(2)]);
            let product = number.multiply(factor);
            assert!(within(product.0, [1 << 44, (1 << 44) + (1 << 12), 1 << 42]));
            let lanes = Numbers(number.0.map(|limb| in_lanes([limb; 8])));
            let products = lanes.multiply(&Factor::new([factor; 8]));
            for lane in 0..8 {
                let limbs = products.0.map(|limbs| {
                    let limbs: [u64; 8] = bytemuck::must_cast(limbs);
                    limbs[lane]
                });
                assert!(within(limbs, [1 << 45; 3]));
                assert_eq!(Number(limbs).to_bits(), product.to_bits());
            }
        }
        let larger = Number([(1 << 50) - 1; 3]).multiply(factor);
        assert!(within(larger.0, [1 << 44, (1 << 44) + (1 << 12), 1 << 42]));
    }

    // Upper parts of products, three together, at the bound of what is multiplied.
    #[test]
    fn sums_of_three_stay_below_their_bounds() {
        let Number([b0, b1, b2]) = LARGEST_PRODUCT;
        let a = in_lanes([(1 << 47) - 1; 8]);
        for factors in [[b0, b2 * 20, b1 * 20], [b1, b0, b2 * 20], [b2, b1, b0]] {
            let pairs = factors.map(|factor| (a, in_lanes([factor; 8])));
            let [low, high] = products(pairs);
            let [low, high]: [[u64; 8]; 2] = [low, high].map(bytemuck::must_cast);
            assert!(low[0] < 1 << 54 && high[0] < 1 << 44);
        }
    }

    // Sums are brought below the modulus whatever their limbs came to.
    #[test]
    fn sums_are_reduced_once_and_for_all() {
        let modulus = [MASK_44 - 4, MASK_44, MASK_42];
        for (above, expected) in [(0, 0), (1, 1), (4, 4), (5, 5)] {
            let [limb_0, limb_1, limb_2] = modulus;
            assert_eq!(Number([limb_0 + above, limb_1, limb_2]).to_bits(), expected);
            // The same number with limbs that are not carried.
            let borrowed = Number([limb_0 + above + (1 << 45), limb_1 - 2, limb_2]);
            assert_eq!(borrowed.to_bits(), expected);
        }
        assert_eq!(
            Number([MASK_44 - 5, MASK_44, MASK_42]).to_bits(),
            u128::MAX - 5
        );
        let twice = Number(modulus.map(|limb| limb * 2));
        assert_eq!(twice.to_bits(), 0);
        // The largest limbs that are not carried: 2^55 - 1 times 1 + 2^44 + 2^88, which is
        // 2^143 + 2^99 + 2^55 less the same without 2^55, and 2^143 is 5 * 2^13.
        let largest = Number([(1 << 55) - 1; 3]);
        let subtracted = (1_u128 << 88) + (1 << 44) + 1;
        assert_eq!(
            largest.to_bits(),
            (5 << 13) + (1 << 99) + (1 << 55) - subtracted
        );
    }

    proptest! {
        #[test]
        fn the_poly1305_crate_gives_the_same_tags(
            key in any::<[u8; 32]>(),
            message in proptest::collection::vec(any::<u8>(), 0..1_200),
        ) {
            agrees(&key, &message);
        }
    }
}
