//! What do the native wire's records and handshakes cost, without sockets?
//!
//! * `packed`: small messages into records of 64 KiB, sealed and opened again, by suite and
//!   library: the time is that of one message.
//! * `packing_limit`: messages of one size, packed or in records of their own: where the two meet
//!   is the default packing limit.
//! * `long`: messages of 16 KiB in records of their own.
//! * `handshakes`: a whole one, by both ends; `sake` is the other wire's.
//! * `refused_stranger`: what a listener spends on a hello with a wrong mac.

#[path = "common/state_machines.rs"]
mod state_machines;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use ringseal::protocol::native::handshake::{
    Dialer, HandshakeError, Listener, ListenerEvent, ListenerSetup, Parameters, Session,
};
use ringseal::protocol::native::record::{Opener, Sealer};
use ringseal::protocol::native::{Library, Settings, Suite, Suites};
use ringseal::protocol::record::layout::{Draft, Incoming, Outgoing, Step};
use ringseal::{Identity, SakeVersion};

use state_machines::Parties;

/// A submission buffer that holds three full records and a little more.
const DRAFT_LEN: usize = 3 * (65_536 + 20) + 64;

/// Two ends of the native wire that know each other.
struct Ends {
    dialer: Arc<Identity>,
    parameters: Parameters,
    setup: Arc<ListenerSetup>,
    listener_key: ringseal::PublicKey,
}

