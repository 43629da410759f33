//! The public half of an identity and the rule by which signatures are
//! checked.
//!
//! A key is its 32 bytes: two encodings of one point would be two identities
//! (SPEC section 1). [`Verification::Strict`] shuts that door and the one of
//! small-order keys, for which anybody can sign, when a key is read as well as
//! when a signature is checked. It costs no honest peer anything (SPEC section
//! 4.4). [`Verification::Zip215`] is what the reference implementation does.

use super::KeyError;
use super::verifier::Verifier;
use alloc::string::String;
use base64ct::{Base64, Encoding};
use core::fmt;
use core::str::FromStr;
use ed25519_dalek::VerifyingKey;

/// Which keys and signatures are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verification {
    /// Canonical keys not of small order; signatures by the equation without
    /// cofactor, with canonical parts, none of small order.
    #[default]
    Strict,
    /// ZIP-215: every encoding of every point, and the equation with cofactor.
    /// A peer may then claim a key for which one signature fits every message.
    Zip215,
}

/// What OpenSSH writes in front of a public key.
const OPENSSH_ALGORITHM: &str = "ssh-ed25519";
/// What a public key of OpenSSH begins with behind its base64 (RFC 8709, section 4): the length of
/// the algorithm's name, the name, and the length of the key.
const OPENSSH_HEADER: &[u8; 19] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";
/// Longer names of algorithms are cut off in the error.
const MAX_ALGORITHM_CHARS: usize = 40;

/// The public half of an identity: 32 bytes as in RFC 8032.
///
/// Shown and parsed as 64 hexadecimal digits. Ordering is that of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes a key under [`Verification::Strict`].
    ///
    /// # Errors
    ///
    /// [`KeyError::NotOnCurve`], [`KeyError::NonCanonical`] or
    /// [`KeyError::SmallOrder`].
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        Self::from_bytes_with(bytes, Verification::Strict)
    }

    /// Takes a key under the given rule.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes); under [`Verification::Zip215`]
    /// only [`KeyError::NotOnCurve`].
    pub fn from_bytes_with(bytes: [u8; 32], verification: Verification) -> Result<Self, KeyError> {
        let key = Self(bytes);
        key.verifier(verification).map(|_| key)
    }

    /// Reads a line of an OpenSSH `.pub` file, `ssh-ed25519 AAAA... comment`, under
    /// [`Verification::Strict`]. The comment may be missing, and is not looked at.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotEd25519`], [`KeyError::DamagedOpenSsh`], or as
    /// [`from_bytes`](Self::from_bytes).
    pub fn from_openssh(line: &str) -> Result<Self, KeyError> {
        let mut words = line.split_ascii_whitespace();
        let algorithm = words.next().unwrap_or_default();
        if algorithm != OPENSSH_ALGORITHM {
            return Err(KeyError::NotEd25519 {
                algorithm: algorithm_shown(algorithm),
            });
        }
        let mut blob = [0; OPENSSH_HEADER.len() + 32];
        let encoded = words.next().unwrap_or_default();
        let decoded = Base64::decode(encoded, &mut blob).unwrap_or_default();
        let key = decoded.strip_prefix(OPENSSH_HEADER);
        let key = key.and_then(|key| key.try_into().ok());
        Self::from_bytes(key.ok_or(KeyError::DamagedOpenSsh)?)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Shows the first 16 of the 64 digits: enough to tell peers apart in a log, and not to let
    /// anybody in by.
    pub fn short(&self) -> impl fmt::Display + use<> {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        ShortKey([a, b, c, d, e, f, g, h])
    }

    /// A key as it arrived, to be given to [`verifier`](Self::verifier).
    pub(crate) const fn from_unchecked(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) fn of(key: VerifyingKey) -> Self {
        Self(key.to_bytes())
    }

    /// Checks whether the key may be used under `verification`, whichever rule
    /// it was read with.
    pub(crate) fn verifier(&self, verification: Verification) -> Result<Verifier, KeyError> {
        Verifier::new(self, verification)
    }
}

