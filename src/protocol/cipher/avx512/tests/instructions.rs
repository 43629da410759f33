//! Does the model do what the processor does?

use super::super::instructions as model;
use core::arch::x86_64 as real;
use model::Register;
use proptest::prelude::*;

/// Runs every instruction of the model, with the operands that the cipher has in its code, and the
/// processor's own.
#[target_feature(enable = "avx512f,avx512ifma")]
fn compare(a: Register, b: Register, c: Register) {
    macro_rules! same {
        ($($name:ident $(::<$immediate:literal>)? ($($operand:expr),*);)*) => {
            $(
                let expected = real::$name $(::<$immediate>)? ($(bytemuck::must_cast($operand)),*);
                let expected: Register = bytemuck::must_cast(expected);
                let modelled = model::$name $(::<$immediate>)? ($($operand),*);
                assert_eq!(modelled, expected, stringify!($name));
            )*
        };
    }
    same! {
        _mm512_add_epi32(a, b);
        _mm512_add_epi64(a, b);
        _mm512_and_si512(a, b);
        _mm512_madd52hi_epu64(a, b, c);
        _mm512_madd52lo_epu64(a, b, c);
        _mm512_or_si512(a, b);
        _mm512_rol_epi32::<7>(a);
        _mm512_rol_epi32::<8>(a);
        _mm512_rol_epi32::<12>(a);
        _mm512_rol_epi32::<16>(a);
        _mm512_setzero_si512();
        _mm512_shuffle_i32x4::<0x44>(a, b);
        _mm512_shuffle_i32x4::<0x88>(a, b);
        _mm512_shuffle_i32x4::<0xdd>(a, b);
        _mm512_shuffle_i32x4::<0xee>(a, b);
        _mm512_slli_epi64::<2>(a);
        _mm512_slli_epi64::<8>(a);
        _mm512_slli_epi64::<10>(a);
        _mm512_slli_epi64::<12>(a);
        _mm512_slli_epi64::<20>(a);
        _mm512_slli_epi64::<64>(a);
        _mm512_srli_epi64::<24>(a);
        _mm512_srli_epi64::<42>(a);
        _mm512_srli_epi64::<44>(a);
        _mm512_srli_epi64::<64>(a);
        _mm512_unpackhi_epi32(a, b);
        _mm512_unpackhi_epi64(a, b);
        _mm512_unpacklo_epi32(a, b);
        _mm512_unpacklo_epi64(a, b);
        _mm512_xor_si512(a, b);
    }
    let [word, ..]: [i32; 16] = bytemuck::must_cast(a);
    let number = a[0].cast_signed();
    let broadcast: Register = bytemuck::must_cast(real::_mm512_set1_epi32(word));
    assert_eq!(model::_mm512_set1_epi32(word), broadcast);
    let broadcast: Register = bytemuck::must_cast(real::_mm512_set1_epi64(number));
    assert_eq!(model::_mm512_set1_epi64(number), broadcast);
    let sum = real::_mm512_reduce_add_epi64(bytemuck::must_cast(a));
    assert_eq!(model::_mm512_reduce_add_epi64(a), sum);
}

/// Compares where there is something to compare with.
#[allow(
    unsafe_code,
    reason = "code for instructions that not every processor has"
)]
fn compare_if_possible(a: Register, b: Register, c: Register) {
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma") {
        // SAFETY: the processor has the instructions, as was just asked.
        unsafe { compare(a, b, c) };
    }
}

#[test]
fn extreme_operands_give_the_same() {
    let extremes = [0, 1, (1 << 52) - 1, 1 << 52, 1 << 63, u64::MAX, 0xffff_ffff];
    let register = |first: usize| core::array::from_fn(|lane| extremes[(first + lane) % 7]);
    for a in 0..7 {
        for b in 0..7 {
            for c in 0..7 {
                compare_if_possible(register(a), register(b), register(c));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn any_operands_give_the_same(
        a in any::<Register>(),
        b in any::<Register>(),
        c in any::<Register>(),
    ) {
        compare_if_possible(a, b, c);
    }
}

#[test]
fn every_instruction_is_compared() {
    let intrinsics = |text: &'static str| {
        let words = text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        words.filter(|word| word.starts_with("_mm512_"))
    };
    let here = include_str!("instructions.rs");
    for name in intrinsics(include_str!("../instructions.rs")) {
        assert!(intrinsics(here).any(|compared| compared == name), "{name}");
    }
}
