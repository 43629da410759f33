//! Both suites by AWS-LC, which keeps keys in heap blocks of its own and wipes them when they
//! are freed.

use super::sealed::{Nonce, Sealed, split};
use crate::protocol::cipher::AeadError;
use crate::protocol::native::Suite;
use aws_lc_rs::aead::{self, Aad, LessSafeKey, UnboundKey};

pub(super) struct Key(LessSafeKey);

impl Key {
    pub(super) fn new(suite: Suite, key: &[u8; 32]) -> Self {
        let algorithm = match suite {
            Suite::Aes256Gcm => &aead::AES_256_GCM,
            Suite::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, key).expect("either takes every key of 32 bytes");
        Self(LessSafeKey::new(key))
    }

    #[inline]
    pub(super) fn seal(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        let (body, tag) = split(sealed)?;
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        self.0
            .seal_out_of_place_scatter(nonce, Aad::from(associated), plaintext, body, &[], tag)
            .map_err(|_| AeadError)
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
        self.0
            .seal_in_place_scatter(nonce, Aad::from(associated), body, &[], tag)
            .map_err(|_| AeadError)
    }

    #[inline]
    pub(super) fn open_in_place(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        let (body, tag) = split(sealed)?;
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        self.0
            .open_in_place_separate_tag(nonce, Aad::from(associated), tag, body)
            .map(|_| ())
            .map_err(|_| AeadError)
    }

    #[inline]
    pub(super) fn open(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        (body, tag): Sealed<'_>,
        plaintext: &mut [u8],
    ) -> Result<(), AeadError> {
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        self.0
            .open_separate_gather(nonce, Aad::from(associated), body, tag, plaintext)
            .map_err(|_| AeadError)
    }
}
