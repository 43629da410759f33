//! How much one key seals, and what both ends make of lengths.

use super::*;

/// What one key may seal, in blocks.
const MOST: u64 = 1 << 26;

// HAZARDS R12, NATIVE 4.3: whatever comes, no key seals more than it may, and the peer follows.
#[test]
fn keys_are_updated_before_the_record_that_would_overuse_them() {
    let wire = Wire::new(Suite::Aes256Gcm).limits(16_384, Settings::UNLIMITED);
    // Around what a Packed record of 16 384 bytes may come to, one of 5 000, and Update itself.
    for spare in (0..12).chain(310..330).chain(1_020..1_040) {
        for length in [1, 5_000, 16_384, 40_000] {
            let (mut sealer, mut opener) = (wire.sealer(), wire.opener());
            let mut first = sealed(&mut sealer, &[b"first"]);
            opener.open(&mut first).unwrap();
            opener.next_packed(&first[4..10]).unwrap();
            let used = MOST - 3 - 3 - spare;
            sealer.keys_mut().use_up(used);
            opener.keys_mut().use_up(used);
            let mut reader = Reader::new(opener);
            let messages = [message(1, length), message(2, 3)];
            reader.push(&sealed(&mut sealer, &messages));
            assert_eq!(reader.error, None, "{spare} {length}");
            assert!(reader.messages == messages);
            assert!(reader.events.len() <= 1);
            // On demand there is always room for one more Update.
            let mut draft = Draft::new(vec![0; 21]);
            sealer.update(&mut draft).unwrap();
            reader.push(draft.sealed());
            assert_eq!(reader.error, None);
        }
    }
}

// The open record is counted for the longest it can get, at the time when it is opened.
#[test]
fn update_comes_in_front_of_the_open_record_never_inside() {
    let wire = Wire::new(Suite::ChaCha20Poly1305);
    let mut sealer = wire.sealer();
    sealer.keys_mut().use_up(MOST - 4_096 - 2 - 3 - 3);
    let mut opener = wire.opener();
    opener.keys_mut().use_up(MOST - 4_096 - 2 - 3 - 3);
    let mut reader = Reader::new(opener);
    let mut draft = Draft::new(vec![0; 200_000]);
    sealer.control(&mut draft, Frame::Alive).unwrap();
    let planned = sealer.plan(65).unwrap();
    for _ in 0..2_000 {
        sealer.append(&mut draft, planned, &[7; 65]).unwrap();
    }
    sealer.finish(&mut draft).unwrap();
    reader.push(draft.sealed());
    assert_eq!(reader.error, None);
    assert_eq!(reader.messages.len(), 2_000);
    // Exactly the first record of 65 536 bytes was left to the first key.
    assert_eq!(reader.events, [Event::Alive, Event::Updated]);
}

#[test]
fn nothing_is_sealed_or_opened_beyond_what_a_key_may() {
    for suite in Suite::ALL {
        let wire = Wire::new(suite);
        let mut raw = wire.raw();
        raw.0.use_up(MOST - 6);
        let mut opener = wire.opener();
        opener.keys_mut().use_up(MOST - 6);
        let mut reader = Reader::new(opener);
        let last = raw.record(Kind::Message, &[1; 64]);
        reader.push(&last);
        assert_eq!(reader.messages, [[1; 64]]);
        let mut record = [0; 21];
        assert!(raw.0.seal(Kind::Control, &[5], &mut record).is_err());
        assert!(raw.0.seal_in_place(Kind::Control, &mut record).is_err());
        // A peer that seals one record more is refused at its header, whatever that is: Update has to
        // come while there is room for it.
        for (kind, body) in [(Kind::Message, &b"x"[..]), (Kind::Control, &[3])] {
            let mut peer = wire.raw();
            let last = peer.record(Kind::Message, &[1; 64]);
            let beyond = peer.record(kind, body);
            let mut opener = wire.opener();
            opener.keys_mut().use_up(MOST - 6);
            let mut reader = Reader::new(opener);
            reader.push(&last);
            reader.push(&beyond[..3]);
            assert_eq!(reader.error, None);
            reader.push(&beyond[3..4]);
            assert_eq!(reader.error, Some(OpenError::KeyOverused));
        }
    }
}

