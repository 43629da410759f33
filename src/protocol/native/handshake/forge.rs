//! Messages of a peer that has all keys and does not keep to the wire: sealed, signed and finished as
//! they should be, around content of the caller's choice.
//!
//! For fuzzing: bytes that fail a tag reach nothing of what is behind it.

use super::kem;
use super::message::take;
use super::schedule::{self, DIALER, Exchange, LISTENER, LISTENER_PART_LEN, Words};
use super::{ANSWER_LEN, Dialer, HELLO_LEN, MAC_LEN, MAC_START, MAGIC};
use crate::protocol::ephemeral::Ephemeral;
use crate::protocol::identity::{Identity, PublicKey};
use crate::protocol::native::derive::{self, Hash};
use crate::protocol::native::settings::SETTINGS_LEN;
use crate::protocol::native::{KemLibrary, Libraries, Settings, SettingsError, Suite};
use alloc::vec::Vec;
use rand_core::CryptoRng;

/// Length of what a proof claims: a key and settings.
pub const CLAIMS_LEN: usize = 32 + SETTINGS_LEN;

/// Makes `hello` one for `listener`, whatever else it holds.
pub fn authenticate(hello: &mut [u8; HELLO_LEN], listener: PublicKey, namespace: &[u8]) {
    let (content, mac) = hello.split_at_mut(MAC_START);
    let tag = schedule::hello_key(listener, namespace)
        .over(&[content])
        .tag();
    let source = tag.iter().take(MAC_LEN);
    mac.iter_mut()
        .zip(source)
        .for_each(|(target, source)| *target = *source);
}

/// Answers `hello` as `identity`, with these settings and what `change` makes of all that is sealed.
/// `None` if `hello` cannot be answered.
pub fn answer(
    identity: &Identity,
    namespace: &[u8],
    hello: &[u8; HELLO_LEN],
    settings: &[u8; SETTINGS_LEN],
    change: impl FnOnce(&mut [u8]),
    rng: &mut impl CryptoRng,
) -> Option<Vec<u8>> {
    let (_, mut rest) = hello.split_at(MAGIC.len());
    let suite = Suite::from_byte(take::<1>(&mut rest)[0])?;
    let (theirs, key) = (take(&mut rest), take(&mut rest));
    let ephemeral = Ephemeral::draw(rng);
    let mut ciphertext = [0; kem::CIPHERTEXT_LEN];
    let library = KemLibrary::RustCrypto;
    let encapsulated = kem::encapsulate(library, key, rng, &mut ciphertext).ok()?;
    let agreed = ephemeral.agree(theirs)?;
    let ours = ephemeral.public_key();

    let before = schedule::transcript(identity.public_key(), namespace);
    let h1 = derive::hash(&[&before, hello]);
    let h2 = derive::hash(&[&h1, &ours, &ciphertext]);
    let library = Libraries::default().of(suite);
    let exchange = Exchange::new(suite, library, &h2, &encapsulated, &agreed);
    let mut answer = [&ours[..], &ciphertext].concat();
    answer.extend(part(&exchange, &LISTENER, &h2, identity, settings, change));
    Some(answer)
}

/// Answers `answer` as `dialer`, with these claims, signed by `signer`, and what `change` makes of all
/// that is sealed. `None` if `answer` leads to no shared secret.
pub fn proof(
    dialer: &Dialer,
    answer: &[u8; ANSWER_LEN],
    signer: &Identity,
    claims: &[u8; CLAIMS_LEN],
    change: impl FnOnce(&mut [u8]),
) -> Option<Vec<u8>> {
    let (exchange, h2) = dialer.exchange(answer)?;
    let (_, sealed) = answer.split_at(ANSWER_LEN - LISTENER_PART_LEN);
    let h3 = derive::hash(&[&h2, sealed]);
    Some(part(&exchange, &DIALER, &h3, signer, claims, change))
}

fn part(
    exchange: &Exchange,
    words: &Words,
    transcript: &Hash,
    signer: &Identity,
    claims: &[u8],
    change: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let mut part = Vec::new();
    exchange.state(words, transcript, signer, claims, &mut part);
    change(&mut part);
    exchange.seal(words, transcript, &mut part);
    part
}

/// Takes settings as they come from a peer.
///
/// # Errors
///
/// As [`Settings::new`].
pub fn settings_from(bytes: [u8; SETTINGS_LEN]) -> Result<Settings, SettingsError> {
    Settings::from_bytes(bytes)
}

/// Returns settings as they go to a peer.
#[must_use]
pub fn settings_to(settings: Settings) -> [u8; SETTINGS_LEN] {
    settings.to_bytes()
}
