//! What an outsider can send: each test names its row in the list of hazards, or its section of
//! the specification.

use super::super::schedule::{self, DIALER_PART_LEN, LISTENER_PART_LEN};
use super::*;
use crate::protocol::testing::{array, list, vectors};
use alloc::string::ToString;
use proptest::prelude::*;

/// Both ends, such that each run of one is like every other.
fn ends() -> (End, End) {
    (End::new(1).scripted(), End::new(2).scripted())
}

// HAZARDS H17: every bit of hello, by either suite. Nothing is computed before the mac is right: who drew
// from the empty script would panic.
#[test]
fn flipped_bit_of_a_hello_is_refused_without_a_word() {
    let (dialing, listening) = ends();
    let setup = listening.setup();
    for suite in Suite::ALL {
        let (_, hello) = dialing.dial(listening.public_key(), suite);
        for bit in 0..HELLO_LEN * 8 {
            let (mut listener, mut output) = (Listener::new(&setup), vec![]);
            let mut rng = Script::default();
            let refused = listener.advance(&flipped(&hello, bit), &mut rng, &mut output);
            let expected = if bit < MAGIC.len() * 8 {
                Refusal::Magic
            } else {
                Refusal::Mac
            };
            assert_eq!(refused, Err(expected), "bit {bit}");
            assert!(output.is_empty());
        }
    }
}

// HAZARDS H17: every bit of answer; the suites take turns, because each bit costs a key exchange.
#[test]
fn flipped_bit_of_an_answer_is_refused() {
    let (dialing, listening) = ends();
    let recorded = Suite::ALL.map(|suite| {
        let (dialer, _) = dialing.dial(listening.public_key(), suite);
        (dialer, connect(&dialing, &listening, suite).answer)
    });
    for bit in 0..ANSWER_LEN * 8 {
        let (dialer, answer) = &recorded[bit % 2];
        let refused = dialer.judge(&flipped(answer, bit));
        // X25519 ignores the top bit of Y, the transcript does not.
        assert!(matches!(refused, Err(Refusal::Seal)), "bit {bit}");
    }
    for (dialer, answer) in &recorded {
        assert!(dialer.judge(answer).is_ok());
    }
}

// HAZARDS H17: every bit of proof, by either suite.
#[test]
fn flipped_bit_of_a_proof_is_refused_and_nobody_is_asked() {
    let (dialing, listening) = ends();
    for suite in Suite::ALL {
        let recorded = connect(&dialing, &listening, suite);
        for bit in 0..PROOF_LEN * 8 {
            let mut listener = listening.listen();
            listener.receive(&recorded.hello, WHOLE).unwrap();
            assert_eq!(listener.output, recorded.answer);
            let refused = listener.receive(&flipped(&recorded.proof, bit), WHOLE);
            assert_eq!(refused, Err(Refusal::Seal), "bit {bit}");
        }
    }
}

