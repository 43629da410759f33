//! The comparison, what keeps figures and what writes tables, as somebody would run them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ringseal_peers::contender::Contender;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ringseal-peers");

/// Contenders that a build without their features does not know.
const OPTIONAL: [&str; 4] = [
    "rustls compio AES-256-GCM",
    "quinn AES-256-GCM, 1 stream",
    "quinn AES-256-GCM, 4 streams",
    "tonic TLS AES-256-GCM",
];

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    command.output().expect("the program is there")
}

fn error(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_documents_say_what_the_kept_figures_say() {
    let output = run(&["tables", "--check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn help_is_what_was_asked_for() {
    let output = run(&["--help"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("usage: ringseal-peers"), "{said}");
    assert!(error(&run(&["--nonsense"])).contains("usage: ringseal-peers"));
}

#[test]
fn a_comparison_gives_a_table_and_a_file_that_says_what_was_measured() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("figures.json");
    let path = file.to_str().expect("a plain path");
    let peers = "native aes,plain tcp";
    let output = run(&[
        "--seconds",
        "0.02",
        "--rounds",
        "2",
        "--only",
        "64 B",
        "--peers",
        peers,
        "--json",
        path,
    ]);
    assert!(output.status.success(), "{output:?}");
    let table = String::from_utf8_lossy(&output.stdout);
    for call in [
        "send",
        "send_many of 64",
        "a flush each",
        "a flush per 64",
        "gathers by itself",
    ] {
        assert!(table.contains(&format!("| {call} ")), "{call}: {table}");
    }
    let figures: Value = serde_json::from_str(&text(&file)).expect("JSON");
    for field in [
        "processor",
        "cores",
        "libraries",
        "command",
        "date",
        "rounds",
        "seconds",
    ] {
        assert!(!figures[field].is_null(), "{field}");
    }
    assert_eq!(
        figures["rows"].as_array().map(Vec::len),
        Some(table.lines().count() - 2)
    );
}

#[test]
fn an_interrupted_comparison_gives_no_half_table() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("figures.json");
    let mut child = Command::new(PROGRAM)
        .args([
            "--seconds",
            "0.02",
            "--rounds",
            "100000",
            "--peers",
            "plain tcp",
        ])
        .arg("--json")
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is there");
    let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    errors.read_line(&mut line).expect("text");
    assert!(line.starts_with("case 1 of "), "{line}");
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).expect("it runs");
    let rest: Vec<String> = errors.lines().map(|line| line.expect("text")).collect();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "{rest:?}");
    assert!(
        rest.iter().any(|line| line.starts_with("interrupted")),
        "{rest:?}"
    );
    assert!(output.stdout.is_empty());
    assert!(!file.exists());
}

#[test]
fn what_another_program_prints_is_kept_and_what_fails_is_not() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("figures.json");
    let path = file.to_str().expect("a plain path");
    let shell = |script| run(&["record", path, "--", "sh", "-c", script]);
    for script in ["exit 3", "echo nothing", "echo '{\"interrupted\": true}'"] {
        let said = error(&shell(script));
        assert!(said.contains("nothing is written"), "{said}");
        assert!(!file.exists());
    }
    let output = shell("printf '| wire | bytes |\\n|---|---|\\n| V1 | 12 |\\n'");
    assert!(output.status.success(), "{output:?}");
    let figures: Value = serde_json::from_str(&text(&file)).expect("JSON");
    assert_eq!(figures["rows"], json!([["V1", "12"]]));
    assert!(
        figures["command"]
            .as_str()
            .is_some_and(|command| command.starts_with("sh -c"))
    );
}

