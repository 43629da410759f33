//! `listen` as a server: threads, cores, limits, and an end under load.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::rc::Rc;
use std::sync::mpsc::{Sender as Told, channel};
use std::thread;
use std::time::Duration;

use ringseal::{Config, Connection, Runtime};
use rustix::net::{self, AddressFamily, SocketType, sockopt};
use rustix::process::Signal;
use rustix::thread::{CpuSet, sched_getaffinity};

use crate::harness::{Ended, PATIENCE, Pair, Program, run, stop, text};
use crate::skipped::skipped;

/// The cores that this process may use.
fn cores() -> Vec<usize> {
    let allowed = sched_getaffinity(None).expect("ours");
    (0..CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .collect()
}

/// The cores of each thread that serves, as the kernel has them.
fn cores_of_threads(program: &Program) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", program.child.id())).expect("threads");
    let mut cores: Vec<_> = tasks
        .filter_map(|task| {
            let status = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.map(|value| value.trim().to_owned())
            };
            let name = field("Name:")?;
            let number = name.strip_prefix("ringseal-")?;
            number.parse::<usize>().ok()?;
            field("Cpus_allowed_list:")
        })
        .collect();
    cores.sort();
    cores
}

#[test]
fn typed_lines_and_messages_cross_all_threads() {
    let pair = Pair::new();
    let (mut listener, address) = pair.listen(&["--threads", "3"]);
    let mut dialers: Vec<_> = (0..6).map(|_| pair.dial(&address, &[])).collect();
    for (index, dialer) in dialers.iter_mut().enumerate() {
        let line = format!("from {index}");
        dialer.type_line(&line);
        assert_eq!(listener.next_line(), line);
    }
    assert_eq!(cores_of_threads(&listener).len(), 3);
    for round in 0..20 {
        let line = format!("to all {round}");
        listener.type_line(&line);
        for dialer in &dialers {
            assert_eq!(dialer.next_line(), line);
        }
    }
    for mut dialer in dialers {
        dialer.end_input();
        dialer.wait().expect_success();
    }
    let ended = stop(listener);
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
}

#[test]
fn there_is_a_thread_for_each_core_and_each_keeps_to_its_own_on_demand() {
    let pair = Pair::new();
    let available = thread::available_parallelism().expect("known").get();
    let (listener, _address) = pair.listen(&[]);
    assert_eq!(cores_of_threads(&listener).len(), available);
    stop(listener).expect_success();
    let cores = cores();
    let (listener, _address) = pair.listen(&["--pin"]);
    let mut first: Vec<_> = cores.iter().take(available).map(usize::to_string).collect();
    first.sort();
    assert_eq!(cores_of_threads(&listener), first);
    stop(listener).expect_success();
    let last = cores.last().expect("one").to_string();
    let (listener, _address) = pair.listen(&[&format!("--pin={last}")]);
    assert_eq!(cores_of_threads(&listener), [last]);
    stop(listener).expect_success();
}

/// Starts to listen in a way that is refused.
fn refused(pair: &Pair, address: &str, more: &[&str]) -> Ended {
    let mut args = vec!["listen", address, "--identity", text(&pair.bob.file)];
    args.extend(["--namespace", "test", "--allow-any"]);
    args.extend(more);
    run(&args)
}

