//! One shape holds every wire: packed records, CUPS, and a layout made for this test that seals
//! all messages of a draft under one tag when it leaves.

use super::*;
use crate::protocol::cipher::{Aead, DefaultAead};
use crate::protocol::one_tag::OneTag;
use crate::protocol::record;
use crate::protocol::record::CupsVersion;

/// Puts a message into `draft`, from elsewhere or where it stands.
fn put<O: Outgoing>(
    outgoing: &mut O,
    draft: &mut Draft<Vec<u8>>,
    message: &[u8],
    in_place: bool,
) -> Result<(), O::Error> {
    let planned = outgoing.plan(message.len())?;
    if !in_place {
        return outgoing.append(draft, planned, message);
    }
    let place = outgoing.reserve(draft, planned)?;
    draft.plaintext_mut(&place).copy_from_slice(message);
    outgoing.append_reserved(draft, place)
}

/// Fills drafts of a fixed size, as an edge does, and gives what leaves of each.
fn drafts_of<O: Outgoing>(outgoing: &mut O, messages: &[Vec<u8>]) -> Vec<Vec<u8>>
where
    O::Error: core::fmt::Debug,
{
    let mut drafts = vec![];
    let mut draft = Draft::new(vec![0; 600]);
    for (index, message) in messages.iter().enumerate() {
        let in_place = index % 2 == 1;
        if put(outgoing, &mut draft, message, in_place).is_err() {
            outgoing.finish(&mut draft).unwrap();
            drafts.push(draft.sealed().to_vec());
            draft = Draft::new(vec![0; 600]);
            put(outgoing, &mut draft, message, in_place).unwrap();
        }
    }
    outgoing.finish(&mut draft).unwrap();
    drafts.push(draft.sealed().to_vec());
    drafts
}

/// Takes the messages of a stream, as an edge does.
fn messages_of<I: Incoming>(incoming: &mut I, stream: &mut [u8]) -> Vec<Vec<u8>>
where
    I::Error: core::fmt::Debug,
    I::Event: core::fmt::Debug,
{
    let (mut at, mut messages) = (0, vec![]);
    while at < stream.len() {
        let rest = &mut stream[at..];
        at += match incoming.open(rest).unwrap() {
            Step::Message {
                plaintext,
                consumed,
            } => {
                messages.push(rest[plaintext].to_vec());
                consumed
            }
            Step::Packed { region, consumed } => {
                let region = &rest[region];
                while let Some(message) = incoming.next_packed(region).unwrap() {
                    messages.push(region[message].to_vec());
                }
                consumed
            }
            // CUPS V1 takes its header by itself.
            Step::Incomplete { consumed, .. } if consumed > 0 => consumed,
            other => panic!("{other:?}"),
        };
    }
    messages
}

/// Carries sixty messages and gives the drafts that they left in.
fn carried<O: Outgoing, I: Incoming>(mut outgoing: O, mut incoming: I) -> Vec<Vec<u8>>
where
    O::Error: core::fmt::Debug,
    I::Error: core::fmt::Debug,
    I::Event: core::fmt::Debug,
{
    let messages: Vec<Vec<u8>> = (0..60).map(|tag| message(tag, tag * 7 % 90)).collect();
    let drafts = drafts_of(&mut outgoing, &messages);
    assert_eq!(messages_of(&mut incoming, &mut drafts.concat()), messages);
    drafts
}

#[test]
fn every_layout_carries_messages_in_the_same_way() {
    let plaintext: usize = (0..60).map(|tag| tag * 7 % 90).sum();

    // One tag for each draft.
    let drafts = carried(OneTag::new(), OneTag::new());
    let length: usize = drafts.iter().map(Vec::len).sum();
    assert_eq!(length, plaintext + 60 + drafts.len() * 18);

    // The packed wire: one record for each draft as well.
    let wire = Wire::new(Suite::Aes256Gcm);
    let drafts = carried(wire.sealer(), wire.opener());
    let length: usize = drafts.iter().map(Vec::len).sum();
    assert_eq!(length, plaintext + 60 + drafts.len() * 20);

    // One record, at least one tag, for each message.
    for (version, overhead) in [(CupsVersion::V0, 17), (CupsVersion::V1, 36)] {
        let cipher = || DefaultAead::new(&[9; 32]);
        let sealer = record::Sealer::new(cipher(), version, 100);
        let opener = record::Opener::new(cipher(), version, 100);
        let drafts = carried(sealer, opener);
        let length: usize = drafts.iter().map(Vec::len).sum();
        assert_eq!(length, plaintext + 60 * overhead);
    }
}

#[test]
fn cups_keeps_to_the_shape_in_what_it_refuses() {
    let cipher = DefaultAead::new(&[9; 32]);
    let mut sealer = record::Sealer::new(cipher, CupsVersion::V1, 100);
    assert!(sealer.plan(101).is_err());
    let planned = sealer.plan(100).unwrap();
    let mut short = Draft::new(vec![0; 135]);
    let no_room = record::SealError::NoRoom {
        needed: 136,
        room: 135,
    };
    let refused = sealer.append(&mut short, planned, &[0; 100]);
    assert_eq!(refused, Err(no_room));
    assert_eq!(sealer.reserve(&mut short, planned).unwrap_err(), no_room);
    let mut draft = Draft::new(vec![0; 300]);
    let place = sealer.reserve(&mut draft, planned).unwrap();
    sealer.append(&mut draft, planned, &[1; 100]).unwrap();
    let moved = sealer.append_reserved(&mut draft, place);
    assert_eq!(moved, Err(record::SealError::Moved));
    assert!(!draft.has_open());
    assert_eq!(draft.sealed().len(), 136);
    // And nothing is proved by its end.
    let opener = record::Opener::new(DefaultAead::new(&[9; 32]), CupsVersion::V1, 100);
    assert_eq!(Incoming::finish(&opener, 0), Ok(End::Unauthenticated));
}
