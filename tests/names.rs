//! Names with several addresses, and a resolver that hangs: what the system's resolver can do to
//! those who dial and listen.
//!
//! Each test runs in a child process of its own, whose resolver is a preloaded one of ours. So
//! nothing of the host's configuration is needed or touched, and the threads of a process can be
//! counted.

mod black_hole;
mod resolver;
mod skipped;

use std::io::ErrorKind;
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use black_hole::BlackHole;
use ringseal::{
    Address, Admission, AttemptError, Backend, Backoff, BindError, Config, DialError, Identity,
    Listener, Phase, PublicKey, Redialer, Runtime, RuntimeBuilder, dial,
};
use skipped::{SKIPPED, skipped};

/// Says to a test that it is the child, and where the resolver notes what it was asked.
const LOG: &str = "RINGSEAL_TEST_RESOLVER_LOG";
/// Longer than anything here takes on a busy machine, but not as long as the resolver hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const BACKENDS: [Backend; 3] = [Backend::Uring, Backend::TokioUring, Backend::Epoll];

/// Runs `test`, which is the body of the test function `name`, in a child process with our
/// resolver.
fn with_resolver(name: &str, test: impl FnOnce(&Path)) {
    if let Some(log) = std::env::var_os(LOG) {
        return test(log.as_ref());
    }
    let directory = tempfile::tempdir().expect("a directory");
    let library = match resolver::compile(directory.path()) {
        Ok(library) => library,
        Err(reason) => return skipped(format_args!("{reason}")),
    };
    let log = directory.path().join("log");
    std::fs::write(&log, "").expect("write");
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env("LD_PRELOAD", library)
        .env(LOG, &log)
        .output()
        .expect("the child runs");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if let Some(reason) = text.lines().find_map(|line| line.strip_prefix(SKIPPED)) {
        skipped(format_args!("{reason}"));
    }
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

fn config(seed: u8) -> Config {
    Config::new(Identity::from_seed(&[seed; 32]), "ringseal tests")
}

fn key(seed: u8) -> PublicKey {
    config(seed).public_key()
}

/// Runs `test` on each backend, and fails instead of hanging.
fn on_each_backend<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for backend in BACKENDS {
        let builder: RuntimeBuilder = Runtime::builder().backend(backend);
        let runtime = builder.build().expect("a runtime");
        let done = runtime.block_on(ringseal::timeout(PATIENCE, test()));
        done.unwrap_or_else(|| panic!("took too long on {backend:?}"));
    }
}

/// Whether this host has an address of the other family.
fn has_both_families() -> bool {
    let both = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !both {
        skipped(format_args!("this host has no ::1"));
    }
    both
}

/// Threads of this process that wait for the system's resolver.
fn resolver_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads");
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("ringseal-resol"))
        .count()
}

/// How often the resolver was asked for `name`.
fn queries(log: &Path, name: &str) -> usize {
    let log = std::fs::read_to_string(log).expect("the log");
    log.lines().filter(|line| *line == name).count()
}

async fn listen(address: impl Into<Address>) -> Result<Listener, BindError> {
    Listener::bind(address, &config(2), Admission::any()).await
}

// HAZARDS F11: the first address takes the connection and never answers.
#[test]
fn a_black_hole_among_the_addresses_of_a_name_costs_a_moment_and_not_the_deadline() {
    let name = "a_black_hole_among_the_addresses_of_a_name_costs_a_moment_and_not_the_deadline";
    with_resolver(name, |_| {
        if !has_both_families() {
            return;
        }
        on_each_backend(|| async {
            let mut listener = listen("127.0.0.1:0").await.expect("bind");
            let address = listener.local_address().socket_address().expect("TCP");
            let _hole = BlackHole::at(Ipv6Addr::LOCALHOST, address.port());
            let both = format!("both.test:{}", address.port());
            let config = config(1);
            let (dialed, accepted) =
                futures_util::join!(dial(&both, key(2), &config), listener.accept());
            let (dialed, _accepted) = (dialed.expect("dial"), accepted.expect("accept"));
            assert_eq!(*dialed.peer_address(), Address::from(address));
        });
    });
}

