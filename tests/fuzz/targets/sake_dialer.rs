//! The dialer of SAKE, in both versions, against a listener that signs anything.

use ringseal::Verification;
use ringseal::internals::sake_forge::{Parties, syn_ack};
use ringseal::protocol::handshake::{
    DIALER_LEN, Dialer, HandshakeError, LISTENER_LEN, Parameters, SakeVersion, Session,
};

use crate::ends::{self, DIALER, Draws, LISTENER, NAMESPACE};
use crate::input::{Flags, Input};

/// Where Syn has its time and its ephemeral key, behind Prelude and its own length.
const TIME: usize = 34;
const EPHEMERAL: usize = TIME + 8;
const ACK_LEN: usize = 33;

pub(crate) fn sake_dialer(data: &[u8]) {
    let mut input = Input::new(data);
    let mut flags = Flags::take_from(&mut input);
    let mut parameters = Parameters::new(NAMESPACE);
    if flags.next() {
        parameters.version = SakeVersion::V0;
    }
    if flags.next() {
        parameters.verification = Verification::Zip215;
    }
    let (has_other_time, has_other_key, is_changed) = (flags.next(), flags.next(), flags.next());
    let now = input.number();
    let time = if has_other_time { input.number() } else { now };
    let ephemeral = has_other_key.then(|| input.array());
    let signer = input.byte();
    let piece = 1 + input.below(LISTENER_LEN + 10);

    let (mut draws, mut offer) = (Draws(1), Vec::new());
    let peer = LISTENER.public_key();
    let dialer = Dialer::new(&DIALER, peer, &parameters, now, &mut draws, &mut offer);
    let mut dialer = dialer.expect("the key is good");
    assert_eq!(offer.len(), DIALER_LEN - ACK_LEN);
    let parties = Parties {
        version: parameters.version,
        namespace: NAMESPACE,
        dialer: DIALER.public_key(),
        listener: peer,
    };
    let theirs = offer[EPHEMERAL..][..32].try_into().expect("32 bytes");
    let signer = ends::anybody(signer);
    let answer = syn_ack(
        &parties,
        signer,
        (now, &theirs),
        time,
        ephemeral,
        &mut Draws(2),
    );
    let mut answer = answer.expect("the offer is honest");
    assert_eq!(answer.len(), LISTENER_LEN);
    let is_changed = is_changed && input.edit(&mut answer);

    let window = now.saturating_sub(10_000)..now.saturating_add(5_000);
    let expected = if !window.contains(&time) {
        Err(HandshakeError::BadTimestamp {
            timestamp: time,
            earliest: window.start,
            latest_exclusive: window.end,
        })
    } else if signer.public_key() != peer {
        Err(HandshakeError::BadSignature)
    } else if ephemeral.is_some_and(ends::has_small_order) {
        Err(HandshakeError::BadEphemeral)
    } else if ephemeral.is_some() {
        Err(HandshakeError::BadConfirmation)
    } else {
        Ok(())
    };
    match feed(&mut dialer, &answer, piece) {
        // One that is announced longer than it is.
        Ok(None) => assert!(is_changed),
        Ok(Some(_)) => assert!(!is_changed && expected.is_ok()),
        Err(error) => assert!(is_changed || expected == Err(error)),
    }
}

fn feed(
    dialer: &mut Dialer,
    answer: &[u8],
    piece: usize,
) -> Result<Option<Session>, HandshakeError> {
    let mut output = Vec::new();
    for piece in answer.chunks(piece) {
        let result = dialer.receive(piece, &mut output);
        assert_eq!(
            output.len(),
            if matches!(result, Ok((_, Some(_)))) {
                ACK_LEN
            } else {
                0
            }
        );
        if !matches!(result, Ok((_, None))) {
            assert_eq!(dialer.wanted(), 0);
            let again = dialer.receive(b"x", &mut output);
            assert!(matches!(again, Err(HandshakeError::Finished)));
        }
        let (consumed, session) = result?;
        if session.is_some() {
            return Ok(session);
        }
        assert_eq!(consumed, piece.len());
    }
    Ok(None)
}