// HAZARDS H4
#[test]
fn foreign_protocols_are_refused_at_their_first_byte() {
    let listening = End::new(2);
    for input in [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(),
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x00\xc8\x01",
        b"\x20the other wire",
        b"\x00",
    ] {
        let mut listener = listening.listen();
        assert_eq!(listener.receive(&input[..1], 1), Err(Refusal::Magic));
        assert!(listener.output.is_empty() && listener.rng.draws.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    // HAZARDS H4: random bytes, behind a good start as well.
    #[test]
    fn random_bytes_never_connect_and_get_no_answer(
        mut input in proptest::collection::vec(any::<u8>(), 0..1_400),
        plausible in any::<bool>(),
        piece in 1_usize..300,
    ) {
        if plausible {
            input.splice(..0, MAGIC);
        }
        let (dialing, listening) = ends();
        let mut listener = listening.listen();
        let asked = listener.receive(&input, piece);
        prop_assert!(asked == Ok(None) || matches!(asked, Err(Refusal::Magic | Refusal::Mac)));
        prop_assert!(listener.output.is_empty() && listener.rng.draws.is_empty());
        let (mut dialer, _) = dialing.dial(listening.public_key(), Suite::Aes256Gcm);
        let concluded = conclude(&mut dialer, &input, piece);
        prop_assert!(matches!(concluded, Ok(None) | Err(_)));
        prop_assert_eq!(concluded.is_ok(), input.len() < ANSWER_LEN);
    }
}

// HAZARDS H7, NATIVE 2.1 and 2.5: every point of low order, though the mac is right.
#[test]
fn low_order_ephemeral_keys_are_refused_by_both_ends() {
    let (dialing, listening) = ends();
    let (_, hello) = dialing.dial(listening.public_key(), Suite::Aes256Gcm);
    let key = schedule::hello_key(listening.public_key(), b"tests");
    let mut tried = 0;
    for case in list(&vectors!("x25519.json")["exchange"]) {
        for top in [0, 0x80] {
            let mut ephemeral: [u8; 32] = array(&case["peer"]);
            ephemeral[31] ^= top;
            if case["contributory"] == true {
                continue;
            }
            let mut forged = hello.clone();
            forged[5..37].copy_from_slice(&ephemeral);
            let mac = key.clone().over(&[&forged[..MAC_START]]).tag();
            forged[MAC_START..].copy_from_slice(&mac[..MAC_LEN]);
            let mut listener = listening.listen();
            let refused = listener.receive(&forged, WHOLE);
            assert_eq!(refused, Err(Refusal::ZeroSecret));
            assert!(listener.output.is_empty());

            let mut answer = vec![0; ANSWER_LEN];
            answer[..32].copy_from_slice(&ephemeral);
            let (mut dialer, _) = dialing.dial(listening.public_key(), Suite::Aes256Gcm);
            let refused = conclude(&mut dialer, &answer, WHOLE);
            assert!(matches!(refused, Err(Refusal::ZeroSecret)));
            tried += 1;
        }
    }
    assert!(tried >= 16);
}

// HAZARDS H8, NATIVE 1: what the other wire's laxer rule lets in cannot be dialed here.
#[test]
fn weak_listener_keys_are_refused_before_anything_is_written() {
    use crate::protocol::identity::{KeyError, Verification};
    let dialing = End::new(1);
    let mut weak = [0; 32];
    weak[0] = 1;
    let peer = PublicKey::from_bytes_with(weak, Verification::Zip215).unwrap();
    let (mut rng, mut output) = (Script::default(), vec![]);
    let refused = Dialer::new(
        &dialing.identity,
        peer,
        Suite::Aes256Gcm,
        &dialing.parameters,
        &mut rng,
        &mut output,
    );
    let expected = HandshakeError::ListenerKey(KeyError::SmallOrder);
    assert_eq!(refused.unwrap_err(), expected);
    assert!(output.is_empty());
}

// HAZARDS H9, H10: one HMAC tells, and the text says what to compare.
#[test]
fn hello_for_another_key_or_namespace_says_what_to_compare() {
    let (dialing, listening) = ends();
    let (_, hello) = dialing.dial(End::new(3).public_key(), Suite::Aes256Gcm);
    let mut listener = listening.listen();
    assert_eq!(listener.receive(&hello, WHOLE), Err(Refusal::Mac));
    let (_, hello) = dialing.dial(listening.public_key(), Suite::Aes256Gcm);
    let mut other = listening.clone();
    other.parameters.namespace = b"testt".as_slice().into();
    let mut listener = other.listen();
    assert_eq!(listener.receive(&hello, WHOLE), Err(Refusal::Mac));
    assert!(listener.output.is_empty() && listener.rng.draws.is_empty());
    let text = HandshakeError::from(Refusal::Mac).to_string();
    for word in ["namespace", "public key", "both ends"] {
        assert!(text.contains(word), "{text}");
    }
}

// A namespace and a key next to each other are not told apart by the mac alone: h0 does that.
#[test]
fn bytes_moved_from_the_namespace_do_not_connect() {
    let key = End::new(2).public_key();
    let one = schedule::transcript(key, b"ab");
    for other in [&b"a"[..], b"abc", b"", b"ba"] {
        assert_ne!(schedule::transcript(key, other), one);
    }
}

// NATIVE 1: no other suite than the one named, and none that is switched off.
#[test]
fn suite_that_is_switched_off_is_refused_by_name() {
    let (dialing, mut listening) = ends();
    for (on, off) in [
        (Suite::Aes256Gcm, Suite::ChaCha20Poly1305),
        (Suite::ChaCha20Poly1305, Suite::Aes256Gcm),
    ] {
        listening.suites = Suites::none().and(on);
        connect(&dialing, &listening, on);
        let (_, hello) = dialing.dial(listening.public_key(), off);
        let mut listener = listening.listen();
        let refused = listener.receive(&hello, WHOLE).unwrap_err();
        assert_eq!(refused, Refusal::Suite(off.byte()));
        assert!(HandshakeError::from(refused).to_string().contains("suite"));
        assert!(listener.output.is_empty());
    }
}

// HAZARDS H13, H14: a recorded hello gets an answer, and the recorded proof does not fit it.
#[test]
fn replayed_dialer_does_not_connect() {
    let (dialing, listening) = ends();
    let recorded = connect(&dialing, &listening, Suite::Aes256Gcm);
    let mut fresh = listening;
    fresh.random = vec![0x77; 96];
    let mut listener = fresh.listen();
    assert_eq!(listener.receive(&recorded.hello, WHOLE), Ok(None));
    assert_eq!(listener.output.len(), ANSWER_LEN);
    let refused = listener.receive(&recorded.proof, WHOLE);
    assert_eq!(refused, Err(Refusal::Seal));
}

// HAZARDS H14: a recorded answer does not fit another hello.
#[test]
fn replayed_listener_does_not_connect() {
    let (mut dialing, listening) = ends();
    let recorded = connect(&dialing, &listening, Suite::Aes256Gcm);
    dialing.random = vec![0x77; 96];
    let (mut dialer, _) = dialing.dial(listening.public_key(), Suite::Aes256Gcm);
    let refused = conclude(&mut dialer, &recorded.answer, WHOLE);
    assert!(matches!(refused, Err(Refusal::Seal)));
}

// HAZARDS H15
#[test]
fn reflected_messages_do_not_connect() {
    let (mut dialing, _) = ends();
    dialing.parameters.allow_self = true;
    let own = dialing.public_key();
    // To oneself, so that keys and namespace are all right.
    let (mut dialer, hello) = dialing.dial(own, Suite::Aes256Gcm);
    let padded = [hello.clone(), vec![0; ANSWER_LEN - HELLO_LEN]].concat();
    assert!(matches!(
        conclude(&mut dialer, &padded, WHOLE),
        Err(Refusal::Seal)
    ));
    let mut listener = dialing.listen();
    listener.receive(&hello, WHOLE).unwrap();
    let answer = listener.output.clone();
    // The listener's own part, as the dialer's.
    let part = &answer[ANSWER_LEN - LISTENER_PART_LEN..];
    let padded = [part, &[0; DIALER_PART_LEN - LISTENER_PART_LEN]].concat();
    assert_eq!(listener.receive(&padded, WHOLE), Err(Refusal::Seal));
    let mut listener = dialing.listen();
    assert_eq!(listener.receive(&answer, WHOLE), Err(Refusal::Magic));
}

// NATIVE 2.4: a proof belongs to one exchange, whoever is in the middle.
#[test]
fn proof_of_another_connection_is_refused() {
    let (dialing, listening) = ends();
    let mut other = listening.clone();
    other.random = vec![0x66; 96];
    let one = connect(&dialing, &listening, Suite::ChaCha20Poly1305);
    let two = connect(&dialing, &other, Suite::ChaCha20Poly1305);
    assert_eq!(one.hello, two.hello);
    let mut listener = listening.listen();
    listener.receive(&one.hello, WHOLE).unwrap();
    assert_eq!(listener.receive(&two.proof, WHOLE), Err(Refusal::Seal));
}

// Both ends get the same bytes for their secrets, whatever is cut where.
#[test]
fn every_cut_of_the_input_gives_the_same_output() {
    let (dialing, listening) = ends();
    let recorded = connect(&dialing, &listening, Suite::Aes256Gcm);
    for piece in [1, 2, 3, 31, 500, 1_236, 1_237, 1_238] {
        let mut listener = listening.listen();
        listener.receive(&recorded.hello, piece).unwrap();
        assert_eq!(listener.output, recorded.answer);
        let asked = listener.receive(&recorded.proof, piece).unwrap();
        assert_eq!(asked, Some(dialing.public_key()));
        let (mut dialer, _) = dialing.dial(listening.public_key(), Suite::Aes256Gcm);
        let (_, proof) = conclude(&mut dialer, &recorded.answer, piece)
            .unwrap()
            .unwrap();
        assert_eq!(proof, recorded.proof);
    }
}
