//! How messages become records: what is packed with what, what is refused, and what a refusal
//! costs.

use super::*;

/// Kinds and body lengths of the records in a stream.
fn shape(mut stream: &[u8]) -> Vec<(u8, usize)> {
    let mut shape = vec![];
    while let Some((header, rest)) = stream.split_first_chunk::<4>() {
        let sealed_len = header::length_of(*header);
        shape.push((header[0], sealed_len - 16));
        stream = &rest[sealed_len..];
    }
    shape
}

#[test]
fn small_messages_share_a_record_and_long_ones_have_their_own() {
    let wire = Wire::new(Suite::Aes256Gcm);
    let messages = [0, 1, 127, 128, 4_096, 4_097, 70_000, 5].map(|length| message(length, length));
    let stream = sealed(&mut wire.sealer(), &messages);
    assert_eq!(
        shape(&stream),
        [
            (0, 1 + 2 + 128 + 130 + 4_098),
            (1, 4_097),
            (2, 65_536),
            (1, 70_000 - 65_536),
            (0, 6)
        ]
    );
    assert!(wire.read(&stream).messages == messages);
}

#[test]
fn packed_record_is_never_longer_than_the_wire_or_the_peer_allows() {
    let messages = vec![vec![7; 99]; 3_000];
    for (record_limit, longest) in [(1 << 20, 65_536), (65_536, 65_536), (16_384, 16_384)] {
        let wire = Wire::new(Suite::ChaCha20Poly1305).limits(record_limit, 99);
        let stream = sealed(&mut wire.sealer(), &messages);
        let lengths: Vec<usize> = shape(&stream).iter().map(|(_, length)| *length).collect();
        let (last, full) = lengths.split_last().unwrap();
        assert!(
            full.iter()
                .all(|length| longest - length < 100 && length <= &longest)
        );
        assert!(*last <= longest && full.len() > 3);
        assert!(wire.read(&stream).messages == messages);
    }
}

#[test]
fn open_record_takes_all_of_the_draft_and_no_more() {
    let wire = Wire::new(Suite::Aes256Gcm);
    for capacity in 0..200 {
        let mut sealer = wire.sealer();
        let mut draft = Draft::new(vec![0; capacity]);
        let planned = sealer.plan(9).unwrap();
        let mut taken = 0;
        let refused = loop {
            match sealer.append(&mut draft, planned, &[7; 9]) {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, SealError::NoRoom { .. }));
        assert_eq!(taken, capacity.saturating_sub(20) / 10);
        // What did not fit has spoiled nothing.
        sealer.finish(&mut draft).unwrap();
        assert_eq!(
            draft.sealed().len(),
            if taken > 0 { 20 + taken * 10 } else { 0 }
        );
        assert_eq!(wire.read(draft.sealed()).messages, vec![vec![7; 9]; taken]);
    }
}

#[test]
fn exactly_as_much_room_as_is_asked_for_suffices() {
    for padding in [0, 64, 100_000] {
        for length in [0, 100, 4_096, 4_097, 16_380, 16_384, 16_385, 50_000] {
            let wire = Wire::new(Suite::Aes256Gcm).limits(16_384, Settings::UNLIMITED);
            let mut sealer = wire.sealer_with(4_096, padding);
            let planned = sealer.plan(length).unwrap();
            let mut short = Draft::new(vec![0; 10]);
            let refused = sealer.append(&mut short, planned, &message(1, length));
            let Err(SealError::NoRoom { needed, room: 10 }) = refused else {
                panic!("{refused:?}");
            };
            assert!(needed <= planned.room() && planned.room() - needed <= 21);
            let mut short = Draft::new(vec![0; needed - 1]);
            let refused = sealer.append(&mut short, planned, &message(1, length));
            assert!(matches!(refused, Err(SealError::NoRoom { .. })));
            let mut draft = Draft::new(vec![0; needed]);
            sealer
                .append(&mut draft, planned, &message(1, length))
                .unwrap();
            sealer.finish(&mut draft).unwrap();
            assert_eq!(draft.sealed().len(), needed);
            assert!(wire.read(draft.sealed()).messages == [message(1, length)]);
        }
    }
}

