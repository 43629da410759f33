//! Who an end is: a long-term Ed25519 key (RFC 8032).
//!
//! [`Identity`] is the secret half. It can be made, read from and written to
//! PKCS#8 PEM as `openssl genpkey -algorithm ed25519` makes it (RFC 8410), and
//! asked for its [`PublicKey`]; only the handshake signs with it. It is not
//! `Clone`, wiped on drop and never shown. A public key is its 32 bytes. A
//! [`KeyList`] is a text that lists public keys.

mod key_error;
mod key_list;
mod public_key;
mod signer;
mod verifier;

pub use key_error::KeyError;
pub use key_list::{KeyLineFault, KeyList, KeyListError};
pub use public_key::{PublicKey, Verification};
pub(crate) use verifier::Verifier;

use super::secret::{Secret, on_wiped_stack};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{EncodePrivateKey, KeypairBytes, PrivateKeyInfoRef, SecretDocument};
use rand_core::CryptoRng;
use signer::Signer;
use zeroize::Zeroizing;

/// The secret half of a long-term key.
pub struct Identity {
    /// Boxed so that moving an identity leaves no copy of the secret behind.
    key: Box<SigningKey>,
    signer: Signer,
}

impl Identity {
    /// Makes a new identity from 32 bytes of `rng`.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::from_seed(&Secret::filled_by(|seed| rng.fill_bytes(seed)))
    }

    /// Takes the 32 secret bytes of RFC 8032, section 5.1.5.
    ///
    /// The caller wipes its own copy.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        on_wiped_stack(|| {
            let key = Box::new(SigningKey::from_bytes(seed));
            let signer = Signer::new(&key);
            Self { key, signer }
        })
    }

    /// Reads a private key in PKCS#8 PEM, with or without the public key
    /// inside (RFC 5958), with any line ending.
    ///
    /// # Errors
    ///
    /// Any [`KeyError`] about text; it says what is wrong with the file and
    /// what to do.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, KeyError> {
        check_label(pem)?;
        on_wiped_stack(|| Self::from_private_key_pem(pem))
    }

    fn from_private_key_pem(pem: &str) -> Result<Self, KeyError> {
        let (_, document) = SecretDocument::from_pem(pem).map_err(|_| KeyError::Malformed)?;
        let info =
            PrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| KeyError::Malformed)?;
        if info.algorithm.oid != ed25519_dalek::pkcs8::ALGORITHM_OID {
            return Err(KeyError::WrongAlgorithm {
                oid: info.algorithm.oid.to_string(),
            });
        }
        let pair = KeypairBytes::try_from(info).map_err(|_| KeyError::Malformed)?;
        let identity = Self::from_seed(&pair.secret_key);
        match &pair.public_key {
            Some(public) if public.as_ref() != identity.public_key().as_bytes() => {
                Err(KeyError::Mismatch)
            }
            _ => Ok(identity),
        }
    }

    /// Writes the private key as PKCS#8 PEM that `openssl pkey` reads.
    ///
    /// The text is secret and wiped when dropped.
    ///
    /// # Panics
    ///
    /// Never: a key of 32 bytes always has this form.
    #[must_use]
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        // Without the public key: OpenSSL before 3.1 refuses the newer form.
        on_wiped_stack(|| {
            let pair = KeypairBytes {
                secret_key: *self.key.as_bytes(),
                public_key: None,
            };
            pair.to_pkcs8_pem(LineEnding::LF)
                .expect("a key of 32 bytes always has this form")
        })
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey::of(self.key.verifying_key())
    }

    /// Signs `message` (plain Ed25519, deterministic).
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signer.sign(&self.key, message)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("public_key", &self.public_key())
            .finish_non_exhaustive()
    }
}

