//! Both ends against the vectors, against each other, and against everything
//! an outsider can do to the bytes between them.

use super::*;
use crate::protocol::identity::Identity;
use crate::protocol::record::{CupsVersion, OpenError, Opener, Progress, Sealer};
use crate::protocol::testing::{
    Script, array, bytes, hex, list, matches, number, text, unhex, vectors,
};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use serde_json::Value;

const NOW: u64 = 1_767_225_600_000;

/// How a test feeds its input: in pieces of at most so many bytes.
const WHOLE: usize = usize::MAX;

/// One end of the tests: its key, its clock, its ephemeral secret.
struct End {
    seed: [u8; 32],
    now_ms: u64,
    ephemeral: [u8; 32],
}

impl End {
    fn new(tag: u8) -> Self {
        Self {
            seed: [tag; 32],
            now_ms: NOW,
            ephemeral: [tag ^ 0x55; 32],
        }
    }

    fn from_vector(side: &Value) -> Self {
        Self {
            seed: array(&side["identity_seed"]),
            now_ms: number(&side["now_ms"]),
            ephemeral: array(&side["ephemeral_secret"]),
        }
    }

    fn public_key(&self) -> PublicKey {
        Identity::from_seed(&self.seed).public_key()
    }
}

fn parameters_of(file: &Value, version: SakeVersion, namespace: &Value) -> Parameters {
    Parameters {
        version,
        verification: Verification::Zip215,
        synchrony_bound: Duration::from_millis(number(&file["synchrony_bound_ms"])),
        max_handshake_age: Duration::from_millis(number(&file["max_handshake_age_ms"])),
        allow_self: true,
        ..Parameters::new(&hex(namespace))
    }
}

/// What an end came to when all its input was given.
#[derive(Debug)]
struct Run {
    /// The session, the error, or nothing if it waits for more.
    result: Result<Option<Session>, HandshakeError>,
    output: Vec<u8>,
    consumed: usize,
    asked: Option<PublicKey>,
    draws: Vec<usize>,
}

impl Run {
    fn error(self) -> HandshakeError {
        self.result.expect_err("handshake fails")
    }

    fn session(self) -> Session {
        self.result.unwrap().expect("handshake completes")
    }

    fn done(&self) -> bool {
        matches!(self.result, Ok(Some(_)))
    }
}

fn dial(end: &End, peer: PublicKey, parameters: &Parameters, input: &[u8], piece: usize) -> Run {
    let mut rng = Script::new(&end.ephemeral);
    let mut output = vec![];
    let started = Dialer::new(
        &Identity::from_seed(&end.seed),
        peer,
        parameters,
        end.now_ms,
        &mut rng,
        &mut output,
    );
    let mut consumed = 0;
    let result = started.and_then(|mut dialer| {
        for piece in input.chunks(piece) {
            let (taken, session) = dialer.receive(piece, &mut output)?;
            consumed += taken;
            if session.is_some() {
                assert_eq!(dialer.wanted(), 0);
                let again = dialer.receive(b"x", &mut vec![]);
                assert_eq!(again.unwrap_err(), HandshakeError::Finished);
                return Ok(session);
            }
            assert_eq!(taken, piece.len());
        }
        Ok(None)
    });
    Run {
        result,
        output,
        consumed,
        asked: None,
        draws: rng.draws,
    }
}

fn listen(end: &End, parameters: &Parameters, admitted: bool, input: &[u8], piece: usize) -> Run {
    let mut rng = Script::new(&end.ephemeral);
    let mut output = vec![];
    let mut asked = None;
    let mut listener = Listener::new(Arc::new(Identity::from_seed(&end.seed)), parameters);
    let mut consumed = 0;
    let mut run = || {
        for mut piece in input.chunks(piece) {
            while !piece.is_empty() {
                let (taken, event) = listener.receive(piece, end.now_ms, &mut rng, &mut output)?;
                consumed += taken;
                piece = &piece[taken..];
                match event {
                    ListenerEvent::NeedMore => assert!(piece.is_empty()),
                    ListenerEvent::Admit(key) => {
                        assert_eq!((consumed, asked.replace(key)), (33, None));
                        assert_eq!((listener.wanted(), output.len()), (0, 0));
                        // Nothing is consumed while the answer is due.
                        let (none, event) =
                            listener.receive(piece, end.now_ms, &mut rng, &mut output)?;
                        assert!(none == 0 && matches!(event, ListenerEvent::Admit(_)));
                        listener.admit(admitted)?;
                    }
                    ListenerEvent::Done(key, session) => {
                        assert_eq!(asked, Some(key));
                        assert_eq!(listener.wanted(), 0);
                        return Ok(Some(session));
                    }
                }
            }
        }
        Ok(None)
    };
    let result = run();
    if !matches!(result, Ok(None)) {
        let again = listener.receive(b"x", end.now_ms, &mut rng, &mut vec![]);
        assert_eq!(again.unwrap_err(), HandshakeError::Finished);
        assert_eq!(listener.admit(true), Err(HandshakeError::Finished));
        assert_eq!(listener.wanted(), 0);
    }
    Run {
        result,
        output,
        consumed,
        asked,
        draws: rng.draws,
    }
}