/// Returns as much of what stands for an algorithm as an error shows.
fn algorithm_shown(text: &str) -> String {
    let shown = text.chars().take(MAX_ALGORITHM_CHARS);
    shown.flat_map(char::escape_default).collect()
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Reads 64 hexadecimal digits, of either case, under
    /// [`Verification::Strict`].
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let digits: &[u8; 64] = text
            .as_bytes()
            .try_into()
            .map_err(|_| KeyError::BadLength { length: text.len() })?;
        let mut bytes = [0; 32];
        for (index, &digit) in digits.iter().enumerate() {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                b'A'..=b'F' => digit - b'A' + 10,
                _ => return Err(KeyError::BadDigit { index }),
            };
            bytes[index / 2] = bytes[index / 2] << 4 | value;
        }
        Self::from_bytes(bytes)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The start of a key.
struct ShortKey([u8; 8]);

impl fmt::Display for ShortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Identity;
    use super::*;
    use crate::protocol::testing::{array, list, text, unhex, vectors};
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    /// y of the eight torsion points, little-endian: 1, -1, 0 and the two of
    /// order 8; each y but the first two belongs to two points.
    const TORSION_Y: [&str; 5] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];
    /// The second encodings of y = 0 and y = 1: p and p + 1.
    const NON_CANONICAL_Y: [&str; 2] = [
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];

    fn both_signs(text: &str) -> [[u8; 32]; 2] {
        let bytes: [u8; 32] = unhex(text).try_into().unwrap();
        let mut negative = bytes;
        negative[31] |= 0x80;
        [bytes, negative]
    }

    // HAZARDS H8: both columns of the table.
    #[test]
    fn verification_vectors_hold_for_both_rules() {
        for case in list(&vectors!("ed25519.json")["verify"]) {
            let name = text(&case["name"]);
            let (public, signature) = (array(&case["public"]), array(&case["signature"]));
            let mut message = Vec::from([0]);
            message.extend(array::<32>(&case["message"]));
            let verdict = |rule| {
                PublicKey(public)
                    .verifier(rule)
                    .is_ok_and(|key| key.verifies(&message, &signature))
            };
            let decodes = PublicKey::from_bytes_with(public, Verification::Zip215).is_ok();
            assert_eq!(decodes, case["key_decodes"], "{name}");
            assert_eq!(verdict(Verification::Zip215), case["accepted"], "{name}");
            assert_eq!(
                verdict(Verification::Strict),
                case["dalek_verify_strict"],
                "{name}"
            );
        }
    }

    // HAZARDS H8: all torsion points and their other encodings.
    #[test]
    fn small_order_and_second_encodings_are_refused_by_the_strict_rule() {
        for bytes in TORSION_Y.iter().flat_map(|y| both_signs(y)) {
            assert_eq!(PublicKey::from_bytes(bytes), Err(KeyError::SmallOrder));
            assert!(PublicKey::from_bytes_with(bytes, Verification::Zip215).is_ok());
        }
        for bytes in NON_CANONICAL_Y.iter().flat_map(|y| both_signs(y)) {
            assert_eq!(PublicKey::from_bytes(bytes), Err(KeyError::NonCanonical));
            let key = PublicKey::from_bytes_with(bytes, Verification::Zip215).unwrap();
            // A handshake asks by its own rule.
            assert_eq!(
                key.verifier(Verification::Strict).err(),
                Some(KeyError::NonCanonical)
            );
        }
    }

    // HAZARDS H8: y from p to 2^255 - 1, either sign.
    #[test]
    fn no_encoding_above_the_field_is_taken() {
        let mut on_curve = 0;
        for low in 0xed..=0xff {
            for high in [0x7f, 0xff] {
                let mut bytes = [0xff; 32];
                (bytes[0], bytes[31]) = (low, high);
                match PublicKey::from_bytes(bytes) {
                    Err(KeyError::NonCanonical) => on_curve += 1,
                    Err(KeyError::NotOnCurve) => {}
                    other => panic!("{low:x} {high:x}: {other:?}"),
                }
            }
        }
        assert!(on_curve >= 4);
        let mut below = [0xff; 32];
        (below[0], below[31]) = (0xec, 0x7f);
        assert_eq!(PublicKey::from_bytes(below), Err(KeyError::SmallOrder));
    }

    // HAZARDS H8: for a small-order key one signature fits any message, unless strict.
    #[test]
    fn constant_signature_for_the_identity_point_fails_the_strict_rule() {
        let bytes = both_signs(TORSION_Y[0])[0];
        let key = PublicKey::from_bytes_with(bytes, Verification::Zip215).unwrap();
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&bytes);
        let lax = key.verifier(Verification::Zip215).unwrap();
        for message in [b"one".as_slice(), b"two"] {
            assert!(lax.verifies(message, &signature));
        }
        assert_eq!(
            key.verifier(Verification::Strict).err(),
            Some(KeyError::SmallOrder)
        );
    }

    /// `ssh-keygen -t ed25519`, OpenSSH 9.2p1, and its last 32 bytes.
    const OPENSSH: &str = "ssh-ed25519 \
        AAAAC3NzaC1lZDI1NTE5AAAAIGCkx7RQbNAUmOM8245kWlGw8ywwp0gptS45ONGJUdCp alice@example";
    const OPENSSH_DIGITS: &str = "60a4c7b4506cd01498e33cdb8e645a51b0f32c30a74829b52e3938d18951d0a9";

    #[test]
    fn a_line_of_openssh_is_read_and_whatever_else_stands_there_is_refused_by_name() {
        let key: PublicKey = OPENSSH_DIGITS.parse().unwrap();
        let without_comment = OPENSSH.rsplit_once(' ').unwrap().0;
        for text in [OPENSSH, without_comment, &format!("\t{OPENSSH} x\r\n")] {
            assert_eq!(PublicKey::from_openssh(text), Ok(key), "{text}");
        }
        let damaged = [
            "ssh-ed25519".to_string(),
            "ssh-ed25519 AAAA/ comment".to_string(),
            without_comment[..without_comment.len() - 1].to_string(),
            format!("{without_comment}AAAA"),
            format!("{without_comment}="),
            OPENSSH.replace("NTE5AAAAI", "NTE5AAAAJ"),
        ];
        for text in damaged {
            let error = PublicKey::from_openssh(&text);
            assert_eq!(error, Err(KeyError::DamagedOpenSsh), "{text}");
        }
        let other = |algorithm: &str| KeyError::NotEd25519 {
            algorithm: algorithm.to_string(),
        };
        for (text, expected) in [
            (String::new(), other("")),
            ("ssh-rsa AAAAB3NzaC1yc2E".to_string(), other("ssh-rsa")),
            ("\u{1b}[2J x".to_string(), other("\\u{1b}[2J")),
            ("a".repeat(100_000), other(&"a".repeat(40))),
        ] {
            assert_eq!(PublicKey::from_openssh(&text), Err(expected));
        }
        let zeros = OPENSSH.replace(
            "GCkx7RQbNAUmOM8245kWlGw8ywwp0gptS45ONGJUdCp",
            &"A".repeat(43),
        );
        assert_eq!(PublicKey::from_openssh(&zeros), Err(KeyError::SmallOrder));
    }

    #[test]
    fn text_form_comes_back_and_mistakes_are_named() {
        let key = Identity::from_seed(&[1; 32]).public_key();
        let text = key.to_string();
        assert_eq!(text.len(), 64);
        assert_eq!(format!("{key:?}"), text);
        assert_eq!(key.short().to_string(), text[..16]);
        assert_eq!(text.parse(), Ok(key));
        assert_eq!(text.to_uppercase().parse(), Ok(key));
        for (wrong, expected) in [
            ("".to_string(), KeyError::BadLength { length: 0 }),
            (text[1..].to_string(), KeyError::BadLength { length: 63 }),
            (format!("{text}0"), KeyError::BadLength { length: 65 }),
            (
                format!("{}g", &text[..63]),
                KeyError::BadDigit { index: 63 },
            ),
            (format!("+{}", &text[1..]), KeyError::BadDigit { index: 0 }),
            (format!("é{}", &text[2..]), KeyError::BadDigit { index: 0 }),
            (TORSION_Y[0].to_string(), KeyError::SmallOrder),
            (format!("02{}", "0".repeat(62)), KeyError::NotOnCurve),
        ] {
            assert_eq!(wrong.parse::<PublicKey>(), Err(expected), "{wrong}");
        }
    }
}
