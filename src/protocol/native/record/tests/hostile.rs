//! What an outsider can do to a stream, and what a peer that does not keep to the wire can send.

use super::*;
use crate::protocol::native::record::opener::Opener;
use crate::protocol::varint;
use proptest::prelude::*;

/// A stream with every kind of record, and where each record ends.
fn sample(wire: Wire) -> (Vec<u8>, Vec<usize>) {
    let mut raw = wire.raw();
    let mut stream = vec![];
    let mut ends = vec![];
    for (kind, body) in [
        (Kind::Packed, &b"\x05first\x00\x06second"[..]),
        (Kind::Message, b"a message of its own"),
        (Kind::Part, b"one part"),
        (Kind::Control, &[5]),
        (Kind::Part, b"another"),
        (Kind::Padded, b"\x01\x00\x00\x04last filling"),
        (Kind::Control, &[3]),
    ] {
        stream.extend(raw.record(kind, body));
        ends.push(stream.len());
    }
    raw.0.update();
    for (kind, body) in [(Kind::Packed, &b"\x01x"[..]), (Kind::Control, &[4])] {
        stream.extend(raw.record(kind, body));
        ends.push(stream.len());
    }
    (stream, ends)
}

/// How many messages the first so many records of the sample complete.
const MESSAGES_AFTER: [usize; 10] = [0, 3, 4, 4, 4, 4, 5, 5, 6, 6];

// HAZARDS R1, R13: every bit of a stream.
#[test]
fn flipped_bit_ends_the_stream_at_its_record() {
    for suite in Suite::ALL {
        let wire = Wire::new(suite);
        let (stream, ends) = sample(wire);
        let all = wire.read(&stream);
        assert!(all.ended() && all.messages.len() == 6);
        for bit in 0..stream.len() * 8 {
            let mut forged = stream.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let intact = ends.iter().filter(|end| **end <= bit / 8).count();
            let reader = wire.read(&forged);
            assert_eq!(
                reader.messages,
                all.messages[..MESSAGES_AFTER[intact]],
                "bit {bit}"
            );
            match reader.error {
                // A length that was raised waits for more, which may be the end.
                None => {
                    assert_eq!(reader.opener.finish(0), Err(OpenError::Truncated));
                    assert!(reader.needed > stream.len() - ends[..intact].last().unwrap_or(&0));
                }
                Some(error) => {
                    let known = matches!(
                        error,
                        OpenError::Tag
                            | OpenError::UnknownKind { .. }
                            | OpenError::RecordLength { .. }
                    );
                    assert!(known, "{error}");
                    assert_eq!(error.abort_reason(), AbortReason::PROTOCOL);
                }
            }
        }
    }
}

// HAZARDS R2
#[test]
fn reordered_repeated_dropped_and_foreign_records_fail_in_place() {
    for suite in Suite::ALL {
        let wire = Wire::new(suite);
        let mut raw = wire.raw();
        let [a, b, c] = [b"a", b"b", b"c"].map(|body| raw.record(Kind::Message, body));
        let other = Wire {
            secret: [0x43; 32],
            ..wire
        };
        let foreign = other.raw().record(Kind::Message, b"a");
        let relabelled = [&[0, 0, 0, 17][..], &a[4..]].concat();
        for (stream, delivered) in [
            (vec![&b, &a, &c], 0),
            (vec![&a, &c, &b], 1),
            (vec![&a, &a], 1),
            (vec![&a, &b, &b], 2),
            (vec![&a, &c], 1),
            (vec![&b], 0),
            (vec![&foreign], 0),
            (vec![&relabelled], 0),
        ] {
            let stream: Vec<u8> = stream.into_iter().flatten().copied().collect();
            let reader = wire.read(&stream);
            assert_eq!(reader.messages.len(), delivered);
            assert_eq!(reader.error, Some(OpenError::Tag));
        }
    }
}

// The other suite of the same secret is another key.
#[test]
fn record_of_the_other_suite_does_not_open() {
    let [one, other] = Suite::ALL.map(Wire::new);
    let stream = sealed(&mut one.sealer(), &[b"x"]);
    assert_eq!(other.read(&stream).error, Some(OpenError::Tag));
}

// HAZARDS R6: at every offset, all of what was complete arrives, and only the peer's own end is one.
#[test]
fn stream_ends_well_only_where_the_peer_ended_it() {
    let wire = Wire::new(Suite::Aes256Gcm);
    let (stream, ends) = sample(wire);
    for cut in 0..=stream.len() {
        let reader = wire.read(&stream[..cut]);
        let complete = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(reader.messages.len(), MESSAGES_AFTER[complete]);
        let finished = reader.opener.finish(reader.buffer.len());
        let expected = if cut == stream.len() {
            Ok(End::Authenticated)
        } else {
            Err(OpenError::Truncated)
        };
        assert_eq!(finished, expected);
    }
}

