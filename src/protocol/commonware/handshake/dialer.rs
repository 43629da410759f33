//! The end that speaks first (SPEC section 4.2).
//!
//! Prelude and Syn are written at construction, from then on the machine
//! waits for one message, SynAck, and answers it with Ack. The window of
//! accepted times is fixed at construction and not moved when SynAck comes.

use super::frame::{self, FrameReader};
use super::schedule::{Keys, Schedule};
use super::{HandshakeError, Parameters, Role, Session, Window};
use crate::protocol::ephemeral::Ephemeral;
use crate::protocol::identity::{Identity, PublicKey, Verifier};
use crate::protocol::secret::on_wiped_stack;
use crate::protocol::varint;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use rand_core::CryptoRng;

/// A handshake in progress with a listener whose key is known.
pub struct Dialer {
    /// Boxed so that moving the machine leaves no secrets behind; gone once
    /// the handshake ended, well or not.
    waiting: Option<Box<Waiting>>,
}

struct Waiting {
    frame: FrameReader,
    schedule: Schedule,
    secret: Ephemeral,
    keys: Keys,
    window: Window,
    verifier: Verifier,
}

impl Dialer {
    /// Starts a handshake with `peer` and appends Prelude and Syn to `output`.
    ///
    /// `now_ms` is this end's clock in whole milliseconds since the Unix
    /// epoch. `rng` is drawn from once, for 32 bytes.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::WeakKey`] or [`HandshakeError::Decode`] if `peer` was
    /// read under a laxer rule than `parameters` has, and
    /// [`HandshakeError::SameIdentity`]. Nothing is drawn or written then.
    pub fn new(
        identity: &Identity,
        peer: PublicKey,
        parameters: &Parameters,
        now_ms: u64,
        rng: &mut impl CryptoRng,
        output: &mut Vec<u8>,
    ) -> Result<Self, HandshakeError> {
        let keys = Keys {
            dialer: identity.public_key(),
            listener: peer,
        };
        let verifier = parameters.check_peer(keys.dialer, peer)?;
        let waiting = on_wiped_stack(|| {
            let secret = Ephemeral::draw(rng);
            let ephemeral = secret.public_key();
            let schedule = Schedule::offer(
                parameters.version,
                &parameters.namespace,
                now_ms,
                keys,
                &ephemeral,
            );
            let signature = identity.sign(&schedule.signing_payload());
            frame::write(output, &[keys.dialer.as_bytes()]);
            frame::write(output, &[&now_ms.to_be_bytes(), &ephemeral, &signature]);
            Box::new(Waiting {
                frame: FrameReader::new(frame::SYN_ACK_LEN),
                schedule,
                secret,
                keys,
                window: parameters.window(now_ms),
                verifier,
            })
        });
        Ok(Self {
            waiting: Some(waiting),
        })
    }

    /// Whether an answer that begins with `first` can be one of this protocol:
    /// all begin with the same length.
    #[must_use]
    pub fn can_begin_with(first: u8) -> bool {
        let mut prefix = [0; varint::MAX_U64_LEN];
        varint::encode_u64(frame::SYN_ACK_LEN as u64, &mut prefix);
        prefix.first() == Some(&first)
    }

    /// The most bytes to read next: never past the end of the handshake, so
    /// whoever keeps to it has nothing to hand on to the records. 0 when it
    /// has ended.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.waiting
            .as_ref()
            .map_or(0, |waiting| waiting.frame.wanted())
    }

    /// Takes bytes from the peer: how many were consumed, and the session once
    /// the handshake is complete.
    ///
    /// With the session, Ack was appended to `output` and the rest of `input`
    /// belongs to the records; without it, all of `input` was consumed. The
    /// peer gives no sign that it accepted the Ack.
    ///
    /// # Errors
    ///
    /// Any [`HandshakeError`] but `PeerRejected` and `SameIdentity`; final,
    /// with `output` unchanged.
    pub fn receive(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(usize, Option<Session>), HandshakeError> {
        let mut waiting = self.waiting.take().ok_or(HandshakeError::Finished)?;
        let (consumed, complete) = waiting.frame.receive(input)?;
        if !complete {
            self.waiting = Some(waiting);
            return Ok((consumed, None));
        }
        on_wiped_stack(|| waiting.finish(output)).map(|session| (consumed, Some(session)))
    }
}

impl Waiting {
    fn finish(self: Box<Self>, output: &mut Vec<u8>) -> Result<Session, HandshakeError> {
        let Self {
            frame: reader,
            mut schedule,
            secret,
            keys,
            window,
            verifier,
        } = *self;
        let mut fields = reader.fields();
        let time = fields.take_u64()?;
        let ephemeral = fields.take()?;
        let signature = fields.take()?;
        let confirmation: [u8; 32] = fields.take()?;

        window.check(time)?;
        schedule.answer(time, keys.dialer, &ephemeral);
        let payload = schedule.signing_payload();
        if !verifier.verifies(&payload, &signature) {
            return Err(HandshakeError::BadSignature);
        }
        let shared = secret
            .agree(&ephemeral)
            .ok_or(HandshakeError::BadEphemeral)?;
        let outcome = schedule.finish(&shared);
        if outcome.confirmation_by_listener() != confirmation {
            return Err(HandshakeError::BadConfirmation);
        }
        frame::write(output, &[outcome.confirmation_by_dialer().as_bytes()]);
        Ok(Session::new(outcome, Role::Dialer))
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("wanted", &self.wanted())
            .finish_non_exhaustive()
    }
}
