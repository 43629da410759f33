//! commonware-stream on the same work as the others.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use crate::commonware::{Flood, Peer, RuntimeKind, Script, Settings};
use crate::work::{Flow, Handshakes, Work};

/// Streams messages from a dialer on core 0 to a listener on core 1.
pub(crate) fn stream(runtime: RuntimeKind, version: u8, work: &Work) -> Flow {
    let listener = Peer::listen(settings(2, 1, runtime, version), sink());
    let address = listener.address();
    let sent = flood(settings(1, 0, runtime, version), address, work);
    let flow = flow_of(listener);
    assert_eq!(sent, flow.messages, "what was sent has arrived");
    flow
}

/// Is the listener of a stream alone, wherever the kernel runs it.
pub(crate) fn listen(
    runtime: RuntimeKind,
    version: u8,
    address: SocketAddr,
    ready: &mpsc::Sender<SocketAddr>,
) -> Flow {
    let mut settings = settings(2, 0, runtime, version);
    (settings.core, settings.address) = (None, Some(address));
    let listener = Peer::listen(settings, sink());
    ready
        .send(listener.address())
        .expect("somebody waits for the address");
    flow_of(listener)
}

/// Is the dialer of such a stream alone.
pub(crate) fn dial(runtime: RuntimeKind, version: u8, address: SocketAddr, work: &Work) {
    let mut settings = settings(1, 0, runtime, version);
    settings.core = None;
    flood(settings, address, work);
}

/// Takes in everything and keeps nothing. It leaves first: what it has not read then, nobody sent.
fn sink() -> Script {
    Script {
        receive: usize::MAX,
        count_only: true,
        until_empty: true,
        hang_up: true,
        ..Script::default()
    }
}

/// Gives how many messages were sent.
fn flood(dialer: Settings, address: SocketAddr, work: &Work) -> u64 {
    let script = Script {
        flood: Some(Flood {
            message: vec![0x5a; work.size],
            batch: work.batch,
            duration: work.duration,
        }),
        ..Script::default()
    };
    let peer = Settings::new(2, b"peers").public_key();
    let sent = Peer::dial(dialer, address, peer, script).outcome();
    assert_eq!((sent.handshake, sent.send), (None, None));
    sent.flooded
}

/// What a listener saw.
fn flow_of(listener: Peer) -> Flow {
    let outcome = listener.outcome();
    assert_eq!(outcome.receive, None, "the stream was not cut");
    Flow {
        messages: outcome.counted.0,
        bytes: outcome.counted.1,
        elapsed: outcome.elapsed,
        ..Flow::default()
    }
}

/// Times one-byte round trips between the same two cores.
pub(crate) fn ping(runtime: RuntimeKind, version: u8, count: usize) -> Vec<Duration> {
    let echo = Script {
        receive: usize::MAX,
        echo: true,
        ..Script::default()
    };
    let ping = Script {
        pings: count,
        hang_up: true,
        ..Script::default()
    };
    let listener = Peer::listen(settings(2, 1, runtime, version), echo);
    let dialer = Peer::dial(
        settings(1, 0, runtime, version),
        listener.address(),
        settings(2, 1, runtime, version).public_key(),
        ping,
    );
    let pings = dialer.outcome().pings;
    listener.outcome();
    pings
}

/// Makes handshakes one after the other, both ends on core 0.
pub(crate) fn handshakes(runtime: RuntimeKind, version: u8, duration: Duration) -> Handshakes {
    let script = Script {
        handshakes: Some(duration),
        ..Script::default()
    };
    let listener = Peer::listen(settings(2, 0, runtime, version), script.clone());
    let dialer = Peer::dial(
        settings(1, 0, runtime, version),
        listener.address(),
        settings(2, 0, runtime, version).public_key(),
        script,
    );
    let dialed = dialer.outcome();
    assert_eq!(dialed.handshake, None);
    let accepted = listener.outcome().handshakes;
    assert_eq!(accepted, dialed.handshakes, "both ends have finished each");
    Handshakes {
        count: dialed.handshakes,
        elapsed: dialed.elapsed,
    }
}

fn settings(seed: u8, core: usize, runtime: RuntimeKind, version: u8) -> Settings {
    let mut settings = Settings::new(seed, b"peers");
    settings.sake = version;
    settings.cups = version;
    settings.runtime = runtime;
    settings.core = Some(core);
    settings.workers = 1;
    settings
}
