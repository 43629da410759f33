//! `ringseal-bench`, run as a person or a script would run it. What is checked is that figures
//! fit together, never how good they are.

use std::fs;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;

use crate::harness::{Ended, Program, json};
use crate::skipped::skipped;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same for a soak, whose connections all have to end before it does.
const SOAK_PATIENCE: Duration = Duration::from_secs(400);

/// Runs one at a time: together they would want more locked memory than a user has by default.
fn alone() -> MutexGuard<'static, ()> {
    static RUNNING: Mutex<()> = Mutex::new(());
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts `ringseal-bench`.
fn start(args: &[&str]) -> Program {
    let program = env!("CARGO_BIN_EXE_ringseal-bench");
    Program::start_program(program, args, |command| {
        command.stdin(Stdio::null());
    })
}

/// What is expected of one that has ended.
trait Outcome {
    fn expect_json(self) -> Value;
    /// Exit code 1, nothing on standard output, and `part` among the errors.
    fn expect_error(self, part: &str);
    /// Exit code 2, nothing on standard output, and `part` among the errors.
    fn expect_bad_usage(self, part: &str);
}

impl Outcome for Ended {
    #[track_caller]
    fn expect_json(self) -> Value {
        assert_eq!(self.status.code(), Some(0), "{:?}", self.errors);
        let [line] = &self.output[..] else {
            panic!("not one line: {:?}", self.output);
        };
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    #[track_caller]
    fn expect_error(self, part: &str) {
        assert_eq!(self.status.code(), Some(1), "{:?}", self.errors);
        assert_eq!(self.output, [""; 0]);
        assert!(self.errors.join("\n").contains(part), "{:?}", self.errors);
    }

    #[track_caller]
    fn expect_bad_usage(self, part: &str) {
        assert_eq!(self.status.code(), Some(2), "{:?}", self.errors);
        assert_eq!(self.output, [""; 0]);
        assert!(self.errors.join("\n").contains(part), "{:?}", self.errors);
    }
}

/// A short run with these arguments, in JSON.
#[track_caller]
fn measure(args: &[&str]) -> Value {
    let short = ["--seconds", "0.3", "--warmup", "0.1", "--json"];
    let figures = start(&[args, &short].concat())
        .wait_for(PATIENCE)
        .expect_json();
    check(&figures);
    figures
}

fn number(figures: &Value, name: &str) -> f64 {
    figures[name]
        .as_f64()
        .unwrap_or_else(|| panic!("{name} is no number: {figures}"))
}

fn count(figures: &Value, name: &str) -> u64 {
    figures[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name} is no count: {figures}"))
}

/// Figures of one run that have to fit together, whatever was measured.
#[track_caller]
fn check(figures: &Value) {
    let (messages, bytes) = (count(figures, "messages"), count(figures, "bytes"));
    assert!(messages > 0, "{figures}");
    assert_eq!(bytes, messages * count(figures, "size_bytes"));
    let close = |name: &str, expected: f64| {
        let found = number(figures, name);
        let difference = (found - expected).abs();
        assert!(
            difference <= expected.abs() * 1e-9,
            "{name} is {found} and not {expected}"
        );
    };
    let seconds = number(figures, "seconds");
    assert!(seconds > 0.0, "{figures}");
    close("messages_per_second", messages as f64 / seconds);
    close("gigabytes_per_second", bytes as f64 / 1e9 / seconds);
    let ends = [&figures["dialer"], &figures["listener"]];
    let sum = |name: &str| ends.iter().map(|end| count(end, name)).sum::<u64>();
    assert_eq!(messages, sum("messages_received"));
    assert_eq!(bytes, sum("bytes_received"));
    for (name, counter) in [
        ("reads_per_message", "reads"),
        ("writes_per_message", "writes"),
        ("moved_bytes_per_message", "moved_bytes"),
        ("heap_allocations_per_message", "heap_allocations"),
        ("heap_bytes_per_message", "heap_bytes"),
    ] {
        close(name, sum(counter) as f64 / messages as f64);
    }
    assert_eq!(count(figures, "heap_allocations"), sum("heap_allocations"));
    assert_eq!(count(figures, "moved_bytes"), sum("moved_bytes"));
    let cpu = number(figures, "cpu_seconds");
    assert!(cpu > 0.0, "{figures}");
    if bytes > 0 {
        close("cpu_seconds_per_gigabyte", cpu / (bytes as f64 / 1e9));
        close(
            "moved_bytes_share",
            sum("moved_bytes") as f64 / bytes as f64,
        );
    } else {
        assert_eq!(figures["cpu_seconds_per_gigabyte"], Value::Null);
    }
}

#[test]
fn each_direction_counts_where_messages_are_received() {
    let _alone = alone();
    for (direction, dialer_receives, listener_receives) in [
        ("send", false, true),
        ("receive", true, false),
        ("both", true, true),
        ("ping", true, true),
    ] {
        for size in ["0", "64", "16384"] {
            let figures = measure(&["--direction", direction, "--size", size]);
            assert_eq!(figures["direction"], direction);
            assert_eq!(count(&figures, "size_bytes").to_string(), size);
            assert_eq!(figures["processes"], 1);
            assert_eq!(figures["interrupted"], false);
            let received = |end: &str| count(&figures[end], "messages_received") > 0;
            assert_eq!(received("dialer"), dialer_receives, "{figures}");
            assert_eq!(received("listener"), listener_receives, "{figures}");
        }
    }
}

#[test]
fn ping_tells_ordered_percentiles_and_nothing_else_does() {
    let _alone = alone();
    let figures = measure(&["--direction", "ping", "--size", "1", "--connections", "3"]);
    let round_trips = count(&figures, "round_trips");
    assert_eq!(round_trips, count(&figures["dialer"], "messages_received"));
    let times = ["p50", "p90", "p99", "p99_9", "max"]
        .map(|name| number(&figures, &format!("round_trip_{name}_us")));
    assert!(times[0] > 0.0 && times.is_sorted(), "{times:?}");
    let figures = measure(&["--direction", "send"]);
    assert_eq!(figures["round_trips"], Value::Null);
}

#[test]
fn streams_of_small_messages_allocate_nothing() {
    let _alone = alone();
    for more in [&[][..], &["--processes"], &["--batch", "64"]] {
        let figures = measure(&[&["--size", "64"], more].concat());
        let allocations = number(&figures, "heap_allocations_per_message");
        assert!(allocations < 0.01, "{figures}");
        assert_eq!(figures["dialer"]["large_blocks"], 0);
    }
}

#[test]
fn messages_beyond_a_slot_show_as_heap_blocks() {
    let _alone = alone();
    let figures = measure(&["--size", "100000", "--slot-size", "8192"]);
    assert!(count(&figures["listener"], "large_blocks") > 0, "{figures}");
}

#[test]
fn messages_above_the_default_limit_raise_it() {
    let _alone = alone();
    let figures = measure(&["--size", "1500000"]);
    assert_eq!(figures["size_bytes"], 1_500_000);
}

#[test]
fn settings_are_used_and_told() {
    let _alone = alone();
    let figures = measure(&[
        "--slots",
        "13",
        "--slot-size",
        "65537",
        "--ring-entries",
        "100",
        "--wire",
        "v0,v0",
        "--batch",
        "7",
        "--no-pin",
    ]);
    let page = rustix::param::page_size() as u64;
    for end in ["dialer", "listener"] {
        assert_eq!(figures[end]["slots"], 13);
        assert_eq!(
            count(&figures[end], "slot_size_bytes"),
            65_537_u64.next_multiple_of(page)
        );
        assert_eq!(figures[end]["ring_entries"], 128);
        assert_eq!(figures[end]["core"], Value::Null);
    }
    assert_eq!(figures["wire"], "commonware:v0,v0");
    assert_eq!(figures["batch_messages"], 7);
}

#[test]
fn many_connections_all_have_slots() {
    let _alone = alone();
    let figures = measure(&["--connections", "40", "--direction", "both", "--size", "64"]);
    assert_eq!(figures["connections"], 40);
    assert!(count(&figures["dialer"], "slots") >= 160, "{figures}");
}

#[test]
fn too_few_slots_are_warned_of() {
    let _alone = alone();
    let args = ["--connections", "2", "--slots", "9", "--seconds", "0.1"];
    let ended = start(&args).wait_for(PATIENCE);
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
    let [line] = &ended.errors[..] else {
        panic!("not one line: {:?}", ended.errors);
    };
    assert!(
        line.contains("9 slots") && line.contains("10 are"),
        "{line}"
    );
}

/// The processes whose parent this is.
fn children(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if status_field(id, "PPid:").is_some_and(|id| id == parent.to_string()) {
            found.push(id);
        }
    }
    found
}