#[test]
fn what_a_program_says_of_its_own_build_and_run_is_kept() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("figures.json");
    let path = file.to_str().expect("a plain path");
    let said = envelope(json!({ "rows": [1] }));
    let output = run(&["record", path, "--", "echo", &said.to_string()]);
    assert!(output.status.success(), "{output:?}");
    let kept: Value = serde_json::from_str(&text(&file)).expect("JSON");
    for field in ["commit", "is_dirty", "processor", "command", "date", "rows"] {
        assert_eq!(kept[field], said[field], "{field}");
    }
    // Those of the peers stand beside.
    assert_eq!(kept["libraries"]["native aes-256-gcm"], "aws-lc-rs");
    assert_eq!(kept["libraries"]["snow"], "ring");
}

/// Figures of a build that is not optimized are of no commit: tests are not built anew at each.
#[test]
fn a_build_that_figures_are_not_kept_of_says_so() {
    let told = run(&["built-from"]);
    if told.status.success() && !cfg!(debug_assertions) {
        let commit = String::from_utf8_lossy(&told.stdout);
        assert_eq!(commit.trim().len(), 40, "{commit}");
        return;
    }
    let said = error(&told);
    assert!(
        said.contains("this program is of ") || said.contains("build this program again"),
        "{said}"
    );
}

/// A repository that has documents with markers, and figures that were made up for this test.
struct Repository(TempDir);

const MARKERS: &str =
    "before\n\n<!-- figures: NAME -->\n\nold text\n\n<!-- end of figures -->\n\nbehind\n";
const REGIONS: [&str; 12] = [
    "targets",
    "native",
    "commonware",
    "all",
    "idle connections",
    "ways of use",
    "native records",
    "rate",
    "scale",
    "soak",
    "floods",
    "instructions",
];

impl Repository {
    fn new() -> Self {
        let repository = Self(TempDir::new().expect("a directory"));
        fs::create_dir_all(repository.path("benches/taken")).expect("a directory");
        repository.write("README.md", &MARKERS.replace("NAME", "headline"));
        let parts = REGIONS.map(|region| MARKERS.replace("NAME", region));
        repository.write("benches/README.md", &parts.concat());
        let counts = json!({ "made_with": { "cc": "1" }, "workloads": { "seal": 12 } });
        repository.write("benches/instructions.json", &counts.to_string());
        repository.take("streams", &streams());
        repository
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("write");
    }

    fn take(&self, name: &str, figures: &Value) {
        self.write(&format!("benches/taken/{name}.json"), &figures.to_string());
    }

    fn tables(&self, arguments: &[&str]) -> Output {
        let root = self.path("");
        let mut all = vec!["tables", "--root", root.to_str().expect("a plain path")];
        all.extend(arguments);
        run(&all)
    }

    fn take_all(&self) -> Output {
        let taken = self.path("benches/taken");
        self.tables(&["--take", taken.to_str().expect("a plain path")])
    }
}

fn envelope(mut figures: Value) -> Value {
    for (field, value) in [
        ("commit", json!("0123456789abcdef")),
        ("is_dirty", json!(false)),
        ("processor", json!("Made-up CPU (AVX-512 with IFMA)")),
        ("cores", json!(2)),
        ("libraries", json!({ "native aes-256-gcm": "aws-lc-rs" })),
        ("command", json!("made-up --json")),
        ("date", json!("2026-11-27T00:00:00Z")),
    ] {
        figures[field] = value;
    }
    figures
}

fn streams() -> Value {
    let mut names: Vec<String> = Contender::ALL.iter().map(|one| one.name()).collect();
    names.extend(OPTIONAL.map(str::to_owned));
    names.sort();
    names.dedup();
    let row = |work: String, size: Option<usize>, batch: usize, peer: &str| {
        let call = if batch == 1 {
            "each".to_owned()
        } else {
            format!("per {batch}")
        };
        json!({
            "work": work, "size": size, "batch": size.map(|_| batch), "peer": peer, "call": call,
            "median": 1000.0 * batch as f64, "min": 900.0, "max": 9000.0, "rounds": 5,
            "cpu_seconds_per_gigabyte": 1.0,
        })
    };
    let mut rows = Vec::new();
    for name in &names {
        for size in [64, 1024, 4096, 16_384, 65_536, 1 << 20] {
            for batch in [1, 64] {
                rows.push(row(
                    format!("{size} B, messages/s"),
                    Some(size),
                    batch,
                    name,
                ));
            }
        }
        rows.push(row(
            "ping, 1 byte, p50 microseconds".to_owned(),
            None,
            1,
            name,
        ));
    }
    envelope(json!({ "seconds": 0.2, "rounds": 5, "rows": rows }))
}

