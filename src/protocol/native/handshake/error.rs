//! Why a handshake of the native wire ended without a connection.
//!
//! Nothing of this is told to the peer. [`Refusal`] is the check that failed, for this room and
//! its tests; [`HandshakeError`] is what the caller of this end may know (NATIVE section 2.5).

use crate::protocol::identity::KeyError;
use crate::protocol::native::SettingsError;

/// A handshake failed; the machine that reports it is dead.
///
/// The end of the stream is not among these, since only the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// What came is not a hello of this wire.
    #[error(
        "first bytes are not a hello of the native wire; compare the wires that are configured on both ends"
    )]
    NotNative,
    /// The hello was made for another listener key or another namespace.
    #[error(
        "hello is not for this listener; compare the namespace of both ends, and the listener's public key that the dialer has with this end's own"
    )]
    NotForUs,
    /// The dialer names a suite that this end does not accept.
    #[error(
        "dialer wants suite {byte}, which is not switched on here; accept it or configure another one on the dialer"
    )]
    SuiteRefused {
        /// What stands for the suite in the hello.
        byte: u8,
    },
    /// The exchange failed: a key, a ciphertext, a seal, a signature or a finished value is not
    /// right. Which one is not said.
    #[error(
        "peer's part of the handshake does not hold; it does not have the key it should have, or something on the way changes bytes"
    )]
    Failed,
    /// Both ends have the same identity.
    #[error(
        "peer has this end's own identity; give each end its own key, or set allow_self if it is meant"
    )]
    SameIdentity,
    /// The peer's settings are out of range.
    #[error("peer's settings cannot be used: {0}; correct its configuration")]
    Settings(#[source] SettingsError),
    /// The key of the listener to dial cannot be used.
    #[error("listener's public key cannot be used: {0}")]
    ListenerKey(#[source] KeyError),
    /// The handshake ended before, well or not, or no answer about admission is due.
    #[error("handshake has already ended; start a new one on a new connection")]
    Finished,
}

/// The check that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol::native) enum Refusal {
    Magic,
    Mac,
    Suite(u8),
    /// The input check of the encapsulation key.
    EncapsulationKey,
    /// The library could not decapsulate at all.
    #[cfg_attr(
        not(feature = "aws-lc-rs"),
        expect(dead_code, reason = "only AWS-LC can fail to decapsulate")
    )]
    Decapsulation,
    /// X25519 gave zeros, which everybody can have.
    ZeroSecret,
    /// The seal around answer or proof.
    Seal,
    /// The dialer's identity is no valid key.
    Identity,
    Signature,
    FinishedValue,
    SameIdentity,
    Settings(SettingsError),
    /// Nothing is expected any more.
    Over,
}

impl From<Refusal> for HandshakeError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Magic => Self::NotNative,
            Refusal::Mac => Self::NotForUs,
            Refusal::Suite(byte) => Self::SuiteRefused { byte },
            Refusal::SameIdentity => Self::SameIdentity,
            Refusal::Settings(error) => Self::Settings(error),
            Refusal::Over => Self::Finished,
            Refusal::EncapsulationKey
            | Refusal::Decapsulation
            | Refusal::ZeroSecret
            | Refusal::Seal
            | Refusal::Identity
            | Refusal::Signature
            | Refusal::FinishedValue => Self::Failed,
        }
    }
}