/// The name by which the vectors call a result.
fn name_of(run: &Run) -> String {
    match &run.result {
        Ok(None) => "transport".into(),
        Ok(Some(session)) => format!("ok({})", blake3::Hash::from(session.summary()).to_hex()),
        Err(error) => match error {
            HandshakeError::BadVarint => "bad_varint".into(),
            HandshakeError::FrameTooLarge { length } => format!("frame_too_large({length})"),
            HandshakeError::Decode => "decode".into(),
            HandshakeError::PeerRejected(_) => "peer_rejected".into(),
            HandshakeError::BadTimestamp {
                timestamp,
                earliest,
                latest_exclusive,
            } => format!("bad_timestamp({timestamp} not in {earliest}..{latest_exclusive})"),
            HandshakeError::BadSignature => "bad_signature".into(),
            HandshakeError::BadEphemeral => "bad_ephemeral".into(),
            HandshakeError::BadConfirmation => "bad_confirmation".into(),
            other => panic!("not an error of the reference: {other}"),
        },
    }
}

fn check_against(run: &Run, case: &Value, input: &[u8]) {
    let name = text(&case["name"]);
    let result = name_of(run);
    assert_eq!(result, text(&case["result"]), "{name}");
    assert_eq!(run.output, hex(&case["output"]), "{name}");
    if result == "transport" {
        // Waits for more, so only an end of the stream can have ended it.
        assert_eq!(case["then"], "eof", "{name}");
    }
    if case["left_unread"].is_number() {
        let left = (input.len() - run.consumed) as u64;
        assert_eq!(left, number(&case["left_unread"]), "{name}");
    }
}

// H6, H7, H9, H10, H12 and more: everything in the files, whole and in pieces.
#[test]
fn rejection_vectors_hold_in_pieces_of_any_size() {
    for (version, file) in [
        (SakeVersion::V0, vectors!("handshake-reject-sake-v0.json")),
        (SakeVersion::V1, vectors!("handshake-reject-sake-v1.json")),
    ] {
        let parameters = parameters_of(&file, version, &file["namespace"]);
        let dialer = End::from_vector(&file["dialer"]);
        let listener = End::from_vector(&file["listener"]);
        for piece in [WHOLE, 1, 7] {
            for case in list(&file["dialer_cases"]) {
                let mut input = hex(&case["input"]);
                let run = dial(&dialer, listener.public_key(), &parameters, &input, piece);
                if piece != WHOLE && run.done() {
                    input.truncate(
                        run.consumed + usize::try_from(number(&case["left_unread"])).unwrap(),
                    );
                }
                check_against(&run, case, &input);
                assert_eq!(run.draws, [32]);
            }
            for case in list(&file["listener_cases"]) {
                let input = hex(&case["input"]);
                let admitted = case["bouncer"].as_bool().unwrap();
                let run = listen(&listener, &parameters, admitted, &input, piece);
                check_against(&run, case, &input);
                let asked = run.asked.map(|key| key.to_string());
                assert_eq!(asked.as_deref(), case["bouncer_saw"].as_str());
                // Drawn from only once Syn was found good.
                let drew = !run.draws.is_empty();
                assert_eq!(
                    drew,
                    !run.output.is_empty() || text(&case["result"]) == "bad_ephemeral"
                );
                assert!(run.draws.is_empty() || run.draws == [32]);
            }
        }
    }
}