// HAZARDS F11: whoever dials the name reaches this listener, by whichever address.
#[test]
fn a_listener_on_a_name_has_all_of_its_addresses_or_none() {
    let name = "a_listener_on_a_name_has_all_of_its_addresses_or_none";
    with_resolver(name, |_| {
        if !has_both_families() {
            return;
        }
        on_each_backend(|| async {
            let first = listen("both.test:0").await.expect("bind");
            let port = first.local_address().socket_address().expect("TCP").port();
            let both = format!("both.test:{port}");
            for host in ["127.0.0.1", "[::1]"] {
                drop(TcpStream::connect(format!("{host}:{port}")).expect("connect"));
            }
            let error = listen(&both).await.expect_err("the port is taken");
            assert!(matches!(error, BindError::Bind { .. }), "{error:?}");
            drop(first);
            // One of the two is taken: nothing stays bound.
            let other = TcpListener::bind("127.0.0.1:0").expect("bind");
            let port = other.local_addr().expect("bound").port();
            let error = listen(format!("both.test:{port}"))
                .await
                .expect_err("taken");
            match error {
                BindError::Bind { source, .. } => assert_eq!(source.kind(), ErrorKind::AddrInUse),
                error => panic!("{error:?}"),
            }
            drop(TcpListener::bind((Ipv6Addr::LOCALHOST, port)).expect("it is free"));
        });
    });
}

// HAZARDS F12: fifty tasks that dial again and again, while the resolver answers nobody.
#[test]
fn a_resolver_that_hangs_takes_few_threads_and_outlives_no_limit() {
    let name = "a_resolver_that_hangs_takes_few_threads_and_outlives_no_limit";
    with_resolver(name, |log| {
        on_each_backend(|| async {
            let limit = Duration::from_millis(300);
            let tasks = (0..50).map(|task| async move {
                let settings = config(1).handshake_deadline(limit);
                // A few names are asked for by many, others by one.
                let name = format!("hangs-{}.test:1", task % 30);
                for _ in 0..4 {
                    let error = dial(&name, key(2), &settings).await.expect_err("no answer");
                    assert!(
                        matches!(
                            error,
                            DialError::Attempt(AttemptError::Deadline {
                                phase: Phase::Resolving
                            })
                        ),
                        "{error:?}"
                    );
                    assert!(resolver_threads() <= 8, "{}", resolver_threads());
                }
            });
            futures_util::future::join_all(tasks).await;
            let settings = config(2).handshake_deadline(limit);
            let bound = Listener::bind("hangs-0.test:1", &settings, Admission::any()).await;
            match bound.expect_err("no answer") {
                BindError::Resolve { source, .. } => assert_eq!(source.kind(), ErrorKind::TimedOut),
                error => panic!("{error:?}"),
            }
        });
        for task in 0..30 {
            let count = queries(log, &format!("hangs-{task}.test"));
            assert!(count <= 1, "{count} queries at once for one name");
        }
    });
}

// HAZARDS F12: a name whose server hangs is no reason for others to wait.
#[test]
fn other_names_are_resolved_while_one_hangs() {
    let name = "other_names_are_resolved_while_one_hangs";
    with_resolver(name, |log| {
        on_each_backend(|| async {
            let mut listener = listen("127.0.0.1:0").await.expect("bind");
            let port = listener
                .local_address()
                .socket_address()
                .expect("TCP")
                .port();
            let config = config(1);
            let hanging = ringseal::spawn(async {
                let settings = self::config(1).handshake_deadline(PATIENCE);
                dial("hangs.test:1", key(2), &settings).await.is_ok()
            });
            while queries(log, "hangs.test") == 0 {
                ringseal::sleep(Duration::from_millis(1)).await;
            }
            let both = format!("both.test:{port}");
            let (dialed, accepted) =
                futures_util::join!(dial(&both, key(2), &config), listener.accept());
            drop((dialed.expect("dial"), accepted.expect("accept")));
            hanging.abort();
        });
    });
}

/// A name that is given another address is found there.
#[test]
fn a_redialer_asks_for_the_name_at_each_attempt() {
    let name = "a_redialer_asks_for_the_name_at_each_attempt";
    with_resolver(name, |log| {
        on_each_backend(|| async {
            let before = queries(log, "both.test");
            let failures = AtomicUsize::new(0);
            let moment = Duration::from_millis(1);
            // Nobody listens there.
            let mut redialer = Redialer::new("both.test:1", key(2), config(1))
                .backoff(Backoff::new(moment, moment))
                .give_up_when(move |_| failures.fetch_add(1, Ordering::Relaxed) == 2);
            let error = redialer.connect().await.expect_err("nobody is there");
            assert!(matches!(error, DialError::Connect { .. }), "{error:?}");
            assert_eq!(queries(log, "both.test") - before, 3);
        });
    });
}