#[test]
fn threads_and_cores_that_make_no_sense_are_named_with_what_to_change() {
    let pair = Pair::new();
    let refused = |more: &[&str]| refused(&pair, "127.0.0.1:0", more);
    let cores = cores();
    let first = cores[0];
    let other = (0..CpuSet::MAX_CPU)
        .rev()
        .find(|core| !cores.contains(core));
    match other {
        Some(other) => refused(&[&format!("--pin={other}")]).expect_failure(&[
            &format!("may not run on core {other}"),
            "pin to some of",
            "taskset",
        ]),
        None => skipped(format_args!("every core that can be named is ours")),
    }
    refused(&[&format!("--pin={first}"), "--threads", "2"])
        .expect_failure(&["2 threads cannot be pinned to 1 cores", "ask for fewer"]);
    let many = (cores.len() + 1).to_string();
    refused(&["--pin", "--threads", &many]).expect_failure(&["cannot be pinned", "ask for fewer"]);
    refused(&[&format!("--pin={first},{first}")]).expect_failure(&["named twice"]);
    for nonsense in ["", "a", "2-1", "0,", "99999"] {
        refused(&[&format!("--pin={nonsense}")]).expect_usage_error("as in 0,2-3");
    }
    for nonsense in ["0", "1025", "x"] {
        refused(&["--threads", nonsense]).expect_usage_error("--threads");
    }
    // More than cores work, and a line says that this is no use.
    let available = thread::available_parallelism().expect("known").get();
    let many = (available + 1).to_string();
    let (listener, address) = pair.listen(&["--threads", &many, "--mode", "echo"]);
    let line = listener.next_error();
    for part in [
        &format!("{many} threads"),
        &format!("--threads {available}"),
    ] {
        assert!(line.contains(part.as_str()), "`{part}` is not in: {line}");
    }
    let ping = ["--ping", "--seconds", "0.05"];
    pair.dial(&address, &ping).wait().expect_success();
    stop(listener).expect_success();
}

#[test]
fn limits_of_zero_are_refused() {
    let pair = Pair::new();
    for option in [
        "--max-connections",
        "--max-connections-per-key",
        "--max-connections-per-address",
        "--max-handshakes",
        "--max-handshakes-per-second",
    ] {
        for zero in ["0", "-1", "x"] {
            let option = format!("{option}={zero}");
            refused(&pair, "127.0.0.1:0", &[&option]).expect_usage_error("a number from 1 on");
        }
    }
    refused(&pair, "127.0.0.1:0", &["--max-lifetime", "0"]).expect_usage_error("above 0");
}

#[test]
fn memory_is_set_with_units_and_nonsense_is_refused() {
    let pair = Pair::new();
    let more = ["--slots", "4", "--heap-budget", "1MiB", "--mode", "echo"];
    let (listener, address) = pair.listen(&more);
    let ping = ["--ping", "--seconds", "0.05"];
    pair.dial(&address, &ping).wait().expect_success();
    stop(listener).expect_success();
    let refused = |option: String| refused(&pair, "127.0.0.1:0", &[&option]);
    for nonsense in ["0", "3", "100000", "x", "4MiB"] {
        refused(format!("--slots={nonsense}")).expect_usage_error("a number from 4 to");
    }
    for nonsense in ["0", "0MiB", "-1", "64M", "lots"] {
        refused(format!("--heap-budget={nonsense}")).expect_usage_error("as in 64MiB");
    }
}

/// Bob listens for Alice under limits of descriptors that `flags` of `ulimit` set.
fn listen_within(pair: &Pair, flags: &str, more: &[&str]) -> Program {
    let script = format!("ulimit {flags} && exec \"$0\" \"$@\"");
    let mut args = vec!["-c", &script, env!("CARGO_BIN_EXE_ringseal"), "listen"];
    args.extend(["127.0.0.1:0", "--identity", text(&pair.bob.file)]);
    args.extend(["--namespace", "test", "--mode", "echo"]);
    args.extend(["--allow", &pair.alice.public]);
    args.extend(more);
    Program::start_program("sh", &args, |_| {})
}

