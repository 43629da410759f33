//! Hashes, finished values and keys (NATIVE 2 and 3): SHA-256, HMAC and HKDF of the RustCrypto
//! crates, in every build.

use hkdf::{Hkdf, HkdfExtract};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A secret of the key schedule. Wiped on drop.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// A value that stands for all bytes hashed so far.
pub(super) type Hash = [u8; 32];

/// Hashes the parts as one string.
pub(super) fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// A keyed hash that compares in constant time. Wiped on drop.
#[derive(Clone)]
pub(super) struct Authenticator(Hmac<Sha256>);

impl Authenticator {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("a key may have any length"))
    }

    /// Takes the parts as one string.
    pub(super) fn over(mut self, parts: &[&[u8]]) -> Self {
        parts.iter().for_each(|part| self.0.update(part));
        self
    }

    pub(super) fn tag(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }

    /// Whether `tag` is the start of the right one.
    pub(super) fn begins_with(self, tag: &[u8; 16]) -> bool {
        self.0.verify_truncated_left(tag).is_ok()
    }

    /// Whether `tag` is the right one.
    pub(super) fn is(self, tag: &[u8; 32]) -> bool {
        self.0.verify_slice(tag).is_ok()
    }
}

/// Computes Extract(salt, all parts) to `secret`.
pub(super) fn extract(salt: &[u8], parts: &[&[u8]], secret: &mut Secret) {
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    parts.iter().for_each(|part| extract.input_ikm(part));
    let (key, _) = extract.finalize();
    let key = Zeroizing::new(<[u8; 32]>::from(key));
    secret.copy_from_slice(&*key);
}

/// The output of a label has no such length, or the label itself has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadLabel;

/// Computes `key.label(name, data, output.len())` to `output`.
///
/// # Errors
///
/// [`BadLabel`] unless `name` has 1 to 255 bytes and `output` 1 to 8 160.
pub(super) fn try_label(
    key: &[u8; 32],
    name: &str,
    data: &[u8],
    output: &mut [u8],
) -> Result<(), BadLabel> {
    let length = u16::try_from(output.len()).map_err(|_| BadLabel)?;
    let name_length = u8::try_from(name.len()).map_err(|_| BadLabel)?;
    if length == 0 || name_length == 0 {
        return Err(BadLabel);
    }
    let info = [
        &length.to_be_bytes()[..],
        &[name_length],
        name.as_bytes(),
        data,
    ];
    let expand = Hkdf::<Sha256>::from_prk(key).map_err(|_| BadLabel)?;
    expand
        .expand_multi_info(&info, output)
        .map_err(|_| BadLabel)
}

/// As [`try_label`], for names and lengths that stand in the code.
pub(super) fn label(key: &[u8; 32], name: &str, data: &[u8], output: &mut [u8]) {
    try_label(key, name, data, output).expect("a name and a length that are in range");
}

/// Returns a secret below `key`.
pub(super) fn secret(key: &[u8; 32], name: &str, data: &[u8]) -> Secret {
    let mut secret = Secret::default();
    label(key, name, data, &mut *secret);
    secret
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn labels_out_of_range_are_refused() {
        let key = [1; 32];
        let long = "x".repeat(256);
        for (name, length, good) in [
            ("a", 1, true),
            (&long[..255], 8_160, true),
            ("", 1, false),
            (&long, 1, false),
            ("a", 0, false),
            ("a", 8_161, false),
            ("a", 65_536, false),
            ("a", 65_537, false),
        ] {
            let mut output = vec![0; length];
            let result = try_label(&key, name, &[], &mut output);
            assert_eq!(result.is_ok(), good, "{} {length}", name.len());
        }
    }

    #[test]
    fn tags_are_compared_whole() {
        let authenticator = Authenticator::new(&[1; 32]).over(&[b"a", b"b"]);
        let tag = authenticator.clone().tag();
        assert!(authenticator.clone().is(&tag));
        for bit in 0..256 {
            let mut forged = tag;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!authenticator.clone().is(&forged));
            let start = forged.first_chunk().unwrap();
            assert_eq!(authenticator.clone().begins_with(start), bit >= 128);
        }
    }
}
