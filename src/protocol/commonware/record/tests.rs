//! Both directions against the vectors, against each other, and against what
//! an outsider can do to a stream.

use super::*;
use crate::protocol::cipher::{Aead, AeadError, DefaultAead, RustCrypto};
use crate::protocol::layout::{Draft, Incoming, Outgoing, Step};
use crate::protocol::testing::{array, fill, hex, list, number, text, vectors};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;
use serde_json::Value;

const VERSIONS: [CupsVersion; 2] = [CupsVersion::V0, CupsVersion::V1];
const KEY: [u8; 32] = [0x42; 32];

fn sealer(version: CupsVersion, limit: u32) -> Sealer {
    Sealer::new(DefaultAead::new(&KEY), version, limit)
}

fn opener(version: CupsVersion, limit: u32) -> Opener {
    Opener::new(DefaultAead::new(&KEY), version, limit)
}

fn seal<A: Aead>(sealer: &mut Sealer<A>, message: &[u8]) -> Vec<u8> {
    let mut record = vec![0; sealer.sealed_len(message.len()).unwrap()];
    assert_eq!(sealer.seal(message, &mut record), Ok(record.len()));
    record
}

/// One record per message, back to back.
fn stream_of<M: AsRef<[u8]>>(version: CupsVersion, messages: &[M]) -> Vec<u8> {
    let mut sealer = sealer(version, MAX_MESSAGE_SIZE);
    messages
        .iter()
        .flat_map(|message| seal(&mut sealer, message.as_ref()))
        .collect()
}

/// Reads a stream as an edge does: keeps what is not consumed, and asks again
/// once more has come than was needed.
struct Reader {
    opener: Opener,
    buffer: Vec<u8>,
    /// Below this the opener must not be able to go on.
    needed: usize,
    messages: Vec<Vec<u8>>,
}

