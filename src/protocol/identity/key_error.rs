//! Why a key was refused, and what to do about it.
//!
//! One type for secret and public keys, because both usually come from one
//! configuration and the person who reads the text is the same.

use alloc::string::String;

/// A key could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A hexadecimal key holds something other than a digit.
    #[error("public key has a character at position {index} that is not a hexadecimal digit")]
    BadDigit {
        /// Where, counted in bytes from 0.
        index: usize,
    },
    /// A hexadecimal key has the wrong length.
    #[error("public key has {length} characters; it takes 64 hexadecimal digits")]
    BadLength {
        /// Its length in bytes.
        length: usize,
    },
    /// A public key in the form of OpenSSH is cut off, or was changed.
    #[error("public key of OpenSSH is damaged; copy the whole line of the .pub file again")]
    DamagedOpenSsh,
    /// The text is empty.
    #[error(
        "private key is empty; make one with `ringseal keygen` or `openssl genpkey -algorithm ed25519`"
    )]
    Empty,
    /// The private key is protected by a password.
    #[error("private key is encrypted; remove the password with `openssl pkey -in OLD -out NEW`")]
    Encrypted,
    /// The PEM block does not hold what its label says.
    #[error("private key is damaged or not in PKCS#8 form; copy the whole file again")]
    Malformed,
    /// The public key stored beside the secret is another one's.
    #[error("private key holds a public key that does not belong to it; make a new key")]
    Mismatch,
    /// The bytes encode a point in another than the one canonical way.
    #[error("public key is not canonically encoded; no honest key is, ask the peer for its key")]
    NonCanonical,
    /// A public key in the form of OpenSSH is for another algorithm.
    #[error(
        "public key is for the algorithm {algorithm}, not ssh-ed25519; make one with `ssh-keygen -t ed25519`"
    )]
    NotEd25519 {
        /// What stands in front of the key, cut off after 40 characters, with what is not printable
        /// ASCII escaped.
        algorithm: String,
    },
    /// The bytes are not a point of the curve.
    #[error("public key is not a point of the curve; check that it was copied in full")]
    NotOnCurve,
    /// There is no PEM block.
    #[error("private key is not PEM; the text must begin with `-----BEGIN PRIVATE KEY-----`")]
    NotPem,
    /// Anybody can sign for such a key.
    #[error("public key has small order, so anybody could sign for it; ask the peer for its key")]
    SmallOrder,
    /// The private key is for another algorithm.
    #[error(
        "private key is for the algorithm {oid}, not ed25519; make one with `openssl genpkey -algorithm ed25519`"
    )]
    WrongAlgorithm {
        /// Object identifier of the algorithm.
        oid: String,
    },
    /// The PEM block holds something else.
    #[error(
        "PEM block holds `{label}`, not `PRIVATE KEY`; make one with `openssl genpkey -algorithm ed25519`"
    )]
    WrongLabel {
        /// What it says it holds, cut off after 40 characters, with what is not printable ASCII escaped.
        label: String,
    },
}
