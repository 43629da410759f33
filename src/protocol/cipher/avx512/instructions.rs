//! The vector instructions of the cipher, by the names of Intel's intrinsics.
//!
//! No other file here names `core::arch`. Builds for tests have `tests/model.rs` in the place of
//! this one: the same functions in plain Rust, so that the cipher's own source is tried on every
//! machine.

pub(super) use core::arch::x86_64::{
    __m512i as Register, _mm512_add_epi32, _mm512_add_epi64, _mm512_and_si512,
    _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_or_si512, _mm512_reduce_add_epi64,
    _mm512_rol_epi32, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_shuffle_i32x4, _mm512_slli_epi64, _mm512_srli_epi64, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

/// Whether this processor and kernel have what the code here is compiled for.
pub(super) fn is_supported() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("bmi2")
}
