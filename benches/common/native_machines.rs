//! Both ends of the native wire without sockets or clock, for the benches.

#![allow(dead_code, reason = "each bench uses a part")]

use std::hint::black_box;
use std::sync::Arc;

use rand_core::CryptoRng;
use ringseal::Identity;
use ringseal::protocol::layout::{Draft, Incoming, Outgoing, Step};
use ringseal::protocol::native::handshake::{
    Dialer, Listener, ListenerEvent, ListenerSetup, Parameters, Session,
};
use ringseal::protocol::native::record::{Opener, Sealer};
use ringseal::protocol::native::{Settings, Suite, Suites};

/// Bytes of a submission buffer that holds three full records and a little more.
pub(crate) const DRAFT_LEN: usize = 3 * (65_536 + 20) + 64;

/// Two ends of the native wire that know each other.
pub(crate) struct Ends {
    pub(crate) dialer: Arc<Identity>,
    pub(crate) parameters: Parameters,
    pub(crate) setup: Arc<ListenerSetup>,
    listener_key: ringseal::PublicKey,
}

impl Ends {
    /// Two ends with such parameters, made of the usual ones by `set`.
    pub(crate) fn new(set: impl FnOnce(&mut Parameters)) -> Self {
        let settings = Settings::new(65_536, Settings::UNLIMITED).expect("a limit in range");
        let mut parameters = Parameters::new(b"ringseal bench", settings);
        set(&mut parameters);
        let listener = Arc::new(Identity::from_seed(&[2; 32]));
        Self {
            dialer: Arc::new(Identity::from_seed(&[1; 32])),
            listener_key: listener.public_key(),
            setup: Arc::new(ListenerSetup::new(
                listener,
                parameters.clone(),
                Suites::all(),
            )),
            parameters,
        }
    }

    /// One complete handshake, by both ends.
    pub(crate) fn shake_hands(&self, suite: Suite, rng: &mut impl CryptoRng) -> (Session, Session) {
        let (mut to_listener, mut to_dialer) = (Vec::new(), Vec::new());
        let mut dialer = Dialer::new(
            &self.dialer,
            self.listener_key,
            suite,
            &self.parameters,
            rng,
            &mut to_listener,
        )
        .expect("a peer that may be dialed");
        let mut listener = Listener::new(&self.setup);
        listener
            .receive(&to_listener, rng, &mut to_dialer)
            .expect("a hello");
        to_listener.clear();
        let (_, dialed) = dialer
            .receive(&to_dialer, &mut to_listener)
            .expect("an answer");
        let (_, event) = listener
            .receive(&to_listener, rng, &mut to_dialer)
            .expect("a proof");
        assert!(matches!(event, ListenerEvent::Admit { .. }));
        to_dialer.clear();
        let listened = listener.admit(&mut to_dialer).expect("it was asked");
        (dialed.expect("the answer ends the handshake"), listened)
    }

    /// What seals and what opens it.
    pub(crate) fn one_way(&self, suite: Suite, rng: &mut impl CryptoRng) -> (Sealer, Opener) {
        let (dialer, listener) = self.shake_hands(suite, rng);
        let (sealer, ..) = dialer.split();
        let (_, opener, _) = listener.split();
        (sealer, opener)
    }
}

/// Fills a draft with `message` and gives how often it fit.
pub(crate) fn fill(sealer: &mut Sealer, draft: &mut Draft<&mut [u8]>, message: &[u8]) -> u64 {
    let planned = sealer.plan(message.len()).expect("within the limit");
    let mut count = 0;
    while sealer.append(draft, planned, black_box(message)).is_ok() {
        count += 1;
    }
    sealer.finish(draft).expect("the cipher seals");
    count
}

/// Opens a stream and gives how many messages were in it.
pub(crate) fn drain(opener: &mut Opener, mut stream: &mut [u8]) -> u64 {
    let mut count = 0;
    while !stream.is_empty() {
        let consumed = match opener.open(stream).expect("a record in its turn") {
            Step::Packed { region, consumed } => {
                let region = &stream[region];
                while let Some(message) = opener.next_packed(region).expect("well formed") {
                    black_box(&region[message]);
                    count += 1;
                }
                consumed
            }
            Step::Message { consumed, .. } => {
                count += 1;
                consumed
            }
            Step::Event { consumed, .. } => consumed,
            other => panic!("{other:?}"),
        };
        stream = &mut stream[consumed..];
    }
    count
}
