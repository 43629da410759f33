//! Where the handshake ends and the records begin, and what is shown of both.

use super::*;
use crate::protocol::record::{CupsVersion, MAX_MESSAGE_SIZE, Progress};
use alloc::format;
use ed25519_dalek::{Signer, SigningKey};

// HAZARDS H16: Ack and the first records in one segment, cut at every place.
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
    let (dialer, listener) = connected(SakeVersion::V1);
    assert!(dialer.records(CupsVersion::V1, MAX_MESSAGE_SIZE).is_ok());
    let error = listener
        .records(CupsVersion::V0, MAX_MESSAGE_SIZE + 1)
        .unwrap_err();
    assert_eq!(error.limit, MAX_MESSAGE_SIZE + 1);
}

// HAZARDS S11
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
