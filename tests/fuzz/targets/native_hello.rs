//! The listener of the native wire against any hello, with the right mac if the input says so.

use std::sync::Arc;

use ringseal::internals::native_forge::authenticate;
use ringseal::protocol::native::handshake::{
    ANSWER_LEN, Dialer, HELLO_LEN, HandshakeError, Listener, ListenerEvent, ListenerSetup, MAGIC,
    PROOF_LEN,
};
use ringseal::protocol::native::{Suite, Suites};

use crate::ends::{self, Draws, LISTENER, NAMESPACE};
use crate::input::{Flags, Input};

const SUITE: usize = MAGIC.len();
const EPHEMERAL: usize = SUITE + 1;
const ENCAPSULATION_KEY: usize = EPHEMERAL + 32;
/// Bytes of an encapsulation key that hold coefficients, two in three bytes.
const COEFFICIENTS_LEN: usize = 1_152;
const MAC: usize = HELLO_LEN - 16;

/// What a listener is to make of a hello.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Refused(HandshakeError),
    Waits,
    Answered,
}

pub(crate) fn native_hello(data: &[u8]) {
    let mut input = Input::new(data);
    let mut flags = Flags::take_from(&mut input);
    let suite = Suite::ALL[usize::from(flags.next())];
    let (is_authenticated, is_cut, is_raw) = (flags.next(), flags.next(), flags.next());
    let suites = input.choose(&[
        Suites::all(),
        Suites::none(),
        Suites::none().and(Suite::Aes256Gcm),
        Suites::none().and(Suite::ChaCha20Poly1305),
    ]);
    let piece = 1 + input.below(HELLO_LEN + 100);
    let length = match is_cut {
        true => input.below(HELLO_LEN + 1),
        false => HELLO_LEN,
    };
    let parameters = ends::native_parameters(ends::settings());
    let honest = ends::native_hello(suite);
    let mut hello = honest;
    if is_raw {
        hello
            .iter_mut()
            .zip(input.rest())
            .for_each(|(target, source)| *target = *source);
    } else {
        input.edit(&mut hello);
    }
    if is_authenticated {
        authenticate(&mut hello, LISTENER.public_key(), NAMESPACE);
    }
    let setup = ListenerSetup::new(Arc::clone(&LISTENER), parameters, suites);
    let (verdict, output) = feed(&setup.into(), &hello[..length], piece);
    assert_eq!(verdict, expected(&hello, length, suites));
    let is_answered = verdict == Verdict::Answered;
    assert_eq!(output.len(), if is_answered { ANSWER_LEN } else { 0 });
    if is_answered && hello == honest {
        let (dialer, same) = ends::dial_native(suite, &ends::native_parameters(ends::settings()));
        assert_eq!(same, honest);
        conclude(dialer, &output);
    }
}

/// Gives the listener `hello` in pieces: what it makes of it, and what it says.
fn feed(setup: &Arc<ListenerSetup>, hello: &[u8], piece: usize) -> (Verdict, Vec<u8>) {
    let mut listener = Listener::new(setup);
    let (mut draws, mut output) = (Draws(2), Vec::new());
    let mut wanted = HELLO_LEN;
    for piece in hello.chunks(piece) {
        assert_eq!(listener.wanted(), wanted);
        match listener.receive(piece, &mut draws, &mut output) {
            Ok(event) => assert_eq!(event, (piece.len(), ListenerEvent::NeedMore)),
            Err(error) => {
                assert_eq!(listener.wanted(), 0);
                let again = listener.receive(b"x", &mut draws, &mut output);
                assert_eq!(again, Err(HandshakeError::Finished));
                return (Verdict::Refused(error), output);
            }
        }
        wanted -= piece.len();
        if wanted == 0 {
            assert_eq!(listener.wanted(), PROOF_LEN);
            return (Verdict::Answered, output);
        }
    }
    (Verdict::Waits, output)
}

/// The order of checks of NATIVE section 2.1, over the first `length` bytes.
fn expected(hello: &[u8; HELLO_LEN], length: usize, suites: Suites) -> Verdict {
    let start = MAGIC.len().min(length);
    if hello[..start] != MAGIC[..start] {
        return Verdict::Refused(HandshakeError::NotNative);
    }
    if length < HELLO_LEN {
        return Verdict::Waits;
    }
    let mut right = *hello;
    authenticate(&mut right, LISTENER.public_key(), NAMESPACE);
    if hello[MAC..] != right[MAC..] {
        return Verdict::Refused(HandshakeError::NotForUs);
    }
    let byte = hello[SUITE];
    let is_on = match byte {
        1 => suites.contains(Suite::Aes256Gcm),
        2 => suites.contains(Suite::ChaCha20Poly1305),
        _ => false,
    };
    if !is_on {
        return Verdict::Refused(HandshakeError::SuiteRefused { byte });
    }
    let ephemeral = hello[EPHEMERAL..ENCAPSULATION_KEY].try_into();
    let coefficients = &hello[ENCAPSULATION_KEY..][..COEFFICIENTS_LEN];
    if !are_reduced(coefficients) || ends::has_small_order(ephemeral.expect("32 bytes")) {
        return Verdict::Refused(HandshakeError::Failed);
    }
    Verdict::Answered
}

/// The input check of FIPS 203, section 7.2: no coefficient of 12 bits is 3 329 or more.
fn are_reduced(coefficients: &[u8]) -> bool {
    coefficients.chunks_exact(3).all(|three| {
        let [a, b, c] = [three[0], three[1], three[2]].map(u16::from);
        (a | (b & 0x0f) << 8) < 3_329 && (b >> 4 | c << 4) < 3_329
    })
}

fn conclude(mut dialer: Dialer, answer: &[u8]) {
    let mut proof = Vec::new();
    let concluded = dialer.receive(answer, &mut proof).expect("it is honest");
    assert!(matches!(concluded, (ANSWER_LEN, Some(_))));
    assert_eq!(proof.len(), PROOF_LEN);
}
