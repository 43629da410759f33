//! Both ends against the vectors, against each other, and against everything an outsider can do
//! to the bytes between them. Here: two ends without a socket, driven to their result by input in
//! pieces of any size.

mod connection;
mod hostile;
#[cfg(target_os = "linux")]
mod secrets;
mod vectors;

use super::*;
use crate::protocol::identity::{Identity, PublicKey};
use crate::protocol::native::{KemLibrary, Suite, Suites};
use crate::protocol::testing::Script;
use alloc::vec;
use alloc::vec::Vec;

/// How a test feeds its input: in pieces of at most so many bytes.
const WHOLE: usize = usize::MAX;

/// One end of the tests: its key, its random bytes, its parameters.
#[derive(Clone)]
struct End {
    identity: Arc<Identity>,
    random: Vec<u8>,
    parameters: Parameters,
    suites: Suites,
}

impl End {
    fn new(tag: u8) -> Self {
        let settings = Settings::new(65_536, 1 << 20).unwrap();
        Self {
            identity: Arc::new(Identity::from_seed(&[tag; 32])),
            random: vec![tag ^ 0x55; 96],
            parameters: Parameters::new(b"tests", settings),
            suites: Suites::all(),
        }
    }

    fn public_key(&self) -> PublicKey {
        self.identity.public_key()
    }

    /// Has all that is drawn come from `random`.
    fn scripted(mut self) -> Self {
        self.parameters.libraries.ml_kem_768 = KemLibrary::RustCrypto;
        self
    }

    fn setup(&self) -> Arc<ListenerSetup> {
        let identity = Arc::clone(&self.identity);
        let parameters = self.parameters.clone();
        Arc::new(ListenerSetup::new(identity, parameters, self.suites))
    }

    /// A dialer that has written its hello, and that hello.
    fn dial(&self, peer: PublicKey, suite: Suite) -> (Dialer, Vec<u8>) {
        let (mut rng, mut output) = (Script::new(&self.random), vec![]);
        let dialer = Dialer::new(
            &self.identity,
            peer,
            suite,
            &self.parameters,
            &mut rng,
            &mut output,
        );
        (dialer.unwrap(), output)
    }

    fn listen(&self) -> Listening {
        Listening {
            listener: Listener::new(&self.setup()),
            rng: Script::new(&self.random),
            output: vec![],
            consumed: 0,
        }
    }
}

/// A listener and what it has written.
struct Listening {
    listener: Listener,
    rng: Script,
    output: Vec<u8>,
    consumed: usize,
}

impl Listening {
    /// Gives `input` in pieces: the key that was asked about, nothing if more is needed, or the
    /// check that failed.
    fn receive(&mut self, input: &[u8], piece: usize) -> Result<Option<PublicKey>, Refusal> {
        for piece in input.chunks(piece) {
            assert!(self.listener.wanted() > 0);
            let (consumed, event) = self
                .listener
                .advance(piece, &mut self.rng, &mut self.output)
                .inspect_err(|_| {
                    // What has failed stays finished.
                    let error = self
                        .listener
                        .receive(b"x", &mut Script::default(), &mut vec![]);
                    assert_eq!(error, Err(HandshakeError::Finished));
                })?;
            self.consumed += consumed;
            match event {
                ListenerEvent::NeedMore => assert_eq!(consumed, piece.len()),
                ListenerEvent::Admit { peer, .. } => {
                    assert_eq!(self.listener.wanted(), 0);
                    // Asked again, with nothing consumed.
                    let again = self
                        .listener
                        .receive(b"x", &mut Script::default(), &mut vec![]);
                    assert_eq!(again, Ok((0, event)));
                    return Ok(Some(peer));
                }
            }
        }
        Ok(None)
    }
}

/// Gives `answer` in pieces: the session and the proof, or the check that failed.
fn conclude(
    dialer: &mut Dialer,
    answer: &[u8],
    piece: usize,
) -> Result<Option<(Session, Vec<u8>)>, Refusal> {
    let mut proof = vec![];
    for piece in answer.chunks(piece) {
        assert!(dialer.wanted() > 0);
        let concluded = dialer.advance(piece, &mut proof);
        if matches!(concluded, Ok((_, Some(_))) | Err(_)) {
            assert_eq!(dialer.wanted(), 0);
            let again = dialer.receive(b"x", &mut vec![]);
            assert_eq!(again.unwrap_err(), HandshakeError::Finished);
        }
        match concluded? {
            (consumed, None) => assert_eq!(consumed, piece.len()),
            (_, Some(session)) => return Ok(Some((session, proof))),
        }
    }
    Ok(None)
}

/// What crosses when all goes well.
struct Recorded {
    hello: Vec<u8>,
    answer: Vec<u8>,
    proof: Vec<u8>,
    first: Vec<u8>,
    dialer: Session,
    listener: Session,
}

fn connect(dialing: &End, listening: &End, suite: Suite) -> Recorded {
    let (mut dialer, hello) = dialing.dial(listening.public_key(), suite);
    let mut listener = listening.listen();
    assert_eq!(listener.receive(&hello, WHOLE), Ok(None));
    let answer = core::mem::take(&mut listener.output);
    let (dialer, proof) = conclude(&mut dialer, &answer, WHOLE).unwrap().unwrap();
    let asked = listener.receive(&proof, WHOLE);
    assert_eq!(asked, Ok(Some(dialing.public_key())));
    let session = listener.listener.admit(&mut listener.output).unwrap();
    assert_eq!(
        (hello.len(), answer.len(), proof.len()),
        (HELLO_LEN, ANSWER_LEN, PROOF_LEN)
    );
    Recorded {
        hello,
        answer,
        proof,
        first: listener.output,
        dialer,
        listener: session,
    }
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}
