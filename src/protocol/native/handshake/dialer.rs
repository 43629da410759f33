//! The end that speaks first.
//!
//! Hello is written at construction, from then on the machine waits for one message, answer, and
//! replies with proof. Whether the listener admits this end is told by its first record.

use super::kem::{self, DecapsulationKey};
use super::message::{Collector, take};
use super::schedule::{self, DIALER, Exchange, LISTENER};
use super::{ANSWER_LEN, HELLO_LEN, HandshakeError, MAGIC, Parameters, Refusal, Session};
use crate::protocol::Role;
use crate::protocol::ephemeral::Ephemeral;
use crate::protocol::identity::{Identity, PublicKey, Verification, Verifier};
use crate::protocol::native::derive::{self, Hash};
use crate::protocol::native::settings::SETTINGS_LEN;
use crate::protocol::native::{Settings, Suite};
use crate::protocol::secret::on_wiped_stack_of_kem;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use rand_core::CryptoRng;

/// A handshake in progress with a listener whose key is known.
pub struct Dialer {
    /// Boxed so that moving the machine leaves no secrets behind; gone once the handshake ended,
    /// well or not.
    waiting: Option<Box<Waiting>>,
}

struct Waiting {
    answer: Collector<ANSWER_LEN>,
    identity: Arc<Identity>,
    parameters: Parameters,
    suite: Suite,
    peer: PublicKey,
    verifier: Verifier,
    secrets: Secrets,
    /// `h1`.
    transcript: Hash,
}

/// What opens the answer.
pub(in crate::protocol::native) struct Secrets {
    pub(in crate::protocol::native) ephemeral: Ephemeral,
    pub(in crate::protocol::native) decapsulation: DecapsulationKey,
}

impl Dialer {
    /// Starts a handshake with `peer`, to be sealed with `suite`, and appends hello to `output`.
    ///
    /// `rng` must be the system's. It is drawn from for 32 bytes, then for 64 unless
    /// [`KemLibrary`](crate::protocol::native::KemLibrary) says that the library has a generator
    /// of its own.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::ListenerKey`] if `peer` was read under a laxer rule than the strict one,
    /// and [`HandshakeError::SameIdentity`]. Nothing is drawn or written then.
    pub fn new(
        identity: &Arc<Identity>,
        peer: PublicKey,
        suite: Suite,
        parameters: &Parameters,
        rng: &mut impl CryptoRng,
        output: &mut Vec<u8>,
    ) -> Result<Self, HandshakeError> {
        let verifier = peer
            .verifier(Verification::Strict)
            .map_err(HandshakeError::ListenerKey)?;
        if peer == identity.public_key() && !parameters.allow_self {
            return Err(HandshakeError::SameIdentity);
        }
        let start = output.len();
        let secrets = on_wiped_stack_of_kem(|| {
            let (secrets, public) = Secrets::draw(parameters, rng);
            write_hello(
                output,
                suite,
                &secrets,
                &public,
                peer,
                &parameters.namespace,
            );
            secrets
        });
        let hello = output.get(start..).unwrap_or_default();
        let before = schedule::transcript(peer, &parameters.namespace);
        let waiting = Box::new(Waiting {
            answer: Collector::new(),
            identity: Arc::clone(identity),
            parameters: parameters.clone(),
            suite,
            peer,
            verifier,
            secrets,
            transcript: derive::hash(&[&before, hello]),
        });
        Ok(Self {
            waiting: Some(waiting),
        })
    }

    /// The most bytes to read next: never past the end of the handshake, so whoever keeps to it
    /// has nothing to hand on to the records. 0 when it has ended.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.waiting
            .as_ref()
            .map_or(0, |waiting| waiting.answer.wanted())
    }

    /// Returns what has come of the answer: nothing tells it from other bytes before all of it is
    /// there.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        self.waiting
            .as_ref()
            .map_or(&[], |waiting| waiting.answer.received())
    }

    /// Takes bytes from the peer: how many were consumed, and the session once this end's part of
    /// the handshake is complete.
    ///
    /// With the session, proof was appended to `output` and the rest of `input` belongs to the
    /// records; without it, all of `input` was consumed. Records may be sent right behind proof;
    /// whether the listener takes them is told by its first record.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Failed`], [`HandshakeError::Settings`] and
    /// [`HandshakeError::Finished`]; final, with `output` unchanged.
    pub fn receive(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(usize, Option<Session>), HandshakeError> {
        Ok(self.advance(input, output)?)
    }

    /// Does what [`receive`](Self::receive) does, and tells which check failed.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(usize, Option<Session>), Refusal> {
        let mut waiting = self.waiting.take().ok_or(Refusal::Over)?;
        let (consumed, complete) = waiting.answer.receive(input);
        if !complete {
            self.waiting = Some(waiting);
            return Ok((consumed, None));
        }
        let session = waiting.finish(waiting.answer.message(), output)?;
        Ok((consumed, Some(session)))
    }

    /// Returns what both ends would know after `answer`, and `h2`.
    #[cfg(feature = "internals")]
    pub(super) fn exchange(&self, answer: &[u8; ANSWER_LEN]) -> Option<(Exchange, Hash)> {
        let mut rest = &answer[..];
        let (ephemeral, ciphertext) = (take(&mut rest), take(&mut rest));
        let waiting = self.waiting.as_ref()?;
        waiting.exchange(ephemeral, ciphertext).ok()
    }

    /// Judges an answer and waits for another.
    #[cfg(test)]
    pub(super) fn judge(&self, answer: &[u8]) -> Result<Session, Refusal> {
        let waiting = self.waiting.as_ref().unwrap();
        waiting.finish(answer.try_into().unwrap(), &mut Vec::new())
    }

    /// Puts given secrets in the place of those drawn.
    #[cfg(all(test, feature = "aws-lc-rs"))]
    pub(super) fn set_secrets(&mut self, secrets: Secrets, transcript: Hash) {
        let waiting = self.waiting.as_mut().unwrap();
        waiting.secrets = secrets;
        waiting.transcript = transcript;
    }
}

