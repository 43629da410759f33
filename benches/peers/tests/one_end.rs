//! The two ends of a stream in processes of their own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ringseal-peers");

/// Ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))
}

fn streams(name: &str) {
    let mut listener = Process(
        Command::new(PROGRAM)
            .args(["listen", "127.0.0.1:0", name])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program is there"),
    );
    let output = listener.0.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(output)
        .lines()
        .map(|line| line.expect("text"));
    let listening = json(&lines.next().expect("an address"));
    let address = listening["listening"].as_str().expect("an address");
    let dialer = Command::new(PROGRAM)
        .args(["dial", address, name, "1000", "0.05"])
        .output()
        .expect("the program is there");
    assert!(dialer.status.success(), "{name}: {dialer:?}");
    let dialed = json(String::from_utf8_lossy(&dialer.stdout).trim());
    let listened = json(&lines.next().expect("figures"));
    assert!(listener.0.wait().expect("it ends").success(), "{name}");
    let messages = listened["messages"].as_u64().expect("a count");
    assert!(messages > 0, "{name}");
    assert_eq!(listened["bytes"], messages * 1000, "{name}");
    for seconds in [
        &listened["seconds"],
        &listened["cpu_seconds"],
        &dialed["cpu_seconds"],
    ] {
        assert!(seconds.as_f64().expect("a time") > 0.0, "{name}");
    }
}

#[test]
fn ringseal_streams_between_processes() {
    for name in [
        "ringseal V1",
        "ringseal on epoll V1",
        "ringseal on tokio-uring V1",
    ] {
        streams(name);
    }
}

#[test]
fn commonware_streams_between_processes() {
    for name in ["commonware tokio V1", "commonware io_uring V1"] {
        streams(name);
    }
}

#[test]
fn what_has_no_ends_or_no_such_name_is_refused() {
    for name in ["plain TCP tokio", "nobody"] {
        let output = Command::new(PROGRAM)
            .args(["listen", "127.0.0.1:0", name])
            .output()
            .expect("the program is there");
        assert!(!output.status.success(), "{name}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(name));
    }
}
