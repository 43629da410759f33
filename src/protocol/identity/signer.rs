//! What signs with the secret half of an identity: AWS-LC where that is built, else ed25519-dalek.
//! Both give the same bytes (RFC 8032, section 5.1.6, is deterministic).

pub(super) use backend::Signer;

#[cfg(feature = "aws-lc-rs")]
mod backend {
    use aws_lc_rs::signature::Ed25519KeyPair;
    use ed25519_dalek::SigningKey;

    /// The library keeps the secret in a heap block of its own, and wipes it when that is freed.
    pub(in crate::protocol::identity) struct Signer(Ed25519KeyPair);

    impl Signer {
        pub(in crate::protocol::identity) fn new(key: &SigningKey) -> Self {
            let public = key.verifying_key();
            let pair = Ed25519KeyPair::from_seed_and_public_key(key.as_bytes(), public.as_bytes());
            Self(pair.expect("a seed and the public key that belongs to it"))
        }

        pub(in crate::protocol::identity) fn sign(
            &self,
            _: &SigningKey,
            message: &[u8],
        ) -> [u8; 64] {
            let signature = self.0.sign(message);
            signature.as_ref().try_into().expect("it is 64 bytes long")
        }
    }
}

#[cfg(not(feature = "aws-lc-rs"))]
mod backend {
    use ed25519_dalek::{Signer as _, SigningKey};

    /// Signs with the key itself.
    pub(in crate::protocol::identity) struct Signer;

    impl Signer {
        pub(in crate::protocol::identity) const fn new(_: &SigningKey) -> Self {
            Self
        }

        pub(in crate::protocol::identity) fn sign(
            &self,
            key: &SigningKey,
            message: &[u8],
        ) -> [u8; 64] {
            key.sign(message).to_bytes()
        }
    }
}
