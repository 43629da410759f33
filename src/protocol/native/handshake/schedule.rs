//! What both ends compute from the same bytes (NATIVE sections 2.2 to 2.4).
//!
//! Answer and proof are built alike: what an end claims, its signature, and a finished value over
//! both, sealed together. They differ in the words that keep them apart and in what is claimed:
//! the listener's settings, or the dialer's identity and settings.

use super::Refusal;
use crate::protocol::cipher::TAG_LEN;
use crate::protocol::identity::{Identity, PublicKey, Verifier};
use crate::protocol::native::aead::{Key, Nonce};
use crate::protocol::native::derive::{self, Authenticator, Hash, Secret};
use crate::protocol::native::settings::SETTINGS_LEN;
use crate::protocol::native::{Library, Suite};
use alloc::vec::Vec;

/// Length of a signature, in bytes.
const SIGNATURE_LEN: usize = 64;
/// Length of a finished value, in bytes.
const FINISHED_LEN: usize = 32;
/// How much longer a sealed part is than what is claimed in it.
const PART_OVERHEAD: usize = SIGNATURE_LEN + FINISHED_LEN + TAG_LEN;

/// Length of the listener's sealed part.
pub(super) const LISTENER_PART_LEN: usize = SETTINGS_LEN + PART_OVERHEAD;
/// Length of the dialer's sealed part.
pub(super) const DIALER_PART_LEN: usize = 32 + SETTINGS_LEN + PART_OVERHEAD;

/// Returns the key of the `mac` in a hello to `listener`.
pub(super) fn hello_key(listener: PublicKey, namespace: &[u8]) -> Authenticator {
    let mut key = Secret::default();
    let parts = [listener.as_bytes(), namespace];
    derive::extract(b"ringseal 1 hello", &parts, &mut key);
    Authenticator::new(&key)
}

/// Returns `h0`.
pub(super) fn transcript(listener: PublicKey, namespace: &[u8]) -> Hash {
    derive::hash(&[
        b"ringseal wire 1",
        &(namespace.len() as u64).to_be_bytes(),
        namespace,
        listener.as_bytes(),
    ])
}

/// The words of an end.
pub(super) struct Words {
    key: &'static str,
    iv: &'static str,
    finished: &'static str,
    signed: &'static [u8],
}

/// The listener's.
pub(super) const LISTENER: Words = Words {
    key: "listener key",
    iv: "listener iv",
    finished: "listener finished",
    signed: b"ringseal wire 1, listener\0",
};

/// The dialer's.
pub(super) const DIALER: Words = Words {
    key: "dialer key",
    iv: "dialer iv",
    finished: "dialer finished",
    signed: b"ringseal wire 1, dialer\0",
};

/// What both ends know after the exchange, `hs`, and how they seal with it.
pub(super) struct Exchange {
    secret: Secret,
    suite: Suite,
    library: Library,
}

impl Exchange {
    /// Extracts `hs` from what the two key exchanges gave, the post-quantum one first.
    pub(super) fn new(
        suite: Suite,
        library: Library,
        transcript: &Hash,
        encapsulated: &[u8; 32],
        agreed: &[u8; 32],
    ) -> Self {
        let mut exchange = Self {
            secret: Secret::default(),
            suite,
            library,
        };
        let parts = [&encapsulated[..], &agreed[..]];
        derive::extract(transcript, &parts, &mut exchange.secret);
        exchange
    }

    pub(super) const fn suite(&self) -> Suite {
        self.suite
    }

    pub(super) const fn library(&self) -> Library {
        self.library
    }

    /// Returns `hs`.
    pub(super) const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Appends an end's sealed part to `output`.
    pub(super) fn prove(
        &self,
        words: &Words,
        transcript: &Hash,
        identity: &Identity,
        claims: &[u8],
        output: &mut Vec<u8>,
    ) {
        let start = output.len();
        // At once, so that nothing that is not sealed yet stays in a block that was outgrown.
        output.reserve(claims.len() + PART_OVERHEAD);
        self.state(words, transcript, identity, claims, output);
        let part = output.get_mut(start..).unwrap_or_default();
        self.seal(words, transcript, part);
    }

    /// Appends what an end states to `output`, with room for the tag behind it.
    pub(super) fn state(
        &self,
        words: &Words,
        transcript: &Hash,
        identity: &Identity,
        claims: &[u8],
        output: &mut Vec<u8>,
    ) {
        let signature = identity.sign(&words.payload(transcript, claims));
        let finished = self.finished(words, transcript, claims, &signature).tag();
        for part in [claims, &signature, &finished, &[0; TAG_LEN]] {
            output.extend_from_slice(part);
        }
    }

    /// Seals what an end states in place.
    pub(super) fn seal(&self, words: &Words, transcript: &Hash, part: &mut [u8]) {
        let (key, nonce) = self.key(words, transcript);
        key.seal_in_place(&nonce, transcript, part)
            .expect("a tag's room is there");
    }

    /// Opens an end's sealed part in place.
    pub(super) fn open(
        &self,
        words: &Words,
        transcript: &Hash,
        part: &mut [u8],
    ) -> Result<(), Refusal> {
        let (key, nonce) = self.key(words, transcript);
        key.open_in_place(&nonce, transcript, part)
            .map_err(|_| Refusal::Seal)
    }

    /// Checks an end's signature, then its finished value.
    pub(super) fn check(
        &self,
        words: &Words,
        transcript: &Hash,
        verifier: &Verifier,
        claims: &[u8],
        proofs: Proofs<'_>,
    ) -> Result<(), Refusal> {
        let Proofs {
            signature,
            finished,
        } = proofs;
        if !verifier.verifies(&words.payload(transcript, claims), signature) {
            return Err(Refusal::Signature);
        }
        let expected = self.finished(words, transcript, claims, signature);
        if !expected.is(finished) {
            return Err(Refusal::FinishedValue);
        }
        Ok(())
    }

    fn key(&self, words: &Words, transcript: &Hash) -> (Key, Nonce) {
        let key = derive::secret(&self.secret, words.key, transcript);
        let mut nonce = Nonce::default();
        derive::label(&self.secret, words.iv, transcript, &mut nonce);
        (Key::new(self.suite, self.library, &key), nonce)
    }

    fn finished(
        &self,
        words: &Words,
        transcript: &Hash,
        claims: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Authenticator {
        let key = derive::secret(&self.secret, words.finished, transcript);
        Authenticator::new(&key).over(&[transcript, claims, signature])
    }
}

/// What stands behind the claims of a part.
pub(super) struct Proofs<'a> {
    signature: &'a [u8; SIGNATURE_LEN],
    finished: &'a [u8; FINISHED_LEN],
}

/// Takes an opened part of which `LEN` bytes are claims to pieces.
pub(super) fn pieces<const LEN: usize>(mut part: &[u8]) -> (&[u8; LEN], Proofs<'_>) {
    let claims = super::message::take(&mut part);
    let proofs = Proofs {
        signature: super::message::take(&mut part),
        finished: super::message::take(&mut part),
    };
    (claims, proofs)
}

impl Words {
    /// What an end signs.
    fn payload(&self, transcript: &Hash, claims: &[u8]) -> Vec<u8> {
        [self.signed, transcript, claims].concat()
    }
}