// Unsealed bytes are never submitted.
#[test]
fn open_messages_do_not_leave() {
    let mut sealer = Wire::new(Suite::Aes256Gcm).sealer();
    let mut draft = Draft::new(vec![0; 1_000]);
    sealer.control(&mut draft, Frame::Alive).unwrap();
    let planned = sealer.plan(6).unwrap();
    sealer.append(&mut draft, planned, b"secret").unwrap();
    assert!(draft.has_open());
    assert_eq!(draft.sealed().len(), 21);
    let (buffer, length) = draft.into_sealed();
    assert_eq!(length, 21);
    assert!(buffer.windows(6).any(|window| window == b"secret"));
    // Sealed, it is nowhere.
    let stream = sealed(&mut sealer, &[b"secret"]);
    assert!(!stream.windows(6).any(|window| window == b"secret"));
}

#[test]
fn control_frames_come_behind_what_was_appended_before() {
    let wire = Wire::new(Suite::Aes256Gcm);
    let mut sealer = wire.sealer();
    let mut draft = Draft::new(vec![0; 1_000]);
    for tag in 0..3 {
        let planned = sealer.plan(1).unwrap();
        sealer.append(&mut draft, planned, &[tag]).unwrap();
        sealer
            .control(&mut draft, Frame::Leaving(tag.into()))
            .unwrap();
    }
    sealer.control(&mut draft, Frame::End).unwrap();
    let kinds: Vec<u8> = shape(draft.sealed())
        .iter()
        .map(|(kind, _)| *kind)
        .collect();
    assert_eq!(kinds, [0, 3, 0, 3, 0, 3, 3]);
    let reader = wire.read(draft.sealed());
    assert_eq!(reader.messages, [[0], [1], [2]]);
    assert!(reader.ended());
}

#[test]
fn padding_hides_lengths_to_a_step_and_shows_no_earlier_bytes() {
    let wire = Wire::new(Suite::ChaCha20Poly1305).limits(16_384, Settings::UNLIMITED);
    for (step, packing_limit) in [
        (256, 4_096),
        (256, 0),
        (1, 0),
        (16_384, 0),
        (u32::MAX, 4_096),
    ] {
        for length in [0, 1, 251, 252, 253, 5_000, 16_380, 16_381, 40_000] {
            let mut sealer = wire.sealer_with(packing_limit, step);
            let stream = sealed(&mut sealer, &[message(3, length)]);
            for (kind, body_len) in shape(&stream) {
                assert_eq!(kind, 4);
                let most = body_len == 16_384;
                assert!(most || body_len % step as usize == 0, "{body_len}");
            }
            assert!(wire.read(&stream).messages == [message(3, length)]);
        }
    }
    // HAZARDS R14: the buffer held 0xaa before; what the peer opens behind the message is zeros.
    let mut sealer = wire.sealer_with(0, 256);
    let mut stream = sealed(&mut sealer, &[b"x"]);
    wire.opener().open(&mut stream).unwrap();
    assert_eq!(stream[4..9], [1, 0, 0, 1, b'x']);
    assert!(stream[9..4 + 256].iter().all(|byte| *byte == 0));
    let mut draft = Draft::new(vec![0xaa; 200]);
    sealer.padding_record(&mut draft, 100).unwrap();
    let (mut buffer, length) = draft.into_sealed();
    let mut opener = wire.opener();
    opener
        .open(&mut sealed(&mut wire.sealer_with(0, 256), &[b"x"]))
        .unwrap();
    opener.open(&mut buffer[..length]).unwrap();
    assert_eq!(buffer[4..8], [0xff, 0, 0, 0]);
    assert!(buffer[8..104].iter().all(|byte| *byte == 0));
}

#[test]
fn place_is_worthless_once_something_came_in_between() {
    let wire = Wire::new(Suite::Aes256Gcm);
    for length in [10, 5_000] {
        let mut sealer = wire.sealer();
        let mut draft = Draft::new(vec![0; 50_000]);
        let planned = sealer.plan(length).unwrap();
        let place = sealer.reserve(&mut draft, planned).unwrap();
        draft.plaintext_mut(&place).fill(9);
        sealer.control(&mut draft, Frame::Alive).unwrap();
        let moved = sealer.append_reserved(&mut draft, place);
        assert_eq!(moved, Err(SealError::Moved));
        // Given up, it leaves nothing behind: no empty record, and keys that are still fresh.
        let mut unused = wire.sealer();
        let mut other = Draft::new(vec![0; 50_000]);
        unused.reserve(&mut other, planned).unwrap();
        unused.update(&mut other).unwrap();
        unused.finish(&mut other).unwrap();
        assert!(other.is_empty());
        sealer.reserve(&mut draft, planned).unwrap();
        let place = sealer.reserve(&mut draft, planned).unwrap();
        draft.plaintext_mut(&place).fill(8);
        sealer.append_reserved(&mut draft, place).unwrap();
        sealer.finish(&mut draft).unwrap();
        assert!(wire.read(draft.sealed()).messages == [vec![8; length]]);
    }
}