impl Reader {
    fn new(opener: Opener) -> Self {
        Self {
            opener,
            buffer: vec![],
            needed: 0,
            messages: vec![],
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), OpenError> {
        self.buffer.extend(bytes);
        loop {
            let before = self.buffer.len();
            match self.opener.open(&mut self.buffer)? {
                Progress::Message {
                    plaintext,
                    consumed,
                } => {
                    assert!(before >= self.needed, "went on with less than it needed");
                    self.messages.push(self.buffer[plaintext].to_vec());
                    self.buffer.drain(..consumed);
                    self.needed = 0;
                }
                Progress::Incomplete { consumed, needed } => {
                    assert!(consumed == 0 || before >= self.needed);
                    self.buffer.drain(..consumed);
                    assert!(needed > self.buffer.len());
                    self.needed = needed;
                    return Ok(());
                }
            }
        }
    }
}

/// The messages of a stream given in one piece, and how it ended.
fn read_all(opener: Opener, stream: &[u8]) -> (Vec<Vec<u8>>, Result<(), OpenError>) {
    let mut reader = Reader::new(opener);
    let result = reader
        .push(stream)
        .and_then(|()| reader.opener.finish(reader.buffer.len()));
    (reader.messages, result)
}

fn name_of(error: OpenError) -> String {
    match error {
        OpenError::BadVarint => "bad_varint".into(),
        OpenError::Closed => "closed".into(),
        OpenError::Failed | OpenError::FailedFirst => "open_failed".into(),
        OpenError::TooLarge { length, .. } => format!("recv_too_large({length})"),
        OpenError::Truncated => "transport".into(),
    }
}

/// The results as the vectors list them, input given in pieces.
fn results_of(mut reader: Reader, input: &[u8], piece: usize, ends: bool) -> Vec<String> {
    let mut failed = None;
    for piece in input.chunks(piece) {
        if let Err(error) = reader.push(piece) {
            failed = Some(error);
            break;
        }
    }
    let mut results: Vec<String> = reader
        .messages
        .iter()
        .map(|message| {
            let digits: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("ok({digits})")
        })
        .collect();
    match failed {
        Some(error) => {
            results.push(name_of(error));
            results.push(name_of(reader.opener.open(&mut reader.buffer).unwrap_err()));
            assert_eq!(reader.opener.finish(0), Err(OpenError::Closed));
        }
        // The reference knows no end between records: it reads on and fails.
        None if ends => results.extend(["transport".into(), "closed".into()]),
        None => results.push("waits".into()),
    }
    results
}

fn check_rejections(file: &Value, version: CupsVersion) {
    for case in list(&file["receiver_cases"]) {
        let limit = u32::try_from(number(&case["max_message_size"])).unwrap();
        let cipher = DefaultAead::new(&array(&file["cipher_key_l2d"]));
        let input = hex(&case["input"]);
        let expected: Vec<&str> = list(&case["results"]).iter().map(text).collect();
        let ends = case["then"] == "eof";
        let reader = Reader::new(Opener::new(cipher, version, limit));
        let whole = results_of(reader, &input, usize::MAX, ends);
        assert_eq!(whole, expected, "{}", case["name"]);
        let cipher = DefaultAead::new(&array(&file["cipher_key_l2d"]));
        let reader = Reader::new(Opener::new(cipher, version, limit));
        let pieces = results_of(reader, &input, 1, ends);
        assert_eq!(pieces, expected, "{}", case["name"]);
    }
    let limit = u32::try_from(number(&file["max_message_size"])).unwrap();
    check_sender::<DefaultAead>(file, version, limit);
    check_sender::<RustCrypto>(file, version, limit);
}

// HAZARDS R5: a refused batch writes nothing and uses no nonce.
fn check_sender<A: Aead>(file: &Value, version: CupsVersion, limit: u32) {
    let mut sealer = Sealer::new(A::new(&array(&file["cipher_key_l2d"])), version, limit);
    for call in list(&file["sender_calls"]) {
        let messages: Vec<Vec<u8>> = list(&call["lengths"])
            .iter()
            .map(|len| fill(&call["fill"], usize::try_from(number(len)).unwrap()))
            .collect();
        let planned: Result<Vec<usize>, SealError> = messages
            .iter()
            .map(|message| sealer.sealed_len(message.len()))
            .collect();
        let (result, wrote) = match planned {
            Ok(lengths) => {
                let wrote: Vec<u8> = messages
                    .iter()
                    .flat_map(|message| seal(&mut sealer, message))
                    .collect();
                assert_eq!(wrote.len(), lengths.iter().sum::<usize>());
                (String::from("ok"), wrote)
            }
            Err(SealError::TooLarge { length, limit: at }) => {
                assert_eq!(at, limit);
                let refused = messages
                    .iter()
                    .find(|message| message.len() == length)
                    .unwrap();
                let error = sealer.seal(refused, &mut [0; 500]).unwrap_err();
                assert_eq!(error, SealError::TooLarge { length, limit });
                (format!("send_too_large({length})"), vec![])
            }
            Err(other) => panic!("{other}"),
        };
        assert_eq!(result, text(&call["result"]));
        assert_eq!(wrote, hex(&call["wrote"]));
        assert_eq!(number(&call["sink_calls"]), u64::from(!wrote.is_empty()));
    }
}

// HAZARDS R2, R3, R4, R6 and more: everything in the files, whole and byte by byte.
#[test]
fn rejection_vectors_hold_in_pieces_of_any_size() {
    check_rejections(&vectors!("record-reject-cups-v0.json"), CupsVersion::V0);
    check_rejections(&vectors!("record-reject-cups-v1.json"), CupsVersion::V1);
}

/// Four messages and where each record ends.
fn sample(version: CupsVersion) -> (Vec<Vec<u8>>, Vec<u8>, Vec<usize>) {
    let messages = vec![b"first".to_vec(), vec![], vec![9; 130], b"last".to_vec()];
    let mut sealer = sealer(version, 1_000);
    let mut stream = vec![];
    let mut ends = vec![];
    for message in &messages {
        stream.extend(seal(&mut sealer, message));
        ends.push(stream.len());
    }
    (messages, stream, ends)
}

// HAZARDS R1, R13: every bit of a stream.
#[test]
fn flipped_bit_ends_the_stream_at_its_record() {
    for version in VERSIONS {
        let (messages, stream, ends) = sample(version);
        for bit in 0..stream.len() * 8 {
            let mut forged = stream.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let intact = ends.iter().filter(|end| **end <= bit / 8).count();
            let mut reader = Reader::new(opener(version, 1_000));
            let result = reader.push(&forged);
            assert_eq!(reader.messages, messages[..intact], "bit {bit}");
            match result {
                // V0's length lies in the clear: raised, it waits for more.
                Ok(()) => {
                    assert_eq!(version, CupsVersion::V0);
                    let end = reader.opener.finish(reader.buffer.len());
                    assert_eq!(end, Err(OpenError::Truncated));
                }
                Err(error) => {
                    let first = error == OpenError::FailedFirst;
                    assert!(!first || intact == 0);
                    // The genuine bytes do not help any more.
                    let again = reader.opener.open(&mut stream.clone());
                    assert_eq!(again, Err(OpenError::Closed));
                }
            }
        }
    }
}

// HAZARDS R2
#[test]
fn reordered_repeated_dropped_and_foreign_records_fail_in_place() {
    for version in VERSIONS {
        let mut ours = sealer(version, 100);
        let [a, b, c] = [b"a".as_slice(), b"b", b"c"].map(|message| seal(&mut ours, message));
        let mut other = Sealer::new(DefaultAead::new(&[0x43; 32]), version, 100);
        let foreign = seal(&mut other, b"a");
        let foreign_second = seal(&mut other, b"b");
        for (stream, delivered) in [
            (vec![&b, &a, &c], 0),
            (vec![&a, &c, &b], 1),
            (vec![&a, &a], 1),
            (vec![&a, &b, &b], 2),
            (vec![&a, &c], 1),
            (vec![&b], 0),
            (vec![&foreign], 0),
            (vec![&a, &foreign_second], 1),
        ] {
            let stream: Vec<u8> = stream.into_iter().flatten().copied().collect();
            let (messages, result) = read_all(opener(version, 100), &stream);
            assert_eq!(messages.len(), delivered);
            let expected = if delivered == 0 {
                OpenError::FailedFirst
            } else {
                OpenError::Failed
            };
            assert_eq!(result, Err(expected));
        }
    }
}

// HAZARDS R3: V0 lengths below a tag are awaited and fail; a V1 body stays sealed to
// the length in its header.
#[test]
fn body_shorter_than_a_tag_fails() {
    for length in 0..16_u8 {
        let mut stream = vec![length];
        stream.extend(vec![0; usize::from(length)]);
        let mut reader = Reader::new(opener(CupsVersion::V0, 0));
        for byte in &stream[..stream.len() - 1] {
            assert_eq!(reader.push(&[*byte]), Ok(()));
        }
        let result = reader.push(&stream[stream.len() - 1..]);
        assert_eq!(result, Err(OpenError::FailedFirst));
        assert!(reader.messages.is_empty());
    }
    let mut sealer = sealer(CupsVersion::V1, 100);
    let first = seal(&mut sealer, b"0123456789");
    let second = seal(&mut sealer, b"next");
    let stream = [&first[..25], &second[..]].concat();
    let (messages, result) = read_all(opener(CupsVersion::V1, 100), &stream);
    assert!(messages.is_empty());
    assert_eq!(result, Err(OpenError::FailedFirst));
}

// HAZARDS R4: refused at the end of the header, up to the largest length.
#[test]
fn announced_length_above_the_limit_is_refused_before_the_body() {
    for (limit, length) in [(0, 1), (100, 101), (100, u32::MAX - 16), (1 << 20, 1 << 24)] {
        let expected = Err(OpenError::TooLarge { length, limit });
        let mut bytes = [0; 10];
        let len = crate::protocol::varint::encode_u64(u64::from(length) + 16, &mut bytes);
        let mut reader = Reader::new(opener(CupsVersion::V0, limit));
        assert_eq!(reader.push(&bytes[..len - 1]), Ok(()));
        assert_eq!(reader.push(&bytes[len - 1..len]), expected);
    }
    for length in [101, u32::MAX - 16, u32::MAX] {
        let mut header = [0; 20];
        DefaultAead::new(&KEY)
            .seal(&[0; 12], &length.to_be_bytes(), &mut header)
            .unwrap();
        let mut reader = Reader::new(opener(CupsVersion::V1, 100));
        assert_eq!(reader.push(&header[..19]), Ok(()));
        let expected = OpenError::TooLarge { length, limit: 100 };
        assert_eq!(reader.push(&header[19..]), Err(expected));
    }
}

// HAZARDS R5
#[test]
fn empty_and_largest_messages_pass_and_one_more_is_refused() {
    for version in VERSIONS {
        for limit in [0_u32, 1, 111, 112, 113, 16_367, 16_368, 16_369] {
            let most = usize::try_from(limit).unwrap();
            let mut sealer = sealer(version, limit);
            let too_large = SealError::TooLarge {
                length: most + 1,
                limit,
            };
            let mut stream = seal(&mut sealer, b"");
            assert_eq!(sealer.sealed_len(most + 1), Err(too_large));
            let mut room = vec![0; most + 100];
            assert_eq!(sealer.seal(&vec![1; most + 1], &mut room), Err(too_large));
            assert_eq!(sealer.seal_in_place(most + 1, &mut room), Err(too_large));
            // A buffer that is one byte short costs nothing either.
            let needed = sealer.sealed_len(most).unwrap();
            let no_room = SealError::NoRoom {
                needed,
                room: needed - 1,
            };
            let short = &mut room[..needed - 1];
            assert_eq!(sealer.seal(&vec![1; most], short), Err(no_room));
            assert_eq!(sealer.seal_in_place(most, short), Err(no_room));
            stream.extend(seal(&mut sealer, &vec![1; most]));
            let (messages, result) = read_all(opener(version, limit), &stream);
            assert_eq!(messages, [vec![], vec![1; most]]);
            assert_eq!(result, Ok(()));
        }
    }
}

#[test]
fn lengths_are_known_before_sealing() {
    let sealer = sealer(CupsVersion::V0, MAX_MESSAGE_SIZE);
    for (message_len, header_len) in [
        (0, 1),
        (111, 1),
        (112, 2),
        (16_367, 2),
        (16_368, 3),
        (MAX_MESSAGE_SIZE as usize, 5),
    ] {
        assert_eq!(sealer.header_len(message_len), header_len);
        let expected = header_len + message_len + 16;
        assert_eq!(sealer.sealed_len(message_len), Ok(expected));
        assert!(expected <= message_len + MAX_OVERHEAD);
    }
    let length = usize::MAX;
    let limit = MAX_MESSAGE_SIZE;
    let too_large = SealError::TooLarge { length, limit };
    assert_eq!(sealer.sealed_len(length), Err(too_large));
    let _ = sealer.header_len(length);
}

// HAZARDS R6: at every offset.
#[test]
fn stream_may_end_between_records_only() {
    for version in VERSIONS {
        let (messages, stream, ends) = sample(version);
        for cut in 0..=stream.len() {
            let (delivered, result) = read_all(opener(version, 1_000), &stream[..cut]);
            let complete = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(delivered, messages[..complete]);
            let expected = if cut == 0 || ends.contains(&cut) {
                Ok(())
            } else {
                Err(OpenError::Truncated)
            };
            assert_eq!(result, expected, "cut at {cut}");
        }
    }
}

const END: u128 = 1 << 96;

// HAZARDS R12: counters started near the end.
#[test]
fn used_up_nonces_end_both_directions_for_good() {
    for (version, last) in [(CupsVersion::V0, END - 1), (CupsVersion::V1, END - 2)] {
        let mut sealer = sealer(version, 100).starting_at(last);
        let mut opener = opener(version, 100).starting_at(last);
        let mut record = seal(&mut sealer, b"last");
        let mut room = [0; 100];
        assert_eq!(sealer.seal(b"x", &mut room), Err(SealError::Failed));
        assert_eq!(sealer.seal(b"x", &mut room), Err(SealError::Closed));
        assert_eq!(sealer.seal_in_place(1, &mut room), Err(SealError::Closed));
        let opened = opener.open(&mut record);
        assert!(matches!(opened, Ok(Progress::Message { .. })));
        let mut next = vec![17; 60];
        assert_eq!(opener.open(&mut next), Err(OpenError::Failed));
        assert_eq!(opener.open(&mut next), Err(OpenError::Closed));
    }
    // V1 with room for a header only.
    let mut sealer = sealer(CupsVersion::V1, 100).starting_at(END - 1);
    assert_eq!(sealer.seal(b"x", &mut [0; 100]), Err(SealError::Failed));
    assert_eq!(sealer.seal(b"x", &mut [0; 100]), Err(SealError::Closed));
    let mut opener = opener(CupsVersion::V1, 100).starting_at(END - 1);
    let nonce = [0xff; 12];
    let mut stream = [0; 40];
    DefaultAead::new(&KEY)
        .seal(&nonce, &4_u32.to_be_bytes(), &mut stream[..20])
        .unwrap();
    assert_eq!(opener.open(&mut stream), Err(OpenError::Failed));
}

// HAZARDS R13: a forged record moves no counter that a later one could use.
#[test]
fn forgery_is_final_even_if_the_genuine_record_follows() {
    for version in VERSIONS {
        let (_, mut stream, _) = sample(version);
        let mut forged = stream.clone();
        forged[2] ^= 1;
        let mut opener = opener(version, 1_000);
        assert_eq!(opener.open(&mut forged), Err(OpenError::FailedFirst));
        assert_eq!(opener.open(&mut stream), Err(OpenError::Closed));
        assert_eq!(opener.finish(0), Err(OpenError::Closed));
    }
}

// HAZARDS R9: ten thousand records in one slice.
#[test]
fn ten_thousand_records_in_one_slice_come_out_in_order() {
    let messages: Vec<[u8; 4]> = (0..10_000_u32).map(u32::to_be_bytes).collect();
    for version in VERSIONS {
        let mut stream = stream_of(version, &messages);
        let mut opener = opener(version, 4);
        let mut at = 0;
        for message in &messages {
            let Ok(Progress::Message {
                plaintext,
                consumed,
            }) = opener.open(&mut stream[at..])
            else {
                panic!("the record is there");
            };
            assert_eq!(stream[at..][plaintext], *message);
            at += consumed;
        }
        assert_eq!(opener.finish(stream.len() - at), Ok(()));
    }
}

#[test]
fn both_ciphers_make_the_same_records() {
    for version in VERSIONS {
        let mut left = sealer(version, 1_000);
        let mut right = Sealer::new(RustCrypto::new(&KEY), version, 1_000);
        let mut opener = Opener::new(RustCrypto::new(&KEY), version, 1_000);
        for len in [0, 1, 64, 1_000] {
            let message = vec![5; len];
            let mut record = seal(&mut left, &message);
            assert_eq!(record, seal(&mut right, &message));
            let opened = opener.open(&mut record);
            assert!(matches!(opened, Ok(Progress::Message { .. })));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    // HAZARDS R9: any split gives the same messages in the same order.
    #[test]
    fn splits_do_not_matter(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..12),
        cuts in proptest::collection::vec(1_usize..200, 1..40),
        v1 in any::<bool>(),
    ) {
        let version = VERSIONS[usize::from(v1)];
        let stream = stream_of(version, &messages);
        let mut reader = Reader::new(opener(version, 300));
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            prop_assert_eq!(reader.push(now), Ok(()));
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(reader.opener.finish(reader.buffer.len()), Ok(()));
        prop_assert_eq!(reader.messages, messages);
    }

    // HAZARDS R6: any truncation delivers a prefix and no more.
    #[test]
    fn truncation_delivers_a_prefix(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..12),
        at in any::<proptest::sample::Index>(),
        v1 in any::<bool>(),
    ) {
        let version = VERSIONS[usize::from(v1)];
        let mut stream = stream_of(version, &messages);
        stream.truncate(at.index(stream.len()));
        let (delivered, result) = read_all(opener(version, 300), &stream);
        prop_assert!(messages.starts_with(&delivered));
        prop_assert!(delivered.len() < messages.len());
        let between = stream_of(version, &delivered).len() == stream.len();
        prop_assert_eq!(result.is_ok(), between);
    }

    #[test]
    fn arbitrary_bytes_never_open(
        mut stream in proptest::collection::vec(any::<u8>(), 0..300),
        v1 in any::<bool>(),
    ) {
        let mut opener = opener(VERSIONS[usize::from(v1)], 1_000);
        let opened = matches!(opener.open(&mut stream), Ok(Progress::Message { .. }));
        prop_assert!(!opened);
    }
}

/// A cipher that panics at every use.
struct Panicking;

impl Aead for Panicking {
    fn name() -> &'static str {
        "panicking"
    }

