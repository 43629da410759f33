//! What an outsider can send: each test names its row in the list of hazards.

use super::super::frame;
use super::super::schedule::{Keys, Schedule};
use super::*;
use crate::protocol::record::{CupsVersion, OpenError, Progress};
use crate::protocol::testing::{list, unhex, vectors};
use alloc::string::ToString;
use proptest::prelude::*;

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

// HAZARDS H17: all 2 472 bits.
#[test]
fn no_single_flipped_bit_leaves_both_ends_done() {
    let (dialer, listener) = (End::new(1), End::new(2));
    let parameters = Parameters::new(b"flip");
    let (to_listener, to_dialer) = recorded(&dialer, &listener, &parameters);
    let mut tried = 0;
    for bit in 0..to_listener.len() * 8 {
        let run = listen(
            &listener,
            &parameters,
            true,
            &flipped(&to_listener, bit),
            WHOLE,
        );
        assert!(!run.done(), "bit {bit} to the listener");
        tried += 1;
    }
    for bit in 0..to_dialer.len() * 8 {
        let run = dial(
            &dialer,
            listener.public_key(),
            &parameters,
            &flipped(&to_dialer, bit),
            WHOLE,
        );
        // Then no Ack goes out either, so the listener is not done.
        assert!(!run.done(), "bit {bit} to the dialer");
        assert_eq!(run.output.len(), DIALER_LEN - 33);
        tried += 1;
    }
    assert_eq!(tried, 2_472);
}

// HAZARDS H4
#[test]
fn foreign_protocols_are_refused_before_anything_is_answered() {
    let (listener, parameters) = (End::new(2), Parameters::new(b"h4"));
    let tls = unhex("16030100c8010000c40303");
    for (input, deciding) in [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(), 1),
        (b"SSH-2.0-OpenSSH_9.9\r\n", 1),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1),
        (b"\xff\xff\xff\xff\xff\xff", 5),
        (b"\x80\x00", 2),
    ] {
        for end in deciding..=input.len() {
            let run = listen(&listener, &parameters, true, &input[..end], 1);
            assert!(run.output.is_empty() && run.asked.is_none() && run.draws.is_empty());
            let error = run.error();
            let known = matches!(
                error,
                HandshakeError::FrameTooLarge { .. } | HandshakeError::BadVarint
            );
            assert!(known, "{error}");
        }
        let run = listen(&listener, &parameters, true, &input[..deciding - 1], 1);
        assert!(matches!(run.result, Ok(None)));
    }
    // A TLS hello begins with a permitted length and then ends short of a key.
    let run = listen(&listener, &parameters, true, &tls.repeat(4), 1);
    assert!(run.output.is_empty() && run.asked.is_none());
    assert_eq!(run.error(), HandshakeError::Decode);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    // HAZARDS H4: random bytes.
    #[test]
    fn random_bytes_never_connect_and_get_no_answer(
        input in proptest::collection::vec(any::<u8>(), 0..400),
        plausible in any::<bool>(),
        piece in 1_usize..50,
    ) {
        let mut input = input;
        if let (true, Some(first)) = (plausible, input.first_mut()) {
            *first = 32;
        }
        let parameters = Parameters::new(b"h4");
        let run = listen(&End::new(2), &parameters, true, &input, piece);
        prop_assert!(!run.done() && run.output.is_empty() && run.draws.is_empty());
        let run = dial(&End::new(1), End::new(2).public_key(), &parameters, &input, piece);
        prop_assert!(!run.done() && run.output.len() == DIALER_LEN - 33);
    }
}

