//! The keys that are drawn for one handshake (X25519, RFC 7748), by AWS-LC
//! where that is built, else by x25519-dalek.

use crate::protocol::secret::Secret;
use rand_core::CryptoRng;

/// The secret half of an ephemeral key, behind a pointer. Wiped on drop.
pub(in crate::protocol) struct Ephemeral(backend::Key);

impl Ephemeral {
    /// Draws 32 bytes of `rng`.
    pub(in crate::protocol) fn draw(rng: &mut impl CryptoRng) -> Self {
        let bytes = Secret::filled_by(|bytes| rng.fill_bytes(bytes));
        Self(backend::key(&bytes))
    }

    pub(in crate::protocol) fn public_key(&self) -> [u8; 32] {
        backend::public_key(&self.0)
    }

    /// Returns what is shared with the owner of `peer`; `None` for the points
    /// of small order, with which everybody shares the same zeros.
    pub(in crate::protocol) fn agree(&self, peer: &[u8; 32]) -> Option<Secret> {
        backend::agree(&self.0, peer)
    }
}

#[cfg(feature = "aws-lc-rs")]
mod backend {
    use super::Secret;
    use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};

    /// The library keeps it in heap blocks of its own.
    pub(super) type Key = PrivateKey;

    pub(super) fn key(bytes: &[u8; 32]) -> Key {
        PrivateKey::from_private_key(&X25519, bytes).expect("all 32 bytes are a key")
    }

    pub(super) fn public_key(key: &Key) -> [u8; 32] {
        let key = key.compute_public_key().expect("a key has a public half");
        key.as_ref().try_into().expect("it is 32 bytes long")
    }

    pub(super) fn agree(key: &Key, peer: &[u8; 32]) -> Option<Secret> {
        let peer = UnparsedPublicKey::new(&X25519, peer);
        agreement::agree(key, peer, (), |shared| {
            Ok(Secret::filled_by(|kept| kept.copy_from_slice(shared)))
        })
        .ok()
    }
}

#[cfg(not(feature = "aws-lc-rs"))]
mod backend {
    use super::Secret;
    use alloc::boxed::Box;
    use x25519_dalek::{PublicKey, StaticSecret};

    pub(super) type Key = Box<StaticSecret>;

    pub(super) fn key(bytes: &[u8; 32]) -> Key {
        Box::new(StaticSecret::from(*bytes))
    }

    pub(super) fn public_key(key: &Key) -> [u8; 32] {
        PublicKey::from(&**key).to_bytes()
    }

    pub(super) fn agree(key: &Key, peer: &[u8; 32]) -> Option<Secret> {
        let shared = key.diffie_hellman(&PublicKey::from(*peer));
        shared
            .was_contributory()
            .then(|| Secret::filled_by(|kept| kept.copy_from_slice(shared.as_bytes())))
    }
}