/// Everything `sealer` makes of `records`, checked one by one, sealed both
/// ways.
fn seal_records(sealers: [&mut Sealer; 2], records: &Value) -> Vec<u8> {
    let [sealer, in_place] = sealers;
    let mut stream = vec![];
    for record in list(records) {
        let message = bytes(&record["plaintext"]);
        let mut sealed = vec![0; sealer.sealed_len(message.len()).unwrap() + 3];
        let len = sealer.seal(&message, &mut sealed).unwrap();
        sealed.truncate(len);
        matches(&sealed, &record["wire"]);
        let header = hex(&record["header"]);
        assert_eq!(header.len(), sealer.header_len(message.len()));
        assert_eq!(sealed[..header.len()], header);
        assert_eq!(sealed[len - 16..], hex(&record["body_tag"]));

        let mut other = vec![0; len];
        other[header.len()..][..message.len()].copy_from_slice(&message);
        in_place.seal_in_place(message.len(), &mut other).unwrap();
        assert_eq!(sealed, other);
        stream.extend(sealed);
    }
    stream
}

fn open_records(opener: &mut Opener, mut stream: Vec<u8>, records: &Value) {
    for record in list(records) {
        let Progress::Message {
            plaintext,
            consumed,
        } = opener.open(&mut stream).unwrap()
        else {
            panic!("the record is there");
        };
        assert_eq!(stream[plaintext], bytes(&record["plaintext"]));
        stream.drain(..consumed);
    }
    assert_eq!(opener.finish(stream.len()), Ok(()));
}

fn check_connection(case: &Value, sake: SakeVersion, cups: CupsVersion) {
    let parameters = parameters_of(case, sake, &case["namespace"]);
    let dialer = End::from_vector(&case["dialer"]);
    let listener = End::from_vector(&case["listener"]);
    for (side, end) in [(&case["dialer"], &dialer), (&case["listener"], &listener)] {
        assert_eq!(end.public_key().to_string(), text(&side["identity_public"]));
        let window = parameters.window(end.now_ms);
        assert_eq!(window.earliest, number(&side["accepts_ms"][0]));
        assert_eq!(window.latest_exclusive, number(&side["accepts_ms"][1]));
    }
    let frame = |name: &str| hex(&case["messages"][name]["frame"]);
    let to_listener = [frame("prelude"), frame("syn"), frame("ack")].concat();
    let to_dialer = frame("syn_ack");
    assert_eq!(
        (to_listener.len(), to_dialer.len()),
        (DIALER_LEN, LISTENER_LEN)
    );

    let by_dialer = || {
        dial(
            &dialer,
            listener.public_key(),
            &parameters,
            &to_dialer,
            WHOLE,
        )
    };
    let by_listener = || listen(&listener, &parameters, true, &to_listener, WHOLE);
    assert_eq!(by_dialer().output, to_listener);
    assert_eq!(by_listener().output, to_dialer);
    assert_eq!(
        by_dialer().session().summary()[..],
        hex(&case["final_summary"])
    );
    assert_eq!(
        by_listener().session().summary()[..],
        hex(&case["final_summary"])
    );

    let limit = u32::try_from(number(&case["max_message_size"])).unwrap();
    let records = |run: Run| run.session().records(cups, limit).unwrap();
    let (mut dialer_seals, mut dialer_opens) = records(by_dialer());
    let (mut listener_seals, mut listener_opens) = records(by_listener());
    let (mut spare, _) = records(by_dialer());
    let stream = seal_records([&mut dialer_seals, &mut spare], &case["records_d2l"]);
    matches(
        &[to_listener.clone(), stream.clone()].concat(),
        &case["stream_d2l"],
    );
    open_records(&mut listener_opens, stream, &case["records_d2l"]);

    let (mut spare, _) = records(by_listener());
    let stream = seal_records([&mut listener_seals, &mut spare], &case["records_l2d"]);
    matches(
        &[to_dialer.clone(), stream.clone()].concat(),
        &case["stream_l2d"],
    );
    open_records(&mut dialer_opens, stream, &case["records_l2d"]);
}

#[test]
fn connection_vectors_hold() {
    use {CupsVersion as C, SakeVersion as S};
    for (file, sake, cups) in [
        (vectors!("connection-sake-v0-cups-v0.json"), S::V0, C::V0),
        (vectors!("connection-sake-v0-cups-v1.json"), S::V0, C::V1),
        (vectors!("connection-sake-v1-cups-v0.json"), S::V1, C::V0),
        (vectors!("connection-sake-v1-cups-v1.json"), S::V1, C::V1),
    ] {
        for case in list(&file["cases"]) {
            check_connection(case, sake, cups);
        }
    }
}

