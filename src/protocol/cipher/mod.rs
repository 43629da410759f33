//! ChaCha20-Poly1305 (RFC 8439) without associated data.
//!
//! [`Aead`] is the little that the record layer needs: seal from a source to
//! a destination without a copy in between, seal in place, open in place.
//! Buffers hold the ciphertext and, at their end, the tag:
//!
//! ```text
//! | ciphertext (as long as the plaintext) | tag (16) |
//! ```
//!
//! The libraries: `AwsLc` (feature `aws-lc-rs`, on by default) is fast everywhere; `OpenSsl`
//! (feature `openssl`, the system's library) is faster for long messages; [`RustCrypto`] needs no
//! C compiler and is always there. `Avx512` (feature `avx512`) is our own, for processors that
//! have AVX-512 with its integer multiplication, and leaves it to a library elsewhere; it is not
//! on by default, because nobody outside this project has audited it. They agree byte for byte.
//! Nonces are the caller's duty: the same one must never seal twice under one key.

mod aead;
#[cfg(any(test, all(feature = "avx512", target_arch = "x86_64")))]
mod avx512;
#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
mod library;
#[cfg(feature = "openssl")]
mod open_ssl;
mod portable;
mod rust_crypto;
#[cfg(test)]
mod tests;

pub use aead::{Aead, AeadError, TAG_LEN};
#[cfg(any(test, all(feature = "avx512", target_arch = "x86_64")))]
pub use avx512::Avx512;
#[cfg(feature = "aws-lc-rs")]
pub use aws_lc::AwsLc;
#[cfg(feature = "openssl")]
pub use open_ssl::OpenSsl;
pub use rust_crypto::RustCrypto;

#[cfg(not(all(feature = "avx512", target_arch = "x86_64")))]
use portable::Portable;

/// The implementation used where none is named.
#[cfg(all(feature = "avx512", target_arch = "x86_64"))]
pub type DefaultAead = Avx512;
/// The implementation used where none is named.
#[cfg(not(all(feature = "avx512", target_arch = "x86_64")))]
pub type DefaultAead = Portable;
