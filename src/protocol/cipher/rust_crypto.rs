//! The cipher of the `chacha20poly1305` crate.

use super::aead::{Aead, AeadError, split};
use alloc::boxed::Box;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use core::fmt;

/// ChaCha20-Poly1305 of the `chacha20poly1305` crate, in Rust throughout.
///
/// The key lies behind a box, so that moving this value leaves no copies, and
/// is wiped when it is dropped. What making the box leaves on the stack is wiped
/// by the session that makes it, what working with the key leaves with the
/// sealer or opener; registers are beyond reach.
pub struct RustCrypto(Box<ChaCha20Poly1305>);

impl Aead for RustCrypto {
    fn name() -> &'static str {
        "chacha20poly1305"
    }

    fn new(key: &[u8; 32]) -> Self {
        Self(Box::new(ChaCha20Poly1305::new(key.into())))
    }

    #[inline]
    fn seal(
        &mut self,
        nonce: &[u8; 12],
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        let (body, tag) = split(sealed)?;
        let buffer = InOutBuf::new(plaintext, body).map_err(|_| AeadError)?;
        *tag = self
            .0
            .encrypt_inout_detached(nonce.into(), &[], buffer)
            .map_err(|_| AeadError)?
            .into();
        Ok(())
    }

    #[inline]
    fn seal_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
        let (body, tag) = split(sealed)?;
        *tag = self
            .0
            .encrypt_inout_detached(nonce.into(), &[], body.into())
            .map_err(|_| AeadError)?
            .into();
        Ok(())
    }

    #[inline]
    fn open_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
        let (body, tag) = split(sealed)?;
        self.0
            .decrypt_inout_detached(nonce.into(), &[], body.into(), (&*tag).into())
            .map_err(|_| AeadError)
    }
}

impl fmt::Debug for RustCrypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustCrypto").finish_non_exhaustive()
    }
}
