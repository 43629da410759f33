//! How far the handshake of a stranger goes.

use std::io::Read;
use std::net::TcpListener;
use std::thread;

use ringseal::{Runtime, Wire, dial};

use crate::server::{ADMITTED, STRANGER, config, key};

/// What a stranger does, and what it is refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It comes faster than handshakes may begin.
    TooFast,
    /// It connects, and says nothing.
    Silent,
    /// Its first byte is of no wire.
    Garbage,
    /// What authenticates its first message (native), or its first signature (commonware), is wrong.
    WrongProof,
    /// It proves a key that is not admitted.
    NotAdmitted,
    /// It proves a key that is, and there is no room.
    NoRoom,
}

impl Stage {
    pub(crate) const ALL: [Self; 6] = [
        Self::TooFast,
        Self::Silent,
        Self::Garbage,
        Self::WrongProof,
        Self::NotAdmitted,
        Self::NoRoom,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TooFast => "beyond handshakes_per_second",
            Self::Silent => "connect and silence",
            Self::Garbage => "garbage first byte",
            Self::WrongProof => "wrong mac or signature",
            Self::NotAdmitted => "key not admitted",
            Self::NoRoom => "limit reached",
        }
    }

    /// Returns as which identity it shakes hands, if it goes that far.
    pub(crate) fn dials_as(self) -> Option<u8> {
        match self {
            Self::NotAdmitted => Some(STRANGER),
            Self::NoRoom => Some(ADMITTED),
            _ => None,
        }
    }

    /// Returns what it sends at once.
    pub(crate) fn first_bytes(self, wire: Wire) -> Vec<u8> {
        match self {
            Self::Garbage => vec![0xff; 64],
            Self::WrongProof => {
                let mut bytes = first_flight(wire);
                *bytes.last_mut().expect("a message") ^= 1;
                bytes
            }
            _ => Vec::new(),
        }
    }
}

/// Returns what a dialer sends before it is answered.
fn first_flight(wire: Wire) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("bound");
    let dialer = thread::spawn(move || {
        let runtime = Runtime::builder().build().expect("a runtime");
        // It ends when nobody answers.
        runtime.block_on(async {
            let _ = dial(address, key(), &config(ADMITTED, wire)).await;
        });
    });
    let (mut client, _) = listener.accept().expect("accept");
    let length = match wire {
        Wire::Commonware { .. } => 33 + 105,
        _ => 1_237,
    };
    let mut bytes = vec![0; length];
    client.read_exact(&mut bytes).expect("a first message");
    drop(client);
    dialer.join().expect("no panic");
    bytes
}