/// The first word of a line of a process's status; `None` once the process is gone.
fn status_field(id: u32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1).map(str::to_owned)
}

/// Whether it runs. One that nobody has waited for yet does not.
fn is_running(id: u32) -> bool {
    status_field(id, "State:").is_some_and(|state| state != "Z" && state != "X")
}

#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the program catches SIGINT and SIGTERM.
#[track_caller]
fn wait_for_handler(program: &Program) {
    wait_until("no handler", || {
        let caught = status_field(program.child.id(), "SigCgt:").unwrap();
        let caught = u64::from_str_radix(&caught, 16).unwrap();
        let bits = [Signal::INT, Signal::TERM].map(|signal| 1 << (signal.as_raw() - 1));
        bits.iter().all(|bit: &u64| caught & bit != 0)
    });
}

/// A run of two processes that does not end by itself, measuring, and the listener's id.
fn start_processes() -> (Program, u32) {
    let program = start(&[
        "--processes",
        "--seconds",
        "600",
        "--warmup",
        "0",
        "--interval",
        "0.05",
        "--json",
    ]);
    program.errors.recv_timeout(PATIENCE).expect("progress");
    let children = children(program.child.id());
    let [listener] = children[..] else {
        panic!("not one child: {children:?}");
    };
    (program, listener)
}