// HAZARDS H5, H6: each message with every announced length near its own.
#[test]
fn wrong_lengths_are_refused_at_the_prefix_or_the_announced_end() {
    let (dialer, listener) = (End::new(1), End::new(2));
    let parameters = Parameters::new(b"length");
    let (to_listener, _) = recorded(&dialer, &listener, &parameters);
    // Where each message to the listener begins, and its size.
    for (start, size) in [(0, 32), (33, 104), (138, 32)] {
        for length in (0_u8..=127).filter(|length| *length != size) {
            let mut input = to_listener[..start].to_vec();
            input.push(length);
            let run = listen(&listener, &parameters, true, &input, 1);
            if length > size {
                let length = u32::from(length);
                assert_eq!(run.error(), HandshakeError::FrameTooLarge { length });
                continue;
            }
            if length > 0 {
                assert!(matches!(run.result, Ok(None)));
                input.extend(vec![7; usize::from(length) - 1]);
                let run = listen(&listener, &parameters, true, &input, 1);
                assert!(matches!(run.result, Ok(None)));
                input.push(7);
            }
            let run = listen(&listener, &parameters, true, &input, 1);
            assert_eq!(run.error(), HandshakeError::Decode);
        }
    }
}

/// A Syn or SynAck signed well whose ephemeral key is chosen freely.
fn opening_with(
    dialer: &End,
    listener: PublicKey,
    parameters: &Parameters,
    ephemeral: [u8; 32],
) -> Vec<u8> {
    let identity = Identity::from_seed(&dialer.seed);
    let keys = Keys {
        dialer: identity.public_key(),
        listener,
    };
    let schedule = Schedule::offer(
        parameters.version,
        &parameters.namespace,
        dialer.now_ms,
        keys,
        &ephemeral,
    );
    let signature = identity.sign(&schedule.signing_payload());
    let mut output = vec![];
    frame::write(&mut output, &[keys.dialer.as_bytes()]);
    frame::write(
        &mut output,
        &[&dialer.now_ms.to_be_bytes(), &ephemeral, &signature],
    );
    output
}

fn answer_with(
    dialer: &End,
    listener: &End,
    parameters: &Parameters,
    ephemeral: [u8; 32],
) -> Vec<u8> {
    use x25519_dalek::{PublicKey as Ephemeral, StaticSecret};
    let identity = Identity::from_seed(&listener.seed);
    let keys = Keys {
        dialer: dialer.public_key(),
        listener: identity.public_key(),
    };
    let theirs = Ephemeral::from(&StaticSecret::from(dialer.ephemeral)).to_bytes();
    let mut schedule = Schedule::offer(
        parameters.version,
        &parameters.namespace,
        dialer.now_ms,
        keys,
        &theirs,
    );
    schedule.answer(listener.now_ms, keys.dialer, &ephemeral);
    let signature = identity.sign(&schedule.signing_payload());
    // The secret that everybody would know.
    let outcome = schedule.finish(&[0; 32]);
    let mut output = vec![];
    frame::write(
        &mut output,
        &[
            &listener.now_ms.to_be_bytes(),
            &ephemeral,
            &signature,
            outcome.confirmation_by_listener().as_bytes(),
        ],
    );
    output
}

// HAZARDS H7: every encoding of every point of low order, on both roles.
#[test]
fn low_order_ephemeral_keys_are_refused_though_well_signed() {
    let (dialer, listener) = (End::new(1), End::new(2));
    let parameters = Parameters::new(b"h7");
    let mut tried = 0;
    for case in list(&vectors!("x25519.json")["exchange"]) {
        let peer: [u8; 32] = array(&case["peer"]);
        for top in [0, 0x80] {
            let mut ephemeral = peer;
            ephemeral[31] ^= top;
            if case["contributory"] == true {
                continue;
            }
            let input = opening_with(&dialer, listener.public_key(), &parameters, ephemeral);
            let run = listen(&listener, &parameters, true, &input, WHOLE);
            assert!(run.output.is_empty());
            assert_eq!(run.error(), HandshakeError::BadEphemeral);
            let input = answer_with(&dialer, &listener, &parameters, ephemeral);
            let run = dial(&dialer, listener.public_key(), &parameters, &input, WHOLE);
            assert_eq!(run.error(), HandshakeError::BadEphemeral);
            tried += 1;
        }
    }
    assert!(tried >= 16);
}

