//! Two honest ends: every library with every other, every cut, and the first records.

use super::*;
use crate::protocol::layout::{Draft, Incoming, Outgoing, Step};
use crate::protocol::native::record::{Event, Opener, RefuseReason, Sealer};
use crate::protocol::native::{Libraries, Library};
use alloc::format;

/// Seals one message of its own.
fn sealed(sealer: &mut Sealer, message: &[u8]) -> Vec<u8> {
    let planned = sealer.plan(message.len()).unwrap();
    let mut draft = Draft::new(vec![0; planned.room()]);
    sealer.append(&mut draft, planned, message).unwrap();
    sealer.finish(&mut draft).unwrap();
    draft.sealed().to_vec()
}

/// Opens a record of one packed message.
fn opened(opener: &mut Opener, record: &[u8]) -> Vec<u8> {
    let mut stream = record.to_vec();
    let Ok(Step::Packed { region, consumed }) = opener.open(&mut stream) else {
        panic!("a packed record");
    };
    assert_eq!(consumed, stream.len());
    let region = &stream[region];
    let message = opener.next_packed(region).unwrap().unwrap();
    assert_eq!(opener.next_packed(region), Ok(None));
    region[message].to_vec()
}

fn event_of(opener: &mut Opener, record: &[u8]) -> Event {
    match opener.open(&mut record.to_vec()) {
        Ok(Step::Event { event, .. }) => event,
        other => panic!("{other:?}"),
    }
}

/// Sends a message each way over what a handshake left behind.
fn talk(recorded: Recorded) {
    let (mut dialer_seals, mut dialer_opens, ours) = recorded.dialer.split();
    let (mut listener_seals, mut listener_opens, theirs) = recorded.listener.split();
    assert!(dialer_opens.is_answer_due());
    assert_eq!(
        event_of(&mut dialer_opens, &recorded.first),
        Event::Accepted
    );
    let there = sealed(&mut dialer_seals, b"there");
    assert_eq!(opened(&mut listener_opens, &there), b"there");
    let back = sealed(&mut listener_seals, b"back");
    assert_eq!(opened(&mut dialer_opens, &back), b"back");
    let (mut one, mut other) = ([0; 40], [1; 40]);
    ours.export("test", b"context", &mut one).unwrap();
    theirs.export("test", b"context", &mut other).unwrap();
    assert_eq!(one, other);
}

#[test]
fn every_choice_of_libraries_connects_with_every_other() {
    let choices = || {
        Library::BUILT.iter().flat_map(|aead| {
            KemLibrary::BUILT.iter().map(|kem| Libraries {
                aes_256_gcm: *aead,
                chacha20_poly1305: *aead,
                ml_kem_768: *kem,
            })
        })
    };
    for suite in Suite::ALL {
        for ours in choices() {
            for theirs in choices() {
                let (mut dialing, mut listening) = (End::new(1), End::new(2));
                dialing.parameters.libraries = ours;
                listening.parameters.libraries = theirs;
                talk(connect(&dialing, &listening, suite));
            }
        }
    }
}

// HAZARDS H16, and records that come before the dialer is admitted: kept, and not opened early.
#[test]
fn bytes_behind_the_proof_are_left_for_the_records_at_every_cut() {
    let (dialing, listening) = (End::new(1), End::new(2));
    for cut in 0..PROOF_LEN + 40 {
        let (mut dialer, hello) = dialing.dial(listening.public_key(), Suite::Aes256Gcm);
        let mut listener = listening.listen();
        listener.receive(&hello, WHOLE).unwrap();
        let answer = core::mem::take(&mut listener.output);
        let (session, proof) = conclude(&mut dialer, &answer, WHOLE).unwrap().unwrap();
        let (mut sealer, ..) = session.split();
        let stream = [proof, sealed(&mut sealer, b"early, and long enough")].concat();
        let (one, other) = stream.split_at(cut);
        let mut asked = listener.receive(one, WHOLE).unwrap();
        if asked.is_none() {
            asked = listener.receive(other, WHOLE).unwrap();
        }
        assert_eq!(asked, Some(dialing.public_key()));
        assert_eq!(listener.consumed, HELLO_LEN + PROOF_LEN);
        assert!(listener.output.is_empty());
        let session = listener.listener.admit(&mut vec![]).unwrap();
        let (_, mut opener, _) = session.split();
        let early = opened(&mut opener, &stream[PROOF_LEN..]);
        assert_eq!(early, b"early, and long enough");
    }
}

