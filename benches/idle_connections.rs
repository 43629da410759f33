//! What does a connection cost that has nothing to do?
//!
//! For each wire, many connections over loopback, both ends on one thread, each of which has carried
//! a message both ways: bytes of heap an end, as the allocator counts them and what C code takes
//! included, slots that they keep, and the processor time of a second in which nothing moves.
//!
//!     cargo bench --bench idle_connections [-- --connections N]
//!
//! It raises its limit of descriptors as far as it may, and says so if that is too low.

#![expect(
    unsafe_code,
    reason = "what the allocator counts is asked of the C library"
)]

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ringseal::protocol::native::Suite;
use ringseal::{
    Admission, Config, Connection, Identity, Listener, Runtime, Statistics, Wire, dial,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// How many connections, unless the command line says.
const CONNECTIONS: usize = 5_000;
/// As many handshakes run at a time.
const AT_A_TIME: usize = 64;
/// Descriptors that are not for connections.
const OTHERS: u64 = 64;
/// Until what was left of the handshakes is gone.
const SETTLING: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_secs(1);

/// What connections cost that have nothing to do.
struct Cost {
    heap: usize,
    slots: usize,
    processor: Duration,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let asked = (arguments.iter())
        .position(|argument| argument == "--connections")
        .map(|at| arguments.get(at + 1).and_then(|count| count.parse().ok()));
    let wanted = match asked {
        Some(Some(count)) => count,
        Some(None) => return eprintln!("--connections wants a number"),
        None if is_test => 20,
        None => CONNECTIONS,
    };
    let count = wanted.min(allowed());
    if count < wanted {
        println!("!! only {count} of {wanted} connections: raise `ulimit -n`");
    }
    // Printed when all is measured: half a table would look like a whole one.
    let mut lines = vec![
        "| wire | connections | bytes of heap an end | slots kept | processor time a second |"
            .to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    let native = |suite| Wire::Native { suite };
    for (name, wire) in [
        ("commonware V1", Wire::COMMONWARE),
        ("native AES-256-GCM", native(Suite::Aes256Gcm)),
        ("native ChaCha20-Poly1305", native(Suite::ChaCha20Poly1305)),
    ] {
        let cost = measure(wire, count);
        lines.push(format!(
            "| {name} | {count} | {} | {} | {:.3} ms |",
            cost.heap / (2 * count),
            cost.slots,
            cost.processor.as_secs_f64() * 1e3
        ));
    }
    println!("{}", lines.join("\n"));
}

/// How many connections the limit of descriptors allows, after raising it.
fn allowed() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    limit.map_or(usize::MAX, |descriptors| {
        usize::try_from(descriptors.saturating_sub(OTHERS) / 2).unwrap_or(usize::MAX)
    })
}

fn measure(wire: Wire, count: usize) -> Cost {
    let config = |seed| {
        Config::new(Identity::from_seed(&[seed; 32]), "ringseal bench")
            .wire(wire)
            .idle_timeout(None)
    };
    let runtime = Runtime::builder().build().expect("a runtime");
    runtime.block_on(async {
        let mut listener = Listener::bind("127.0.0.1:0", &config(2), Admission::any())
            .await
            .expect("bind");
        // One of a kind beforehand: what is made once is not theirs.
        let warm = connect(&mut listener, &config(1), 1).await;
        let before = allocated();
        let mut connections: Vec<Connection> = Vec::with_capacity(2 * count);
        while connections.len() < 2 * count {
            let more = AT_A_TIME.min(count - connections.len() / 2);
            connections.extend(connect(&mut listener, &config(1), more).await);
        }
        ringseal::sleep(SETTLING).await;
        let heap = allocated().saturating_sub(before);
        let statistics = Statistics::current().expect("inside a runtime");
        let start = processor_time();
        ringseal::sleep(IDLE).await;
        let processor = processor_time().saturating_sub(start);
        drop(warm);
        Cost {
            heap,
            slots: statistics.slots - statistics.free_slots,
            processor,
        }
    })
}

/// Makes `count` connections that each have carried a message both ways: both ends of each.
async fn connect(listener: &mut Listener, config: &Config, count: usize) -> Vec<Connection> {
    let peer = Identity::from_seed(&[2; 32]).public_key();
    let address = listener.local_address();
    let dialing: FuturesUnordered<_> = (0..count)
        .map(|_| async {
            let mut connection = dial(&address, peer, config).await.expect("dial");
            connection.send(b"question").await.expect("send");
            connection.recv().await.expect("recv").expect("an answer");
            connection
        })
        .collect();
    let accepting = async {
        let mut accepted = Vec::new();
        for _ in 0..count {
            accepted.push(listener.accept().await.expect("accept"));
        }
        let answering: FuturesUnordered<_> = (accepted.iter_mut())
            .map(|connection| async move {
                connection.recv().await.expect("recv").expect("a question");
                connection.send(b"answer").await.expect("send");
            })
            .collect();
        answering.collect::<()>().await;
        accepted
    };
    let (mut connections, accepted) =
        futures_util::join!(dialing.collect::<Vec<Connection>>(), accepting);
    connections.extend(accepted);
    connections
}

/// Bytes that are allocated and not freed.
fn allocated() -> usize {
    // SAFETY: it takes nothing, and gives numbers.
    let counted = unsafe { libc::mallinfo2() };
    counted.uordblks + counted.hblkhd
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a time that has passed")
}
