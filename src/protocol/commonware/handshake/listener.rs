//! The end that admits or refuses (SPEC section 4.3).
//!
//! Three messages' worth of waiting with one question in between: after
//! Prelude the machine stops and asks whether to go on with the claimed key.
//! Until then it has spent nothing on the peer but 32 bytes of reading, and
//! until Syn has verified it draws no randomness and writes nothing.

use super::frame::{self, FrameReader};
use super::schedule::{Keys, Outcome, Schedule};
use super::{HandshakeError, Parameters, Role, Session};
use crate::protocol::ephemeral::Ephemeral;
use crate::protocol::identity::{Identity, PublicKey, Verifier};
use crate::protocol::secret::on_wiped_stack;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use rand_core::CryptoRng;

/// A handshake in progress with a dialer that is yet to prove its key.
///
/// Call [`receive`](Self::receive) with what arrives; on
/// [`ListenerEvent::Admit`] answer with [`admit`](Self::admit) before the next
/// `receive`.
pub struct Listener {
    identity: Arc<Identity>,
    parameters: Parameters,
    state: State,
}

enum State {
    Prelude(FrameReader),
    /// Waits for the answer about the claimed key.
    Admission(Box<Claim>),
    Syn(Box<Claim>, FrameReader),
    Ack(Box<Answered>),
    Finished,
}

/// Whom the dialer claims to be.
struct Claim {
    peer: PublicKey,
    verifier: Verifier,
}

/// What is kept between SynAck and Ack.
struct Answered {
    peer: PublicKey,
    frame: FrameReader,
    outcome: Outcome,
}

/// What came of the bytes a listener was given.
#[derive(Debug)]
pub enum ListenerEvent {
    /// All input was consumed and more is needed; what was appended to the
    /// output, if anything, is to be sent.
    NeedMore,
    /// The dialer claims this key, which proves nothing yet. The rest of the
    /// input was not consumed; answer with [`Listener::admit`] and give it
    /// again.
    Admit(PublicKey),
    /// The dialer holds this key. The rest of the input belongs to the
    /// records.
    Done(PublicKey, Session),
}

impl Listener {
    /// Waits for a dialer.
    #[must_use]
    pub fn new(identity: Arc<Identity>, parameters: &Parameters) -> Self {
        Self {
            identity,
            parameters: parameters.clone(),
            state: State::Prelude(FrameReader::new(frame::PRELUDE_LEN)),
        }
    }

    /// The most bytes to read next: never past the end of the current message.
    /// 0 while an answer to [`ListenerEvent::Admit`] is due and when the
    /// handshake has ended.
    #[must_use]
    pub fn wanted(&self) -> usize {
        match &self.state {
            State::Prelude(reader) | State::Syn(_, reader) => reader.wanted(),
            State::Ack(answered) => answered.frame.wanted(),
            State::Admission(_) | State::Finished => 0,
        }
    }

    /// Takes bytes from the peer: how many were consumed, and what came of it.
    ///
    /// `now_ms` is this end's clock in whole milliseconds since the Unix
    /// epoch; it counts in the call that completes Syn. `rng` is drawn from
    /// once, for 32 bytes, after Syn has verified. While an answer to
    /// [`ListenerEvent::Admit`] is due, nothing is consumed and the question
    /// is asked again.
    ///
    /// # Errors
    ///
    /// Any [`HandshakeError`] but `PeerRejected`; final. What was appended to
    /// `output` before need not be sent.
    pub fn receive(
        &mut self,
        input: &[u8],
        now_ms: u64,
        rng: &mut impl CryptoRng,
        output: &mut Vec<u8>,
    ) -> Result<(usize, ListenerEvent), HandshakeError> {
        let mut total = 0;
        loop {
            let rest = input.get(total..).unwrap_or_default();
            // What fails stays finished.
            match core::mem::replace(&mut self.state, State::Finished) {
                State::Prelude(mut reader) => {
                    let (consumed, complete) = reader.receive(rest)?;
                    total += consumed;
                    if complete {
                        self.state = State::Admission(self.prelude(&reader)?);
                        continue;
                    }
                    self.state = State::Prelude(reader);
                }
                State::Admission(claim) => {
                    let peer = claim.peer;
                    self.state = State::Admission(claim);
                    return Ok((total, ListenerEvent::Admit(peer)));
                }
                State::Syn(claim, mut reader) => {
                    let (consumed, complete) = reader.receive(rest)?;
                    total += consumed;
                    if complete {
                        let answer = || self.syn(&claim, &reader, now_ms, rng, output);
                        self.state = on_wiped_stack(answer)?;
                        continue;
                    }
                    self.state = State::Syn(claim, reader);
                }
                State::Ack(mut answered) => {
                    let (consumed, complete) = answered.frame.receive(rest)?;
                    total += consumed;
                    if complete {
                        let Answered { peer, .. } = *answered;
                        let session = on_wiped_stack(|| answered.finish())?;
                        return Ok((total, ListenerEvent::Done(peer, session)));
                    }
                    self.state = State::Ack(answered);
                }
                State::Finished => return Err(HandshakeError::Finished),
            }
            return Ok((total, ListenerEvent::NeedMore));
        }
    }