#[test]
fn the_soft_limit_of_descriptors_is_raised_and_a_line_says_when_that_is_not_enough() {
    let pair = Pair::new();
    let listener = listen_within(&pair, "-S -n 70", &["--threads", "1"]);
    let first = listener.next_line();
    let address = first.strip_prefix("listening on ").expect("an address");
    let config = Config::new(pair.alice.identity(), "test");
    let bob = pair.bob.identity().public_key();
    let runtime = Runtime::builder().build().expect("a runtime");
    runtime.block_on(async {
        let mut connections = Vec::new();
        for number in 0..100 {
            let dialed = ringseal::dial(address, bob, &config);
            let dialed = ringseal::timeout(PATIENCE, dialed).await;
            let connection = dialed.unwrap_or_else(|| panic!("only {number}"));
            connections.push(connection.expect("dial"));
        }
        for connection in connections {
            connection.close().await.expect("close");
        }
    });
    stop(listener).expect_success();
    let listener = listen_within(&pair, "-n 200", &["--max-connections", "10000"]);
    let line = listener.next_error();
    for part in [
        "this process may have 200",
        "--max-connections",
        "LimitNOFILE",
    ] {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
    assert!(listener.next_line().starts_with("listening on "));
}

#[test]
fn who_is_beyond_a_limit_is_told_and_a_line_names_the_option() {
    let pair = Pair::new();
    for option in [
        "--max-connections",
        "--max-connections-per-key",
        "--max-connections-per-address",
    ] {
        let (listener, address) = pair.listen(&["--mode", "echo", option, "1"]);
        let mut first = pair.dial(&address, &[]);
        first.type_line("in");
        assert_eq!(first.next_line(), "in");
        pair.dial(&address, &[]).wait().expect_failure(&["refused"]);
        let line = listener.next_error();
        assert!(line.contains(&format!("{option} allows")), "{line}");
        first.end_input();
        first.wait().expect_success();
        stop(listener).expect_success();
    }
}

#[test]
fn a_connection_ends_when_its_lifetime_is_over() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--mode", "echo", "--max-lifetime", "0.3"]);
    let dialer = pair.dial(&address, &[]);
    assert_eq!(dialer.wait().status.code(), Some(1));
    let line = listener.next_error();
    assert!(line.contains("--max-lifetime allows"), "{line}");
    stop(listener).expect_success();
}

// HAZARDS S5: the kernel would share the port if both asked for that.
#[test]
fn a_port_that_another_process_shares_is_not_shared_with_it() {
    let pair = Pair::new();
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    sockopt::set_socket_reuseport(&socket, true).expect("set");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    net::bind(&socket, &any).expect("bind");
    net::listen(&socket, 8).expect("listen");
    let bound = std::net::TcpListener::from(socket);
    let address = bound.local_addr().expect("bound").to_string();
    refused(&pair, &address, &[]).expect_failure(&[&address, "in use", "another port"]);
}

#[test]
fn a_log_level_that_is_none_costs_a_line_and_the_server_serves() {
    let pair = Pair::new();
    let (listener, address) = pair.listen_set("127.0.0.1:0", &["--mode", "echo"], |command| {
        command.env("RUST_LOG", "verbose");
    });
    let line = listener.next_error();
    assert!(
        line.contains("`verbose` is no level") && line.contains("write a level"),
        "{line}"
    );
    let ping = ["--ping", "--seconds", "0.05"];
    pair.dial(&address, &ping).wait().expect_success();
    stop(listener).expect_success();
}

#[test]
fn the_help_of_listen_names_what_a_server_has() {
    let output = run(&["listen", "--help"]).expect_success().join(" ");
    for part in [
        "--threads",
        "--pin",
        "--max-connections",
        "--max-connections-per-key",
        "--max-connections-per-address",
        "--max-handshakes",
        "--max-handshakes-per-second",
        "--max-lifetime",
        "--slots",
        "--heap-budget",
        "--allow-file",
        "--drop-removed",
        "--metrics",
        "LISTEN_FDS",
        "NOTIFY_SOCKET",
        "SIGHUP",
    ] {
        assert!(output.contains(part), "`{part}` is not in: {output}");
    }
}

/// How many lines of a client are known to have left, by its name.
type Sent = BTreeMap<String, u64>;