    fn new(_: &[u8; 32]) -> Self {
        Self
    }

    fn seal(&mut self, _: &[u8; 12], _: &[u8], _: &mut [u8]) -> Result<(), AeadError> {
        panic!("seal");
    }

    fn seal_in_place(&mut self, _: &[u8; 12], _: &mut [u8]) -> Result<(), AeadError> {
        panic!("seal_in_place");
    }

    fn open_in_place(&mut self, _: &[u8; 12], _: &mut [u8]) -> Result<(), AeadError> {
        panic!("open_in_place");
    }
}

// Whoever catches the panic has a direction that is over, not one with a nonce to repeat.
#[test]
fn a_panic_within_the_cipher_closes_both_directions() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    for version in VERSIONS {
        let mut sealer = Sealer::new(Panicking, version, 100);
        let mut record = [0; 100];
        let panicked = catch_unwind(AssertUnwindSafe(|| sealer.seal(b"m", &mut record)));
        assert!(panicked.is_err());
        assert_eq!(sealer.seal(b"m", &mut record), Err(SealError::Closed));

        let mut stream = stream_of(version, &[b"m"]);
        let mut opener = Opener::new(Panicking, version, 100);
        let panicked = catch_unwind(AssertUnwindSafe(|| opener.open(&mut stream)));
        assert!(panicked.is_err());
        assert_eq!(opener.open(&mut stream), Err(OpenError::Closed));
        assert_eq!(opener.finish(0), Err(OpenError::Closed));
    }
}