    /// Answers whether the handshake goes on with the key that was asked
    /// about.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::PeerRejected`] if the answer is no, and
    /// [`HandshakeError::Finished`] if nothing was asked; both are final.
    pub fn admit(&mut self, admitted: bool) -> Result<(), HandshakeError> {
        match core::mem::replace(&mut self.state, State::Finished) {
            State::Admission(claim) if admitted => {
                self.state = State::Syn(claim, FrameReader::new(frame::SYN_LEN));
                Ok(())
            }
            State::Admission(claim) => Err(HandshakeError::PeerRejected(claim.peer)),
            _ => Err(HandshakeError::Finished),
        }
    }

    fn prelude(&self, reader: &FrameReader) -> Result<Box<Claim>, HandshakeError> {
        let claimed = reader.fields().take()?;
        let peer = PublicKey::from_unchecked(claimed);
        let own = self.identity.public_key();
        let verifier = self.parameters.check_peer(own, peer)?;
        Ok(Box::new(Claim { peer, verifier }))
    }

    fn syn(
        &self,
        claim: &Claim,
        reader: &FrameReader,
        now_ms: u64,
        rng: &mut impl CryptoRng,
        output: &mut Vec<u8>,
    ) -> Result<State, HandshakeError> {
        let parameters = &self.parameters;
        let peer = claim.peer;
        let mut fields = reader.fields();
        let time = fields.take_u64()?;
        let their_ephemeral = fields.take()?;
        let signature = fields.take()?;

        parameters.window(now_ms).check(time)?;
        let keys = Keys {
            dialer: peer,
            listener: self.identity.public_key(),
        };
        let mut schedule = Schedule::offer(
            parameters.version,
            &parameters.namespace,
            time,
            keys,
            &their_ephemeral,
        );
        let payload = schedule.signing_payload();
        if !claim.verifier.verifies(&payload, &signature) {
            return Err(HandshakeError::BadSignature);
        }

        let secret = Ephemeral::draw(rng);
        let shared = secret
            .agree(&their_ephemeral)
            .ok_or(HandshakeError::BadEphemeral)?;
        let ephemeral = secret.public_key();
        schedule.answer(now_ms, peer, &ephemeral);
        let signature = self.identity.sign(&schedule.signing_payload());
        let outcome = schedule.finish(&shared);
        frame::write(
            output,
            &[
                &now_ms.to_be_bytes(),
                &ephemeral,
                &signature,
                outcome.confirmation_by_listener().as_bytes(),
            ],
        );
        Ok(State::Ack(Box::new(Answered {
            peer,
            frame: FrameReader::new(frame::ACK_LEN),
            outcome,
        })))
    }
}

impl Answered {
    fn finish(self: Box<Self>) -> Result<Session, HandshakeError> {
        let confirmation: [u8; 32] = self.frame.fields().take()?;
        if self.outcome.confirmation_by_dialer() != confirmation {
            return Err(HandshakeError::BadConfirmation);
        }
        Ok(Session::new(self.outcome, Role::Listener))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("identity", &self.identity.public_key())
            .field("wanted", &self.wanted())
            .finish_non_exhaustive()
    }
}