#[test]
fn tables_are_written_from_figures_and_any_difference_is_noticed() {
    let repository = Repository::new();
    let output = repository.take_all();
    assert!(output.status.success(), "{output:?}");
    let readme = text(&repository.path("README.md"));
    assert!(
        readme.starts_with("before\n") && readme.ends_with("behind\n"),
        "{readme}"
    );
    assert!(
        readme.contains("On 2 cores of Made-up CPU (AVX-512 with IFMA)")
            && readme.contains("0123456")
    );
    // Ours by `send` over what rivals reach by a batch of 64.
    let cell = "| 64.0 k: **0.02**<br><sub>0.90 k to 9.00 k</sub> |";
    assert!(readme.contains(cell), "{readme}");
    let benches = text(&repository.path("benches/README.md"));
    assert!(benches.contains("| `seal` | 12 |"));
    assert!(benches.contains("Not measured at commit 0123456 on Made-up CPU (AVX-512 with IFMA)."));
    assert!(!benches.contains("old text"));
    // Of the same figures: what is missed is in bold, and what was not measured is said.
    for row in [
        "| AES-256-GCM, 64 B, `send`, over its pipeline | at least 0.40 | 1.00 |",
        "| AES-256-GCM, 16 KiB, `send`, over rustls by a flush per n | at least 1.15 | **0.02** |",
        "| ChaCha20-Poly1305, 64 B, `send`, over commonware's `send` | at least 60.00 | **1.00** |",
        "| AES-256-GCM, handshakes a second over the commonware wire's | at least 0.85 | not in this run |",
    ] {
        assert!(benches.contains(row), "{row} is not in {benches}");
    }
    let check = repository.tables(&["--check"]);
    assert!(check.status.success(), "{check:?}");

    let kept = repository.path("benches/results/made-up-cpu-avx-512-with-ifma.json");
    let figures = text(&kept);
    for (file, altered) in [
        ("README.md", readme.replace("1.00 k", "2.00 k")),
        (
            "benches/README.md",
            benches.replace("| `seal` | 12 |", "| `seal` | 11 |"),
        ),
        ("benches/throughput.svg", "<svg/>".to_owned()),
        (
            "benches/results/made-up-cpu-avx-512-with-ifma.json",
            figures.replacen("9000.0", "9001.0", 9),
        ),
    ] {
        let path = repository.path(file);
        let before = text(&path);
        fs::write(&path, altered).expect("write");
        let said = error(&repository.tables(&["--check"]));
        assert!(said.contains("do not say the same"), "{file}: {said}");
        fs::write(&path, before).expect("write");
    }
    let check = repository.tables(&["--check"]);
    assert!(check.status.success(), "{check:?}");
}

fn median(median: f64) -> Value {
    json!({ "median": median, "least": 0.5 * median, "most": 2.0 * median })
}

fn rate() -> Value {
    let row = |wire: &str, rate: u64, saturated: bool| {
        json!({
            "wire": wire, "rate": rate, "reached": rate, "saturated": saturated, "rounds": 5,
            "p50_us": 12.5, "p90_us": 20.0, "p99_us": null, "max_us": 90.0,
        })
    };
    envelope(json!({
        "size_bytes": 64, "seconds": 0.3, "rounds": 5,
        "rows": [row("native", 1000, false), row("native", 2000, true), row("commonware", 1000, false)],
        "saturation": [
            { "wire": "native", "keeps_up_with": 1000, "saturated_at": 2000, "reached_there": median(1500.0) },
            { "wire": "commonware", "keeps_up_with": 1000, "saturated_at": null, "reached_there": null },
        ],
    }))
}