impl Secrets {
    /// Draws secrets and returns the encapsulation key beside them.
    fn draw(parameters: &Parameters, rng: &mut impl CryptoRng) -> (Self, [u8; kem::KEY_LEN]) {
        let ephemeral = Ephemeral::draw(rng);
        let mut public = [0; kem::KEY_LEN];
        let library = parameters.libraries.ml_kem_768;
        let decapsulation = DecapsulationKey::generate(library, rng, &mut public);
        let secrets = Self {
            ephemeral,
            decapsulation,
        };
        (secrets, public)
    }
}

fn write_hello(
    output: &mut Vec<u8>,
    suite: Suite,
    secrets: &Secrets,
    public: &[u8; kem::KEY_LEN],
    peer: PublicKey,
    namespace: &[u8],
) {
    let ephemeral = secrets.ephemeral.public_key();
    let parts = [&MAGIC[..], &[suite.byte()], &ephemeral, public];
    let mac = schedule::hello_key(peer, namespace).over(&parts).tag();
    output.reserve(HELLO_LEN);
    parts.iter().for_each(|part| output.extend_from_slice(part));
    output.extend(mac.iter().take(super::MAC_LEN));
}

impl Waiting {
    /// Checks the answer, in the order of NATIVE section 2.5, and writes the proof.
    fn finish(&self, answer: &[u8; ANSWER_LEN], output: &mut Vec<u8>) -> Result<Session, Refusal> {
        on_wiped_stack_of_kem(|| self.check(answer, output))
    }

    fn check(&self, answer: &[u8; ANSWER_LEN], output: &mut Vec<u8>) -> Result<Session, Refusal> {
        let mut rest = &answer[..];
        let ephemeral = take(&mut rest);
        let ciphertext = take(&mut rest);
        let mut part: [u8; schedule::LISTENER_PART_LEN] = *take(&mut rest);
        let (exchange, h2) = self.exchange(ephemeral, ciphertext)?;
        let h3 = derive::hash(&[&h2, &part]);

        exchange.open(&LISTENER, &h2, &mut part)?;
        let (claims, proofs) = schedule::pieces::<SETTINGS_LEN>(&part);
        exchange.check(&LISTENER, &h2, &self.verifier, claims, proofs)?;
        let theirs = Settings::from_bytes(*claims).map_err(Refusal::Settings)?;

        let start = output.len();
        self.prove(&exchange, &h3, output);
        let proof = output.get(start..).unwrap_or_default();
        let h4 = derive::hash(&[&h3, proof]);
        let peer = (self.peer, theirs);
        Ok(Session::new(
            &exchange,
            &h4,
            &self.parameters,
            Role::Dialer,
            peer,
        ))
    }

    fn exchange(
        &self,
        ephemeral: &[u8; 32],
        ciphertext: &[u8; kem::CIPHERTEXT_LEN],
    ) -> Result<(Exchange, Hash), Refusal> {
        let h2 = derive::hash(&[&self.transcript, ephemeral, ciphertext]);
        let agreed = self
            .secrets
            .ephemeral
            .agree(ephemeral)
            .ok_or(Refusal::ZeroSecret)?;
        let encapsulated = self.secrets.decapsulation.decapsulate(ciphertext)?;
        let library = self.parameters.libraries.of(self.suite);
        let exchange = Exchange::new(self.suite, library, &h2, &encapsulated, &agreed);
        Ok((exchange, h2))
    }

    fn prove(&self, exchange: &Exchange, h3: &Hash, output: &mut Vec<u8>) {
        let own = self.identity.public_key();
        let settings = self.parameters.settings.to_bytes();
        let mut claims = [0; 32 + SETTINGS_LEN];
        let source = own.as_bytes().iter().chain(&settings);
        claims
            .iter_mut()
            .zip(source)
            .for_each(|(target, source)| *target = *source);
        exchange.prove(&DIALER, h3, &self.identity, &claims, output);
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("wanted", &self.wanted())
            .finish_non_exhaustive()
    }
}
