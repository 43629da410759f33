//! Every case of the handshake files in `tests/vectors`, and whole connections
//! down to the last record.

use super::*;
use crate::protocol::ephemeral::Ephemeral;
use crate::protocol::record::{CupsVersion, Opener, Progress, Sealer};
use crate::protocol::testing::{bytes, list, matches, text, vectors};
use alloc::format;
use alloc::string::{String, ToString};

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

// HAZARDS H6, H7, H9, H10, H12 and more: everything in the files, whole and in pieces.
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

// HAZARDS H7; whichever library computes it.
#[test]
fn exchange_vectors_hold() {
    let file = vectors!("x25519.json");
    let ephemeral = |case: &Value| Ephemeral::draw(&mut Script::new(&hex(&case["secret"])));
    for case in list(&file["keys"]) {
        assert_eq!(ephemeral(case).public_key()[..], hex(&case["public"]));
    }
    for case in list(&file["exchange"]) {
        let shared = ephemeral(case).agree(&array(&case["peer"]));
        let expected = (case["contributory"] == true).then(|| hex(&case["shared"]));
        assert_eq!(shared.map(|shared| shared.to_vec()), expected);
    }
}
