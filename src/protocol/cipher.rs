//! ChaCha20-Poly1305 (RFC 8439) without associated data, by one of three
//! libraries.
//!
//! [`Aead`] is the little that the record layer needs: seal from a source to
//! a destination without a copy in between, seal in place, open in place.
//! Buffers hold the ciphertext and, at their end, the tag:
//!
//! ```text
//! | ciphertext (as long as the plaintext) | tag (16) |
//! ```
//!
//! `AwsLc` (feature `aws-lc-rs`, on by default) is fast everywhere; `OpenSsl` (feature `openssl`,
//! the system's library) is faster still for long messages on processors with AVX-512;
//! [`RustCrypto`] needs no C compiler and is always there. They agree byte for
//! byte. Nonces are the caller's duty: the same one must never seal twice
//! under one key.

use alloc::boxed::Box;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use core::fmt;

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
    const NAME: &'static str;

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

/// The implementation for messages of any length.
#[cfg(feature = "aws-lc-rs")]
type Portable = AwsLc;
#[cfg(not(feature = "aws-lc-rs"))]
type Portable = RustCrypto;

/// The implementation used where none is named.
#[cfg(not(feature = "openssl"))]
pub type DefaultAead = Portable;
/// The implementation used where none is named.
#[cfg(feature = "openssl")]
pub type DefaultAead = OpenSsl;

/// Ciphertext and tag of a buffer.
#[inline]
fn split(sealed: &mut [u8]) -> Result<(&mut [u8], &mut [u8; TAG_LEN]), AeadError> {
    sealed.split_last_chunk_mut().ok_or(AeadError)
}

/// ChaCha20-Poly1305 of AWS-LC.
///
/// The library keeps the key in a heap block of its own and wipes that block
/// when it is freed. Copies on its stack and in registers while it works are
/// beyond reach.
#[cfg(feature = "aws-lc-rs")]
pub struct AwsLc(aws_lc_rs::aead::LessSafeKey);

#[cfg(feature = "aws-lc-rs")]
impl Aead for AwsLc {
    const NAME: &'static str = "aws-lc-rs";

    fn new(key: &[u8; 32]) -> Self {
        use aws_lc_rs::aead::{CHACHA20_POLY1305, LessSafeKey, UnboundKey};
        let key = UnboundKey::new(&CHACHA20_POLY1305, key)
            .expect("the algorithm takes every key of 32 bytes");
        Self(LessSafeKey::new(key))
    }

    #[inline]
    fn seal(
        &mut self,
        nonce: &[u8; 12],
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        use aws_lc_rs::aead::{Aad, Nonce};
        let (body, tag) = split(sealed)?;
        // The library checks that the lengths are equal.
        self.0
            .seal_out_of_place_scatter(
                Nonce::assume_unique_for_key(*nonce),
                Aad::empty(),
                plaintext,
                body,
                &[],
                tag,
            )
            .map_err(|_| AeadError)
    }

    #[inline]
    fn seal_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
        use aws_lc_rs::aead::{Aad, Nonce};
        let (body, tag) = split(sealed)?;
        self.0
            .seal_in_place_scatter(
                Nonce::assume_unique_for_key(*nonce),
                Aad::empty(),
                body,
                &[],
                tag,
            )
            .map_err(|_| AeadError)
    }

    #[inline]
    fn open_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
        use aws_lc_rs::aead::{Aad, Nonce};
        let (body, tag) = split(sealed)?;
        self.0
            .open_in_place_separate_tag(
                Nonce::assume_unique_for_key(*nonce),
                Aad::empty(),
                tag,
                body,
            )
            .map(|_| ())
            .map_err(|_| AeadError)
    }
}

#[cfg(feature = "aws-lc-rs")]
impl fmt::Debug for AwsLc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsLc").finish_non_exhaustive()
    }
}

/// ChaCha20-Poly1305 of the `chacha20poly1305` crate, in Rust throughout.
///
/// The key lies behind a box, so that moving this value leaves no copies, and
/// is wiped when it is dropped. What making the box and working with the key
/// leave on the stack is beyond reach.
pub struct RustCrypto(Box<ChaCha20Poly1305>);

impl Aead for RustCrypto {
    const NAME: &'static str = "chacha20poly1305";

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

/// ChaCha20-Poly1305 of the system's OpenSSL for long messages, and of the library that is used
/// without it for short ones, where starting OpenSSL costs more than it saves.
///
/// It uses AVX-512 where the others stop at AVX2. The library keeps the key in heap blocks of its
/// own and wipes them when they are freed.
#[cfg(feature = "openssl")]
pub struct OpenSsl {
    short: Portable,
    sealing: openssl::cipher_ctx::CipherCtx,
    opening: openssl::cipher_ctx::CipherCtx,
}

#[cfg(feature = "openssl")]
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

#[cfg(feature = "openssl")]
impl Aead for OpenSsl {
    const NAME: &'static str = "openssl";

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
            short: Portable::new(key),
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

#[cfg(feature = "openssl")]
impl fmt::Debug for OpenSsl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSsl").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{array, bytes, hex, list, number, vectors};
    use alloc::vec;
    use alloc::vec::Vec;