fn scale() -> Value {
    let row = |connections: u64| {
        json!({
            "wire": "native", "connections": connections, "threads": 1,
            "messages_per_second": median(1e6), "cpu_us_per_message": median(0.2),
            "idle": { "server_heap_bytes_per_connection": 4321.0 },
        })
    };
    envelope(json!({
        "size_bytes": 64, "seconds": 0.5, "rounds": 5, "rows": [row(1), row(10_000)], "skipped": [],
    }))
}

#[test]
fn charts_of_rates_and_of_connections_go_with_what_is_kept_of_them() {
    let repository = Repository::new();
    let charts = ["benches/latency.svg", "benches/scale.svg"];
    repository.take("rate", &rate());
    repository.take("scale", &scale());
    assert!(repository.take_all().status.success());
    let benches = text(&repository.path("benches/README.md"));
    for part in [
        "![latency by rate](latency.svg)",
        "](scale.svg)",
        "| native | 1 000 | 1 500 (750.0 to 3 000) | 2 000 |",
        "4 321",
    ] {
        assert!(benches.contains(part), "{part} is not in {benches}");
    }
    let latency = text(&repository.path(charts[0]));
    for part in ["native: saturated at 2000", "commit 0123456", "Made-up CPU"] {
        assert!(latency.contains(part), "{part} is not in {latency}");
    }
    assert!(text(&repository.path(charts[1])).contains("native, 1 thread<"));
    for chart in charts {
        let path = repository.path(chart);
        let before = text(&path);
        fs::write(&path, "<svg/>").expect("write");
        let said = error(&repository.tables(&["--check"]));
        assert!(said.contains(chart), "{said}");
        fs::write(&path, before).expect("write");
    }
    assert!(repository.tables(&["--check"]).status.success());

    // Without its figures a chart is of nobody knows what.
    for name in ["rate", "scale"] {
        let taken = repository.path(&format!("benches/taken/{name}.json"));
        fs::remove_file(taken).expect("it was taken");
    }
    assert!(repository.take_all().status.success());
    for chart in charts {
        assert!(!repository.path(chart).exists(), "{chart}");
    }
    let benches = text(&repository.path("benches/README.md"));
    assert!(!benches.contains(".svg"), "{benches}");
    fs::write(repository.path(charts[0]), "<svg/>").expect("write");
    let said = error(&repository.tables(&["--check"]));
    assert!(said.contains(charts[0]), "{said}");
}

/// What a soak prints, with `start` in its first line.
fn soak_lines(mut start: Value) -> Vec<Value> {
    start["kind"] = "start".into();
    start["seed"] = 7.into();
    start["planned_seconds"] = 3600.0.into();
    let state = |kind: &str, seconds: f64, resident: u64| {
        json!({
            "kind": kind, "seconds": seconds, "resident_bytes": resident << 20,
            "heap_bytes": 3 << 20, "descriptors": 40, "tasks": 0, "slots": 450, "connections_ended": 5000,
            "slots_in_use": if kind == "rest" { 0 } else { 61 }, "messages": 1000, "bytes": 2000,
        })
    };
    let (first, last) = (state("rest", 60.0, 100), state("rest", 3601.0, 110));
    let result = json!({
        "kind": "result", "passed": true, "seed": 7, "seconds": 3601.0, "drivers": ["uring", "epoll"],
        "messages": 123_456_789, "bytes": 2000, "connections": 5000, "key_updates": 12, "rests": 2,
        "by_kind": { "churn": 4000, "cut": 700, "give-up": 300 },
        "first_rest": first.clone(), "last_rest": last.clone(),
        "settled_rest": { "heap_bytes": (3 << 20) - 8000, "connections_ended": 1000 },
    });
    vec![start, first, state("state", 65.0, 150), last, result]
}