// NATIVE 4.3: End, Refuse, Abort and a cut are four things.
#[test]
fn ends_are_told_apart_and_nothing_is_read_behind_them() {
    for (body, event) in [
        (&[4][..], Event::Ended),
        (&[7, 1, 2], Event::Aborted(AbortReason(0x102))),
    ] {
        let wire = Wire::new(Suite::ChaCha20Poly1305);
        let mut raw = wire.raw();
        let stream = raw.stream(&[
            (Kind::Control, body),
            (Kind::Message, b"behind"),
            (Kind::Control, &[0x7f]),
        ]);
        let reader = wire.read(&stream);
        assert_eq!(reader.events, [event]);
        assert!(reader.messages.is_empty() && reader.error.is_none() && reader.ended());
    }
}

// NATIVE 4.3: an abort may come between parts, an end may not.
#[test]
fn abort_is_taken_within_a_message() {
    let wire = Wire::new(Suite::Aes256Gcm);
    let parts = (Kind::Part, &b"part"[..]);
    let stream = wire.raw().stream(&[parts, (Kind::Control, &[7, 0, 0])]);
    let reader = wire.read(&stream);
    assert_eq!(reader.events, [Event::Aborted(AbortReason::UNSPECIFIED)]);
    assert!(reader.messages.is_empty());
    let mut sealer = wire.sealer();
    let mut draft = Draft::new(vec![0; 100]);
    sealer.part(&mut draft, b"part", false).unwrap();
    let abort = Frame::Abort(AbortReason::PROTOCOL);
    assert_eq!(sealer.control(&mut draft, abort), Ok(()));
}

// Parts straight to their place, and everything else as if nothing had been asked.
#[test]
fn parts_are_opened_to_where_they_belong() {
    for suite in Suite::ALL {
        for &library in Library::BUILT {
            let wire = Wire {
                library,
                ..Wire::new(suite)
            };
            let (mut stream, _) = sample(wire);
            let (mut opener, mut at, mut place) = (wire.opener(), 0, [0; 40]);
            let (mut whole, mut filled) = (vec![], 0);
            while at < stream.len() {
                let rest = &mut stream[at..];
                // One byte short, in the stream or in the place, changes nothing.
                let length = header::length_of(*rest.first_chunk().unwrap()) + 4;
                let short = opener.open_into(&rest[..length - 1], &mut place[filled..]);
                assert_eq!(short, Ok(None));
                let narrow = &mut place[filled..][..length - 21];
                assert_eq!(opener.open_into(rest, narrow), Ok(None));
                at += match opener.open_into(rest, &mut place[filled..]).unwrap() {
                    Some(Step::Message {
                        plaintext,
                        consumed,
                    }) => {
                        assert_eq!(filled, 0);
                        whole.push(place[plaintext].to_vec());
                        consumed
                    }
                    Some(Step::Part {
                        plaintext,
                        last: false,
                        consumed,
                    }) => {
                        assert_eq!(plaintext.start, 0);
                        filled += plaintext.len();
                        consumed
                    }
                    Some(other) => panic!("{other:?}"),
                    None => match opener.open(rest).unwrap() {
                        Step::Packed { region, consumed } => {
                            while opener.next_packed(&rest[region.clone()]).unwrap().is_some() {}
                            consumed
                        }
                        Step::Event { consumed, .. } | Step::Part { consumed, .. } => consumed,
                        other => panic!("{other:?}"),
                    },
                };
            }
            assert_eq!(whole, [b"a message of its own"]);
            assert_eq!(place[..filled], b"one partanother"[..]);
            assert_eq!(opener.open_into(&stream, &mut place), Err(OpenError::Ended));
        }
    }
}

#[test]
fn forged_part_fails_to_its_place_for_good() {
    let wire = Wire::new(Suite::Aes256Gcm);
    let record = wire.raw().record(Kind::Part, b"part");
    let mut forged = record.clone();
    forged[5] ^= 1;
    let (mut opener, mut place) = (wire.opener(), [0; 40]);
    let refused = opener.open_into(&forged, &mut place);
    assert_eq!(refused, Err(OpenError::Tag));
    let again = opener.open_into(&record, &mut place);
    assert_eq!(again, Err(OpenError::Closed));
}

