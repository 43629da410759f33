//! The dialer of the native wire against a listener that seals, signs and finishes anything.

use ringseal::internals::native_forge::{answer, settings_from, settings_to};
use ringseal::protocol::native::Suite;
use ringseal::protocol::native::handshake::{
    ANSWER_LEN, Dialer, HandshakeError, PROOF_LEN, Session,
};

use crate::ends::{self, Draws, LISTENER, NAMESPACE};
use crate::input::{Flags, Input};

/// Settings, signature and finished value.
const PLAINTEXT_LEN: usize = 20 + 64 + 32;

pub(crate) fn native_answer(data: &[u8]) {
    let mut input = Input::new(data);
    let mut flags = Flags::take_from(&mut input);
    let suite = Suite::ALL[usize::from(flags.next())];
    let (has_own_settings, is_cut) = (flags.next(), flags.next());
    let (is_changed_within, is_changed_without) = (flags.next(), flags.next());
    let piece = 1 + input.below(ANSWER_LEN + 100);
    let length = match is_cut {
        true => input.below(ANSWER_LEN),
        false => ANSWER_LEN,
    };
    let settings = match has_own_settings {
        true => input.array(),
        false => settings_to(ends::settings()),
    };
    let (mut dialer, hello) = ends::dial_native(suite, &ends::native_parameters(ends::settings()));
    let mut is_wrong = false;
    let change = |part: &mut [u8]| {
        is_wrong = is_changed_within && input.edit(&mut part[..PLAINTEXT_LEN]);
    };
    let answer = answer(
        &LISTENER,
        NAMESPACE,
        &hello,
        &settings,
        change,
        &mut Draws(2),
    );
    let mut answer = answer.expect("the hello is honest");
    assert_eq!(answer.len(), ANSWER_LEN);
    is_wrong |= is_changed_without && input.edit(&mut answer);

    let concluded = feed(&mut dialer, &answer[..length], piece);
    match settings_from(settings) {
        _ if length < ANSWER_LEN => assert!(matches!(concluded, Ok(None))),
        _ if is_wrong => assert_eq!(concluded.err(), Some(HandshakeError::Failed)),
        Err(error) => assert_eq!(concluded.err(), Some(HandshakeError::Settings(error))),
        Ok(settings) => {
            let session = concluded.expect("it holds").expect("it is complete");
            assert_eq!(*session.peer_settings(), settings);
            assert_eq!(
                (session.suite(), session.peer()),
                (suite, LISTENER.public_key())
            );
        }
    }
}

/// Gives the dialer `answer` in pieces, as a caller does who keeps to what is wanted.
fn feed(
    dialer: &mut Dialer,
    answer: &[u8],
    piece: usize,
) -> Result<Option<Session>, HandshakeError> {
    let mut output = Vec::new();
    for (index, piece) in answer.chunks(piece).enumerate() {
        assert!(index > 0 || dialer.wanted() == ANSWER_LEN);
        assert!(piece.len() <= dialer.wanted() && output.is_empty());
        let result = dialer.receive(piece, &mut output);
        let is_over = !matches!(result, Ok((_, None)));
        if is_over {
            assert_eq!(dialer.wanted(), 0);
            let again = dialer.receive(b"x", &mut Vec::new());
            assert_eq!(again.err(), Some(HandshakeError::Finished));
            assert_eq!(output.len(), if result.is_ok() { PROOF_LEN } else { 0 });
        }
        let (consumed, session) = result?;
        assert_eq!(consumed, piece.len());
        if session.is_some() {
            return Ok(session);
        }
    }
    Ok(None)
}
