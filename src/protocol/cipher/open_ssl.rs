//! The cipher of the system's OpenSSL.

use super::aead::{Aead, AeadError, TAG_LEN, split};
use super::library::Library;
use core::fmt;

/// ChaCha20-Poly1305 of the system's OpenSSL for long messages, and of the library that is used
/// without it for short ones, where starting OpenSSL costs more than it saves.
///
/// It uses AVX-512 where the others stop at AVX2. The library keeps the key in heap blocks of its
/// own and wipes them when they are freed; what it leaves on the stack is wiped with the sealer or
/// opener.
pub struct OpenSsl {
    short: Library,
    sealing: openssl::cipher_ctx::CipherCtx,
    opening: openssl::cipher_ctx::CipherCtx,
}

impl OpenSsl {
    /// The lengths in bytes that OpenSSL does: from where it is faster, by measurement, to what
    /// its interface can count.
    const LENGTHS: core::ops::RangeInclusive<usize> = 4096..=i32::MAX as usize;

    /// Seals what `encrypt` passes through the cipher.
    fn seal_with(
        &mut self,
        nonce: &[u8; 12],
        tag: &mut [u8; TAG_LEN],
        encrypt: impl FnOnce(
            &mut openssl::cipher_ctx::CipherCtx,
        ) -> Result<usize, openssl::error::ErrorStack>,
    ) -> Result<(), AeadError> {
        let context = &mut self.sealing;
        context
            .encrypt_init(None, None, Some(nonce))
            .and_then(|()| encrypt(context))
            .and_then(|_| context.cipher_final(&mut []))
            .and_then(|_| context.tag(tag))
            .map_err(|_| AeadError)
    }
}

impl Aead for OpenSsl {
    fn name() -> &'static str {
        "openssl"
    }

    fn new(key: &[u8; 32]) -> Self {
        use openssl::cipher::Cipher;
        use openssl::cipher_ctx::CipherCtx;
        let context = || CipherCtx::new().expect("memory for a cipher");
        let (mut sealing, mut opening) = (context(), context());
        let cipher = Some(Cipher::chacha20_poly1305());
        sealing
            .encrypt_init(cipher, Some(key), None)
            .and_then(|()| opening.decrypt_init(cipher, Some(key), None))
            .expect("the algorithm takes every key of 32 bytes");
        Self {
            short: Library::new(key),
            sealing,
            opening,
        }
    }

    #[inline]
    fn seal(
        &mut self,
        nonce: &[u8; 12],
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        if !Self::LENGTHS.contains(&plaintext.len()) {
            return self.short.seal(nonce, plaintext, sealed);
        }
        let (body, tag) = split(sealed)?;
        if body.len() != plaintext.len() {
            return Err(AeadError);
        }
        self.seal_with(nonce, tag, |context| {
            context.cipher_update(plaintext, Some(body))
        })
    }

    #[inline]
    fn seal_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
        if !Self::LENGTHS.contains(&sealed.len().saturating_sub(TAG_LEN)) {
            return self.short.seal_in_place(nonce, sealed);
        }
        let (body, tag) = split(sealed)?;
        let length = body.len();
        self.seal_with(nonce, tag, |context| {
            context.cipher_update_inplace(body, length)
        })
    }

    #[inline]
    fn open_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
        if !Self::LENGTHS.contains(&sealed.len().saturating_sub(TAG_LEN)) {
            return self.short.open_in_place(nonce, sealed);
        }
        let (body, tag) = split(sealed)?;
        let (context, length) = (&mut self.opening, body.len());
        let opened = context
            .decrypt_init(None, None, Some(nonce))
            .and_then(|()| context.set_tag(tag))
            .and_then(|()| context.cipher_update_inplace(body, length))
            .and_then(|_| context.cipher_final(&mut []));
        if opened.is_err() {
            // It decrypts before it knows; what is not authentic stays with nobody.
            body.fill(0);
        }
        opened.map(|_| ()).map_err(|_| AeadError)
    }
}

impl fmt::Debug for OpenSsl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSsl").finish_non_exhaustive()
    }
}
