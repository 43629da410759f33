//! ChaCha20-Poly1305 (RFC 8439) without associated data, by one of two
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
//! `AwsLc` (feature `aws-lc-rs`, on by default) is the faster one;
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
    fn seal(&self, nonce: &[u8; 12], plaintext: &[u8], sealed: &mut [u8]) -> Result<(), AeadError>;

    /// Seals all of `sealed` but its last [`TAG_LEN`] bytes, which receive the
    /// tag.
    ///
    /// # Errors
    ///
    /// As [`seal`](Self::seal).
    fn seal_in_place(&self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError>;

    /// Opens `sealed`, whose last [`TAG_LEN`] bytes are the tag and stay as
    /// they are.
    ///
    /// # Errors
    ///
    /// [`AeadError`] if `sealed` is shorter than a tag or was not sealed with
    /// this key and nonce. Nothing in the buffer may then be used.
    fn open_in_place(&self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError>;
}

/// The implementation used where none is named.
#[cfg(feature = "aws-lc-rs")]
pub type DefaultAead = AwsLc;
/// The implementation used where none is named.
#[cfg(not(feature = "aws-lc-rs"))]
pub type DefaultAead = RustCrypto;

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
    fn seal(&self, nonce: &[u8; 12], plaintext: &[u8], sealed: &mut [u8]) -> Result<(), AeadError> {
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
    fn seal_in_place(&self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
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
    fn open_in_place(&self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
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
    fn seal(&self, nonce: &[u8; 12], plaintext: &[u8], sealed: &mut [u8]) -> Result<(), AeadError> {
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
    fn seal_in_place(&self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
        let (body, tag) = split(sealed)?;
        *tag = self
            .0
            .encrypt_inout_detached(nonce.into(), &[], body.into())
            .map_err(|_| AeadError)?
            .into();
        Ok(())
    }

    #[inline]
    fn open_in_place(&self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{array, bytes, hex, list, number, vectors};
    use alloc::vec;
    use alloc::vec::Vec;

    fn seal<A: Aead>(key: &A, nonce: &[u8; 12], plaintext: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0xee; plaintext.len() + TAG_LEN];
        key.seal(nonce, plaintext, &mut sealed).unwrap();
        let mut in_place = plaintext.to_vec();
        in_place.resize(plaintext.len() + TAG_LEN, 0xee);
        key.seal_in_place(nonce, &mut in_place).unwrap();
        assert_eq!(sealed, in_place);
        sealed
    }

    fn open<A: Aead>(key: &A, nonce: &[u8; 12], sealed: &[u8]) -> Result<Vec<u8>, AeadError> {
        let mut buffer = sealed.to_vec();
        key.open_in_place(nonce, &mut buffer)?;
        buffer.truncate(sealed.len() - TAG_LEN);
        Ok(buffer)
    }

    fn vectors_hold_for<A: Aead>() {
        let file = vectors!("cipher.json");
        let key = A::new(&array(&file["key"]));
        for case in list(&file["sealed"]) {
            let (nonce, plaintext) = (array(&case["nonce"]), bytes(&case["plaintext"]));
            assert_eq!(
                nonce[..],
                u128::from(number(&case["position"])).to_le_bytes()[..12]
            );
            let sealed = seal(&key, &nonce, &plaintext);
            assert_eq!(sealed, hex(&case["sealed"]));
            assert_eq!(open(&key, &nonce, &sealed), Ok(plaintext));
        }
    }

    #[test]
    fn vectors_hold() {
        vectors_hold_for::<RustCrypto>();
        vectors_hold_for::<DefaultAead>();
    }

    fn refuses_wrong_lengths<A: Aead>() {
        let key = A::new(&[1; 32]);
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

    #[cfg(feature = "aws-lc-rs")]
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
            let (left, right) = (AwsLc::new(key), RustCrypto::new(key));
            let sealed = seal(&left, nonce, plaintext);
            assert_eq!(sealed, seal(&right, nonce, plaintext));
            assert_eq!(open(&left, nonce, &sealed).unwrap(), plaintext);
            assert_eq!(open(&right, nonce, &sealed).unwrap(), plaintext);
            let mut forged = sealed;
            let bit = flip % (forged.len() * 8);
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&left, nonce, &forged), Err(AeadError));
            assert_eq!(open(&right, nonce, &forged), Err(AeadError));
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]
            #[test]
            fn both_libraries_give_the_same_bytes(
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
            for len in [0_usize, 1, 15, 16, 17, 63, 64, 65, 255, 256, 1024] {
                agree(&[7; 32], &[9; 12], &vec![len.to_le_bytes()[0]; len], len);
            }
        }
    }
}