#[test]
fn exchange_vectors_hold() {
    use x25519_dalek::{PublicKey as Ephemeral, StaticSecret};
    let file = vectors!("x25519.json");
    for case in list(&file["keys"]) {
        let secret = StaticSecret::from(array::<32>(&case["secret"]));
        assert_eq!(
            Ephemeral::from(&secret).to_bytes()[..],
            hex(&case["public"])
        );
    }
    for case in list(&file["exchange"]) {
        let secret = StaticSecret::from(array::<32>(&case["secret"]));
        let shared = secret.diffie_hellman(&array::<32>(&case["peer"]).into());
        assert_eq!(shared.as_bytes()[..], hex(&case["shared"]));
        assert_eq!(shared.was_contributory(), case["contributory"]);
    }
}

/// What both ends write when all goes well: to the listener, to the dialer.
fn recorded(dialer: &End, listener: &End, parameters: &Parameters) -> (Vec<u8>, Vec<u8>) {
    let peer = listener.public_key();
    let opening = dial(dialer, peer, parameters, &[], WHOLE).output;
    let answer = listen(listener, parameters, true, &opening, WHOLE).output;
    let all = dial(dialer, peer, parameters, &answer, WHOLE).output;
    assert_eq!((all.len(), answer.len()), (DIALER_LEN, LISTENER_LEN));
    (all, answer)
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

// H17: all 2 472 bits.
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

// H4
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
    // H4: random bytes.
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

// H5, H6: each message with every announced length near its own.
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
    let schedule = schedule::Schedule::offer(
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

use schedule::Keys;

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
    let mut schedule = schedule::Schedule::offer(
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

// H7: every encoding of every point of low order, on both roles.
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

// H8: the constant signature that fits every message of a small-order key.
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

// H9
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

// H10
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

fn connected(sake: SakeVersion) -> (Session, Session) {
    let (dialer, listener) = (End::new(1), End::new(2));
    let parameters = Parameters {
        version: sake,
        ..Parameters::new(b"connected")
    };
    let (to_listener, to_dialer) = recorded(&dialer, &listener, &parameters);
    let peer = listener.public_key();
    (
        dial(&dialer, peer, &parameters, &to_dialer, WHOLE).session(),
        listen(&listener, &parameters, true, &to_listener, WHOLE).session(),
    )
}

// H11
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

// H12: both borders, for both roles, at both ends of time.
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

// H12: the listener's clock counts when Syn completes, not before.
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

// H13, H14
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

// H15
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

// H16: Ack and the first records in one segment, cut at every place.
#[test]
fn records_behind_the_ack_wait_for_the_record_layer() {
    let (dialer, listener) = (End::new(1), End::new(2));
    let parameters = Parameters::new(b"h16");
    let (to_listener, to_dialer) = recorded(&dialer, &listener, &parameters);
    let session = dial(
        &dialer,
        listener.public_key(),
        &parameters,
        &to_dialer,
        WHOLE,
    )
    .session();
    let (mut sealer, _) = session.records(CupsVersion::V1, 100).unwrap();
    let mut records = vec![0; 81];
    let first = sealer.seal(b"one", &mut records).unwrap();
    let second = sealer.seal(b"second", &mut records[first..]).unwrap();
    records.truncate(first + second);
    let input = [to_listener, records.clone()].concat();

    for cut in 0..=input.len() {
        let identity = Arc::new(Identity::from_seed(&listener.seed));
        let mut machine = Listener::new(identity, &parameters);
        let mut rng = Script::new(&listener.ephemeral);
        let mut output = vec![];
        let mut rest = vec![];
        let mut session = None;
        for part in [&input[..cut], &input[cut..]] {
            rest.extend(part);
            while session.is_none() {
                let (taken, event) = machine.receive(&rest, NOW, &mut rng, &mut output).unwrap();
                rest.drain(..taken);
                match event {
                    ListenerEvent::NeedMore => break,
                    ListenerEvent::Admit(_) => machine.admit(true).unwrap(),
                    ListenerEvent::Done(_, done) => session = Some(done),
                }
            }
        }
        assert_eq!(rest, records, "cut at {cut}");
        let (_, mut opener) = session.unwrap().records(CupsVersion::V1, 100).unwrap();
        for expected in [b"one".as_slice(), b"second"] {
            let Ok(Progress::Message {
                plaintext,
                consumed,
            }) = opener.open(&mut rest)
            else {
                panic!("the record is there");
            };
            assert_eq!(rest[plaintext], *expected);
            rest.drain(..consumed);
        }
    }
}

#[test]
fn reading_only_what_is_wanted_never_reads_ahead() {
    let (dialer, end) = (End::new(1), End::new(2));
    let parameters = Parameters::new(b"wanted");
    let (to_listener, to_dialer) = recorded(&dialer, &end, &parameters);
    for most in [1, 2, 50, WHOLE] {
        let mut listener = Listener::new(Arc::new(Identity::from_seed(&end.seed)), &parameters);
        let mut rng = Script::new(&end.ephemeral);
        let (mut at, mut seen) = (0, vec![]);
        loop {
            seen.push(listener.wanted());
            let read = listener.wanted().min(most);
            let (taken, event) = listener
                .receive(&to_listener[at..at + read], NOW, &mut rng, &mut vec![])
                .unwrap();
            assert_eq!(taken, read);
            at += read;
            match event {
                ListenerEvent::NeedMore => {}
                ListenerEvent::Admit(_) => listener.admit(true).unwrap(),
                ListenerEvent::Done(..) => break,
            }
        }
        assert_eq!(at, DIALER_LEN);
        if most == WHOLE {
            assert_eq!(seen, [33, 105, 33]);
        }

        let mut rng = Script::new(&dialer.ephemeral);
        let mut machine = Dialer::new(
            &Identity::from_seed(&dialer.seed),
            end.public_key(),
            &parameters,
            NOW,
            &mut rng,
            &mut vec![],
        )
        .unwrap();
        assert_eq!(machine.wanted(), LISTENER_LEN);
        let mut at = 0;
        while machine.wanted() > 0 {
            let read = machine.wanted().min(most);
            machine
                .receive(&to_dialer[at..at + read], &mut vec![])
                .unwrap();
            at += read;
        }
        assert_eq!(at, LISTENER_LEN);
    }
}

#[test]
fn answering_without_a_question_ends_the_handshake() {
    let mut listener = Listener::new(
        Arc::new(Identity::from_seed(&[2; 32])),
        &Parameters::new(b"early"),
    );
    assert_eq!(listener.admit(true), Err(HandshakeError::Finished));
    assert_eq!(listener.wanted(), 0);
}

#[test]
fn limits_above_the_largest_are_refused() {
    use crate::protocol::record::MAX_MESSAGE_SIZE;
    let (dialer, listener) = connected(SakeVersion::V1);
    assert!(dialer.records(CupsVersion::V1, MAX_MESSAGE_SIZE).is_ok());
    let error = listener
        .records(CupsVersion::V0, MAX_MESSAGE_SIZE + 1)
        .unwrap_err();
    assert_eq!(error.limit, MAX_MESSAGE_SIZE + 1);
}

// S11
#[test]
fn debug_shows_no_secrets() {
    let (dialer, _) = connected(SakeVersion::V1);
    assert_eq!(format!("{dialer:?}"), "Session { role: Dialer, .. }");
    let (sealer, opener) = dialer.records(CupsVersion::V1, 5).unwrap();
    let mut output = vec![];
    let machine = Dialer::new(
        &Identity::from_seed(&[1; 32]),
        End::new(2).public_key(),
        &Parameters::new(b"debug"),
        NOW,
        &mut Script::new(&[0xab; 32]),
        &mut output,
    )
    .unwrap();
    assert_eq!(format!("{machine:?}"), "Dialer { wanted: 138, .. }");
    for shown in [format!("{sealer:?}"), format!("{opener:?}")] {
        assert!(
            shown.ends_with("max_message_size: 5, closed: false, .. }"),
            "{shown}"
        );
    }
}

// The helper signs as the library does, so forged messages above are well made.
#[test]
fn identity_signs_like_the_plain_library() {
    let identity = Identity::from_seed(&[4; 32]);
    let plain = SigningKey::from_bytes(&[4; 32]).sign(b"message").to_bytes();
    assert_eq!(identity.sign(b"message"), plain);
}