#[test]
fn reserved_message_is_as_long_as_it_is_shortened_to() {
    let wire = Wire::new(Suite::Aes256Gcm);
    for (reserved, padding) in [(300, 0), (300, 256), (20_000, 0), (20_000, 256)] {
        for length in [0, 1, 127, 128, 299, 300, 4_096, 4_097, 20_000, 30_000] {
            let mut sealer = wire.sealer_with(4_096, padding);
            let mut draft = Draft::new(vec![0xee; 50_000]);
            let bytes = message(7, reserved);
            let around = [message(1, 9), message(2, 9)];
            let planned = sealer.plan(9).unwrap();
            sealer.append(&mut draft, planned, &around[0]).unwrap();
            let planned = sealer.plan(reserved).unwrap();
            let mut place = sealer.reserve(&mut draft, planned).unwrap();
            draft.plaintext_mut(&place).copy_from_slice(&bytes);
            let moved = sealer.shorten(&mut draft, &mut place, length);
            // Only in front of a packed message its length stands.
            let moves = planned.is_packed() && length < 128;
            assert_eq!(moved, if moves { length } else { 0 });
            let kept = length.min(reserved);
            assert!(draft.plaintext(&place) == &bytes[..kept]);
            sealer.append_reserved(&mut draft, place).unwrap();
            let planned = sealer.plan(9).unwrap();
            sealer.append(&mut draft, planned, &around[1]).unwrap();
            sealer.finish(&mut draft).unwrap();
            let expected = [&around[0][..], &bytes[..kept], &around[1][..]];
            assert!(wire.read(draft.sealed()).messages == expected);
        }
    }
}

#[test]
fn misuse_is_refused_and_costs_nothing() {
    let wire = Wire::new(Suite::Aes256Gcm).limits(16_384, 20_000);
    let mut sealer = wire.sealer();
    let mut draft = Draft::new(vec![0; 30_000]);
    let planned = sealer.plan(3).unwrap();
    let mismatch = sealer.append(&mut draft, planned, b"four");
    let expected = SealError::LengthMismatch {
        length: 4,
        planned: 3,
    };
    assert_eq!(mismatch, Err(expected));
    for length in [0, 16_385] {
        let refused = sealer.part(&mut draft, &vec![0; length], false);
        let limit = 16_384;
        assert_eq!(refused, Err(SealError::PartLength { length, limit }));
    }
    for length in [0, 3, 16_385] {
        let refused = sealer.padding_record(&mut draft, length);
        assert!(matches!(refused, Err(SealError::PartLength { .. })));
    }
    assert!(draft.is_empty());
    sealer.append(&mut draft, planned, b"all").unwrap();
    sealer.finish(&mut draft).unwrap();
    assert_eq!(wire.read(draft.sealed()).messages, [b"all"]);
}

#[test]
fn nothing_follows_the_last_frame() {
    for last in [Frame::End, Frame::Abort(AbortReason::UNSPECIFIED)] {
        let mut sealer = Wire::new(Suite::Aes256Gcm).sealer();
        frame(&mut sealer, last);
        let mut draft = Draft::new(vec![0; 1_000]);
        let planned = sealer.plan(3).unwrap();
        let ended = Err(SealError::Ended);
        assert_eq!(sealer.append(&mut draft, planned, b"xyz"), ended);
        assert_eq!(sealer.reserve(&mut draft, planned).map(|_| ()), ended);
        assert_eq!(sealer.part(&mut draft, b"xyz", true), ended);
        assert_eq!(sealer.control(&mut draft, last), ended);
        assert_eq!(sealer.update(&mut draft), ended);
        assert_eq!(sealer.padding_record(&mut draft, 10), ended);
        assert!(draft.is_empty());
    }
}