// HAZARDS R12: what was planned elsewhere costs the direction at most, and no nonce twice.
#[test]
fn what_was_planned_for_another_message_or_sealer_is_not_sealed() {
    for version in [CupsVersion::V0, CupsVersion::V1] {
        let other = match version {
            CupsVersion::V0 => CupsVersion::V1,
            CupsVersion::V1 => CupsVersion::V0,
        };
        let (mut sealer, mut opener) = pair(version, 1_000);
        let mut draft = Draft::new(vec![0; 2_000]);
        let planned = sealer.plan(3).unwrap();
        let mismatch = SealError::LengthMismatch {
            length: 4,
            planned: 3,
        };
        assert_eq!(sealer.append(&mut draft, planned, b"four"), Err(mismatch));
        sealer.append(&mut draft, planned, b"one").unwrap();
        let mut sent = draft.sealed().to_vec();
        let step = Incoming::open(&mut opener, &mut sent).unwrap();
        assert!(matches!(step, Step::Message { .. }), "{step:?}");
        let elsewhere = pair(other, 1_000).0.plan(3).unwrap();
        let failed = sealer.append(&mut draft, elsewhere, b"two");
        assert_eq!(failed, Err(SealError::Failed));
        assert_eq!(draft.sealed().len(), sent.len());
        assert_eq!(
            sealer.append(&mut draft, planned, b"two"),
            Err(SealError::Closed)
        );
    }
}
