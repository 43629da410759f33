//! An AEAD key of a suite, computed by a library, both known at run time only.
//!
//! Buffers hold the ciphertext and, behind it, the tag. Nonces are the caller's duty: the same
//! one must never seal twice under one key. A key lies in heap memory that is wiped when it is
//! dropped; it is neither `Clone` nor shown.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(feature = "ring-crypto")]
mod ring;
mod rust_crypto;
mod sealed;
#[cfg(test)]
mod tests;

use super::{Library, Suite};
use crate::protocol::cipher::{AeadError, TAG_LEN};

pub(super) use sealed::Nonce;

/// A key that seals and opens.
pub(super) struct Key(Backend);

enum Backend {
    #[cfg(feature = "aws-lc-rs")]
    AwsLc(aws_lc::Key),
    #[cfg(feature = "ring-crypto")]
    Ring(ring::Key),
    RustCrypto(rust_crypto::Key),
}

impl Key {
    /// Takes a key. What this leaves on the stack is the caller's to wipe.
    pub(super) fn new(suite: Suite, library: Library, key: &[u8; 32]) -> Self {
        Self(match library {
            #[cfg(feature = "aws-lc-rs")]
            Library::AwsLc => Backend::AwsLc(aws_lc::Key::new(suite, key)),
            #[cfg(feature = "ring-crypto")]
            Library::Ring => Backend::Ring(ring::Key::new(suite, key)),
            Library::RustCrypto => Backend::RustCrypto(rust_crypto::Key::new(suite, key)),
        })
    }

    /// Seals `plaintext` into `sealed`, which must be [`TAG_LEN`] longer.
    ///
    /// # Errors
    ///
    /// [`AeadError`] if the lengths do not fit. What `sealed` then holds must not be sent.
    #[inline]
    pub(super) fn seal(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        if sealed.len().checked_sub(TAG_LEN) != Some(plaintext.len()) {
            return Err(AeadError);
        }
        match &self.0 {
            #[cfg(feature = "aws-lc-rs")]
            Backend::AwsLc(key) => key.seal(nonce, associated, plaintext, sealed),
            #[cfg(feature = "ring-crypto")]
            Backend::Ring(key) => key.seal(nonce, associated, plaintext, sealed),
            Backend::RustCrypto(key) => key.seal(nonce, associated, plaintext, sealed),
        }
    }

    /// Seals all of `sealed` but its last [`TAG_LEN`] bytes, which receive the tag.
    ///
    /// # Errors
    ///
    /// [`AeadError`] if `sealed` is shorter than a tag.
    #[inline]
    pub(super) fn seal_in_place(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        match &self.0 {
            #[cfg(feature = "aws-lc-rs")]
            Backend::AwsLc(key) => key.seal_in_place(nonce, associated, sealed),
            #[cfg(feature = "ring-crypto")]
            Backend::Ring(key) => key.seal_in_place(nonce, associated, sealed),
            Backend::RustCrypto(key) => key.seal_in_place(nonce, associated, sealed),
        }
    }

    /// Opens `sealed`, whose last [`TAG_LEN`] bytes are the tag and stay as they are.
    ///
    /// # Errors
    ///
    /// [`AeadError`] if it is not what was sealed with this key, nonce and associated data.
    /// Nothing in the buffer may then be used.
    #[inline]
    pub(super) fn open_in_place(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        match &self.0 {
            #[cfg(feature = "aws-lc-rs")]
            Backend::AwsLc(key) => key.open_in_place(nonce, associated, sealed),
            #[cfg(feature = "ring-crypto")]
            Backend::Ring(key) => key.open_in_place(nonce, associated, sealed),
            Backend::RustCrypto(key) => key.open_in_place(nonce, associated, sealed),
        }
    }

    /// Opens `sealed`, ciphertext and tag, into `plaintext`, which must be [`TAG_LEN`] shorter.
    ///
    /// # Errors
    ///
    /// As [`open_in_place`](Self::open_in_place), for `plaintext`.
    #[inline]
    pub(super) fn open(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        sealed: &[u8],
        plaintext: &mut [u8],
    ) -> Result<(), AeadError> {
        let (body, tag) = sealed.split_last_chunk().ok_or(AeadError)?;
        if body.len() != plaintext.len() {
            return Err(AeadError);
        }
        match &self.0 {
            #[cfg(feature = "aws-lc-rs")]
            Backend::AwsLc(key) => key.open(nonce, associated, (body, tag), plaintext),
            #[cfg(feature = "ring-crypto")]
            Backend::Ring(key) => key.open(nonce, associated, (body, tag), plaintext),
            Backend::RustCrypto(key) => key.open(nonce, associated, (body, tag), plaintext),
        }
    }
}
