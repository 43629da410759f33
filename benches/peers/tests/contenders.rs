//! Every contender streams, answers pings and makes handshakes as the comparison asks of it.

use std::sync::mpsc;
use std::time::Duration;

use ringseal_peers::commonware::RuntimeKind;
use ringseal_peers::contender::Contender;
use ringseal_peers::ringseal_peer::{Drive, Spoken};
use ringseal_peers::tls::Suite;
use ringseal_peers::work::Work;

const SHORT: Duration = Duration::from_millis(50);

/// Does something that ends, or fails the test instead of holding it up.
fn bounded<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (report, result) = mpsc::channel();
    std::thread::spawn(move || report.send(work()));
    result
        .recv_timeout(Duration::from_secs(60))
        .expect("it ends, and within its time")
}

fn streams(contender: Contender) {
    // A size that is not a round number, one at the edge of a noise message, and one that is
    // longer than every buffer.
    for (size, batch) in [(1000, 3), (65_519, 1), (300_000, 2)] {
        let work = Work {
            size,
            batch,
            duration: SHORT,
        };
        let flow = bounded(move || contender.stream(&work));
        let name = contender.name();
        assert!(flow.messages > 0, "{name} at {size}");
        assert_eq!(flow.bytes, flow.messages * size as u64, "{name} at {size}");
        assert!(flow.rate() > 0.0, "{name} at {size}");
        assert!(flow.processor > Duration::ZERO, "{name} at {size}");
    }
}

fn pings(contender: Contender) {
    let pings = bounded(move || contender.ping(20)).expect("it answers");
    assert_eq!(pings.len(), 20, "{}", contender.name());
}

fn handshakes(contender: Contender) {
    let handshakes = bounded(move || contender.handshakes(SHORT)).expect("it shakes hands");
    assert!(handshakes.count > 0, "{}", contender.name());
    assert!(handshakes.elapsed >= SHORT, "{}", contender.name());
}

#[test]
fn ringseal_does_it_all() {
    for contender in [
        Contender::Ringseal(Drive::Native, Spoken::V0),
        Contender::Ringseal(Drive::Native, Spoken::NativeAes),
        Contender::Ringseal(Drive::BatchCalls, Spoken::NativeAes),
        Contender::Ringseal(Drive::Native, Spoken::NativeChaCha),
        Contender::Ringseal(Drive::Native, Spoken::V1),
        Contender::Ringseal(Drive::BusyPolling, Spoken::V1),
        Contender::Ringseal(Drive::TokioUring, Spoken::V1),
        Contender::Ringseal(Drive::Epoll, Spoken::V1),
    ] {
        streams(contender);
        pings(contender);
        handshakes(contender);
    }
}

#[test]
fn commonware_does_it_all() {
    for runtime in [RuntimeKind::Tokio, RuntimeKind::IoUring] {
        for version in [0, 1] {
            let contender = Contender::Commonware(runtime, version);
            streams(contender);
            pings(contender);
            handshakes(contender);
        }
    }
}

#[test]
fn tls_streams_and_answers() {
    for suite in [Suite::ChaCha20Poly1305, Suite::Aes256Gcm] {
        streams(Contender::Tls(suite));
        pings(Contender::Tls(suite));
    }
}

#[test]
fn noise_streams_and_answers() {
    streams(Contender::Noise);
    pings(Contender::Noise);
}

#[test]
fn plain_tcp_streams_and_answers() {
    streams(Contender::PlainTcp);
    pings(Contender::PlainTcp);
}

#[test]
fn coalesced_plain_tcp_streams_and_answers() {
    streams(Contender::CoalescedTcp);
    pings(Contender::CoalescedTcp);
}

#[cfg(feature = "compio")]
#[test]
fn tls_on_another_ring_streams_and_answers() {
    streams(Contender::CompioTls(Suite::Aes256Gcm));
    pings(Contender::CompioTls(Suite::Aes256Gcm));
}

#[cfg(feature = "quinn")]
#[test]
fn quic_streams_on_one_stream_and_on_several_and_answers_on_one() {
    streams(Contender::Quic(1));
    streams(Contender::Quic(4));
    pings(Contender::Quic(1));
    assert_eq!(Contender::Quic(4).ping(1), None);
}

#[cfg(feature = "tonic")]
#[test]
fn grpc_streams_and_answers() {
    streams(Contender::Grpc);
    pings(Contender::Grpc);
}

#[test]
fn every_contender_has_a_name_of_its_own_and_a_way_to_be_given_messages() {
    let mut names: Vec<String> = Contender::ALL.iter().map(|one| one.name()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), Contender::ALL.len());
    for contender in Contender::ALL {
        let calls = (contender.call(1), contender.call(64));
        assert_ne!(calls, (None, None), "{}", contender.name());
    }
}

#[test]
fn the_bare_pipeline_only_streams() {
    streams(Contender::BarePipeline);
    assert_eq!(Contender::BarePipeline.ping(1), None);
}