#[test]
fn listener_as_a_process_measures_and_ends_with_the_run() {
    let _alone = alone();
    let figures = measure(&["--processes"]);
    assert_eq!(figures["processes"], 2);
    let of = |end: &str| number(&figures[end], "process_cpu_seconds");
    let sum = of("dialer") + of("listener");
    assert!((number(&figures, "cpu_seconds") - sum).abs() < 1e-6);

    let (program, listener) = start_processes();
    program.signal(Signal::TERM);
    let figures = program.wait_for(PATIENCE).expect_json();
    assert_eq!(figures["interrupted"], true);
    // Waited for, so not even its entry is left.
    assert_eq!(status_field(listener, "State:"), None);
}

#[test]
fn listener_as_a_process_does_not_outlive_a_killed_parent() {
    let _alone = alone();
    let (program, listener) = start_processes();
    program.signal(Signal::KILL);
    program.wait_for(PATIENCE);
    wait_until("the listener stays", || !is_running(listener));
}

#[test]
fn dialer_sees_when_the_listener_is_killed() {
    let _alone = alone();
    let (program, listener) = start_processes();
    let id = Pid::from_raw(i32::try_from(listener).unwrap()).unwrap();
    kill_process(id, Signal::KILL).unwrap();
    let ended = program.wait_for(PATIENCE);
    assert_eq!(ended.status.code(), Some(1), "{:?}", ended.errors);
    assert_eq!(ended.output, [""; 0]);
    assert_eq!(status_field(listener, "State:"), None);
}

#[test]
fn interrupt_ends_a_run_early_and_figures_are_told() {
    let _alone = alone();
    for direction in ["send", "ping"] {
        let program = start(&[
            "--direction",
            direction,
            "--seconds",
            "600",
            "--interval",
            "0.05",
            "--json",
        ]);
        let line = program.errors.recv_timeout(PATIENCE).expect("progress");
        assert!(line.contains("messages/s"), "{line}");
        program.signal(Signal::INT);
        let figures = program.wait_for(PATIENCE).expect_json();
        check(&figures);
        assert_eq!(figures["interrupted"], true);
        assert!(number(&figures, "seconds") < 600.0);
    }
}

#[test]
fn interrupt_before_anything_was_measured_says_so() {
    let _alone = alone();
    let program = start(&["--processes", "--warmup", "600"]);
    wait_until("no listener", || !children(program.child.id()).is_empty());
    let [listener] = children(program.child.id())[..] else {
        panic!("not one child");
    };
    // The handler is there once the dialer has a thread of its own.
    let tasks = format!("/proc/{}/task", program.child.id());
    let has_dialer = || {
        fs::read_dir(&tasks).unwrap().any(|task| {
            let name = fs::read_to_string(task.unwrap().path().join("comm"));
            name.is_ok_and(|name| name.trim() == "dialer")
        })
    };
    wait_until("no dialer", has_dialer);
    wait_for_handler(&program);
    program.signal(Signal::INT);
    program
        .wait_for(PATIENCE)
        .expect_error("nothing was measured");
    assert_eq!(status_field(listener, "State:"), None);
}

