//! The keys that are drawn for one handshake (X25519, RFC 7748), by AWS-LC
//! where that is built, else by x25519-dalek.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// What both ends compute, and nobody else. Wiped on drop.
pub(super) type SharedSecret = Zeroizing<[u8; 32]>;

/// The secret half of an ephemeral key. Wiped on drop.
pub(super) struct Ephemeral(backend::Secret);

impl Ephemeral {
    /// Draws 32 bytes of `rng`.
    pub(super) fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self(backend::secret(&bytes))
    }

    pub(super) fn public_key(&self) -> [u8; 32] {
        backend::public_key(&self.0)
    }

    /// Returns what is shared with the owner of `peer`; `None` for the points
    /// of small order, with which everybody shares the same zeros.
    pub(super) fn agree(&self, peer: &[u8; 32]) -> Option<SharedSecret> {
        backend::agree(&self.0, peer)
    }
}

#[cfg(feature = "aws-lc-rs")]
mod backend {
    use super::SharedSecret;
    use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
    use zeroize::Zeroizing;

    pub(super) type Secret = PrivateKey;

    pub(super) fn secret(bytes: &[u8; 32]) -> Secret {
        PrivateKey::from_private_key(&X25519, bytes).expect("all 32 bytes are a key")
    }

    pub(super) fn public_key(secret: &Secret) -> [u8; 32] {
        let key = secret
            .compute_public_key()
            .expect("a key has a public half");
        key.as_ref().try_into().expect("it is 32 bytes long")
    }

    pub(super) fn agree(secret: &Secret, peer: &[u8; 32]) -> Option<SharedSecret> {
        let peer = UnparsedPublicKey::new(&X25519, peer);
        agreement::agree(secret, peer, (), |shared| {
            let mut kept = Zeroizing::new([0; 32]);
            kept.copy_from_slice(shared);
            Ok(kept)
        })
        .ok()
    }
}

#[cfg(not(feature = "aws-lc-rs"))]
mod backend {
    use super::SharedSecret;
    use x25519_dalek::{PublicKey, StaticSecret};
    use zeroize::Zeroizing;

    pub(super) type Secret = StaticSecret;

    pub(super) fn secret(bytes: &[u8; 32]) -> Secret {
        StaticSecret::from(*bytes)
    }

    pub(super) fn public_key(secret: &Secret) -> [u8; 32] {
        PublicKey::from(secret).to_bytes()
    }

    pub(super) fn agree(secret: &Secret, peer: &[u8; 32]) -> Option<SharedSecret> {
        let shared = secret.diffie_hellman(&PublicKey::from(*peer));
        shared
            .was_contributory()
            .then(|| Zeroizing::new(shared.to_bytes()))
    }
}