/// Looks at the first PEM label, so that the usual mix-ups get a plain answer
/// instead of a decoder's.
fn check_label(pem: &str) -> Result<(), KeyError> {
    /// Longer labels are cut off in the error.
    const MAX_LABEL_CHARS: usize = 40;
    if pem.trim().is_empty() {
        return Err(KeyError::Empty);
    }
    let label = pem
        .split_once("-----BEGIN ")
        .and_then(|(_, rest)| rest.split_once("-----"))
        .map(|(label, _)| label)
        .ok_or(KeyError::NotPem)?;
    match label {
        "PRIVATE KEY" => Ok(()),
        "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
        other => Err(KeyError::WrongLabel {
            // Whoever reads it may be at a terminal.
            label: (other.chars().take(MAX_LABEL_CHARS))
                .flat_map(char::escape_default)
                .collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{Script, array, hex, list, vectors};
    use alloc::format;

    /// `openssl genpkey -algorithm ed25519`, OpenSSL 3.0.19, and what
    /// `openssl pkey -pubout -outform DER | tail -c 32` says of it.
    const OPENSSL: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIFJWWdy7UzXmwbnGg+B94jnWxLVOV2AhN/VVQCw1QWGl\n\
        -----END PRIVATE KEY-----\n";
    const OPENSSL_PUBLIC: &str = "add759fdb25d5e982d6391b9367b746767cbf4194884a85734e88d9b1ad53987";
    /// `openssl genpkey -algorithm x25519`.
    const X25519: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VuBCIEICDQ3SIGqER/BV6LOrmfFY9HWzP8cevUQeYcUlzcqU58\n\
        -----END PRIVATE KEY-----\n";
    /// `openssl genpkey -algorithm ed25519 -aes256 -pass pass:x`.
    const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
        MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAj0celhjbg1GgICCAAw\n\
        DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEIbbF7jQ9kq9SWRN4tvtesEEQL9l\n\
        bcEAJMO3pcYOsO4HKZQpGF07O4/GK3J7JRTrlf/0inXEaK02sRZm7w190AtUH4jK\n\
        jWcdXeL1RLZvN+v+ens=\n\
        -----END ENCRYPTED PRIVATE KEY-----\n";
    /// RFC 8410, section 10.3: the newer form with an attribute and the public
    /// key inside.
    const RFC_8410: &str = "-----BEGIN PRIVATE KEY-----\n\
        MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\n\
        Z9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn openssl_key_is_read_with_any_line_ending() {
        for text in [OPENSSL.to_string(), OPENSSL.replace('\n', "\r\n")] {
            let identity = Identity::from_pkcs8_pem(&text).unwrap();
            assert_eq!(identity.public_key().to_string(), OPENSSL_PUBLIC);
        }
    }

    #[test]
    fn key_is_written_as_openssl_writes_it() {
        let identity = Identity::from_pkcs8_pem(OPENSSL).unwrap();
        assert_eq!(*identity.to_pkcs8_pem(), OPENSSL);
    }

    #[test]
    fn key_with_its_public_half_inside_is_read_and_compared() {
        let identity = Identity::from_pkcs8_pem(RFC_8410).unwrap();
        assert_eq!(
            identity.public_key().to_string(),
            "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
        );
        let other = RFC_8410.replace("IEINTu", "IEINTv");
        assert_eq!(
            Identity::from_pkcs8_pem(&other).unwrap_err(),
            KeyError::Mismatch
        );
    }

    // HAZARDS S8, as far as the text goes.
    #[test]
    fn unfit_texts_are_refused_by_name() {
        let body = "MC4CAQAwBQYDK2VwBCIEIFJWWdy7UzXmwbnGg+B94jnWxLVOV2AhN/VVQCw1QWGl";
        let wrong_label = |label: &str| KeyError::WrongLabel {
            label: label.into(),
        };
        for (text, expected) in [
            (String::new(), KeyError::Empty),
            ("\r\n \n".into(), KeyError::Empty),
            ("hello".into(), KeyError::NotPem),
            (body.into(), KeyError::NotPem),
            (ENCRYPTED.into(), KeyError::Encrypted),
            (
                X25519.into(),
                KeyError::WrongAlgorithm {
                    oid: "1.3.101.110".into(),
                },
            ),
            (
                OPENSSL.replace("PRIVATE", "PUBLIC"),
                wrong_label("PUBLIC KEY"),
            ),
            (
                OPENSSL.replace("PRIVATE", "OPENSSH PRIVATE"),
                wrong_label("OPENSSH PRIVATE KEY"),
            ),
            (
                OPENSSL.replace("PRIVATE", &"A".repeat(1000)),
                wrong_label(&"A".repeat(40)),
            ),
            (
                OPENSSL.replace("PRIVATE", "\u{1b}[2J\nPRIVATE"),
                wrong_label("\\u{1b}[2J\\nPRIVATE KEY"),
            ),
            (
                OPENSSL.replace("-----END", "-----ENDE"),
                KeyError::Malformed,
            ),
            (OPENSSL.replace("MC4C", "MC4D"), KeyError::Malformed),
            (OPENSSL.replace("QWGl", ""), KeyError::Malformed),
        ] {
            let error = Identity::from_pkcs8_pem(&text).unwrap_err();
            assert_eq!(error, expected, "{text}");
        }
    }

    #[test]
    fn seed_vectors_hold() {
        for key in list(&vectors!("seeds.json")["keys"]) {
            let identity = Identity::from_seed(&array(&key["identity_seed"]));
            assert_eq!(
                identity.public_key().as_bytes()[..],
                hex(&key["identity_public"])
            );
            let again = Identity::from_pkcs8_pem(&identity.to_pkcs8_pem()).unwrap();
            assert_eq!(again.public_key(), identity.public_key());
        }
    }

    #[test]
    fn signature_vectors_hold() {
        for case in list(&vectors!("ed25519.json")["sign"]) {
            let identity = Identity::from_seed(&array(&case["identity_seed"]));
            assert_eq!(identity.public_key().as_bytes()[..], hex(&case["public"]));
            assert_eq!(
                identity.sign(&hex(&case["payload"]))[..],
                hex(&case["signature"])
            );
        }
    }

    #[test]
    fn generating_draws_32_bytes_once() {
        let mut rng = Script::new(&[5; 40]);
        let identity = Identity::generate(&mut rng);
        assert_eq!(rng.draws, [32]);
        assert_eq!(
            identity.public_key(),
            Identity::from_seed(&[5; 32]).public_key()
        );
    }

    // HAZARDS S11
    #[test]
    fn debug_shows_only_the_public_key() {
        let identity = Identity::from_seed(&[0xab; 32]);
        assert_eq!(
            format!("{identity:?}"),
            format!("Identity {{ public_key: {}, .. }}", identity.public_key())
        );
    }
}
