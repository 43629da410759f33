//! ML-KEM-768 (FIPS 203), the half of the key exchange that a quantum computer does not break.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
mod encapsulation;
mod rust_crypto;

use super::error::Refusal;
use crate::protocol::native::KemLibrary;
use crate::protocol::native::derive::Secret;
use alloc::boxed::Box;
use encapsulation::{Ciphertext, EncapsulationKey};
use rand_core::CryptoRng;

pub(super) use encapsulation::{CIPHERTEXT_LEN, KEY_LEN};

/// What the dialer keeps to open the ciphertext with. Wiped on drop.
pub(in crate::protocol::native) enum DecapsulationKey {
    #[cfg(feature = "aws-lc-rs")]
    AwsLc(aws_lc_rs::kem::DecapsulationKey),
    RustCrypto(Box<ml_kem::DecapsulationKey768>),
}

impl DecapsulationKey {
    /// Makes a key and writes its public half to `public`. `rng` is drawn from once, for 64
    /// bytes, unless the library has a generator of its own.
    pub(super) fn generate(
        library: KemLibrary,
        rng: &mut impl CryptoRng,
        public: &mut EncapsulationKey,
    ) -> Self {
        match library {
            #[cfg(feature = "aws-lc-rs")]
            KemLibrary::AwsLc => Self::AwsLc(aws_lc::generate(public)),
            KemLibrary::RustCrypto => Self::RustCrypto(rust_crypto::generate(rng, public)),
        }
    }

    /// Returns what was encapsulated, or a secret that nobody else knows if `ciphertext` was not
    /// made for this key: that shows later, as an answer that does not open.
    pub(super) fn decapsulate(&self, ciphertext: &Ciphertext) -> Result<Secret, Refusal> {
        match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc(key) => aws_lc::decapsulate(key, ciphertext),
            Self::RustCrypto(key) => Ok(rust_crypto::decapsulate(key, ciphertext)),
        }
    }
}

/// Makes a secret for the owner of `key` and writes what carries it to `ciphertext`. `rng` is
/// drawn from once, for 32 bytes, unless the library has a generator of its own.
///
/// # Errors
///
/// [`Refusal::EncapsulationKey`] if `key` fails the input check of FIPS 203, section 7.2.
pub(super) fn encapsulate(
    library: KemLibrary,
    key: &EncapsulationKey,
    rng: &mut impl CryptoRng,
    ciphertext: &mut Ciphertext,
) -> Result<Secret, Refusal> {
    match library {
        #[cfg(feature = "aws-lc-rs")]
        KemLibrary::AwsLc => aws_lc::encapsulate(key, ciphertext),
        KemLibrary::RustCrypto => rust_crypto::encapsulate(key, rng, ciphertext),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::Script;

    // Every library opens what every library made.
    #[test]
    fn libraries_agree() {
        for makes in KemLibrary::BUILT {
            for fills in KemLibrary::BUILT {
                let mut rng = Script::new(&[7; 96]);
                let (mut public, mut ciphertext) = ([0; KEY_LEN], [0; CIPHERTEXT_LEN]);
                let key = DecapsulationKey::generate(*makes, &mut rng, &mut public);
                let sent = encapsulate(*fills, &public, &mut rng, &mut ciphertext).ok();
                let got = key.decapsulate(&ciphertext).ok();
                assert!(sent.is_some() && sent == got);
                ciphertext[0] ^= 1;
                assert!(key.decapsulate(&ciphertext).ok() != sent);
            }
        }
    }

    // FIPS 203, section 7.2: every coefficient is below q = 3329.
    #[test]
    fn coefficients_out_of_range_are_refused_at_every_place() {
        let mut public = [0; KEY_LEN];
        let mut rng = Script::new(&[9; 64]);
        DecapsulationKey::generate(KemLibrary::RustCrypto, &mut rng, &mut public);
        for library in KemLibrary::BUILT {
            for place in [0, 1, 2, 255, 256, 511, 766, 767] {
                for (value, good) in [(3_328_u16, true), (3_329, false), (4_095, false)] {
                    let mut changed = public;
                    // Two coefficients of 12 bits are in three bytes.
                    let at = place / 2 * 3;
                    let [low, high] = value.to_le_bytes();
                    if place % 2 == 0 {
                        changed[at] = low;
                        changed[at + 1] = changed[at + 1] & 0xf0 | high;
                    } else {
                        changed[at + 1] = changed[at + 1] & 0x0f | low << 4;
                        changed[at + 2] = high << 4 | low >> 4;
                    }
                    let mut rng = Script::new(&[1; 32]);
                    let result =
                        encapsulate(*library, &changed, &mut rng, &mut [0; CIPHERTEXT_LEN]);
                    assert_eq!(result.is_ok(), good, "{place} {value}");
                }
            }
        }
    }
}
