//! The listener of SAKE, in both versions, against a dialer that signs anything, and against changes to
//! an honest one's messages.

use core::time::Duration;
use std::sync::Arc;

use ringseal::internals::sake_forge::{Parties, syn};
use ringseal::protocol::handshake::{
    Dialer, HandshakeError, LISTENER_LEN, Listener, ListenerEvent, Parameters, SakeVersion,
};
use ringseal::{KeyError, PublicKey, Verification};

use crate::ends::{self, DIALER, Draws, LISTENER, NAMESPACE};
use crate::input::{Flags, Input};

/// Length of Prelude and Syn together.
const OFFER_LEN: usize = 33 + 105;
/// Length of Ack.
const ACK_LEN: usize = 33;

/// What a dialer offers.
struct Offer {
    claimed: [u8; 32],
    /// Whose signature it has.
    signer: u8,
    time: u64,
    ephemeral: [u8; 32],
}

pub(crate) fn sake_listener(data: &[u8]) {
    let mut input = Input::new(data);
    let mut flags = Flags::take_from(&mut input);
    let (is_forged, is_changed, admits) = (flags.next(), flags.next(), flags.next());
    let parameters = parameters(&mut input);
    let now = input.number();
    let piece = 1 + input.below(OFFER_LEN + 10);
    let mut listener = Listener::new(Arc::clone(&LISTENER), &parameters);
    if is_forged {
        let offer = offer(&mut input, now);
        let expected = expected(&offer, &parameters, now, admits);
        let mut bytes = write(&offer, &parameters);
        let is_changed = is_changed && input.edit(&mut bytes);
        let result = feed(&mut listener, &bytes, (now, piece), admits);
        match result {
            Ok(None) => assert!(is_changed || expected.is_ok()),
            Ok(Some(_)) => panic!("there was no confirmation"),
            Err(error) => assert!(is_changed || expected == Err(error)),
        }
        return;
    }
    let (mut draws, mut bytes) = (Draws(1), Vec::new());
    let peer = LISTENER.public_key();
    let dialer = Dialer::new(&DIALER, peer, &parameters, now, &mut draws, &mut bytes);
    honest(
        listener,
        dialer.expect("the key is good"),
        &bytes,
        (now, piece),
        &mut input,
    );
}

/// How a listener may be set up.
fn parameters(input: &mut Input<'_>) -> Parameters {
    let mut flags = Flags::take_from(input);
    let mut parameters = Parameters::new(NAMESPACE);
    if flags.next() {
        parameters.version = SakeVersion::V0;
    }
    if flags.next() {
        parameters.verification = Verification::Zip215;
    }
    parameters.allow_self = flags.next();
    if flags.next() {
        parameters.synchrony_bound = Duration::from_millis(input.number());
        parameters.max_handshake_age = Duration::from_millis(input.number());
    }
    parameters
}

fn offer(input: &mut Input<'_>, now: u64) -> Offer {
    let mut flags = Flags::take_from(input);
    let signer = input.byte();
    let tag = input.byte();
    let key = if tag % 4 == 3 { input.array() } else { [0; 32] };
    let time = match (flags.next(), flags.next()) {
        (false, _) => now,
        (true, false) => input.number(),
        // Close to the borders of what is accepted by default.
        (true, true) => now
            .wrapping_add(input.number() % 16_384)
            .wrapping_sub(10_500),
    };
    Offer {
        claimed: ends::any_key(tag, key),
        signer,
        time,
        ephemeral: if flags.next() { input.array() } else { [9; 32] },
    }
}

fn write(offer: &Offer, parameters: &Parameters) -> Vec<u8> {
    let signer = ends::anybody(offer.signer);
    // Any 32 bytes are a key as far as that goes.
    let claimed = PublicKey::from_bytes_with(offer.claimed, Verification::Zip215);
    let parties = Parties {
        version: parameters.version,
        namespace: NAMESPACE,
        dialer: claimed.unwrap_or_else(|_| signer.public_key()),
        listener: LISTENER.public_key(),
    };
    let mut bytes = syn(&parties, signer, offer.time, &offer.ephemeral);
    assert_eq!(bytes.len(), OFFER_LEN);
    bytes[1..33].copy_from_slice(&offer.claimed);
    bytes
}

