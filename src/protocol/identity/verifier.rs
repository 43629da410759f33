//! A public key that has been checked, and what was computed from it for that.

use super::KeyError;
use super::public_key::{PublicKey, Verification};
use ed25519_dalek::{Signature, VerifyingKey};

/// Checks signatures of one key under the rule that the key was checked
/// under. Finding the point of a key takes a root in the field, so an end does
/// that once for a handshake.
#[derive(Clone, Debug)]
pub(crate) struct Verifier(Rule);

#[derive(Clone, Debug)]
enum Rule {
    Strict(VerifyingKey),
    Zip215(ed25519_zebra::VerificationKey),
}

impl Verifier {
    pub(super) fn new(key: &PublicKey, verification: Verification) -> Result<Self, KeyError> {
        let bytes = key.as_bytes();
        if verification == Verification::Zip215 {
            let key = ed25519_zebra::VerificationKey::try_from(*bytes);
            return key
                .map(|key| Self(Rule::Zip215(key)))
                .map_err(|_| KeyError::NotOnCurve);
        }
        let point = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotOnCurve)?;
        // The other kind of second encoding, a sign bit on x = 0, exists only
        // for points of order 1 and 2.
        if exceeds_field(bytes) {
            return Err(KeyError::NonCanonical);
        }
        if point.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self(Rule::Strict(point)))
    }

    /// Whether `signature` fits `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        match &self.0 {
            Rule::Strict(key) => key.verify_strict(message, &signature).is_ok(),
            Rule::Zip215(key) => key.verify(&signature, message).is_ok(),
        }
    }
}

/// Whether y, the low 255 bits, is at least p = 2^255 - 19.
fn exceeds_field(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    *low >= 0xed && *high & 0x7f == 0x7f && middle.iter().all(|byte| *byte == 0xff)
}
