//! The instructions in plain Rust, each written from the "Operation" that Intel publishes for it
//! in the Intrinsics Guide. Where a processor has them, `instructions.rs` beside this file holds
//! the two against each other.

#![allow(
    clippy::cast_possible_truncation,
    reason = "a product's parts are cut out of it"
)]

/// 512 bits, the lowest first.
pub(super) type Register = [u64; 8];

/// Every processor can run a model.
pub(super) fn is_supported() -> bool {
    true
}

/// As lanes of 32 bits.
fn dwords(register: Register) -> [u32; 16] {
    bytemuck::must_cast(register)
}

/// Computes each lane of 64 bits from those at its place.
fn by_qword(a: Register, b: Register, operation: impl Fn(u64, u64) -> u64) -> Register {
    core::array::from_fn(|lane| operation(a[lane], b[lane]))
}

/// Takes each lane of 32 bits from a lane of `a` or of `b`, whichever of them `choose` names.
fn choose_dwords(choose: impl Fn(usize) -> (Register, usize)) -> Register {
    let lanes: [u32; 16] = core::array::from_fn(|lane| {
        let (register, from) = choose(lane);
        dwords(register)[from]
    });
    bytemuck::must_cast(lanes)
}

/// VPXORD
pub(super) fn _mm512_xor_si512(a: Register, b: Register) -> Register {
    by_qword(a, b, |a, b| a ^ b)
}

/// VPORD
pub(super) fn _mm512_or_si512(a: Register, b: Register) -> Register {
    by_qword(a, b, |a, b| a | b)
}

/// VPANDD
pub(super) fn _mm512_and_si512(a: Register, b: Register) -> Register {
    by_qword(a, b, |a, b| a & b)
}

/// VPXORD of a register with itself
pub(super) fn _mm512_setzero_si512() -> Register {
    [0; 8]
}

/// VPBROADCASTD
pub(super) fn _mm512_set1_epi32(a: i32) -> Register {
    bytemuck::must_cast([a; 16])
}

/// VPBROADCASTQ
pub(super) fn _mm512_set1_epi64(a: i64) -> Register {
    [a.cast_unsigned(); 8]
}

/// VPADDD: without carries between lanes
pub(super) fn _mm512_add_epi32(a: Register, b: Register) -> Register {
    let (a, b) = (dwords(a), dwords(b));
    let sums: [u32; 16] = core::array::from_fn(|lane| a[lane].wrapping_add(b[lane]));
    bytemuck::must_cast(sums)
}

/// VPADDQ: without carries between lanes
pub(super) fn _mm512_add_epi64(a: Register, b: Register) -> Register {
    by_qword(a, b, u64::wrapping_add)
}

/// Several instructions; the compiler chooses which
pub(super) fn _mm512_reduce_add_epi64(a: Register) -> i64 {
    a.into_iter().fold(0, u64::wrapping_add).cast_signed()
}

/// VPROLD: by IMM8 modulo 32
pub(super) fn _mm512_rol_epi32<const IMM8: i32>(a: Register) -> Register {
    let turned = dwords(a).map(|lane| lane.rotate_left(IMM8.cast_unsigned() % 32));
    bytemuck::must_cast(turned)
}

/// VPSLLQ: zero where IMM8 is above 63
pub(super) fn _mm512_slli_epi64<const IMM8: u32>(a: Register) -> Register {
    a.map(|lane| lane.checked_shl(IMM8).unwrap_or(0))
}

/// VPSRLQ: zero where IMM8 is above 63
pub(super) fn _mm512_srli_epi64<const IMM8: u32>(a: Register) -> Register {
    a.map(|lane| lane.checked_shr(IMM8).unwrap_or(0))
}

/// VPUNPCKLDQ: in each 128 bits, the two lower lanes of `a` and `b` in turns
pub(super) fn _mm512_unpacklo_epi32(a: Register, b: Register) -> Register {
    choose_dwords(|lane| ([a, b][lane % 2], lane / 4 * 4 + lane % 4 / 2))
}

/// VPUNPCKHDQ: in each 128 bits, the two upper lanes of `a` and `b` in turns
pub(super) fn _mm512_unpackhi_epi32(a: Register, b: Register) -> Register {
    choose_dwords(|lane| ([a, b][lane % 2], lane / 4 * 4 + 2 + lane % 4 / 2))
}

/// VPUNPCKLQDQ: in each 128 bits, the lower lane of `a`, then that of `b`
pub(super) fn _mm512_unpacklo_epi64(a: Register, b: Register) -> Register {
    core::array::from_fn(|lane| [a, b][lane % 2][lane / 2 * 2])
}

/// VPUNPCKHQDQ: in each 128 bits, the upper lane of `a`, then that of `b`
pub(super) fn _mm512_unpackhi_epi64(a: Register, b: Register) -> Register {
    core::array::from_fn(|lane| [a, b][lane % 2][lane / 2 * 2 + 1])
}

/// VSHUFI32X4: two quarters of `a`, then two of `b`, each by two bits of MASK
pub(super) fn _mm512_shuffle_i32x4<const MASK: i32>(a: Register, b: Register) -> Register {
    core::array::from_fn(|lane| {
        let quarter = lane / 2;
        let from = (MASK.cast_unsigned() >> (2 * quarter)) as usize % 4;
        [a, b][quarter / 2][2 * from + lane % 2]
    })
}

/// The product of the lower 52 bits of each.
fn product_52(a: u64, b: u64) -> u128 {
    const MASK_52: u64 = (1 << 52) - 1;
    u128::from(a & MASK_52) * u128::from(b & MASK_52)
}

/// VPMADD52LUQ: adds the lower 52 bits of the product of `b` and `c` to `a`
pub(super) fn _mm512_madd52lo_epu64(a: Register, b: Register, c: Register) -> Register {
    let products = by_qword(b, c, |b, c| (product_52(b, c) & ((1 << 52) - 1)) as u64);
    _mm512_add_epi64(a, products)
}

/// VPMADD52HUQ: adds the upper 52 bits of the product of `b` and `c` to `a`
pub(super) fn _mm512_madd52hi_epu64(a: Register, b: Register, c: Register) -> Register {
    let products = by_qword(b, c, |b, c| (product_52(b, c) >> 52) as u64);
    _mm512_add_epi64(a, products)
}