/// The order of checks of SPEC section 4.3.
fn expected(
    offer: &Offer,
    parameters: &Parameters,
    now: u64,
    admits: bool,
) -> Result<(), HandshakeError> {
    let key = PublicKey::from_bytes_with(offer.claimed, parameters.verification);
    let key = key.map_err(|error| match error {
        KeyError::NotOnCurve => HandshakeError::Decode,
        _ => HandshakeError::WeakKey,
    })?;
    if key == LISTENER.public_key() && !parameters.allow_self {
        return Err(HandshakeError::SameIdentity);
    }
    if !admits {
        return Err(HandshakeError::PeerRejected(key));
    }
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let earliest = now.saturating_sub(milliseconds(parameters.max_handshake_age));
    let latest_exclusive = now.saturating_add(milliseconds(parameters.synchrony_bound));
    let timestamp = offer.time;
    if timestamp < earliest || timestamp >= latest_exclusive {
        return Err(HandshakeError::BadTimestamp {
            timestamp,
            earliest,
            latest_exclusive,
        });
    }
    if key != ends::anybody(offer.signer).public_key() {
        return Err(HandshakeError::BadSignature);
    }
    if ends::has_small_order(offer.ephemeral) {
        return Err(HandshakeError::BadEphemeral);
    }
    Ok(())
}

/// Gives the listener Prelude and Syn; what it answers, if it is asked for more.
fn feed(
    listener: &mut Listener,
    bytes: &[u8],
    (now, piece): (u64, usize),
    admits: bool,
) -> Result<Option<PublicKey>, HandshakeError> {
    let mut output = Vec::new();
    for mut piece in bytes.chunks(piece) {
        while !piece.is_empty() {
            let result = listener.receive(piece, now, &mut Draws(2), &mut output);
            if result.is_err() {
                assert_eq!(listener.wanted(), 0);
                let again = listener.receive(b"x", now, &mut Draws(2), &mut output);
                assert!(matches!(again, Err(HandshakeError::Finished)));
            }
            let (consumed, event) = result?;
            match event {
                ListenerEvent::NeedMore => assert_eq!(consumed, piece.len()),
                ListenerEvent::Admit(_) => listener.admit(admits)?,
                ListenerEvent::Done(peer, _) => return Ok(Some(peer)),
            }
            piece = &piece[consumed..];
        }
    }
    assert!(output.is_empty() || output.len() == LISTENER_LEN);
    Ok(None)
}

/// An honest dialer, of whose last message some bytes may be changed.
fn honest(
    mut listener: Listener,
    mut dialer: Dialer,
    offer: &[u8],
    (now, piece): (u64, usize),
    input: &mut Input<'_>,
) {
    let mut answer = Vec::new();
    let mut rest = offer;
    while !rest.is_empty() {
        let part = &rest[..piece.min(rest.len())];
        let received = listener.receive(part, now, &mut Draws(2), &mut answer);
        let Ok((consumed, event)) = received else {
            // Its own time may be out of a window that is empty.
            assert!(matches!(received, Err(HandshakeError::BadTimestamp { .. })));
            return;
        };
        if let ListenerEvent::Admit(peer) = event {
            assert_eq!(peer, DIALER.public_key());
            listener.admit(true).expect("it was asked");
        }
        rest = &rest[consumed..];
    }
    let mut ack = Vec::new();
    let (consumed, session) = dialer.receive(&answer, &mut ack).expect("it is honest");
    assert!((consumed, ack.len()) == (LISTENER_LEN, ACK_LEN) && session.is_some());
    let is_changed = input.edit(&mut ack);
    let done = listener.receive(&ack, now, &mut Draws(2), &mut answer);
    match done {
        Ok((_, ListenerEvent::Done(peer, _))) => {
            assert!(!is_changed && peer == DIALER.public_key());
        }
        Ok(_) | Err(_) => assert!(is_changed),
    }
}
