//! The vectors of an independent implementation: every record, and the cause of every refusal.

use super::*;
use crate::protocol::testing::{array, hex, list, number, text, vectors};
use serde_json::Value;

fn wire(case: &Value, library: Library) -> Wire {
    let suite = Suite::from_byte(u8::try_from(number(&case["suite"])).unwrap()).unwrap();
    let record_limit = u32::try_from(number(&case["record_limit"])).unwrap();
    let message_limit = case["message_limit"]
        .as_u64()
        .unwrap_or(Settings::UNLIMITED);
    let wire = Wire {
        library,
        secret: array(&case["secret"]),
        answer_due: case["first_is_answer"] == true,
        ..Wire::new(suite)
    };
    wire.limits(record_limit, message_limit)
}

/// A frame as the vectors write it.
fn numbered(event: Event) -> Option<(u64, Vec<u8>)> {
    Some(match event {
        Event::Accepted => (1, vec![]),
        Event::Refused(reason) => (2, reason.0.to_be_bytes().to_vec()),
        Event::Updated => (3, vec![]),
        Event::Ended => (4, vec![]),
        Event::Alive => (5, vec![]),
        Event::Dropped => (6, vec![]),
        Event::Aborted(reason) => (7, reason.0.to_be_bytes().to_vec()),
        Event::Leaving(reason) => (0x80, reason.to_be_bytes().to_vec()),
        // The vectors have no word for what is ignored.
        Event::Ignored(_) | Event::Padding => return None,
    })
}

#[test]
fn every_record_of_the_vectors_opens() {
    for case in list(&vectors!("native-records.json")) {
        let stream: Vec<u8> = list(&case["records"]).iter().flat_map(hex).collect();
        let messages: Vec<Vec<u8>> = list(&case["messages"]).iter().map(hex).collect();
        let control: Vec<(u64, Vec<u8>)> = list(&case["control"])
            .iter()
            .map(|frame| (number(&frame[0]), hex(&frame[1])))
            .collect();
        for &library in Library::BUILT {
            for piece in [7, 4_096, usize::MAX] {
                let mut reader = Reader::new(wire(case, library).opener());
                stream.chunks(piece).for_each(|piece| reader.push(piece));
                assert_eq!(reader.error, None);
                assert!(reader.messages == messages);
                let events: Vec<_> = reader.events.iter().copied().filter_map(numbered).collect();
                assert_eq!(events, control);
                assert!(reader.ended());
                let last = events.last().map(|(frame, _)| *frame);
                assert_eq!(last, Some(number(&case["ended"])));
            }
        }
    }
}

fn named(error: OpenError) -> &'static str {
    match error {
        OpenError::UnknownKind { .. } => "kind",
        OpenError::RecordLength { .. } => "record length",
        OpenError::Tag => "tag",
        OpenError::UpdateFirst => "update as record 0",
        OpenError::PackedLength => "packed length",
        OpenError::Overrun => "overrun",
        OpenError::BadVarint => "varint",
        OpenError::EmptyPart => "empty part",
        OpenError::PackedWithinMessage => "packed between parts",
        OpenError::Padded => "padded",
        OpenError::ControlLength => "control length",
        OpenError::UnknownControl { .. } => "control",
        OpenError::AnswerMisplaced => "answer misplaced",
        OpenError::DropOutsideMessage => "drop outside a message",
        OpenError::EndWithinMessage => "end within a message",
        OpenError::AnswerMissing => "no answer first",
        OpenError::TooLarge { .. } => "message too large",
        OpenError::Truncated => "truncated",
        OpenError::Closed | OpenError::Ended | OpenError::KeyOverused | OpenError::Unread => "none",
    }
}

#[test]
fn every_bad_record_is_refused_for_its_cause() {
    let mut tried = 0;
    for case in list(&vectors!("native-record-reject.json")) {
        let stream = hex(&case["wire"]);
        let messages: Vec<Vec<u8>> = list(&case["messages"]).iter().map(hex).collect();
        let at_end = case["then_end_of_stream"] == true;
        for &library in Library::BUILT {
            for piece in [1, usize::MAX] {
                let mut reader = Reader::new(wire(case, library).opener());
                stream.chunks(piece).for_each(|piece| reader.push(piece));
                let error = match reader.error {
                    Some(error) => error,
                    None => reader.opener.finish(reader.buffer.len()).unwrap_err(),
                };
                assert_eq!(named(error), case["error"], "{}", case["what"]);
                assert_eq!(at_end, error == OpenError::Truncated);
                assert!(reader.messages == messages, "{}", text(&case["what"]));
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 118 * 2 * Library::BUILT.len());
}
