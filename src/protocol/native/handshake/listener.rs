//! The end that admits or refuses.
//!
//! Until the hello's mac is right the machine has computed one HMAC; until the proof holds it has
//! asked nobody about anybody. Then it stops and asks whether to admit the proved key; the answer
//! is this end's first record, which [`Listener::admit`] and [`Listener::refuse`] write.

use super::kem;
use super::message::{Collector, take};
use super::schedule::{self, DIALER, Exchange, LISTENER};
use super::{HELLO_LEN, HandshakeError, MAC_START, MAGIC, PROOF_LEN, Parameters, Refusal, Session};
use crate::protocol::RefuseReason;
use crate::protocol::Role;
use crate::protocol::ephemeral::Ephemeral;
use crate::protocol::identity::{Identity, PublicKey, Verification};
use crate::protocol::native::derive::{self, Authenticator, Hash};
use crate::protocol::native::record::Answer;
use crate::protocol::native::settings::SETTINGS_LEN;
use crate::protocol::native::{Settings, Suite, Suites};
use crate::protocol::secret::{on_wiped_stack, on_wiped_stack_of_kem};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use rand_core::CryptoRng;

/// What a listener computes once for all its handshakes.
pub struct ListenerSetup {
    identity: Arc<Identity>,
    parameters: Parameters,
    suites: Suites,
    hello_key: Authenticator,
    /// `h0`.
    transcript: Hash,
}

impl ListenerSetup {
    /// Sets up a listener that takes part in `suites`.
    #[must_use]
    pub fn new(identity: Arc<Identity>, parameters: Parameters, suites: Suites) -> Self {
        let own = identity.public_key();
        Self {
            hello_key: schedule::hello_key(own, &parameters.namespace),
            transcript: schedule::transcript(own, &parameters.namespace),
            identity,
            parameters,
            suites,
        }
    }
}

impl fmt::Debug for ListenerSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerSetup")
            .field("identity", &self.identity.public_key())
            .field("parameters", &self.parameters)
            .field("suites", &self.suites)
            .finish_non_exhaustive()
    }
}

/// A handshake in progress with a dialer that is yet to show its key.
///
/// Call [`receive`](Self::receive) with what arrives; on [`ListenerEvent::Admit`] answer with
/// [`admit`](Self::admit) or [`refuse`](Self::refuse).
pub struct Listener {
    setup: Arc<ListenerSetup>,
    state: State,
}

enum State {
    Hello(Box<Collector<HELLO_LEN>>),
    Proof(Box<Answered>),
    /// Waits for the answer about the proved key.
    Admission(Box<Session>),
    Finished,
}

/// What is kept between answer and proof.
struct Answered {
    proof: Collector<PROOF_LEN>,
    exchange: Exchange,
    /// `h3`.
    transcript: Hash,
}

/// What came of the bytes a listener was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerEvent {
    /// All input was consumed and more is needed; what was appended to the output, if anything,
    /// is to be sent.
    NeedMore,
    /// The dialer holds the secret key of `peer`. The rest of the input was not consumed and
    /// belongs to the records, which are not opened before [`Listener::admit`].
    Admit {
        /// The dialer's identity.
        peer: PublicKey,
        /// What the connection is sealed with.
        suite: Suite,
    },
}

impl Listener {
    /// Waits for a dialer.
    #[must_use]
    pub fn new(setup: &Arc<ListenerSetup>) -> Self {
        Self {
            setup: Arc::clone(setup),
            state: State::Hello(Box::new(Collector::new())),
        }
    }

    /// The most bytes to read next: never past the end of the current message. 0 while an answer
    /// to [`ListenerEvent::Admit`] is due and when the handshake has ended.
    #[must_use]
    pub fn wanted(&self) -> usize {
        match &self.state {
            State::Hello(hello) => hello.wanted(),
            State::Proof(answered) => answered.proof.wanted(),
            State::Admission(_) | State::Finished => 0,
        }
    }

    /// Takes bytes from the peer: how many were consumed, and what came of it.
    ///
    /// `rng` must be the system's. It is drawn from once the hello has passed the checks that
    /// need no secret, for 32 bytes, then for 32 more unless
    /// [`KemLibrary`](crate::protocol::native::KemLibrary) says that the library has a generator
    /// of its own. While an answer to [`ListenerEvent::Admit`] is due, nothing is consumed and the
    /// question is asked again.
    ///
    /// # Errors
    ///
    /// Any [`HandshakeError`] but [`HandshakeError::ListenerKey`]; final, and at the byte that
    /// decides it. `output` is then unchanged.
    pub fn receive(
        &mut self,
        input: &[u8],
        rng: &mut impl CryptoRng,
        output: &mut Vec<u8>,
    ) -> Result<(usize, ListenerEvent), HandshakeError> {
        Ok(self.advance(input, rng, output)?)
    }