/// Sends numbered lines on connections of `length` each until nobody is accepted any more. Tells which
/// are to arrive.
fn send_until_the_end(pair: &Pair, address: &str, client: &str, length: u64, told: &Told<Sent>) {
    let config = Config::new(pair.alice.identity(), "test");
    let bob = pair.bob.identity().public_key();
    let runtime = Runtime::builder().build().expect("a runtime");
    let mut sent = Sent::new();
    runtime.block_on(async {
        for number in 0.. {
            let Ok(connection) = ringseal::dial(address, bob, &config).await else {
                break;
            };
            let name = format!("{client}-{number}");
            let work = send(connection, &name, length);
            let count = ringseal::timeout(4 * PATIENCE, work)
                .await
                .expect("an end in time");
            sent.insert(name, count);
        }
    });
    told.send(sent).expect("a test that waits");
}

/// Sends lines until there are `length` of them, or the peer ends. Returns how many are to arrive.
async fn send(connection: Connection, name: &str, length: u64) -> u64 {
    let (mut sender, mut receiver) = connection.split();
    let has_ended = Rc::new(Cell::new(false));
    let ends = Rc::clone(&has_ended);
    let ending = ringseal::spawn(async move {
        // It says nothing, and in the end that it ends.
        let _ = receiver.recv().await;
        ends.set(true);
    });
    let (mut sent, mut flushed) = (0, 0);
    while sent < length && !has_ended.get() {
        if sender
            .send(format!("{name} {sent}").as_bytes())
            .await
            .is_err()
        {
            return flushed;
        }
        sent += 1;
        if sent % 16 == 0 {
            if sender.flush().await.is_err() {
                return flushed;
            }
            flushed = sent;
            // The others are to get on as well where there are few cores.
            ringseal::sleep(Duration::from_millis(1)).await;
        }
    }
    let closed = sender.close().await;
    ending.await;
    if closed.is_ok() { sent } else { flushed }
}

// HAZARDS F4: over many rounds, with content.
#[test]
fn nothing_is_lost_by_a_signal_under_load_whose_flush_or_close_has_succeeded() {
    for round in 0..4 {
        let pair = Pair::new();
        let (mut listener, address) = pair.listen(&["--threads", "2", "--drain-timeout", "30"]);
        listener.end_input();
        let (told, sent) = channel();
        let mut printed = Vec::new();
        thread::scope(|scope| {
            // Some stay, and some come and go.
            for (client, length) in [("a", u64::MAX), ("b", u64::MAX), ("c", 40), ("d", 3)] {
                let (told, pair, address) = (told.clone(), &pair, &address);
                scope.spawn(move || send_until_the_end(pair, address, client, length, &told));
            }
            drop(told);
            let mut awaited = vec![
                "a-0 100".to_owned(),
                "b-0 100".to_owned(),
                format!("c-{round} 20"),
                format!("d-{round} 1"),
            ];
            while !awaited.is_empty() {
                let line = listener.next_line();
                awaited.retain(|awaited| *awaited != line);
                printed.push(line);
            }
            listener.signal(Signal::TERM);
            // Somebody has to read on, or they would wait for that.
            printed.extend(listener.output.iter());
        });
        let ended = listener.wait();
        assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
        let sent: Sent = sent.iter().flatten().collect();
        let mut arrived: BTreeMap<&str, u64> = BTreeMap::new();
        for line in &printed {
            let (name, number) = line.split_once(' ').expect(line);
            let next = arrived.entry(name).or_default();
            assert_eq!(
                number.parse(),
                Ok(*next),
                "lost, doubled or altered: {line}"
            );
            *next += 1;
        }
        for (name, count) in &sent {
            let got = arrived.get(name.as_str()).copied().unwrap_or_default();
            assert!(got >= *count, "{name}: {got} of {count}");
        }
        assert!(sent.len() >= 4, "{sent:?}");
    }
}
