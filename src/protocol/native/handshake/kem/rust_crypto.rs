//! ML-KEM-768 by the RustCrypto crate, which wipes its keys when they are dropped.

use super::encapsulation::{Ciphertext, EncapsulationKey, kept};
use crate::protocol::native::derive::Secret;
use crate::protocol::native::handshake::error::Refusal;
use alloc::boxed::Box;
use ml_kem::{Decapsulate, DecapsulationKey768, Encapsulate, EncapsulationKey768, KeyExport};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

pub(super) fn generate(
    rng: &mut impl CryptoRng,
    public: &mut EncapsulationKey,
) -> Box<DecapsulationKey768> {
    let mut seed = Zeroizing::new([0; 64]);
    rng.fill_bytes(&mut *seed);
    let key = Box::new(DecapsulationKey768::from_seed((*seed).into()));
    *public = key.encapsulation_key().to_bytes().into();
    key
}

pub(super) fn decapsulate(key: &DecapsulationKey768, ciphertext: &Ciphertext) -> Secret {
    let shared = Zeroizing::new(<[u8; 32]>::from(key.decapsulate(ciphertext.into())));
    kept(&*shared)
}

pub(super) fn encapsulate(
    key: &EncapsulationKey,
    rng: &mut impl CryptoRng,
    ciphertext: &mut Ciphertext,
) -> Result<Secret, Refusal> {
    let key = EncapsulationKey768::new(key.into()).map_err(|_| Refusal::EncapsulationKey)?;
    let (carrier, shared) = key.encapsulate_with_rng(rng);
    *ciphertext = carrier.into();
    let shared = Zeroizing::new(<[u8; 32]>::from(shared));
    Ok(kept(&*shared))
}
