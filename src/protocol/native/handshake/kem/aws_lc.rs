//! ML-KEM-768 by AWS-LC, which has a generator of its own.

use super::encapsulation::{Ciphertext, EncapsulationKey, kept};
use crate::protocol::native::derive::Secret;
use crate::protocol::native::handshake::error::Refusal;
use aws_lc_rs::kem::{self, DecapsulationKey, ML_KEM_768};

pub(super) fn generate(public: &mut EncapsulationKey) -> DecapsulationKey {
    let key = DecapsulationKey::generate(&ML_KEM_768).expect("memory for a key");
    let bytes = key
        .encapsulation_key()
        .and_then(|key| key.key_bytes().map(|bytes| bytes.as_ref().try_into()))
        .expect("a generated key has a public half");
    *public = bytes.expect("it is 1184 bytes long");
    key
}

pub(super) fn decapsulate(
    key: &DecapsulationKey,
    ciphertext: &Ciphertext,
) -> Result<Secret, Refusal> {
    key.decapsulate(kem::Ciphertext::from(&ciphertext[..]))
        .map(|shared| kept(shared.as_ref()))
        .map_err(|_| Refusal::Decapsulation)
}

pub(super) fn encapsulate(
    key: &EncapsulationKey,
    ciphertext: &mut Ciphertext,
) -> Result<Secret, Refusal> {
    // The library makes the input check while it encapsulates.
    let (carrier, shared) = kem::EncapsulationKey::new(&ML_KEM_768, key)
        .ok()
        .and_then(|key| key.encapsulate().ok())
        .ok_or(Refusal::EncapsulationKey)?;
    ciphertext.copy_from_slice(carrier.as_ref());
    Ok(kept(shared.as_ref()))
}
