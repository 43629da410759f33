//! Both ends against the vectors, against each other, and against everything
//! an outsider can do to the bytes between them. Here: two ends without a
//! socket, driven to their result by input in pieces of any size.

mod connection;
mod hostile;
mod vectors;

use super::*;
use crate::protocol::identity::Identity;
use crate::protocol::testing::{Script, array, hex, number};
use alloc::vec;
use alloc::vec::Vec;
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

/// What both ends write when all goes well: to the listener, to the dialer.
fn recorded(dialer: &End, listener: &End, parameters: &Parameters) -> (Vec<u8>, Vec<u8>) {
    let peer = listener.public_key();
    let opening = dial(dialer, peer, parameters, &[], WHOLE).output;
    let answer = listen(listener, parameters, true, &opening, WHOLE).output;
    let all = dial(dialer, peer, parameters, &answer, WHOLE).output;
    assert_eq!((all.len(), answer.len()), (DIALER_LEN, LISTENER_LEN));
    (all, answer)
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