#[test]
fn fresh_keys_are_not_updated() {
    let wire = Wire::new(Suite::Aes256Gcm);
    let mut sealer = wire.sealer();
    let mut draft = Draft::new(vec![0; 1_000]);
    for _ in 0..3 {
        sealer.update(&mut draft).unwrap();
    }
    assert!(draft.is_empty());
    // An open record makes the keys used once it is closed.
    let planned = sealer.plan(1).unwrap();
    sealer.append(&mut draft, planned, b"x").unwrap();
    for _ in 0..3 {
        sealer.update(&mut draft).unwrap();
    }
    let reader = wire.read(draft.sealed());
    assert_eq!(reader.events, [Event::Updated]);
    assert_eq!(reader.error, None);
}

#[test]
fn update_wipes_the_secret_it_came_from() {
    let wire = Wire::new(Suite::Aes256Gcm);
    let mut keys = wire.keys();
    let before = (**keys.secrets().0, keys.secrets().1);
    keys.update();
    let after = (**keys.secrets().0, keys.secrets().1);
    assert_ne!(before.0, after.0);
    assert_ne!(before.1, after.1);
}

// HAZARDS R5, NATIVE 4.1
#[test]
fn messages_at_the_limit_pass_and_one_byte_more_is_refused_by_both_ends() {
    for limit in [0_u64, 1, 127, 128, 4_096, 4_097, 16_384, 16_385, 50_000] {
        let length = usize::try_from(limit).unwrap();
        let wire = Wire::new(Suite::Aes256Gcm).limits(16_384, limit);
        let mut sealer = wire.sealer();
        let refused = sealer.plan(length + 1);
        let too_large = SealError::TooLarge {
            length: limit + 1,
            limit,
        };
        assert_eq!(refused, Err(too_large));
        let stream = sealed(&mut sealer, &[message(1, length)]);
        assert!(wire.read(&stream).messages == [message(1, length)]);
        // A peer that does not care.
        let lax = wire.limits(16_384, Settings::UNLIMITED);
        let stream = sealed(&mut lax.sealer(), &[vec![], message(1, length + 1)]);
        let mut reader = Reader::new(wire.opener());
        reader.push(&stream);
        let Some(OpenError::TooLarge { length, limit: at }) = reader.error else {
            panic!("{:?}", reader.error);
        };
        assert!(length > limit && at == limit);
        assert_eq!(reader.messages, [b""]);
        let reason = reader.error.unwrap().abort_reason();
        assert_eq!(reason, AbortReason::TOO_LARGE);
    }
}

// HAZARDS R4: refused at the header, up to the largest length.
#[test]
fn announced_length_above_the_limit_is_refused_before_the_body() {
    let wire = Wire::new(Suite::Aes256Gcm).limits(16_384, Settings::UNLIMITED);
    for kind in 0..5 {
        for (length, good) in [
            (0_u32, false),
            (15, false),
            (16, true),
            (16_400, true),
            (16_401, false),
            (0x00ff_ffff, false),
        ] {
            let mut header = length.to_be_bytes();
            header[0] = kind;
            let mut reader = Reader::new(wire.opener());
            reader.push(&header[..3]);
            assert_eq!(reader.error, None);
            reader.push(&header[3..]);
            assert_eq!(reader.error.is_none(), good, "{kind} {length}");
            assert!(!good || reader.needed == length as usize + 4);
        }
    }
    for kind in 5..=255 {
        let mut reader = Reader::new(wire.opener());
        reader.push(&[kind]);
        assert_eq!(reader.error, Some(OpenError::UnknownKind { kind }));
    }
}

#[test]
fn longest_record_of_the_wire_passes() {
    let wire = Wire::new(Suite::Aes256Gcm).limits(Settings::MAX_RECORD_LIMIT, Settings::UNLIMITED);
    let length = Settings::MAX_RECORD_LIMIT as usize;
    let messages = [message(1, length), message(2, length + 1)];
    let stream = sealed(&mut wire.sealer(), &messages);
    assert_eq!(stream[..4], [1, 0xff, 0xff, 0xff]);
    assert!(wire.read(&stream).messages == messages);
}