// HAZARDS H8: the constant signature that fits every message of a small-order key.
#[test]
fn small_order_identity_is_refused_as_listed_received_and_dialled() {
    let mut weak = [0; 32];
    weak[0] = 1;
    let (end, strict) = (End::new(2), Parameters::new(b"h8"));
    let lax = Parameters {
        verification: Verification::Zip215,
        ..strict.clone()
    };
    let mut input = vec![32];
    input.extend(weak);
    let ephemeral = [9; 32];
    let signature = [&weak[..], &[0; 32]].concat();
    frame::write(&mut input, &[&NOW.to_be_bytes(), &ephemeral, &signature]);

    // The reference's rule goes on to answer; ours ends before the question.
    let run = listen(&end, &lax, true, &input, WHOLE);
    assert_eq!(run.output.len(), LISTENER_LEN);
    let run = listen(&end, &strict, true, &input, WHOLE);
    assert!(run.asked.is_none() && run.output.is_empty());
    assert_eq!(run.error(), HandshakeError::WeakKey);

    let key = PublicKey::from_bytes_with(weak, Verification::Zip215).unwrap();
    let run = dial(&end, key, &strict, &[], WHOLE);
    assert!(run.output.is_empty() && run.draws.is_empty());
    assert_eq!(run.error(), HandshakeError::WeakKey);
    assert!(dial(&end, key, &lax, &[], WHOLE).result.is_ok());
}

// HAZARDS H9
#[test]
fn wrong_identities_are_told_apart() {
    let (dialer, listener, other) = (End::new(1), End::new(2), End::new(3));
    let parameters = Parameters::new(b"h9");
    // The dialer wanted somebody else.
    let opening = dial(&dialer, other.public_key(), &parameters, &[], WHOLE).output;
    let run = listen(&listener, &parameters, true, &opening, WHOLE);
    assert!(run.output.is_empty());
    assert_eq!(run.error(), HandshakeError::BadSignature);
    // Somebody else answers.
    let (mut to_listener, to_dialer) = recorded(&dialer, &listener, &parameters);
    let run = dial(&dialer, other.public_key(), &parameters, &to_dialer, WHOLE);
    assert_eq!(run.error(), HandshakeError::BadSignature);
    // Not admitted, and told so by its key.
    let run = listen(&listener, &parameters, false, &to_listener, WHOLE);
    assert!(run.output.is_empty() && run.draws.is_empty());
    assert_eq!(
        run.error(),
        HandshakeError::PeerRejected(dialer.public_key())
    );
    // Claims a key that it does not hold.
    to_listener[1..33].copy_from_slice(other.public_key().as_bytes());
    let run = listen(&listener, &parameters, true, &to_listener, WHOLE);
    assert_eq!(run.asked, Some(other.public_key()));
    assert_eq!(run.error(), HandshakeError::BadSignature);
}

// HAZARDS H10
#[test]
fn other_namespace_or_version_is_a_signature_error_that_says_what_to_compare() {
    let (dialer, listener) = (End::new(1), End::new(2));
    let sides: Vec<Parameters> = [SakeVersion::V0, SakeVersion::V1]
        .into_iter()
        .flat_map(|version| {
            [b"one".as_slice(), b"two", b""].map(|namespace| Parameters {
                version,
                ..Parameters::new(namespace)
            })
        })
        .collect();
    for (left, theirs) in sides.iter().enumerate() {
        for (right, ours) in sides.iter().enumerate() {
            let (opening, _) = recorded(&dialer, &listener, theirs);
            let run = listen(&listener, ours, true, &opening, WHOLE);
            assert_eq!(run.done(), left == right);
            if left != right {
                let text = run.error().to_string();
                for word in ["signature", "namespace", "version", "public key"] {
                    assert!(text.contains(word), "{text}");
                }
            }
        }
    }
}