#[test]
fn refusal_reaches_the_dialer_with_its_reason_and_nothing_follows() {
    for reason in [
        RefuseReason::NOT_ADMITTED,
        RefuseReason::TOO_BUSY,
        RefuseReason::SHUTTING_DOWN,
        RefuseReason(700),
    ] {
        let (dialing, listening) = (End::new(1), End::new(2));
        let (mut dialer, hello) = dialing.dial(listening.public_key(), Suite::ChaCha20Poly1305);
        let mut listener = listening.listen();
        listener.receive(&hello, WHOLE).unwrap();
        let (session, proof) = conclude(&mut dialer, &listener.output, WHOLE)
            .unwrap()
            .unwrap();
        listener.receive(&proof, WHOLE).unwrap();
        let mut record = vec![];
        assert_eq!(listener.listener.refuse(reason, &mut record), Ok(()));
        let again = listener.listener.admit(&mut vec![]);
        assert_eq!(again.unwrap_err(), HandshakeError::Finished);
        let again = listener.listener.refuse(reason, &mut vec![]);
        assert_eq!(again, Err(HandshakeError::Finished));
        let (_, mut opener, _) = session.split();
        assert_eq!(event_of(&mut opener, &record), Event::Refused(reason));
        assert!(opener.finish(0).is_ok());
    }
}

#[test]
fn nothing_is_to_be_admitted_before_the_proof() {
    let mut listener = End::new(2).listen();
    let result = listener.listener.admit(&mut vec![]);
    assert_eq!(result.unwrap_err(), HandshakeError::Finished);
    assert_eq!(listener.listener.wanted(), 0);
}

#[test]
fn dialing_oneself_is_refused_unless_allowed() {
    let mut end = End::new(1);
    let (mut rng, mut output) = (Script::new(&end.random), vec![]);
    let dialer = Dialer::new(
        &end.identity,
        end.public_key(),
        Suite::Aes256Gcm,
        &end.parameters,
        &mut rng,
        &mut output,
    );
    assert_eq!(dialer.unwrap_err(), HandshakeError::SameIdentity);
    assert!(output.is_empty() && rng.draws.is_empty());
    end.parameters.allow_self = true;
    talk(connect(&end, &end, Suite::Aes256Gcm));
}

#[test]
fn namespaces_of_every_length_connect() {
    for length in [0, 1, 55, 56, 63, 64, 65, 1_000, 100_000] {
        let (mut dialing, mut listening) = (End::new(1), End::new(2));
        let namespace: Arc<[u8]> = vec![7; length].into();
        dialing.parameters.namespace = Arc::clone(&namespace);
        listening.parameters.namespace = namespace;
        talk(connect(&dialing, &listening, Suite::ChaCha20Poly1305));
    }
}

// HAZARDS S11
#[test]
fn debug_shows_no_secret() {
    let (dialing, listening) = (End::new(1), End::new(2));
    let (dialer, _) = dialing.dial(listening.public_key(), Suite::Aes256Gcm);
    assert_eq!(format!("{dialer:?}"), "Dialer { wanted: 1252, .. }");
    let recorded = connect(&dialing, &listening, Suite::Aes256Gcm);
    let shown = format!("{:?}", recorded.dialer);
    assert!(shown.starts_with("Session { role: Dialer, suite: Aes256Gcm, peer: "));
    let (sealer, opener, exporter) = recorded.dialer.split();
    let shown = format!(
        "{sealer:?} {opener:?} {exporter:?} {listening:?}",
        listening = listening.listen().listener
    );
    for word in ["secret", "key:", "iv"] {
        assert!(!shown.contains(word), "{shown}");
    }
}
