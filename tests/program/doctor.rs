//! `ringseal doctor`, on this host as it is and where it is less kind: under seccomp filters that
//! refuse what containers refuse, under little locked memory, under both, and with nothing left.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use ringseal::protocol::native::{KemLibrary, Library, Suite};
use serde_json::Value;

use crate::runnable_copy::runnable_copy;
use crate::seccomp::{IO_URING, deny};

/// At once: how fast ciphers are matters to one test only.
const QUICK: [&str; 4] = ["doctor", "--json", "--seconds", "0"];

fn doctor(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_ringseal");
    Command::new(program).args(args).output().expect("it runs")
}

/// Runs it with the soft and hard limit set by the flags of `ulimit`, as `user` where the tests
/// run as root, who has no limit on locked memory.
fn doctor_limited(limit: &str, user: u32, args: &[&str]) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    let program = runnable_copy(env!("CARGO_BIN_EXE_ringseal"), directory.path(), "ringseal");
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")])
        .arg(&program)
        .args(args)
        .current_dir("/")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    if rustix::process::geteuid().is_root() {
        command.uid(user).gid(user);
    }
    let child = command.spawn().expect("it starts");
    child.wait_with_output().expect("it ends")
}

/// The report of a run that ended with `code`.
#[track_caller]
fn report(output: &Output, code: i32) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors, "");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{text}");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(repeated_key(&text), None, "{text}");
    assert_eq!(report["exit_code"], code);
    report
}

/// A key that an object of this JSON has twice, which most parsers pass over.
fn repeated_key(json: &str) -> Option<String> {
    let mut objects: Vec<Vec<&str>> = Vec::new();
    let mut rest = json;
    while let Some(at) = rest.find(['{', '}', '"']) {
        let (found, behind) = rest[at..].split_at(1);
        rest = behind;
        match found {
            "{" => objects.push(Vec::new()),
            "}" => drop(objects.pop()),
            _ => {
                let mut is_escaped = false;
                let end = behind.find(|c| {
                    let is_end = c == '"' && !is_escaped;
                    is_escaped = c == '\\' && !is_escaped;
                    is_end
                });
                let (text, behind) = behind.split_at(end.expect("a closing quote"));
                rest = &behind[1..];
                if rest.trim_start().starts_with(':') {
                    let keys = objects.last_mut().expect("an object");
                    if keys.contains(&text) {
                        return Some(text.to_owned());
                    }
                    keys.push(text);
                }
            }
        }
    }
    None
}

#[test]
fn a_repeated_key_is_found_where_it_is_one() {
    let unique = r#"{"a":{"a":"\\"},"b":[{"a":"b:\""},{"a":1}]}"#;
    assert_eq!(repeated_key(unique), None);
    let repeated = r#"{"a":{"b":"}","c":"\"","b":1}}"#;
    assert_eq!(repeated_key(repeated).as_deref(), Some("b"));
}