// HAZARDS H11
#[test]
fn other_record_version_or_cipher_key_fails_on_the_first_record() {
    for sake in [SakeVersion::V0, SakeVersion::V1] {
        for seals in [CupsVersion::V0, CupsVersion::V1] {
            for opens in [CupsVersion::V0, CupsVersion::V1] {
                let (dialer, listener) = connected(sake);
                let (mut sealer, _) = dialer.records(seals, 70_000).unwrap();
                let (_, mut opener) = listener.records(opens, 70_000).unwrap();
                let mut stream = vec![0; 70_036];
                sealer.seal(&[7; 70_000], &mut stream).unwrap();
                let result = opener.open(&mut stream);
                if seals == opens {
                    let opened = matches!(result, Ok(Progress::Message { .. }));
                    assert!(opened);
                    continue;
                }
                // Read as a V0 length, V1's first bytes may be anything.
                let error = result.unwrap_err();
                let known = match opens {
                    CupsVersion::V1 => error == OpenError::FailedFirst,
                    CupsVersion::V0 => matches!(
                        error,
                        OpenError::FailedFirst | OpenError::BadVarint | OpenError::TooLarge { .. }
                    ),
                };
                assert!(known, "{error}");
                assert!(error.to_string().contains("cups version"), "{error}");
            }
        }
    }
    assert!(OpenError::FailedFirst.to_string().contains("cipher"));
}

// HAZARDS H12: both borders, for both roles, at both ends of time.
#[test]
fn time_window_includes_its_lower_end_only() {
    let parameters = Parameters {
        synchrony_bound: Duration::from_micros(5_000_999),
        max_handshake_age: Duration::from_micros(10_000_999),
        ..Parameters::new(b"h12")
    };
    let none = Parameters {
        synchrony_bound: Duration::ZERO,
        max_handshake_age: Duration::ZERO,
        ..parameters.clone()
    };
    let most = Parameters {
        synchrony_bound: Duration::MAX,
        max_handshake_age: Duration::MAX,
        ..parameters.clone()
    };
    const MAX: u64 = u64::MAX;
    for (parameters, own, theirs, accepted) in [
        (&parameters, NOW, NOW, true),
        (&parameters, NOW, NOW - 10_000, true),
        (&parameters, NOW, NOW - 10_001, false),
        (&parameters, NOW, NOW + 4_999, true),
        (&parameters, NOW, NOW + 5_000, false),
        (&parameters, NOW, 0, false),
        (&parameters, NOW, MAX, false),
        (&parameters, 0, 0, true),
        (&parameters, 0, 4_999, true),
        (&parameters, 0, MAX, false),
        (&parameters, MAX, MAX, false),
        (&parameters, MAX, MAX - 1, true),
        (&parameters, MAX, MAX - 10_000, true),
        (&parameters, MAX, 0, false),
        (&none, NOW, NOW, false),
        (&none, NOW, NOW - 1, false),
        (&most, NOW, 0, true),
        (&most, NOW, MAX - 1, true),
        (&most, NOW, MAX, false),
    ] {
        let at = |tag, now_ms| End {
            now_ms,
            ..End::new(tag)
        };
        // As seen by the listener.
        let (dialer, listener) = (at(1, theirs), at(2, own));
        let opening = dial(&dialer, listener.public_key(), parameters, &[], WHOLE).output;
        let run = listen(&listener, parameters, true, &opening, WHOLE);
        assert_eq!(run.result.is_ok(), accepted, "{own} {theirs}");
        if let Err(error) = run.result {
            let window = parameters.window(own);
            let expected = HandshakeError::BadTimestamp {
                timestamp: theirs,
                earliest: window.earliest,
                latest_exclusive: window.latest_exclusive,
            };
            assert_eq!(error, expected);
            assert!(error.to_string().contains(&theirs.to_string()));
        }
        // As seen by the dialer, from a listener that took its time as it was.
        let (dialer, listener) = (at(1, own), at(2, theirs));
        let opening = dial(&dialer, listener.public_key(), parameters, &[], WHOLE).output;
        let open = Parameters {
            synchrony_bound: Duration::MAX,
            max_handshake_age: Duration::MAX,
            ..parameters.clone()
        };
        let answer = listen(&listener, &open, true, &opening, WHOLE).output;
        if !answer.is_empty() {
            let run = dial(&dialer, listener.public_key(), parameters, &answer, WHOLE);
            assert_eq!(run.done(), accepted, "{own} {theirs}");
        }
    }
}