// NATIVE 4: the body is walked as messages are taken, and must be walked to its end.
#[test]
fn packed_record_that_is_not_taken_whole_lets_nothing_follow() {
    let wire = Wire::new(Suite::Aes256Gcm);
    let bodies = (Kind::Packed, &b"\x01a\x01b\x05c"[..]);
    let stream = wire.raw().stream(&[bodies, (Kind::Message, b"next")]);
    for taken in 0..=2 {
        let (mut opener, mut stream) = (wire.opener(), stream.clone());
        let Ok(Step::Packed { region, consumed }) = opener.open(&mut stream) else {
            panic!("a packed record");
        };
        let (record, next) = stream.split_at_mut(consumed);
        for expected in [b"a", b"b"].iter().take(taken) {
            let range = opener.next_packed(&record[region.clone()]).unwrap();
            assert_eq!(record[region.clone()][range.unwrap()], expected[..]);
        }
        if taken == 2 {
            let result = opener.next_packed(&record[region]);
            assert_eq!(result, Err(OpenError::Overrun));
            assert_eq!(opener.open(next), Err(OpenError::Closed));
        } else {
            assert_eq!(opener.open(next), Err(OpenError::Unread));
            assert_eq!(opener.next_packed(&[]), Err(OpenError::Closed));
        }
    }
}

proptest! {
    // What may be taken by a short look is what a whole one finds, for any bytes that a peer packs.
    #[test]
    fn short_looks_find_the_same_messages(
        pieces in proptest::collection::vec((0_u16..300, 0_u8..6), 1..40), cut in 0_usize..3, limit in 0_u64..300,
    ) {
        let mut body = Vec::new();
        for (length, kind) in pieces {
            match kind {
                0 => body.extend([length.to_le_bytes()[0] | 0x80, 0]),
                _ => {
                    let mut prefix = [0; varint::MAX_U64_LEN];
                    let prefix_len = varint::encode_u64(length.into(), &mut prefix);
                    body.extend(&prefix[..prefix_len]);
                    body.resize(body.len() + usize::from(length), kind);
                }
            }
        }
        body.truncate(body.len().saturating_sub(cut).max(1));
        let wire = Wire::new(Suite::Aes256Gcm).limits(65_536, limit);
        let mut record = wire.raw().record(Kind::Packed, &body);
        let (mut whole, mut short) = (wire.opener(), wire.opener());
        let step = short.open(&mut record.clone());
        let opened = whole.open(&mut record);
        prop_assert_eq!(&step, &opened);
        let Ok(Step::Packed { region, .. }) = opened else {
            panic!("a packed record");
        };
        let region = &record[region];
        loop {
            let found = short.next_short(region);
            let expected = whole.next_packed(region);
            let is_last = !matches!(&expected, Ok(Some(range)) if range.end < region.len());
            prop_assert!(!is_last || found.is_none());
            let found = found.map_or_else(|| short.next_packed(region), |range| Ok(Some(range)));
            prop_assert_eq!(&found, &expected);
            if !matches!(expected, Ok(Some(_))) {
                break;
            }
        }
        prop_assert_eq!(short.next_short(region), None);
    }
}

// Bad input of issue 13: floods. Nothing here allocates; what could grow is looked at.
#[test]
fn floods_of_small_records_leave_nothing_behind() {
    let wire = Wire::new(Suite::Aes256Gcm).limits(16_384, 50_000);
    let mut raw = wire.raw();
    let mut opener = wire.opener();
    let open = |opener: &mut Opener, kind, body: &[u8], raw: &mut Raw| {
        opener.open(&mut raw.record(kind, body))
    };
    for _ in 0..20_000 {
        for body in [&[5][..], &[0x80, 0, 1], &[0x99; 255]] {
            assert!(open(&mut opener, Kind::Control, body, &mut raw).is_ok());
        }
        assert!(open(&mut opener, Kind::Padded, &[0xff, 0, 0, 0], &mut raw).is_ok());
    }
    for _ in 0..1_000 {
        assert!(open(&mut opener, Kind::Control, &[5], &mut raw).is_ok());
        assert!(open(&mut opener, Kind::Control, &[3], &mut raw).is_ok());
        raw.0.update();
    }
    for sent in 1..=50_001_u64 {
        let result = open(&mut opener, Kind::Part, b"x", &mut raw);
        let expected = OpenError::TooLarge {
            length: 50_001,
            limit: 50_000,
        };
        assert_eq!(result.is_ok(), sent <= 50_000);
        assert!(sent <= 50_000 || result == Err(expected));
    }
}

