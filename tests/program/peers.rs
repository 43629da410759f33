//! Peers that do not read, and peers that have gone: nobody else pays for them.

use std::fs;
use std::io::{BufRead, BufReader, PipeReader, Write};
use std::process::ChildStdin;
use std::thread;

use ringseal::{Config, Runtime};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use crate::harness::{Pair, Program, eventually, full_pipe, json, number_before, stop};

/// A dialer whose standard output nobody reads, fed with lines until it takes no more.
struct Stuck {
    /// Killed when this is dropped.
    _program: Program,
    /// The other end of its standard output.
    _output: PipeReader,
    input: ChildStdin,
}

impl Stuck {
    fn start(pair: &Pair, address: &str) -> Self {
        let (output, writer) = full_pipe();
        let mut program = pair.dial_with(address, &[], |command| {
            command.stdout(writer);
        });
        let input = program.input.take().expect("piped");
        Self {
            _program: program,
            _output: output,
            input,
        }
    }

    /// Feeds it until it has taken nothing for a second.
    fn feed(&mut self) {
        let lines = b"y\n".repeat(512);
        rustix::io::ioctl_fionbio(&self.input, true).expect("a pipe");
        loop {
            let mut wait = [PollFd::new(&self.input, PollFlags::OUT)];
            let second = Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            };
            if poll(&mut wait, Some(&second)).expect("poll") == 0 {
                return;
            }
            let _ = self.input.write(&lines);
        }
    }
}

// HAZARDS F3.
#[test]
fn four_peers_that_do_not_read_their_echoes_stop_nobody_else() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--mode", "echo"]);
    let mut stuck: Vec<_> = (0..4).map(|_| Stuck::start(&pair, &address)).collect();
    thread::scope(|scope| {
        for one in &mut stuck {
            scope.spawn(|| one.feed());
        }
    });
    let ping = pair.dial(&address, &["--ping", "--seconds", "0.5", "--json"]);
    let output = ping.wait().expect_success();
    assert!(
        json(&output[0])["round_trips"].as_u64() > Some(0),
        "{output:?}"
    );
    drop(stuck);
    stop(listener);
}

// HAZARDS F5: one after the other, they held up the last for 40 seconds.
#[test]
fn eight_peers_that_do_not_read_hold_up_no_line_for_the_ninth() {
    let pair = Pair::new();
    let name = format!("unix:@{}", pair.bob.public);
    let (mut listener, address) = pair.listen_on(&name, &[]);
    let mut dialers: Vec<_> = (0..9).map(|_| pair.dial(&address, &[])).collect();
    for dialer in &mut dialers {
        dialer.type_line("here");
        assert_eq!(listener.next_line(), "here");
    }
    let reads = dialers.pop().expect("nine");
    for dialer in &dialers {
        dialer.signal(Signal::STOP);
    }
    let mut input = listener.input.take().expect("piped");
    let lines: Vec<_> = (0..500).map(|n| format!("{n:0>50000}")).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for line in &lines {
                writeln!(input, "{line}").expect("it is read");
            }
        });
        for line in &lines {
            assert!(reads.next_line() == *line, "another line");
        }
    });
    // Those who lagged behind for too much were dropped, with a count.
    for _ in &dialers {
        let line = listener.next_error();
        assert!(line.contains("typed lines were not sent to it"), "{line}");
    }
    drop(dialers);
    stop(listener);
}

