//! Standard streams that do not block, since whoever has them open as well has set them so.

use std::io::{self, BufRead, BufReader, Write};
use std::thread;
use std::time::Duration;

use rustix::io::{ioctl_fionbio, ioctl_fionread};

use crate::harness::{Pair, eventually, stop};

/// More than a pipe holds.
const LINES: usize = 2000;
const LENGTH: usize = 100;

#[test]
fn standard_output_that_does_not_block_is_waited_for() {
    let pair = Pair::new();
    let (reader, writer) = io::pipe().expect("a pipe");
    ioctl_fionbio(&writer, true).expect("set");
    let name = format!("unix:@{}", pair.bob.public);
    let listener = pair.listen_with(&name, &[], |command| {
        command.stdout(writer);
    });
    let mut dialer = pair.dial(&name, &[]);
    for index in 0..LINES {
        dialer.type_line(&format!("{index:0>LENGTH$}"));
    }
    eventually("the pipe is full", || {
        ioctl_fionread(&reader).expect("a pipe") > 32 * 1024
    });
    let lines = BufReader::new(reader)
        .lines()
        .map(|line| line.expect("text"));
    // The address comes first.
    for (index, line) in lines.skip(1).take(LINES).enumerate() {
        assert_eq!(line, format!("{index:0>LENGTH$}"));
    }
    dialer.end_input();
    dialer.wait().expect_success();
    stop(listener).expect_success();
}

#[test]
fn standard_input_that_does_not_block_is_waited_for() {
    let pair = Pair::new();
    let (reader, mut writer) = io::pipe().expect("a pipe");
    ioctl_fionbio(&reader, true).expect("set");
    let (listener, address) = pair.listen(&["--mode", "echo"]);
    let dialer = pair.dial_with(&address, &[], |command| {
        command.stdin(reader);
    });
    for line in ["one", "two"] {
        // It has read all that there is, and more comes.
        thread::sleep(Duration::from_millis(100));
        writeln!(writer, "{line}").expect("it reads");
        assert_eq!(dialer.next_line(), line);
    }
    drop(writer);
    dialer.wait().expect_success();
    stop(listener).expect_success();
}