#[test]
fn record_of_65536_empty_messages_is_walked_in_place() {
    let wire = Wire::new(Suite::ChaCha20Poly1305).limits(65_536, 0);
    let mut raw = wire.raw();
    let mut opener = wire.opener();
    for _ in 0..3 {
        let mut record = raw.record(Kind::Packed, &[0; 65_536]);
        let Ok(Step::Packed { region, .. }) = opener.open(&mut record) else {
            panic!("a packed record");
        };
        let region = &record[region];
        for index in 1..=65_536 {
            assert_eq!(opener.next_packed(region), Ok(Some(index..index)));
        }
        assert_eq!(opener.next_packed(region), Ok(None));
    }
}

#[test]
fn frames_that_are_not_known_may_be_ignored_from_80_on_only() {
    for frame in 0..=255_u8 {
        for data in [0, 1, 2, 3, 254] {
            let body = [&[frame][..], &vec![1; data]].concat();
            let wire = Wire::new(Suite::Aes256Gcm);
            let mut raw = wire.raw();
            // So that Update is not record 0.
            let stream = raw.stream(&[(Kind::Control, &[5]), (Kind::Control, &body)]);
            let reader = wire.read(&stream);
            let good = match frame {
                3..=5 => data == 0,
                7 | 0x80 => data == 2,
                0x81.. => true,
                _ => false,
            };
            assert_eq!(reader.error.is_none(), good, "{frame} with {data}");
        }
    }
}

#[test]
fn answer_is_due_exactly_once() {
    let wire = Wire {
        answer_due: true,
        ..Wire::new(Suite::Aes256Gcm)
    };
    for (bodies, error) in [
        (vec![&[1][..], &[1]], Some(OpenError::AnswerMisplaced)),
        (vec![&[1], &[2, 0, 1]], Some(OpenError::AnswerMisplaced)),
        (vec![&[3]], Some(OpenError::AnswerMisplaced)),
        (vec![&[0x90]], Some(OpenError::AnswerMisplaced)),
        (vec![&[7, 0, 0]], Some(OpenError::AnswerMisplaced)),
        (vec![&[1, 0]], Some(OpenError::ControlLength)),
        (vec![&[2, 0]], Some(OpenError::ControlLength)),
        (vec![&[1], &[5], &[4]], None),
    ] {
        let mut raw = wire.raw();
        let stream: Vec<u8> = bodies
            .iter()
            .flat_map(|body| raw.record(Kind::Control, body))
            .collect();
        assert_eq!(wire.read(&stream).error, error);
    }
    for kind in [Kind::Packed, Kind::Message, Kind::Part, Kind::Padded] {
        let stream = wire.raw().record(kind, &[0xff, 0, 0, 0]);
        assert_eq!(wire.read(&stream).error, Some(OpenError::AnswerMissing));
    }
}

#[test]
fn padding_may_stand_within_a_message_and_holds_every_kind_but_control() {
    let wire = Wire::new(Suite::ChaCha20Poly1305);
    let stream = wire.raw().stream(&[
        (Kind::Padded, b"\x02\x00\x00\x03onefilling"),
        (Kind::Padded, b"\xff\x00\x00\x00"),
        (Kind::Padded, b"\xff\x00\x00\x00filling"),
        (Kind::Padded, b"\x01\x00\x00\x03two"),
        (Kind::Padded, b"\x00\x00\x00\x04\x00\x02hi..."),
        (Kind::Padded, b"\x01\x00\x00\x00"),
    ]);
    let reader = wire.read(&stream);
    assert_eq!(reader.error, None);
    assert_eq!(reader.messages, [&b"onetwo"[..], b"", b"hi", b""]);
    assert_eq!(reader.events, [Event::Padding; 2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    // What a peer with the right keys seals without a rule in mind: never a panic, never a
    // message above the limit, and every error final (the reader checks that).
    #[test]
    fn records_of_any_content_are_opened_or_refused(
        records in proptest::collection::vec((0_usize..5, proptest::collection::vec(
            prop_oneof![0_u8..8, any::<u8>()], 0..300)), 1..30),
        limit in prop_oneof![Just(0_u64), Just(20), Just(Settings::UNLIMITED)],
        answer_due in any::<bool>(),
    ) {
        let kinds = [Kind::Packed, Kind::Message, Kind::Part, Kind::Control, Kind::Padded];
        let wire = Wire { answer_due, ..Wire::new(Suite::Aes256Gcm).limits(16_384, limit) };
        let mut raw = wire.raw();
        let mut reader = Reader::new(wire.opener());
        for (kind, body) in &records {
            reader.push(&raw.record(kinds[*kind], body));
            if reader.events.last() == Some(&Event::Updated) {
                break;
            }
        }
        prop_assert!(reader.messages.iter().all(|message| message.len() as u64 <= limit));
        prop_assert!(reader.error != Some(OpenError::Tag));
    }
}