    /// Does what [`receive`](Self::receive) does, and tells which check failed.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        rng: &mut impl CryptoRng,
        output: &mut Vec<u8>,
    ) -> Result<(usize, ListenerEvent), Refusal> {
        let mut total = 0;
        loop {
            let rest = input.get(total..).unwrap_or_default();
            // What fails stays finished.
            match core::mem::replace(&mut self.state, State::Finished) {
                State::Hello(mut hello) => {
                    let (consumed, complete) = hello.receive(rest);
                    total += consumed;
                    check_magic(hello.received())?;
                    if complete {
                        self.state = State::Proof(self.setup.hello(&hello, rng, output)?);
                        continue;
                    }
                    self.state = State::Hello(hello);
                }
                State::Proof(mut answered) => {
                    let (consumed, complete) = answered.proof.receive(rest);
                    total += consumed;
                    if complete {
                        self.state = State::Admission(self.setup.proof(&answered)?);
                        continue;
                    }
                    self.state = State::Proof(answered);
                }
                State::Admission(session) => {
                    let (peer, suite) = (session.peer(), session.suite());
                    self.state = State::Admission(session);
                    return Ok((total, ListenerEvent::Admit { peer, suite }));
                }
                State::Finished => return Err(Refusal::Over),
            }
            return Ok((total, ListenerEvent::NeedMore));
        }
    }

    /// Admits the dialer: appends Accept, this end's first record, to `output`.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Finished`] if nothing was asked; final.
    pub fn admit(&mut self, output: &mut Vec<u8>) -> Result<Session, HandshakeError> {
        let mut session = self.proved()?;
        session.answer(Answer::Accept, output);
        Ok(*session)
    }

    /// Refuses the dialer: appends Refuse, this end's only record, to `output`. Send it, shut down
    /// writing, and read and discard within a bound of time and bytes before closing, or it may be
    /// lost on the way.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Finished`] if nothing was asked; final.
    pub fn refuse(
        &mut self,
        reason: RefuseReason,
        output: &mut Vec<u8>,
    ) -> Result<(), HandshakeError> {
        let mut session = self.proved()?;
        session.answer(Answer::Refuse(reason), output);
        Ok(())
    }

    fn proved(&mut self) -> Result<Box<Session>, HandshakeError> {
        match core::mem::replace(&mut self.state, State::Finished) {
            State::Admission(session) => Ok(session),
            _ => Err(HandshakeError::Finished),
        }
    }
}

/// Refuses at the first byte that differs.
fn check_magic(received: &[u8]) -> Result<(), Refusal> {
    if received
        .iter()
        .zip(&MAGIC)
        .all(|(ours, theirs)| ours == theirs)
    {
        return Ok(());
    }
    Err(Refusal::Magic)
}

impl ListenerSetup {
    /// Checks the hello, in the order of NATIVE section 2.1, and writes the answer.
    fn hello(
        &self,
        hello: &Collector<HELLO_LEN>,
        rng: &mut impl CryptoRng,
        output: &mut Vec<u8>,
    ) -> Result<Box<Answered>, Refusal> {
        let hello = hello.message();
        let (authenticated, mut mac) = hello.split_at(MAC_START);
        let expected = self.hello_key.clone().over(&[authenticated]);
        if !expected.begins_with(take(&mut mac)) {
            return Err(Refusal::Mac);
        }
        let suite = self.suite(hello)?;
        on_wiped_stack_of_kem(|| self.answer(suite, hello, rng, output))
    }

    fn suite(&self, hello: &[u8; HELLO_LEN]) -> Result<Suite, Refusal> {
        let byte = hello[MAGIC.len()];
        Suite::from_byte(byte)
            .filter(|suite| self.suites.contains(*suite))
            .ok_or(Refusal::Suite(byte))
    }

    fn answer(
        &self,
        suite: Suite,
        hello: &[u8; HELLO_LEN],
        rng: &mut impl CryptoRng,
        output: &mut Vec<u8>,
    ) -> Result<Box<Answered>, Refusal> {
        let (_, mut rest) = hello.split_at(MAGIC.len() + 1);
        let (theirs, key) = (take(&mut rest), take(&mut rest));
        let libraries = &self.parameters.libraries;
        let ephemeral = Ephemeral::draw(rng);
        let mut ciphertext = [0; kem::CIPHERTEXT_LEN];
        let encapsulated = kem::encapsulate(libraries.ml_kem_768, key, rng, &mut ciphertext)?;
        let agreed = ephemeral.agree(theirs).ok_or(Refusal::ZeroSecret)?;
        let ours = ephemeral.public_key();

        let h1 = derive::hash(&[&self.transcript, hello]);
        let h2 = derive::hash(&[&h1, &ours, &ciphertext]);
        let exchange = Exchange::new(suite, libraries.of(suite), &h2, &encapsulated, &agreed);
        output.reserve(super::ANSWER_LEN);
        output.extend_from_slice(&ours);
        output.extend_from_slice(&ciphertext);
        let start = output.len();
        let settings = self.parameters.settings.to_bytes();
        exchange.prove(&LISTENER, &h2, &self.identity, &settings, output);
        let part = output.get(start..).unwrap_or_default();
        Ok(Box::new(Answered {
            proof: Collector::new(),
            transcript: derive::hash(&[&h2, part]),
            exchange,
        }))
    }

    /// Checks the proof, in the order of NATIVE section 2.5.
    fn proof(&self, answered: &Answered) -> Result<Box<Session>, Refusal> {
        on_wiped_stack(|| {
            let Answered {
                proof,
                exchange,
                transcript: h3,
            } = answered;
            let mut part = *proof.message();
            exchange.open(&DIALER, h3, &mut part)?;
            let (claims, proofs) = schedule::pieces::<{ 32 + SETTINGS_LEN }>(&part);
            let mut fields = &claims[..];
            let peer = PublicKey::from_unchecked(*take(&mut fields));
            let verifier = peer
                .verifier(Verification::Strict)
                .map_err(|_| Refusal::Identity)?;
            exchange.check(&DIALER, h3, &verifier, claims, proofs)?;
            if peer == self.identity.public_key() && !self.parameters.allow_self {
                return Err(Refusal::SameIdentity);
            }
            let theirs = Settings::from_bytes(*take(&mut fields)).map_err(Refusal::Settings)?;
            let h4 = derive::hash(&[h3, proof.message()]);
            let session = Session::new(
                exchange,
                &h4,
                &self.parameters,
                Role::Listener,
                (peer, theirs),
            );
            Ok(Box::new(session))
        })
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("identity", &self.setup.identity.public_key())
            .field("wanted", &self.wanted())
            .finish_non_exhaustive()
    }
}