#[test]
fn words_tell_all_parts_and_progress_only_on_request() {
    let _alone = alone();
    let short = ["--seconds", "0.3", "--warmup", "0.1"];
    let ended = start(&[&short[..], &["--direction", "ping"]].concat()).wait_for(PATIENCE);
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(ended.errors, [""; 0]);
    let text = ended.output.join("\n");
    for part in [
        "GB/s",
        "messages/s",
        "p50",
        "p99.9",
        "per GB",
        "allocations",
        "moved",
        "reads",
        "slots of",
        "ring of",
        "wire native:",
        "closed loop",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let ended = start(&[&short[..], &["--interval", "0.1"]].concat()).wait_for(PATIENCE);
    assert!(!ended.errors.is_empty());
    for line in &ended.errors {
        assert!(
            line.contains("GB/s") && line.contains("messages/s"),
            "{line}"
        );
    }
}

#[test]
fn listener_alone_serves_one_dialer_after_the_other() {
    let _alone = alone();
    let listener = start(&["--listen", "127.0.0.1:0", "--seed", "one"]);
    let line = listener.output.recv_timeout(PATIENCE).expect("an address");
    let address = line.strip_prefix("listening on ").expect("an address");
    for direction in ["send", "receive", "ping"] {
        let connect = ["--connect", address, "--seed", "one"];
        let figures = measure(&[&connect[..], &["--direction", direction]].concat());
        assert_eq!(figures["processes"], 2);
    }
    let refused = |more: &[&str], part: &str| {
        let connect = ["--connect", address, "--seconds", "0.3"];
        start(&[&connect[..], more].concat())
            .wait_for(PATIENCE)
            .expect_error(part);
    };
    refused(&["--seed", "two"], "--seed");
    refused(&["--seed", "one", "--connections", "2"], "--connections 2");
    refused(&["--seed", "one", "--size", "2000000"], "--size 2000000");
    refused(&["--seed", "one", "--wire", "v1,v0"], "--wire");
    measure(&["--connect", address, "--seed", "one"]);
    listener.signal(Signal::INT);
    let ended = listener.wait_for(PATIENCE);
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
}

#[test]
fn cores_that_do_not_exist_are_refused_with_what_to_do() {
    let _alone = alone();
    for cores in ["1023,0", "0,1023", "1023,1023"] {
        for more in [&[][..], &["--processes"]] {
            let args = [&["--pin", cores, "--seconds", "0.1"], more].concat();
            start(&args).wait_for(PATIENCE).expect_error("--no-pin");
        }
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let refused = |args: &[&str], part: &str| start(args).wait_for(PATIENCE).expect_bad_usage(part);
    refused(&["--size", "4294967290"], "4294967279");
    refused(&["--size=-1"], "--size");
    refused(&["--seconds", "0"], "above 0");
    refused(&["--seconds", "NaN"], "above 0");
    refused(&["--warmup", "inf"], "from 0");
    refused(&["--interval", "0"], "above 0");
    refused(&["--direction", "up"], "ping");
    refused(&["--connections", "0"], "1..=1000");
    refused(&["--connections", "1001"], "1..=1000");
    refused(&["--batch", "0"], "--batch");
    refused(&["--batch", "2", "--direction", "ping"], "--batch");
    refused(&["--wire", "v2,v1"], "v0 or v1");
    refused(&["--pin", "0"], "two cores");
    if cores().len() > 1 {
        let ended = start(&["rate", "--pin", "0,0"]).wait_for(PATIENCE);
        ended.expect_error("different ones");
    }
    refused(&["--pin", "0,1", "--no-pin"], "cannot be used with");
    refused(&["--slots", "3"], "--slots");
    refused(&["--slot-size", "1"], "--slot-size");
    refused(&["--slots", "1000000"], "1 GiB");
    refused(&["--ring-entries", "0"], "--ring-entries");
    refused(&["--connect", "127.0.0.1:1"], "--seed");
    refused(&["--listen", "127.0.0.1:0"], "--seed");
    refused(&["--listen", "127.0.0.1:0", "--seed", ""], "--seed");
    refused(&["--seed", "x"], "--listen");
    refused(
        &["--listen", "127.0.0.1:0", "--seed", "x", "--processes"],
        "cannot be used with",
    );
    refused(&["--listen", "nowhere", "--seed", "x"], "host and port");
    refused(&["--supervised", "--listen", "0.0.0.0:0"], "loopback");
    refused(&["--size", "1", "soak"], "cannot be used with");
    refused(&["soak", "--minutes", "0"], "0.05");
    refused(&["soak", "--minutes", "soon"], "number of minutes");
    refused(&["soak", "--drivers", "ring"], "tokio-uring");
    refused(&["soak", "--only", "uring/1"], "uring/3/17");
    refused(&["rate", "--rates", "0"], "--rates");
    refused(&["rate", "--size", "7"], "--size");
    refused(&["rate", "--rounds", "0"], "--rounds");
    refused(&["scale", "--connections", "0"], "--connections");
    refused(&["scale", "--threads", "0"], "--threads");
    refused(&["scale", "--wire", "v2,v1"], "v0 or v1");
}

/// Whether an SVG was drawn there.
#[track_caller]
fn assert_drawn(path: &str) {
    let text = fs::read_to_string(path).expect("a chart");
    assert!(
        text.starts_with("<svg") && text.ends_with("</svg>\n"),
        "{text}"
    );
}

#[test]
fn a_short_soak_passes_and_tells_what_it_has_seen() {
    let _alone = alone();
    let directory = tempfile::tempdir().expect("a directory");
    let chart = directory.path().join("soak.svg");
    let chart = chart.to_str().expect("a plain path");
    let args = [
        "soak",
        "--minutes",
        "0.05",
        "--seed",
        "7",
        "--json",
        "--interval",
        "0.5",
    ];
    // One lane of each kind.
    let more = ["--connections", "6", "--chart", chart];
    let ended = start(&[&args[..], &more].concat()).wait_for(SOAK_PATIENCE);
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
    let lines: Vec<Value> = ended.output.iter().map(|line| json(line)).collect();
    assert_eq!(lines[0]["kind"], "start");
    assert_eq!(lines[0]["seed"], 7);
    assert!(lines[0].get("commit").is_some() && lines[0]["command"].is_string());
    let rests: Vec<_> = lines.iter().filter(|line| line["kind"] == "rest").collect();
    assert!(rests.len() > 1, "{lines:?}");
    for rest in rests {
        assert_eq!(count(rest, "slots_in_use"), 0);
        assert_eq!(count(rest, "connections"), 0);
        assert!(count(rest, "resident_bytes") > 0 && count(rest, "descriptors") > 0);
    }
    let result = lines.last().expect("a result");
    assert_eq!(result["passed"], true);
    assert_eq!(result["drivers"].as_array().map(Vec::len), Some(3));
    let kinds = result["by_kind"].as_object().expect("kinds");
    let sum: u64 = kinds.values().filter_map(Value::as_u64).sum();
    assert_eq!((kinds.len(), sum), (6, count(result, "connections")));
    assert!(count(result, "messages") > 0 && sum > 0, "{result}");
    assert_drawn(chart);
}

#[test]
fn a_soak_notices_every_mistake_and_says_how_to_repeat_it() {
    let _alone = alone();
    // Two lanes, the second of which streams.
    let args = ["soak", "--drivers", "epoll", "--connections", "2"];
    let more = ["--minutes", "0.1", "--seed", "11", "--plant"];
    for (plant, part) in [
        ("altered", "was sent"),
        ("lost", "message 10"),
        ("doubled", "message 10"),
        ("reordered", "message 10"),
        ("leak", "descriptors instead of"),
    ] {
        let ended = start(&[&args[..], &more, &[plant]].concat()).wait_for(SOAK_PATIENCE);
        assert_eq!(ended.status.code(), Some(1), "{plant}: {:?}", ended.output);
        let errors = ended.errors.join("\n");
        let replay = "ringseal-bench soak --minutes 0.1 --seed 11 --drivers epoll --connections 2";
        for part in [part, replay] {
            assert!(errors.contains(part), "`{part}` is not in: {errors}");
        }
        assert_eq!(
            errors.contains("--only epoll/1/"),
            plant != "leak",
            "{errors}"
        );
    }
}

/// Those that measure for long are interrupted, and leave nothing behind.
#[test]
fn an_interrupted_command_says_so_and_writes_nothing() {
    let _alone = alone();
    let directory = tempfile::tempdir().expect("a directory");
    let chart = directory.path().join("chart.svg");
    let chart = chart.to_str().expect("a plain path");
    for args in [
        &[
            "soak",
            "--minutes",
            "10",
            "--seed",
            "3",
            "--drivers",
            "epoll",
        ][..],
        &["rate", "--rates", "100", "--seconds", "600", "--json"],
        &[
            "scale",
            "--connections",
            "1",
            "--threads",
            "1",
            "--seconds",
            "600",
            "--json",
        ],
    ] {
        if args[0] == "rate" && cores().len() < 2 {
            skipped(format_args!("one core; NOBODY HAS INTERRUPTED RATE"));
            continue;
        }
        let program = start(&[args, &["--chart", chart]].concat());
        wait_for_handler(&program);
        let servers = children(program.child.id());
        program.signal(Signal::INT);
        let ended = program.wait_for(PATIENCE);
        assert_eq!(ended.status.code(), Some(1), "{:?}", ended.errors);
        let errors = ended.errors.join("\n");
        assert!(errors.contains("interrupted"), "{errors}");
        assert!(
            !ended.output.iter().any(|line| line.contains("rows")),
            "{args:?}"
        );
        assert!(!fs::exists(chart).expect("a look"), "a chart of {args:?}");
        for server in servers {
            wait_until("the server stays", || !is_running(server));
        }
    }
}

/// The cores that this process may use.
fn cores() -> Vec<usize> {
    let allowed = sched_getaffinity(None).expect("the affinity");
    (0..CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .collect()
}

/// A short run at some rates, in JSON.
#[track_caller]
fn rates(args: &[&str]) -> Value {
    let short = [
        "--seconds",
        "0.1",
        "--warmup",
        "0.05",
        "--rounds",
        "1",
        "--json",
    ];
    let args = [&["rate"][..], args, &short].concat();
    start(&args).wait_for(PATIENCE).expect_json()
}

#[test]
fn rates_tell_ordered_percentiles_for_each_wire_and_where_they_end() {
    let _alone = alone();
    if cores().len() < 2 {
        skipped(format_args!("one core; NOBODY HAS MEASURED AT A RATE"));
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let chart = directory.path().join("rate.svg");
    let chart = chart.to_str().expect("a plain path");
    for more in [&[][..], &["--echo"]] {
        let wires = ["--wire", "native", "--wire", "commonware:v1,v1"];
        let args = [&["--rates", "100,2000", "--chart", chart], &wires[..], more].concat();
        let figures = rates(&args);
        assert_eq!(
            (&figures["loop"], &figures["echo"]),
            (&"open".into(), &(!more.is_empty()).into())
        );
        let rows = figures["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), 4);
        assert_eq!(figures["saturation"].as_array().map(Vec::len), Some(2));
        // Of which build it is, where that is known.
        assert!(figures.get("commit").is_some() && figures["command"].is_string());
        for row in rows {
            let names = [
                "p50_us",
                "p90_us",
                "p99_us",
                "p99_9_us",
                "p99_99_us",
                "max_us",
            ];
            // Those that too few messages lie above are left out.
            let times: Vec<f64> = names.iter().filter_map(|name| row[name].as_f64()).collect();
            assert!(times[0] > 0.0 && times.is_sorted(), "{row}");
            assert_eq!(times.last(), Some(&number(row, "max_us")));
            assert!(count(row, "messages") > 0 && number(row, "reached") > 0.0);
        }
        assert_eq!(number(&rows[0]["median_over_lowest_rate"], "median"), 1.0);
        assert_drawn(chart);
    }
    let swept = rates(&[]);
    let rows = swept["rows"].as_array().expect("rows");
    let saturated: Vec<(u64, bool)> = (rows.iter())
        .map(|row| {
            let saturated = row["saturated"].as_bool().expect("yes or no");
            (count(row, "rate"), saturated)
        })
        .collect();
    assert!(saturated.len() > 1 && saturated.is_sorted(), "{swept}");
    // Which rates that are is up to the machine, and so is whether those at which the sweep ended are
    // reached in the runs that count.
    let [end] = &swept["saturation"].as_array().expect("a wire each")[..] else {
        panic!("not one wire: {swept}");
    };
    let kept = saturated.iter().rposition(|(_, saturated)| !saturated);
    let rate = |index: usize| saturated.get(index).map(|(rate, _)| *rate);
    let above = kept.map_or(0, |kept| kept + 1);
    assert_eq!(end["keeps_up_with"].as_u64(), kept.and_then(rate));
    assert_eq!(end["saturated_at"].as_u64(), rate(above));
    assert_eq!(end["reached_there"].is_object(), rate(above).is_some());
}

#[test]
fn on_one_core_rates_are_refused_and_too_many_threads_as_well() {
    let _alone = alone();
    let core = cores()[0];
    // A child has the cores of the thread that starts it.
    let on_one_core = |args: &'static [&'static str]| {
        let starting = thread::spawn(move || {
            let mut set = CpuSet::new();
            set.set(core);
            sched_setaffinity(None, &set).expect("one core");
            start(args)
        });
        starting.join().expect("started").wait_for(PATIENCE)
    };
    on_one_core(&["rate", "--rates", "100"]).expect_error("two cores");
    on_one_core(&["scale", "--threads", "2", "--json"]).expect_error("--threads");
}

/// A short run of `scale`.
fn scale<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let short = [
        "scale",
        "--seconds",
        "0.1",
        "--rounds",
        "1",
        "--json",
        "--wire",
        "native",
    ];
    [&short[..], args].concat()
}

#[test]
fn a_server_is_measured_with_few_and_many_connections() {
    let _alone = alone();
    let directory = tempfile::tempdir().expect("a directory");
    let chart = directory.path().join("scale.svg");
    let chart = chart.to_str().expect("a plain path");
    let more = [
        "--connections",
        "1,120",
        "--idle",
        "50",
        "--metrics",
        "--handles",
        "--chart",
        chart,
    ];
    let figures = start(&scale(&more)).wait_for(SOAK_PATIENCE).expect_json();
    let threads = cores().len().min(2);
    let rows = figures["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 2 * threads, "{figures}");
    let by_handles = figures["by_handles"].as_array().expect("rows");
    assert_eq!(by_handles.len(), rows.len(), "{figures}");
    for row in rows.iter().chain(by_handles) {
        let has_target = row["target_cpu_us_per_message"].is_number();
        assert_eq!(has_target, count(row, "connections") > 1, "{row}");
        assert!(row["system_us_per_message"].is_object(), "{row}");
        assert!(
            number(&row["operations_per_message"], "median") > 0.0,
            "{row}"
        );
        assert!(number(&row["messages_per_second"], "median") > 0.0, "{row}");
        assert!(number(&row["cpu_us_per_message"], "median") > 0.0, "{row}");
        let spread = row["idle"]["connections_of_each_thread"].as_array();
        let spread = spread.expect("a spread").iter().filter_map(Value::as_u64);
        assert_eq!(spread.sum::<u64>(), count(row, "connections"));
    }
    assert_eq!(number(&rows[0]["over_one_thread"], "median"), 1.0);
    assert_eq!(figures["bare"].as_array().map(Vec::len), Some(threads));
    assert_eq!(figures["comparisons"].as_array().map(Vec::len), Some(2));
    assert_eq!(figures["skipped"].as_array().map(Vec::len), Some(0));
    assert_drawn(chart);
}

#[test]
fn rows_that_the_limit_of_descriptors_has_no_room_for_are_skipped_loudly() {
    let _alone = alone();
    let more = ["--connections", "1,500", "--threads", "1", "--idle", "0"];
    let limited = [
        "-c",
        "ulimit -n 400 && exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_ringseal-bench"),
    ];
    let args = [&limited[..], &scale(&more)].concat();
    let program = Program::start_program("sh", &args, |command| {
        command.stdin(Stdio::null());
    });
    let ended = program.wait_for(PATIENCE);
    let errors = ended.errors.join("\n");
    assert!(
        errors.contains("!! SKIPPED: 500 connections") && errors.contains("ulimit -Hn"),
        "{errors}"
    );
    let figures = ended.expect_json();
    assert_eq!(figures["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(figures["skipped"].as_array().map(Vec::len), Some(1));
}
