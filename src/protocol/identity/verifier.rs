//! A public key that has been checked, and what was computed from it for that.

use super::KeyError;
use super::public_key::{PublicKey, Verification};
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};

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
        let parts = Signature::from_bytes(signature);
        match &self.0 {
            Rule::Strict(key) => {
                !has_small_order(parts.r_bytes()) && key.verify(message, &parts).is_ok()
            }
            Rule::Zip215(key) => key.verify(&parts, message).is_ok(),
        }
    }
}

/// y of the eight points of small order, the sign bit cleared.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00,
    ],
    [
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// Whether an encoding that `verify` can accept is of a point of small order.
///
/// `verify_strict` of ed25519-dalek asks the point, for which it takes another root. That is not
/// needed: `verify` compares the nonce point's bytes with an encoding that it has computed, so that
/// those with a second encoding are refused there, and one of small order has one of these.
fn has_small_order(encoded: &[u8; 32]) -> bool {
    let mut y = *encoded;
    y[31] &= 0x7f;
    SMALL_ORDER_Y.contains(&y)
}

/// Whether y, the low 255 bits, is at least p = 2^255 - 19.
fn exceeds_field(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    *low >= 0xed && *high & 0x7f == 0x7f && middle.iter().all(|byte| *byte == 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
    use curve25519_dalek::{EdwardsPoint, Scalar};
    use sha2::{Digest, Sha512};
    use std::collections::HashSet;

    fn challenge(nonce: &[u8; 32], public: &[u8; 32], message: &[u8]) -> Scalar {
        let hashed = Sha512::new().chain_update(nonce).chain_update(public);
        Scalar::from_bytes_mod_order_wide(&hashed.chain_update(message).finalize().into())
    }

    /// Makes signatures by a key with a part of small order for messages one after the other, until
    /// the nonce point of one has the part that the equation leaves: -k times the key's.
    fn fitting(part: EdwardsPoint, nonce: Scalar) -> [([u8; 32], [u8; 8], [u8; 64]); 8] {
        let secret = Scalar::from(7_u8);
        let public = (secret * ED25519_BASEPOINT_POINT + part).compress();
        EIGHT_TORSION.map(|torsion| {
            let point = (nonce * ED25519_BASEPOINT_POINT + torsion).compress();
            (0_u64..4_096)
                .find_map(|number| {
                    let message = number.to_le_bytes();
                    let k = challenge(point.as_bytes(), public.as_bytes(), &message);
                    let s = nonce + k * secret;
                    let left = s * ED25519_BASEPOINT_POINT - k * public.decompress()?;
                    let mut signature = [0; 64];
                    signature[..32].copy_from_slice(point.as_bytes());
                    signature[32..].copy_from_slice(s.as_bytes());
                    (left.compress() == point).then_some((public.to_bytes(), message, signature))
                })
                .expect("one in eight fits")
        })
    }

    // HAZARDS H8: each nonce point of small order, in signatures that fit the equation, and others
    // that have a part of small order in them, which are no reason to refuse.
    #[test]
    fn nonce_points_of_small_order_are_refused_by_the_strict_rule_and_no_others() {
        let mut refused = HashSet::new();
        for (nonce, is_small) in [(Scalar::ZERO, true), (Scalar::from(5_u8), false)] {
            // The generator of all eight.
            for (public, message, signature) in fitting(EIGHT_TORSION[1], nonce) {
                let key = VerifyingKey::from_bytes(&public).unwrap();
                let parts = Signature::from_bytes(&signature);
                assert!(key.verify(&message, &parts).is_ok(), "it fits");
                assert_eq!(key.verify_strict(&message, &parts).is_err(), is_small);
                let verifier = Verifier::new(&PublicKey::of(key), Verification::Strict).unwrap();
                assert_eq!(!verifier.verifies(&message, &signature), is_small);
                if is_small {
                    refused.insert(*parts.r_bytes());
                }
            }
        }
        assert_eq!(refused.len(), 8);
    }
}
