//! The listener of the native wire against a dialer that seals, signs and finishes anything.

use std::sync::Arc;

use ringseal::internals::native_forge::{CLAIMS_LEN, proof, settings_from, settings_to};
use ringseal::protocol::layout::{Incoming, Step};
use ringseal::protocol::native::handshake::{
    ANSWER_LEN, Dialer, HandshakeError, Listener, ListenerEvent, ListenerSetup, PROOF_LEN,
    Parameters,
};
use ringseal::protocol::native::record::{Event, RefuseReason};
use ringseal::protocol::native::{Settings, SettingsError, Suite, Suites};
use ringseal::{Identity, PublicKey};

use crate::ends::{self, Draws, LISTENER};
use crate::input::{Flags, Input};

/// Key, settings, signature and finished value.
const PLAINTEXT_LEN: usize = CLAIMS_LEN + 64 + 32;

/// What is wrong with a proof, if anything is.
struct Forged<'a> {
    claimed: [u8; 32],
    signer: &'a Identity,
    settings: Result<Settings, SettingsError>,
    is_changed: bool,
}

pub(crate) fn native_proof(data: &[u8]) {
    let mut input = Input::new(data);
    let mut flags = Flags::take_from(&mut input);
    let suite = Suite::ALL[usize::from(flags.next())];
    let (allows_self, has_own_settings) = (flags.next(), flags.next());
    let (is_changed_within, is_changed_without, admits) =
        (flags.next(), flags.next(), flags.next());
    let signer = ends::anybody(input.byte());
    let tag = input.byte();
    let key = if tag % 4 == 3 { input.array() } else { [0; 32] };
    let claimed = ends::any_key(tag, key);
    let settings = match has_own_settings {
        true => input.array(),
        false => settings_to(ends::settings()),
    };
    let piece = 1 + input.below(PROOF_LEN + 10);

    let mut parameters = ends::native_parameters(ends::settings());
    parameters.allow_self = allows_self;
    let (dialer, hello) = ends::dial_native(suite, &parameters);
    let (mut listener, answer) = answer(parameters, &hello);
    let mut claims = [0; CLAIMS_LEN];
    claims[..32].copy_from_slice(&claimed);
    claims[32..].copy_from_slice(&settings);
    let mut is_changed = false;
    let change = |part: &mut [u8]| {
        is_changed = is_changed_within && input.edit(&mut part[..PLAINTEXT_LEN]);
    };
    let proof = proof(&dialer, &answer, signer, &claims, change);
    let mut proof = proof.expect("the answer is honest");
    is_changed |= is_changed_without && input.edit(&mut proof);

    let asked = feed(&mut listener, &proof, piece);
    let forged = Forged {
        claimed,
        signer,
        settings: settings_from(settings),
        is_changed,
    };
    let expected = forged.expected(allows_self);
    assert_eq!(
        asked,
        expected.map(|peer| ListenerEvent::Admit { peer, suite })
    );
    if asked.is_ok() {
        let reason = RefuseReason(u16::from_be_bytes(input.array()));
        let refusal = (!admits).then_some(reason);
        decide(listener, refusal, dialer, (&answer, &proof));
    }
}

fn answer(parameters: Parameters, hello: &[u8]) -> (Listener, [u8; ANSWER_LEN]) {
    let setup = ListenerSetup::new(Arc::clone(&LISTENER), parameters, Suites::all());
    let mut listener = Listener::new(&setup.into());
    let mut output = Vec::new();
    let answered = listener.receive(hello, &mut Draws(2), &mut output);
    assert_eq!(answered, Ok((hello.len(), ListenerEvent::NeedMore)));
    (
        listener,
        output.try_into().expect("an answer has one length"),
    )
}

/// Gives the listener `proof` in pieces.
fn feed(
    listener: &mut Listener,
    proof: &[u8],
    piece: usize,
) -> Result<ListenerEvent, HandshakeError> {
    let (mut draws, mut output) = (Draws(3), Vec::new());
    let mut last = ListenerEvent::NeedMore;
    for piece in proof.chunks(piece) {
        assert_eq!(last, ListenerEvent::NeedMore);
        assert!(piece.len() <= listener.wanted());
        let received = listener.receive(piece, &mut draws, &mut output);
        assert!(output.is_empty(), "it says nothing before it is decided");
        if received.is_err() {
            let again = listener.receive(b"x", &mut draws, &mut output);
            assert_eq!(again, Err(HandshakeError::Finished));
        }
        let (consumed, event) = received?;
        assert_eq!(consumed, piece.len());
        last = event;
    }
    assert_eq!(listener.wanted(), 0);
    let again = listener.receive(b"x", &mut draws, &mut output);
    assert_eq!(again, Ok((0, last)), "it is asked again");
    Ok(last)
}

impl Forged<'_> {
    /// Whom the listener is to ask about, in the order of checks of NATIVE section 2.5.
    fn expected(&self, allows_self: bool) -> Result<PublicKey, HandshakeError> {
        let key = PublicKey::from_bytes(self.claimed);
        let key = key.map_err(|_| HandshakeError::Failed)?;
        if self.is_changed || key != self.signer.public_key() {
            return Err(HandshakeError::Failed);
        }
        if key == LISTENER.public_key() && !allows_self {
            return Err(HandshakeError::SameIdentity);
        }
        self.settings.map_err(HandshakeError::Settings)?;
        Ok(key)
    }
}

/// Decides, and has the dialer hear it if the proof was its own.
fn decide(
    mut listener: Listener,
    refusal: Option<RefuseReason>,
    mut dialer: Dialer,
    (answer, proof): (&[u8], &[u8]),
) {
    let mut decision = Vec::new();
    let expected = match refusal {
        None => {
            listener.admit(&mut decision).expect("it was asked");
            Event::Accepted
        }
        Some(reason) => {
            listener
                .refuse(reason, &mut decision)
                .expect("it was asked");
            Event::Refused(reason)
        }
    };
    assert!(listener.admit(&mut Vec::new()).is_err(), "once");
    let mut own_proof = Vec::new();
    let concluded = dialer.receive(answer, &mut own_proof);
    let (_, session) = concluded.expect("the answer is honest");
    if proof == own_proof {
        let (_, mut opener, _) = session.expect("it is complete").split();
        let consumed = decision.len();
        let event = expected;
        assert_eq!(
            opener.open(&mut decision),
            Ok(Step::Event { event, consumed })
        );
    }
}