impl Ends {
    fn new(library: Option<Library>, packing_limit: Option<usize>) -> Self {
        let settings = Settings::new(65_536, Settings::UNLIMITED).expect("a limit in range");
        let mut parameters = Parameters::new(b"ringseal bench", settings);
        if let Some(library) = library {
            parameters.libraries.aes_256_gcm = library;
            parameters.libraries.chacha20_poly1305 = library;
        }
        if let Some(limit) = packing_limit {
            parameters.seal_options.packing_limit = limit;
        }
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
    fn shake_hands(&self, suite: Suite) -> (Session, Session) {
        let mut rng = UnwrapErr(SysRng);
        let (mut to_listener, mut to_dialer) = (Vec::new(), Vec::new());
        let mut dialer = Dialer::new(
            &self.dialer,
            self.listener_key,
            suite,
            &self.parameters,
            &mut rng,
            &mut to_listener,
        )
        .expect("a peer that may be dialed");
        let mut listener = Listener::new(&self.setup);
        listener
            .receive(&to_listener, &mut rng, &mut to_dialer)
            .expect("a hello");
        to_listener.clear();
        let (_, dialed) = dialer
            .receive(&to_dialer, &mut to_listener)
            .expect("an answer");
        let (_, event) = listener
            .receive(&to_listener, &mut rng, &mut to_dialer)
            .expect("a proof");
        assert!(matches!(event, ListenerEvent::Admit { .. }));
        to_dialer.clear();
        let listened = listener.admit(&mut to_dialer).expect("it was asked");
        (dialed.expect("the answer ends the handshake"), listened)
    }

    /// What seals and what opens it.
    fn one_way(&self, suite: Suite) -> (Sealer, Opener) {
        let (dialer, listener) = self.shake_hands(suite);
        let (sealer, ..) = dialer.split();
        let (_, opener, _) = listener.split();
        (sealer, opener)
    }
}

/// Fills a draft with `message` and gives how often it fit.
fn fill(sealer: &mut Sealer, draft: &mut Draft<&mut [u8]>, message: &[u8]) -> u64 {
    let planned = sealer.plan(message.len()).expect("within the limit");
    let mut count = 0;
    while sealer.append(draft, planned, black_box(message)).is_ok() {
        count += 1;
    }
    sealer.finish(draft).expect("the cipher seals");
    count
}

/// Opens a stream and gives how many messages were in it.
fn drain(opener: &mut Opener, mut stream: &mut [u8]) -> u64 {
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

/// Times messages of one size through both directions' machines.
fn carry(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    ends: &Ends,
    suite: Suite,
    size: usize,
) {
    group.bench_function(id, |bencher| {
        let (mut sealer, mut opener) = ends.one_way(suite);
        let message = vec![0x5a; size];
        let mut buffer = vec![0; DRAFT_LEN];
        bencher.iter_custom(|iterations| {
            let (mut carried, mut elapsed) = (0, Duration::ZERO);
            while carried < iterations {
                let start = std::time::Instant::now();
                let mut draft = Draft::new(&mut buffer[..]);
                let sent = fill(&mut sealer, &mut draft, &message);
                let (stream, length) = draft.into_sealed();
                let received = drain(&mut opener, &mut stream[..length]);
                elapsed += start.elapsed();
                assert_eq!(sent, received);
                carried += received;
            }
            // What was carried beyond what was asked for does not count.
            elapsed.mul_f64(iterations as f64 / carried as f64)
        });
    });
}

fn records(criterion: &mut Criterion) {
    for (name, sizes) in [("packed", [64, 1_024]), ("long", [16_384, 65_536])] {
        let mut group = criterion.benchmark_group(format!("native_records/{name}"));
        settings(&mut group);
        for size in sizes {
            group.throughput(Throughput::Bytes(size as u64));
            for suite in Suite::ALL {
                for &library in Library::BUILT {
                    let ends = Ends::new(Some(library), None);
                    let name = format!("{suite}/{}", library.name(suite));
                    let id = BenchmarkId::new(name, format!("msg_size={size}"));
                    carry(&mut group, id, &ends, suite, size);
                }
            }
        }
        group.finish();
    }
}

fn packing_limit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("native_records/packing_limit");
    settings(&mut group);
    for size in [512, 1_024, 2_048, 4_096, 8_192] {
        group.throughput(Throughput::Bytes(size as u64));
        for (name, limit) in [("packed", usize::MAX), ("own", 0)] {
            for suite in Suite::ALL {
                let ends = Ends::new(None, Some(limit));
                let id = BenchmarkId::new(format!("{suite}/{name}"), format!("msg_size={size}"));
                carry(&mut group, id, &ends, suite, size);
            }
        }
    }
    group.finish();
}

fn handshakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("native_records/handshakes");
    settings(&mut group);
    group.throughput(Throughput::Elements(1));
    for suite in Suite::ALL {
        let ends = Ends::new(None, None);
        group.bench_function(BenchmarkId::new("native", suite), |bencher| {
            bencher.iter(|| ends.shake_hands(suite));
        });
    }
    let parties = Parties::new(SakeVersion::V1);
    group.bench_function("sake/v1", |bencher| bencher.iter(|| parties.shake_hands()));
    group.finish();
}

fn refused_stranger(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("native_records/refused_stranger");
    settings(&mut group);
    group.bench_function("wrong_mac", |bencher| {
        let ends = Ends::new(None, None);
        let mut hello = Vec::new();
        let other = Identity::from_seed(&[3; 32]).public_key();
        Dialer::new(
            &ends.dialer,
            other,
            Suite::preferred(),
            &ends.parameters,
            &mut UnwrapErr(SysRng),
            &mut hello,
        )
        .expect("a peer that may be dialed");
        bencher.iter(|| {
            let mut listener = Listener::new(&ends.setup);
            let refused =
                listener.receive(black_box(&hello), &mut UnwrapErr(SysRng), &mut Vec::new());
            assert_eq!(refused, Err(HandshakeError::NotForUs));
        });
    });
    group.finish();
}

fn settings(group: &mut BenchmarkGroup<'_, WallTime>) {
    group
        .sample_size(10)
        // The default, 100 000, takes longer to analyse than to measure.
        .nresamples(5_000)
        .warm_up_time(Duration::from_millis(150))
        .measurement_time(Duration::from_millis(500));
}

criterion_group!(
    benches,
    records,
    packing_limit,
    handshakes,
    refused_stranger
);
criterion_main!(benches);