/// Keeps what a soak has printed.
fn keep_soak(repository: &Repository, lines: &[Value]) -> Output {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    repository.write("benches/printed", &lines.join("\n"));
    let [kept, printed] = ["benches/results/soak.json", "benches/printed"].map(|name| {
        repository
            .path(name)
            .to_str()
            .expect("a plain path")
            .to_owned()
    });
    run(&["record", &*kept, "--", "cat", &printed])
}

#[test]
fn a_soak_is_told_and_drawn_and_any_difference_is_noticed() {
    let repository = Repository::new();
    let document = repository.path("benches/README.md");
    assert!(repository.tables(&[]).status.success());
    let none = text(&document);
    assert!(
        none.contains("Nobody has kept the result of a soak yet."),
        "{none}"
    );
    assert!(!repository.path("benches/soak.svg").exists());

    let lines = soak_lines(envelope(json!({ "kernel": "6.18" })));
    let output = keep_soak(&repository, &lines);
    assert!(output.status.success(), "{output:?}");
    let said = error(&repository.tables(&["--check"]));
    assert!(
        said.contains("benches/README.md") && said.contains("benches/soak.svg"),
        "{said}"
    );
    assert!(repository.tables(&[]).status.success());
    let told = text(&document);
    for part in [
        "commit 0123456",
        "Made-up CPU (AVX-512 with IFMA)",
        "; native aes-256-gcm by aws-lc-rs; commit",
        "| duration | 60.0 minutes |",
        "| connections | 5 000: 4 000 churn, 700 cut, 300 give-up |",
        "| cuts | 700 by a relay, 300 by an end that gave up |",
        "| messages, each byte checked | 123 456 789 |",
        "| resident memory | 150.0 MiB at most; 100.0 MiB at the first rest, 110.0 MiB at the last |",
        "| slots in use | 61 of 450 at most; 0 at the first rest, 0 at the last |",
        "3.0 MiB at the last; +2.0 bytes for each connection after a third of the time |",
        "| descriptors | 40 at most; 40 at the first rest, 40 at the last |",
        "| mistakes | none |",
        "![a soak over time](soak.svg)",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let chart = text(&repository.path("benches/soak.svg"));
    assert!(chart.contains("Soak of 60.0 minutes, seed 7") && chart.contains("resident, at rest"));
    assert!(repository.tables(&["--check"]).status.success());
    let kept = repository.path("benches/results/soak.json");
    fs::write(&kept, text(&kept).replace("123456789", "123456788")).expect("write");
    let said = error(&repository.tables(&["--check"]));
    assert!(said.contains("do not say the same"), "{said}");

    // Of another commit, and still no reason to refuse the figures of a processor.
    let mut figures = streams();
    figures["commit"] = json!("fedcba9876");
    repository.take("streams", &figures);
    assert!(repository.take_all().status.success());
    repository.take("soak", &figures);
    let said = error(&repository.take_all());
    assert!(said.contains("kept by itself"), "{said}");
}

#[test]
fn a_soak_of_which_too_little_is_known_is_not_kept_or_told() {
    let repository = Repository::new();
    let silent = soak_lines(json!({ "processor": "of another machine" }));
    let said = error(&keep_soak(&repository, &silent));
    assert!(said.contains("does not say what it is of"), "{said}");
    assert!(!repository.path("benches/results/soak.json").exists());
    let mut failed = soak_lines(envelope(json!({})));
    failed[4]["passed"] = json!(false);
    let mut changed = soak_lines(envelope(json!({})));
    changed[0]["is_dirty"] = json!(true);
    for (lines, said) in [(failed, "that has passed"), (changed, "no commit has")] {
        assert!(keep_soak(&repository, &lines).status.success());
        let error = error(&repository.tables(&[]));
        assert!(error.contains(said), "{error}");
        assert!(text(&repository.path("benches/README.md")).contains("old text"));
    }
}

#[test]
fn floods_are_two_tables_that_say_which_core_ran_what() {
    let repository = Repository::new();
    let spread = json!({ "median": 950.0, "least": 900.0, "most": 1000.0 });
    let floods = json!({
        "placement": "Everybody has a core.",
        "rows": [{
            "what": "garbage first byte", "wire": "native", "asked_a_second": 1000,
            "came_a_second": spread, "messages_a_second": spread, "ratio": spread,
            "dial_median_ms": 1.5, "dial_worst_ms": 3.0, "dials": 40, "dials_failed": 0,
            "strangers_percent_of_a_core": null,
        }],
        "prices": [{
            "what": "garbage first byte", "wire": "native", "refused_a_second": spread,
            "server_us_each": spread, "stranger_us_each": spread,
        }],
        "spread": [{ "what": "5 connections", "of_each_thread": "2, 1, 1, 1" }],
    });
    repository.take("floods", &envelope(floods.clone()));
    let output = repository.take_all();
    assert!(output.status.success(), "{output:?}");
    let benches = text(&repository.path("benches/README.md"));
    let spread = "950.0 (900.0 to 1 000)";
    for said in [
        "Everybody has a core.\n",
        "| what | wire | asked a second | came a second | messages a second | ratio |",
        &format!("| garbage first byte | native | 1 000 | {spread} | {spread} | {spread} | 1.50 |"),
        &format!("| garbage first byte | native | {spread} | {spread} | {spread} |"),
        "| 5 connections | 2, 1, 1, 1 |",
    ] {
        assert!(benches.contains(said), "{said}: {benches}");
    }
    for missing in ["placement", "prices", "spread"] {
        let mut less = floods.clone();
        less[missing] = Value::Null;
        repository.take("floods", &envelope(less));
        let said = error(&repository.take_all());
        assert!(said.contains("floods"), "{said}");
    }
}

type Change = fn(&mut Value);

#[test]
fn figures_that_do_not_belong_together_change_nothing() {
    let changes: [(&str, Change); 4] = [
        ("same commit", |figures| figures["commit"] = json!("fedcba")),
        ("same processor", |figures| {
            figures["processor"] = json!("Other")
        }),
        ("no commit has", |figures| figures["is_dirty"] = json!(true)),
        ("no known commit", |figures| figures["commit"] = Value::Null),
    ];
    for (said, change) in changes {
        let repository = Repository::new();
        let mut handshakes = streams();
        change(&mut handshakes);
        repository.take("handshakes", &handshakes);
        let error = error(&repository.take_all());
        assert!(error.contains(said), "{error}");
        assert!(text(&repository.path("README.md")).contains("old text"));
        assert!(!repository.path("benches/results").exists());
    }
}

#[test]
fn half_a_set_of_figures_changes_nothing() {
    let repository = Repository::new();
    let mut half = streams();
    let rows = half["rows"].as_array_mut().expect("rows");
    rows.retain(|row| row["peer"] != "tonic TLS AES-256-GCM");
    repository.take("streams", &half);
    let error = error(&repository.take_all());
    assert!(
        error.contains("tonic TLS AES-256-GCM was not measured"),
        "{error}"
    );
    assert!(text(&repository.path("README.md")).contains("old text"));
    assert!(!repository.path("benches/results").exists());
}

#[test]
fn processors_stand_side_by_side_when_they_ran_the_same_commit() {
    let repository = Repository::new();
    assert!(repository.take_all().status.success());
    let unseen = "on processors without AVX-512.";
    assert!(text(&repository.path("README.md")).contains(unseen));
    let mut other = streams();
    other["processor"] = json!("Another CPU (no AVX-512)");
    repository.take("streams", &other);
    assert!(repository.take_all().status.success());
    let readme = text(&repository.path("README.md"));
    assert!(
        readme.contains("Another CPU (no AVX-512)")
            && readme.contains("Made-up CPU (AVX-512 with IFMA)")
    );
    assert!(!readme.contains(unseen));
    other["processor"] = json!("Third CPU");
    other["commit"] = json!("fedcba9876");
    repository.take("streams", &other);
    let error = error(&repository.take_all());
    assert!(error.contains("are not put beside each other"), "{error}");
    assert_eq!(text(&repository.path("README.md")), readme);
}