    fn seal<A: Aead>(key: &mut A, nonce: &[u8; 12], plaintext: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0xee; plaintext.len() + TAG_LEN];
        key.seal(nonce, plaintext, &mut sealed).unwrap();
        let mut in_place = plaintext.to_vec();
        in_place.resize(plaintext.len() + TAG_LEN, 0xee);
        key.seal_in_place(nonce, &mut in_place).unwrap();
        assert_eq!(sealed, in_place);
        sealed
    }

    fn open<A: Aead>(key: &mut A, nonce: &[u8; 12], sealed: &[u8]) -> Result<Vec<u8>, AeadError> {
        let mut buffer = sealed.to_vec();
        key.open_in_place(nonce, &mut buffer)?;
        buffer.truncate(sealed.len() - TAG_LEN);
        Ok(buffer)
    }

    fn vectors_hold_for<A: Aead>() {
        let file = vectors!("cipher.json");
        let mut key = A::new(&array(&file["key"]));
        for case in list(&file["sealed"]) {
            let (nonce, plaintext) = (array(&case["nonce"]), bytes(&case["plaintext"]));
            assert_eq!(
                nonce[..],
                u128::from(number(&case["position"])).to_le_bytes()[..12]
            );
            let sealed = seal(&mut key, &nonce, &plaintext);
            assert_eq!(sealed, hex(&case["sealed"]));
            assert_eq!(open(&mut key, &nonce, &sealed), Ok(plaintext));
        }
    }

    #[test]
    fn vectors_hold() {
        vectors_hold_for::<RustCrypto>();
        vectors_hold_for::<DefaultAead>();
    }

    fn refuses_wrong_lengths<A: Aead>() {
        let mut key = A::new(&[1; 32]);
        let nonce = [0; 12];
        for len in 0..TAG_LEN {
            assert_eq!(key.open_in_place(&nonce, &mut vec![0; len]), Err(AeadError));
            assert_eq!(key.seal_in_place(&nonce, &mut vec![0; len]), Err(AeadError));
        }
        for len in [0, TAG_LEN + 2, TAG_LEN + 4] {
            assert_eq!(key.seal(&nonce, b"abc", &mut vec![0; len]), Err(AeadError));
        }
    }

    #[test]
    fn buffers_of_the_wrong_length_are_refused() {
        refuses_wrong_lengths::<RustCrypto>();
        refuses_wrong_lengths::<DefaultAead>();
    }

    // S11
    #[test]
    fn debug_shows_no_key() {
        let shown = alloc::format!("{:?}", RustCrypto::new(&[0xab; 32]));
        assert_eq!(shown, "RustCrypto { .. }");
        let shown = alloc::format!("{:?}", DefaultAead::new(&[0xab; 32]));
        assert!(shown.ends_with(" { .. }"));
    }

    mod agreement {
        use super::*;
        use proptest::prelude::*;

        fn length() -> impl Strategy<Value = usize> {
            prop_oneof![
                Just(0_usize),
                Just(1),
                15_usize..=17,
                63_usize..=65,
                255_usize..=256,
                Just(1024),
                0_usize..2_000,
                0_usize..70_000,
            ]
        }

        fn agree(key: &[u8; 32], nonce: &[u8; 12], plaintext: &[u8], flip: usize) {
            let sealed = seal(&mut RustCrypto::new(key), nonce, plaintext);
            let mut forged = sealed.clone();
            let bit = flip % (forged.len() * 8);
            forged[bit / 8] ^= 1 << (bit % 8);
            agrees_with::<RustCrypto>(key, nonce, plaintext, &sealed, &forged);
            #[cfg(feature = "aws-lc-rs")]
            agrees_with::<AwsLc>(key, nonce, plaintext, &sealed, &forged);
            #[cfg(feature = "openssl")]
            agrees_with::<OpenSsl>(key, nonce, plaintext, &sealed, &forged);
        }

        fn agrees_with<A: Aead>(
            key: &[u8; 32],
            nonce: &[u8; 12],
            plaintext: &[u8],
            sealed: &[u8],
            forged: &[u8],
        ) {
            let mut key = A::new(key);
            // A failure between two successes changes nothing for the second.
            for _ in 0..2 {
                assert_eq!(seal(&mut key, nonce, plaintext), sealed);
                assert_eq!(open(&mut key, nonce, sealed).unwrap(), plaintext);
                assert_eq!(open(&mut key, nonce, forged), Err(AeadError));
            }
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]
            #[test]
            fn all_libraries_give_the_same_bytes(
                key in any::<[u8; 32]>(),
                nonce in any::<[u8; 12]>(),
                len in length(),
                first in any::<u8>(),
                flip in any::<usize>(),
            ) {
                let plaintext: Vec<u8> = (0..len)
                    .map(|index| first ^ index.to_le_bytes()[0] ^ index.to_le_bytes()[1])
                    .collect();
                agree(&key, &nonce, &plaintext, flip);
            }
        }

        #[test]
        fn boundary_lengths_give_the_same_bytes() {
            for len in [
                0_usize, 1, 15, 16, 17, 63, 64, 65, 255, 256, 1024, 2047, 2048, 2049, 16_384,
            ] {
                agree(&[7; 32], &[9; 12], &vec![len.to_le_bytes()[0]; len], len);
            }
        }
    }
}
