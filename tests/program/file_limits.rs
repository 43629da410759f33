//! Files that may not grow any more (`ulimit -f`, `LimitFSIZE=`).

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::harness::{Pair, Program, stop, text};

/// Becomes the program, whose files may have no more than so many blocks, with its standard output or
/// its standard error in one.
const OUTPUT: &str = "ulimit -f \"$0\" && exec >\"$1\" && shift && exec \"$@\"";
const ERRORS: &str = "ulimit -f \"$0\" && exec 2>\"$1\" && shift && exec \"$@\"";

fn limited(script: &str, blocks: &str, file: &Path, args: &[&str]) -> Program {
    let program = env!("CARGO_BIN_EXE_ringseal");
    let args = [&["-c", script, blocks, text(file), program], args].concat();
    Program::start_program("sh", &args, |_| {})
}

#[test]
fn a_key_file_that_may_not_be_written_is_not_left_behind() {
    let pair = Pair::new();
    let (key, errors) = (
        pair.directory.path().join("key"),
        pair.directory.path().join("errors"),
    );
    let ended = limited(OUTPUT, "0", &errors, &["keygen", "--out", text(&key)]).wait();
    ended.expect_failure(&["cannot write", text(&key), "File too large"]);
    assert!(!key.exists());
}

#[test]
fn standard_output_that_may_not_grow_is_an_error_as_a_full_disk_is() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--mode", "echo"]);
    let file = pair.directory.path().join("output");
    let mut args = vec!["dial", &address, "--identity", text(&pair.alice.file)];
    args.extend(["--peer", &pair.bob.public, "--namespace", "test"]);
    let mut dialer = limited(OUTPUT, "2", &file, &args);
    let lines = "0123456789\n".repeat(1000);
    // It may end before it has read all.
    let _ = dialer
        .input
        .take()
        .expect("piped")
        .write_all(lines.as_bytes());
    let ended = dialer.wait();
    ended.expect_failure(&["cannot write to standard output", "File too large"]);
    let ended = stop(listener);
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
}

// HAZARDS F5: strangers cause as many lines as they like.
#[test]
fn a_log_that_may_not_grow_ends_no_listener() {
    let pair = Pair::new();
    let file = pair.directory.path().join("log");
    let mut args = vec!["listen", "127.0.0.1:0", "--identity", text(&pair.bob.file)];
    args.extend(["--namespace", "test", "--mode", "echo"]);
    args.extend(["--allow", &pair.alice.public]);
    let listener = limited(ERRORS, "1", &file, &args);
    let first = listener.next_line();
    let address = first.strip_prefix("listening on ").expect("an address");
    // In a second ten lines are printed, which are longer than a block together.
    for _ in 0..10 {
        let mut stranger = TcpStream::connect(address).expect("connect");
        stranger.write_all(&[b'?'; 2000]).expect("write");
        // It closes the connection.
        let _ = stranger.read(&mut [0]);
    }
    let mut dialer = pair.dial(address, &[]);
    dialer.type_line("hello");
    assert_eq!(dialer.next_line(), "hello");
    dialer.end_input();
    dialer.wait().expect_success();
    assert_eq!(stop(listener).status.code(), Some(0));
    let length = fs::metadata(&file).expect("a log").len();
    assert!((512..=1024).contains(&length), "{length}");
}