/// How many sockets a process has open.
fn sockets(program: &Program) -> usize {
    let directory = format!("/proc/{}/fd", program.child.id());
    fs::read_dir(directory)
        .expect("its descriptors")
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

// HAZARDS F5: what has ended gives its descriptor back, whoever reads the figures.
#[test]
fn ended_connections_give_their_descriptors_back_while_nobody_reads_the_output() {
    for mode in ["sink", "print"] {
        let pair = Pair::new();
        let address = format!("unix:@{}", pair.bob.public);
        let (reader, writer) = full_pipe();
        let mut listener = pair.listen_with(&address, &["--mode", mode], |command| {
            command.stdout(writer);
        });
        listener.end_input();
        let before = sockets(&listener);
        let config = Config::new(pair.alice.identity(), "test");
        let bob = pair.bob.identity().public_key();
        let runtime = Runtime::builder().build().expect("a runtime");
        runtime.block_on(async {
            for _ in 0..200 {
                let dialed = ringseal::dial(&*address, bob, &config).await;
                let (mut sender, _receiver) = dialed.expect("dial").split();
                sender.send(b"one line").await.expect("send");
                sender.close().await.expect("close");
            }
        });
        eventually("descriptors are back", || sockets(&listener) <= before);
        // Now somebody reads: nothing was lost.
        let lines = BufReader::new(reader)
            .lines()
            .map(|line| line.expect("text"));
        let lines = lines.filter(|line| !line.is_empty());
        let printed: Vec<_> = lines.take(201).collect();
        assert!(printed[0].starts_with("listening on "), "{printed:?}");
        for line in &printed[1..] {
            match mode {
                "print" => assert_eq!(line, "one line"),
                _ => assert_eq!(json(line)["messages"], 1),
            }
        }
        stop(listener).expect_success();
    }
}

/// Has `count` clients send `messages` of `length` bytes, end, and leave.
fn come_and_go(pair: &Pair, address: &str, count: usize, messages: usize, length: usize) {
    let config = Config::new(pair.alice.identity(), "test");
    let bob = pair.bob.identity().public_key();
    let runtime = Runtime::builder().build().expect("a runtime");
    let message = vec![b'x'; length];
    runtime.block_on(async {
        for _ in 0..count {
            let dialed = ringseal::dial(address, bob, &config).await;
            let (mut sender, _receiver) = dialed.expect("dial").split();
            for _ in 0..messages {
                sender.send(&message).await.expect("send");
            }
            sender.close().await.expect("close");
        }
    });
}

// HAZARDS F5: the queue of standard output is full, and what is kept besides as well.
#[test]
fn ended_connections_give_their_descriptors_back_when_no_line_has_room() {
    for (count, messages, length) in [(400, 1, 60_000), (450, 4, 15_000)] {
        let pair = Pair::new();
        let address = format!("unix:@{}", pair.bob.public);
        let (reader, writer) = full_pipe();
        let more = ["--drain-timeout", "0.3"];
        let mut listener = pair.listen_with(&address, &more, |command| {
            command.stdout(writer);
        });
        listener.end_input();
        let before = sockets(&listener);
        come_and_go(&pair, &address, count, messages, length);
        // Those with several messages are read to their end as far as there is memory for that.
        let kept = if messages == 1 { 0 } else { count / 2 };
        eventually("descriptors are back", || {
            sockets(&listener) <= before + kept
        });
        listener.signal(Signal::TERM);
        let ended = listener.wait();
        let text = ended.errors.join("\n");
        assert_eq!(ended.status.code(), Some(1), "{text}");
        let lost = number_before(&text, " lines were not printed");
        if messages == 1 {
            // The address is one of them.
            assert_eq!(lost, Some(count + 1), "{text}");
        }
        assert!(lost.is_some(), "{text}");
        drop(reader);
    }
}

// HAZARDS F5: what waits without a descriptor is printed once somebody reads.
#[test]
fn lines_of_ended_connections_wait_beyond_the_queue_and_come() {
    let pair = Pair::new();
    let address = format!("unix:@{}", pair.bob.public);
    let (reader, writer) = full_pipe();
    let mut listener = pair.listen_with(&address, &[], |command| {
        command.stdout(writer);
    });
    listener.end_input();
    let before = sockets(&listener);
    come_and_go(&pair, &address, 70, 3, 20_000);
    eventually("descriptors are back", || sockets(&listener) <= before);
    let lines = BufReader::new(reader)
        .lines()
        .map(|line| line.expect("text"));
    let lines = lines.filter(|line| !line.is_empty());
    let printed = lines.skip(1).take(210);
    assert_eq!(printed.filter(|line| line.len() == 20_000).count(), 210);
    stop(listener).expect_success();
}