// HAZARDS H12: the listener's clock counts when Syn completes, not before.
#[test]
fn listener_reads_its_clock_when_syn_completes() {
    let (dialer, end) = (End::new(1), End::new(2));
    let parameters = Parameters::new(b"clock");
    let opening = dial(&dialer, end.public_key(), &parameters, &[], WHOLE).output;
    for (now_ms, accepted) in [(NOW, true), (NOW + 10_001, false)] {
        let identity = Arc::new(Identity::from_seed(&end.seed));
        let mut listener = Listener::new(identity, &parameters);
        let mut rng = Script::new(&end.ephemeral);
        let mut output = vec![];
        listener
            .receive(&opening[..33], 0, &mut rng, &mut output)
            .unwrap();
        listener.admit(true).unwrap();
        listener
            .receive(&opening[33..137], u64::MAX, &mut rng, &mut output)
            .unwrap();
        let result = listener.receive(&opening[137..], now_ms, &mut rng, &mut output);
        assert_eq!(result.is_ok(), accepted);
    }
}

// HAZARDS H13, H14
#[test]
fn replayed_dialer_gets_an_answer_and_no_connection() {
    let (dialer, listener) = (End::new(1), End::new(2));
    let parameters = Parameters::new(b"replay");
    let (to_listener, _) = recorded(&dialer, &listener, &parameters);
    let fresh = End {
        ephemeral: [0x77; 32],
        now_ms: NOW + 9_999,
        ..End::new(2)
    };
    let run = listen(&fresh, &parameters, true, &to_listener[..138], WHOLE);
    assert_eq!((run.output.len(), run.draws.len()), (LISTENER_LEN, 1));
    assert!(!run.done());
    let run = listen(&fresh, &parameters, true, &to_listener, WHOLE);
    assert_eq!(run.error(), HandshakeError::BadConfirmation);
}

// HAZARDS H15
#[test]
fn reflected_messages_and_own_identity_are_refused() {
    let (dialer, listener) = (End::new(1), End::new(2));
    let parameters = Parameters::new(b"h15");
    let (to_listener, to_dialer) = recorded(&dialer, &listener, &parameters);
    // A dialer that gets its own Prelude, Syn or Ack.
    let run = dial(
        &dialer,
        listener.public_key(),
        &parameters,
        &to_listener,
        WHOLE,
    );
    assert_eq!(run.error(), HandshakeError::Decode);
    let run = dial(
        &dialer,
        listener.public_key(),
        &parameters,
        &to_listener[33..],
        WHOLE,
    );
    assert_eq!(run.error(), HandshakeError::Decode);
    // A listener that gets its SynAck back, and its own confirmation as Ack.
    let length = HandshakeError::FrameTooLarge { length: 136 };
    let run = listen(&listener, &parameters, true, &to_dialer, WHOLE);
    assert_eq!(run.error(), length);
    let input = [&to_listener[..139], &to_dialer[106..]].concat();
    let run = listen(&listener, &parameters, true, &input, WHOLE);
    assert_eq!(run.error(), HandshakeError::BadConfirmation);

    let same = HandshakeError::SameIdentity;
    let run = dial(&listener, listener.public_key(), &parameters, &[], WHOLE);
    assert!(run.output.is_empty() && run.draws.is_empty());
    assert_eq!(run.error(), same);
    let allowed = Parameters {
        allow_self: true,
        ..parameters.clone()
    };
    let opening = dial(&listener, listener.public_key(), &allowed, &[], WHOLE).output;
    let run = listen(&listener, &parameters, true, &opening, WHOLE);
    assert!(run.asked.is_none());
    assert_eq!(run.error(), same);
    assert_eq!(
        listen(&listener, &allowed, true, &opening, WHOLE)
            .output
            .len(),
        LISTENER_LEN
    );
}
