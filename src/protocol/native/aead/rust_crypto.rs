//! Both suites by the RustCrypto crates, which wipe their keys when they are dropped.

use super::sealed::{Nonce, Sealed, split};
use crate::protocol::cipher::AeadError;
use crate::protocol::native::Suite;
use aes_gcm::Aes256Gcm;
use alloc::boxed::Box;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};

/// Boxed, so that moving it leaves no copies of the key.
pub(super) enum Key {
    Aes256Gcm(Box<Aes256Gcm>),
    ChaCha20Poly1305(Box<ChaCha20Poly1305>),
}

impl Key {
    pub(super) fn new(suite: Suite, key: &[u8; 32]) -> Self {
        match suite {
            Suite::Aes256Gcm => Self::Aes256Gcm(Box::new(Aes256Gcm::new(key.into()))),
            Suite::ChaCha20Poly1305 => {
                Self::ChaCha20Poly1305(Box::new(ChaCha20Poly1305::new(key.into())))
            }
        }
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
        let buffer = InOutBuf::new(plaintext, body).map_err(|_| AeadError)?;
        *tag = self.encrypt(nonce, associated, buffer)?;
        Ok(())
    }

    #[inline]
    pub(super) fn seal_in_place(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        let (body, tag) = split(sealed)?;
        *tag = self.encrypt(nonce, associated, body.into())?;
        Ok(())
    }

    #[inline]
    fn encrypt(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        buffer: InOutBuf<'_, '_, u8>,
    ) -> Result<[u8; 16], AeadError> {
        let nonce = nonce.into();
        match self {
            Self::Aes256Gcm(key) => key.encrypt_inout_detached(nonce, associated, buffer),
            Self::ChaCha20Poly1305(key) => key.encrypt_inout_detached(nonce, associated, buffer),
        }
        .map(Into::into)
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
        self.decrypt(nonce, associated, tag, body.into())
    }

    #[inline]
    pub(super) fn open(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        (body, tag): Sealed<'_>,
        plaintext: &mut [u8],
    ) -> Result<(), AeadError> {
        let buffer = InOutBuf::new(body, plaintext).map_err(|_| AeadError)?;
        self.decrypt(nonce, associated, tag, buffer)
    }

    #[inline]
    fn decrypt(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        tag: &[u8; 16],
        buffer: InOutBuf<'_, '_, u8>,
    ) -> Result<(), AeadError> {
        let (nonce, tag) = (nonce.into(), tag.into());
        match self {
            Self::Aes256Gcm(key) => key.decrypt_inout_detached(nonce, associated, buffer, tag),
            Self::ChaCha20Poly1305(key) => {
                key.decrypt_inout_detached(nonce, associated, buffer, tag)
            }
        }
        .map_err(|_| AeadError)
    }
}
