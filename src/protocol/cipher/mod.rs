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
//! have AVX-512 with its integer multiplication, and hands over to a library elsewhere; it is not
//! on by default, because nobody outside this project has audited it. They agree byte for byte.
//! Nonces are the caller's duty: the same one must never seal twice under one key.

#[cfg(any(test, all(feature = "avx512", target_arch = "x86_64")))]
mod avx512;
#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(feature = "openssl")]
mod open_ssl;
mod rust_crypto;
#[cfg(test)]
mod tests;

#[cfg(any(test, all(feature = "avx512", target_arch = "x86_64")))]
pub use avx512::Avx512;
#[cfg(feature = "aws-lc-rs")]
pub use aws_lc::AwsLc;
#[cfg(feature = "openssl")]
pub use open_ssl::OpenSsl;
pub use rust_crypto::RustCrypto;

/// Length of the tag, in bytes.
pub const TAG_LEN: usize = 16;

/// The operation failed: on opening, the bytes are not what was sealed.
///
/// It says nothing more on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealing or opening failed")]
pub struct AeadError;

/// A ChaCha20-Poly1305 key that seals and opens.
pub trait Aead: Send + Sync + 'static {
    /// The implementation, for logs and benchmarks.
    fn name() -> &'static str;

    /// Takes a key.
    fn new(key: &[u8; 32]) -> Self;

    /// Seals `plaintext` into `sealed`, which must be [`TAG_LEN`] longer.
    ///
    /// # Errors
    ///
    /// [`AeadError`] if the lengths do not fit or the cipher cannot take that
    /// many bytes. What `sealed` then holds must not be sent.
    fn seal(
        &mut self,
        nonce: &[u8; 12],
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError>;

    /// Seals all of `sealed` but its last [`TAG_LEN`] bytes, which receive the
    /// tag.
    ///
    /// # Errors
    ///
    /// As [`seal`](Self::seal).
    fn seal_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError>;

    /// Opens `sealed`, whose last [`TAG_LEN`] bytes are the tag and stay as
    /// they are.
    ///
    /// # Errors
    ///
    /// [`AeadError`] if `sealed` is shorter than a tag or was not sealed with
    /// this key and nonce. Nothing in the buffer may then be used.
    fn open_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError>;
}

/// The library for messages of any length.
#[cfg(feature = "aws-lc-rs")]
type Library = AwsLc;
#[cfg(not(feature = "aws-lc-rs"))]
type Library = RustCrypto;

/// The implementation for any processor.
#[cfg(feature = "openssl")]
type Portable = OpenSsl;
#[cfg(not(feature = "openssl"))]
type Portable = Library;

/// The implementation used where none is named.
#[cfg(all(feature = "avx512", target_arch = "x86_64"))]
pub type DefaultAead = Avx512;
/// The implementation used where none is named.
#[cfg(not(all(feature = "avx512", target_arch = "x86_64")))]
pub type DefaultAead = Portable;

/// Ciphertext and tag of a buffer.
#[inline]
fn split(sealed: &mut [u8]) -> Result<(&mut [u8], &mut [u8; TAG_LEN]), AeadError> {
    sealed.split_last_chunk_mut().ok_or(AeadError)
}
