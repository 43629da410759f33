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
const REGIONS: [&str; 8] = [
    "native",
    "commonware",
    "all",
    "idle connections",
    "native records",
    "rate",
    "scale",
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
