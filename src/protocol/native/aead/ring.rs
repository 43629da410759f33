//! Both suites by ring, which seals in place only and wipes nothing by itself.

use super::sealed::{Nonce, Sealed, split};
use crate::protocol::cipher::AeadError;
use crate::protocol::native::Suite;
use alloc::boxed::Box;
use core::hint::black_box;
use ring_crypto::aead::{self, Aad, Algorithm, LessSafeKey, UnboundKey};

/// Boxed, so that moving it leaves no copies of the key.
pub(super) struct Key(Box<LessSafeKey>);

impl Key {
    pub(super) fn new(suite: Suite, key: &[u8; 32]) -> Self {
        let algorithm = match suite {
            Suite::Aes256Gcm => &aead::AES_256_GCM,
            Suite::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        };
        Self(Box::new(expand(algorithm, key)))
    }

    #[inline]
    pub(super) fn seal(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        let (body, _) = split(sealed)?;
        body.copy_from_slice(plaintext);
        self.seal_in_place(nonce, associated, sealed)
    }

    #[inline]
    pub(super) fn seal_in_place(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        let (body, tag) = split(sealed)?;
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        let made = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(associated), body)
            .map_err(|_| AeadError)?;
        tag.copy_from_slice(made.as_ref());
        Ok(())
    }

    #[inline]
    pub(super) fn open_in_place(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        let (body, tag) = split(sealed)?;
        self.decrypt(nonce, associated, tag, body)
    }

    #[inline]
    pub(super) fn open(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        (body, tag): Sealed<'_>,
        plaintext: &mut [u8],
    ) -> Result<(), AeadError> {
        plaintext.copy_from_slice(body);
        self.decrypt(nonce, associated, tag, plaintext)
    }

    #[inline]
    fn decrypt(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        tag: &[u8; 16],
        body: &mut [u8],
    ) -> Result<(), AeadError> {
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        let (associated, tag) = (Aad::from(associated), aead::Tag::from(*tag));
        self.0
            .open_in_place_separate_tag(nonce, associated, tag, body, 0..)
            .map(|_| ())
            .map_err(|_| AeadError)
    }
}

fn expand(algorithm: &'static Algorithm, key: &[u8; 32]) -> LessSafeKey {
    let key = UnboundKey::new(algorithm, key).expect("either takes every key of 32 bytes");
    LessSafeKey::new(key)
}

impl Drop for Key {
    /// Overwrites the key and what was expanded from it with those of another, which is no
    /// secret. There is no way to its bytes without `unsafe`.
    fn drop(&mut self) {
        *self.0 = expand(self.0.algorithm(), &[0; 32]);
        black_box(&*self.0);
    }
}
