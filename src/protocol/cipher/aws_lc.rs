//! The cipher of AWS-LC.

use super::aead::{Aead, AeadError, split};
use core::fmt;

/// ChaCha20-Poly1305 of AWS-LC.
///
/// The library keeps the key in a heap block of its own and wipes that block
/// when it is freed. What it leaves on the stack is wiped with the sealer or
/// opener; registers are beyond reach.
pub struct AwsLc(aws_lc_rs::aead::LessSafeKey);

impl Aead for AwsLc {
    fn name() -> &'static str {
        "aws-lc-rs"
    }

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

impl fmt::Debug for AwsLc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsLc").finish_non_exhaustive()
    }
}