/// The fixes of the one problem whose description has all of `parts`.
#[track_caller]
fn fixes(report: &Value, parts: &[&str]) -> String {
    let problems = report["problems"].as_array().expect("a list");
    let mut found = problems.iter().filter(|problem| {
        let what = problem["what"].as_str().expect("a description");
        parts.iter().all(|part| what.contains(part))
    });
    let problem = found.next().unwrap_or_else(|| panic!("none: {report:#}"));
    assert!(found.next().is_none(), "{report:#}");
    problem["fixes"].to_string()
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn the_fast_path_is_here_and_everything_is_told_in_words() {
    let output = doctor(&["doctor"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    contains(
        &text,
        &[
            "Linux ",
            "io_uring_setup yes",
            "io_uring_enter yes",
            "io_uring_register yes",
            "READ_FIXED yes",
            "ASYNC_CANCEL yes",
            "SINGLE_ISSUER ",
            "kernel.io_uring_disabled ",
            "seccomp ",
            "needed 2818048 bytes",
            "huge pages ",
            "processors ",
            "chacha20poly1305 seals ",
            "tcp_wmem ",
            "uring, with registered slots",
        ],
    );
    assert!(!text.contains("problem"), "{text}");
}

#[test]
fn the_report_has_every_key_in_json() {
    let report = report(&doctor(&["doctor", "--json", "--seconds", "0.05"]), 0);
    let keys: Vec<_> = report.as_object().expect("an object").keys().collect();
    let expected = [
        "auto",
        "cipher",
        "exit_code",
        "hints",
        "huge_pages",
        "io_uring",
        "kernel",
        "locked_memory",
        "native",
        "problems",
        "processors",
        "seccomp",
        "tcp_buffers",
    ];
    assert_eq!(keys, expected);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("procfs");
    assert_eq!(report["kernel"]["release"], release.trim());
    for operation in [
        "NOP",
        "READ_FIXED",
        "RECV",
        "SEND",
        "POLL_ADD",
        "ASYNC_CANCEL",
    ] {
        assert_eq!(report["io_uring"]["operations"][operation], true);
    }
    let flags = report["io_uring"]["setup_flags"]
        .as_object()
        .expect("flags");
    assert_eq!(flags.len(), 5);
    assert!(flags.values().all(Value::is_boolean), "{flags:?}");
    let cipher = &report["cipher"];
    let rates = cipher["sealed_bytes_per_second"]
        .as_object()
        .expect("rates");
    assert!(rates.contains_key(cipher["in_use"].as_str().expect("a name")));
    assert!(rates.values().all(|rate| rate.as_f64() > Some(0.0)));
    let processors = &report["processors"];
    assert!(processors["allowed_count"].as_u64() >= Some(1));
    assert!(processors["features"].is_object());
    assert_eq!(report["auto"]["backend"], "uring");
    assert_eq!(report["auto"]["registered"], true);
    assert_eq!(report["problems"], serde_json::json!([]));
}

#[test]
fn the_libraries_of_the_native_wire_are_told_with_reasons_and_rates() {
    let report = report(&doctor(&["doctor", "--json", "--seconds", "0.01"]), 0);
    let native = &report["native"];
    let suites = native["suites"].as_object().expect("suites");
    assert!(suites.contains_key(native["dialed_suite"].as_str().expect("a name")));
    for suite in Suite::ALL {
        let found = &suites[suite.name()];
        let library = Library::for_suite(suite).name(suite);
        assert_eq!(found["library"], library);
        assert!(found["reason"].as_str() > Some(""), "{found}");
        let rates = found["sealed_bytes_per_second"].as_object().expect("rates");
        assert_eq!(rates.len(), Library::BUILT.len(), "{found}");
        assert!(rates.contains_key(library), "{found}");
        assert!(rates.values().all(|rate| rate.as_f64() > Some(0.0)));
    }
    assert_eq!(native["ml_kem_768"], KemLibrary::default().name());
    if cfg!(target_arch = "x86_64") {
        for feature in ["vaes", "avx512f", "aes"] {
            let is_here = &report["processors"]["features"][feature];
            assert!(is_here.is_boolean() && native["features"][feature] == *is_here);
        }
    }
    let text = doctor(&["doctor", "--seconds", "0.01"]).stdout;
    let text = String::from_utf8(text).expect("text");
    for suite in Suite::ALL {
        let library = Library::for_suite(suite).name(suite);
        contains(&text, &[&format!("{suite} is sealed by {library}: ")]);
        for library in Library::BUILT {
            contains(&text, &[&format!("  {} seals ", library.name(suite))]);
        }
    }
    contains(&text, &["vaes ", "avx512f "]);
}

// HAZARDS S1.
#[test]
fn a_filter_that_refuses_io_uring_is_named_with_the_way_out() {
    for (errno, name, words) in [
        (libc::EPERM, "EPERM", "is denied"),
        (libc::ENOSYS, "ENOSYS", "is not available"),
    ] {
        let output = deny(&IO_URING, errno, || doctor(&QUICK));
        let report = report(&output, 1);
        assert_eq!(report["auto"]["backend"], "epoll");
        let reason = report["auto"]["reason"].as_str().expect("a reason");
        contains(reason, &["io_uring_setup", words]);
        assert_eq!(report["seccomp"]["mode"], 2);
        for (_, call) in report["io_uring"]["calls"].as_object().expect("calls") {
            assert_eq!(call["is_allowed"], false);
        }
        assert!(report["io_uring"]["operations"]["RECV"].is_null());
        let calls = "io_uring_setup, io_uring_enter, io_uring_register";
        let fixes = fixes(&report, &["seccomp", calls, name]);
        contains(
            &fixes,
            &[
                "docker run --security-opt seccomp=profile.json",
                "SCMP_ACT_ALLOW",
            ],
        );
        assert!(!fixes.contains("unconfined"), "{fixes}");
    }
}

// HAZARDS S1.
#[test]
fn each_of_the_three_calls_is_found_when_it_alone_is_refused() {
    for (call, name) in
        IO_URING
            .into_iter()
            .zip(["io_uring_setup", "io_uring_enter", "io_uring_register"])
    {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let report = report(&deny(&[call], errno, || doctor(&QUICK)), 1);
            let calls = report["io_uring"]["calls"].as_object().expect("calls");
            for (other, answer) in calls {
                assert_eq!(answer["is_allowed"], other != name, "{report:#}");
            }
            assert_eq!(report["auto"]["backend"], "epoll");
            fixes(&report, &[&format!("seccomp filter refuses {name} (")]);
        }
    }
}

// HAZARDS S1.
#[test]
fn a_refusal_is_told_in_words() {
    let output = deny(&IO_URING, libc::EPERM, || {
        doctor(&["doctor", "--seconds", "0"])
    });
    assert_eq!(output.status.code(), Some(1));
    contains(
        &String::from_utf8(output.stdout).expect("text"),
        &[
            "io_uring_setup no: io_uring_setup is denied",
            "NOP unknown",
            "mode 2 (filter), 1 filters",
            "epoll, because io_uring_setup is denied",
            "\nproblem: a seccomp filter refuses",
            "\n  fix: Docker, Podman: docker run --security-opt seccomp=profile.json",
        ],
    );
}

// HAZARDS S2.
#[test]
fn too_little_locked_memory_is_named_with_the_way_out() {
    for (kibibytes, user) in [(0, 61_201), (64, 61_202)] {
        let limit = format!("-l {kibibytes}");
        let report = report(&doctor_limited(&limit, user, &QUICK), 1);
        let memory = &report["locked_memory"];
        assert_eq!(memory["soft_limit"], kibibytes * 1024);
        assert_eq!(memory["hard_limit"], kibibytes * 1024);
        assert_eq!(memory["needed"], 2_785_280 + 32 * 1024);
        assert_eq!(report["auto"]["backend"], "epoll");
        let reason = report["auto"]["reason"].as_str().expect("a reason");
        contains(reason, &["RLIMIT_MEMLOCK"]);
        for (_, call) in report["io_uring"]["calls"].as_object().expect("calls") {
            let refusal = call["refusal"].as_str().unwrap_or("RLIMIT_MEMLOCK");
            contains(refusal, &["RLIMIT_MEMLOCK"]);
        }
        let limit = format!("the soft limit is {} bytes", kibibytes * 1024);
        let fixes = fixes(&report, &["RLIMIT_MEMLOCK", "2818048 bytes", &limit]);
        contains(
            &fixes,
            &[
                "docker run --ulimit memlock=16777216:16777216",
                "LimitMEMLOCK=16777216",
                "prlimit --pid $$ --memlock=16777216:16777216",
            ],
        );
        assert!(!fixes.contains("ulimit -S"), "the hard limit is in the way");
        assert_eq!(report["problems"].as_array().map(Vec::len), Some(1));
    }
}

// HAZARDS S2.
#[test]
fn a_soft_limit_is_raised_without_privileges() {
    let report = report(&doctor_limited("-S -l 64", 61_203, &QUICK), 1);
    let hard = report["locked_memory"]["hard_limit"].as_u64();
    let fixes = fixes(&report, &["RLIMIT_MEMLOCK"]);
    let is_offered = fixes.contains("ulimit -S -l 16384");
    assert_eq!(is_offered, hard.is_none_or(|hard| hard >= 16 << 20));
}

// HAZARDS S1, S2.
#[test]
fn both_at_once_are_two_problems() {
    for (errno, name) in [(libc::EPERM, "EPERM"), (libc::ENOSYS, "ENOSYS")] {
        let output = deny(&IO_URING, errno, || doctor_limited("-l 64", 61_204, &QUICK));
        let report = report(&output, 1);
        assert_eq!(report["auto"]["backend"], "epoll");
        let seccomp = fixes(&report, &["seccomp filter refuses io_uring_setup", name]);
        contains(&seccomp, &["--security-opt seccomp=profile.json"]);
        let memory = fixes(&report, &["RLIMIT_MEMLOCK", "65536 bytes"]);
        contains(&memory, &["--ulimit memlock=16777216:16777216"]);
        assert_eq!(report["problems"].as_array().map(Vec::len), Some(2));
    }
}

#[test]
fn without_epoll_either_nothing_works() {
    let output = deny(&IO_URING, libc::EPERM, || {
        deny(&[libc::SYS_epoll_create1], libc::ENOSYS, || doctor(&QUICK))
    });
    let report = report(&output, 2);
    assert!(report["auto"]["backend"].is_null());
    assert_eq!(report["seccomp"]["filters"], 2);
    fixes(&report, &["seccomp filter refuses io_uring_setup"]);
    let fixes = fixes(&report, &["epoll_create1 is refused as well"]);
    contains(&fixes, &["allow epoll_create1, epoll_ctl and epoll_wait"]);
}

// HAZARDS S12.
#[test]
fn without_memory_for_the_slots_nothing_works() {
    // Refuses mappings as large as the slots, and lets the program itself be loaded.
    let too_little = (1..200)
        .map(|mebibytes| format!("-v {}", mebibytes * 1024))
        .map(|limit| doctor_limited(&limit, 61_205, &QUICK))
        .find(|output| output.status.code() == Some(2))
        .expect("some limit lets it start and no more");
    let report = report(&too_little, 2);
    let fixes = fixes(&report, &["2785280 bytes, can't be mapped"]);
    contains(&fixes, &["ulimit -v unlimited", "docker run --memory"]);
}

#[test]
fn exit_codes_are_in_the_help() {
    let output = doctor(&["doctor", "--help"]);
    let text = String::from_utf8(output.stdout).expect("text");
    contains(
        &text,
        &[
            "Exit codes:",
            "0  the fast path",
            "1  the fallback",
            "2  nothing works",
        ],
    );
}
