//! A file of keys, read at the start and again at SIGHUP.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::activation::Manager;
use crate::harness::{Key, Pair, Program, eventually, keygen, run, stop, text};

fn write(pair: &Pair, content: &str) -> PathBuf {
    let file = pair.directory.path().join("keys");
    fs::write(&file, content).expect("write");
    file
}

/// Bob listens for those in the file.
fn listen(pair: &Pair, manager: &Manager, file: &Path, more: &[&str]) -> (Program, String) {
    let more = [&["--mode", "echo", "--allow-file", text(file)], more].concat();
    let (program, address) = pair.listen_set("127.0.0.1:0", &more, |command| {
        command.env("NOTIFY_SOCKET", manager.path());
    });
    assert_eq!(manager.next(), "READY=1\n");
    (program, address)
}

/// Has the file read again, and waits until it was.
fn reload(listener: &Program, manager: &Manager) {
    listener.signal(Signal::HUP);
    let told = manager.next();
    let time = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    let time = time.unwrap_or_else(|| panic!("{told:?}")).trim_end();
    assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{told:?}");
    assert_eq!(manager.next(), "READY=1\n");
}

fn dial(pair: &Pair, address: &str, key: &Key) -> Program {
    let mut args = vec!["dial", address, "--identity", text(&key.file)];
    args.extend(["--peer", &pair.bob.public, "--namespace", "test"]);
    Program::start(&args)
}

/// A connection of `key` that is open and answered.
fn connect(pair: &Pair, address: &str, key: &Key) -> Program {
    let mut dialer = dial(pair, address, key);
    expect_echo(&mut dialer);
    dialer
}

fn expect_echo(dialer: &mut Program) {
    dialer.type_line("hello");
    assert_eq!(dialer.next_line(), "hello");
}

fn expect_refused(pair: &Pair, address: &str, key: &Key) {
    let dialer = dial(pair, address, key);
    dialer
        .wait()
        .expect_failure(&["this end's key is not admitted"]);
}

#[test]
fn a_file_of_keys_is_read_again_at_sighup_and_a_broken_one_changes_nothing() {
    let pair = Pair::new();
    let manager = Manager::new();
    let carol = keygen(&pair.directory, "carol.pem");
    let only_alice = format!("# who may connect\n\n{} alice # first\n", pair.alice.public);
    let file = write(&pair, &only_alice);
    let (listener, address) = listen(&pair, &manager, &file, &[]);
    let mut alice = connect(&pair, &address, &pair.alice);
    expect_refused(&pair, &address, &carol);
    assert!(listener.next_error().contains(&carol.public));

    write(&pair, &format!("{} carol\n", carol.public));
    reload(&listener, &manager);
    let mut inside = connect(&pair, &address, &carol);
    // Who is there goes on, and does not come in again.
    expect_echo(&mut alice);
    expect_refused(&pair, &address, &pair.alice);
    assert!(listener.next_error().contains(&pair.alice.public));

    write(&pair, &format!("{}\n12 mallory\n", pair.alice.public));
    reload(&listener, &manager);
    let line = listener.next_error();
    for part in [text(&file), "line 2", "\"12 mallory\"", "stay as they were"] {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
    fs::remove_file(&file).expect("remove");
    reload(&listener, &manager);
    let line = listener.next_error();
    assert!(
        line.contains("No such file") && line.contains("stay as they were"),
        "{line}"
    );
    drop(connect(&pair, &address, &carol));
    expect_echo(&mut inside);
    drop((alice, inside));
    let ended = stop(listener);
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
}

#[test]
fn connections_of_removed_keys_are_cut_on_demand() {
    let pair = Pair::new();
    let manager = Manager::new();
    let carol = keygen(&pair.directory, "carol.pem");
    let both = format!("{}\n{}\n", pair.alice.public, carol.public);
    let file = write(&pair, &both);
    let (listener, address) = listen(&pair, &manager, &file, &["--drop-removed"]);
    let alices = [(); 3].map(|()| connect(&pair, &address, &pair.alice));
    let mut inside = connect(&pair, &address, &carol);
    write(&pair, "nonsense\n");
    reload(&listener, &manager);
    assert!(listener.next_error().contains("stay as they were"));
    write(&pair, &format!("{}\n", carol.public));
    reload(&listener, &manager);
    for alice in alices {
        assert_eq!(alice.wait().status.code(), Some(1));
        let line = listener.next_error();
        assert!(
            line.contains(&pair.alice.public) && line.contains("does not list its key any more"),
            "{line}"
        );
    }
    expect_echo(&mut inside);
    inside.end_input();
    inside.wait().expect_success();
    stop(listener).expect_success();
}

#[test]
fn many_reloads_under_load_lose_nobody() {
    let pair = Pair::new();
    let manager = Manager::new();
    let file = write(&pair, &format!("{}\n", pair.alice.public));
    let (listener, address) = listen(&pair, &manager, &file, &["--drop-removed"]);
    let mut alice = connect(&pair, &address, &pair.alice);
    for round in 0..20 {
        let others: String = (0..round)
            .map(|seed| {
                let key = ringseal::Identity::from_seed(&[seed; 32]).public_key();
                format!("{key} number {seed}\n")
            })
            .collect();
        write(&pair, &format!("{others}{} alice\n", pair.alice.public));
        reload(&listener, &manager);
        expect_echo(&mut alice);
        drop(connect(&pair, &address, &pair.alice));
    }
    drop(alice);
    let ended = stop(listener);
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
}

#[test]
fn a_broken_file_of_keys_is_refused_at_the_start() {
    let pair = Pair::new();
    let listen = |file: &str, more: &[&str]| {
        let mut args = vec!["listen", "127.0.0.1:0", "--identity", text(&pair.bob.file)];
        args.extend(["--namespace", "test", "--allow-file", file]);
        args.extend(more);
        run(&args)
    };
    let key = &pair.alice.public;
    for (content, parts) in [
        (
            format!("{key} alice\n{key} again\n"),
            ["line 2", "keep one of both"],
        ),
        (
            format!("# keys\n{key}\nssh-rsa AAAA x\n"),
            ["line 3", "ssh-rsa"],
        ),
        (String::new(), ["no key is listed", "write one a line"]),
    ] {
        let file = write(&pair, &content);
        listen(text(&file), &[]).expect_failure(&[text(&file), parts[0], parts[1]]);
    }
    listen("/nowhere/keys", &[]).expect_failure(&["/nowhere/keys", "No such file"]);
    listen(text(&pair.bob.file), &[]).expect_failure(&["line 1", "private key"]);
    let file = write(&pair, key);
    listen(text(&file), &["--allow-any"]).expect_usage_error("cannot be used with");
    listen(text(&file), &["--allow", key]).expect_usage_error("cannot be used with");
    let mut args = vec![
        "listen",
        "127.0.0.1:0",
        "--identity",
        "x",
        "--namespace",
        "x",
    ];
    args.extend(["--allow-any", "--drop-removed"]);
    run(&args).expect_usage_error("cannot be used with");
}

#[test]
fn a_service_manager_that_does_not_read_delays_no_reload() {
    let pair = Pair::new();
    let manager = Manager::new();
    let file = write(&pair, &pair.alice.public);
    let (listener, address) = listen(&pair, &manager, &file, &[]);
    drop(connect(&pair, &address, &pair.alice));
    let carol = keygen(&pair.directory, "carol.pem");
    write(&pair, &carol.public);
    manager.fill();
    listener.signal(Signal::HUP);
    eventually("the file is read again", || {
        let mut dialer = dial(&pair, &address, &pair.alice);
        dialer.end_input();
        let ended = dialer.wait();
        ended
            .errors
            .iter()
            .any(|line| line.contains("not admitted"))
    });
    // In this order, once it reads.
    let mut told = String::new();
    while !told.starts_with("RELOADING=1\n") {
        told = manager.next();
    }
    assert_eq!(manager.next(), "READY=1\n");
    let ended = stop(listener);
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
}

// Clients take all descriptors, and a key has to go.
#[test]
fn a_file_of_keys_is_read_again_while_no_descriptor_is_left() {
    const LIMIT: usize = 40;
    let pair = Pair::new();
    let file = write(&pair, &pair.alice.public);
    let script = "ulimit -n \"$0\" && exec \"$@\"";
    let (limit, program) = (LIMIT.to_string(), env!("CARGO_BIN_EXE_ringseal"));
    let mut args = vec!["-c", script, &limit, program, "listen", "127.0.0.1:0"];
    args.extend(["--identity", text(&pair.bob.file), "--namespace", "test"]);
    args.extend([
        "--mode",
        "echo",
        "--threads",
        "1",
        "--allow-file",
        text(&file),
    ]);
    args.extend(["--handshake-timeout", "600"]);
    let listener = Program::start_program("sh", &args, |command| {
        command.env("RUST_LOG", "warn,ringseal=info");
    });
    let first = listener.next_line();
    let address = first.strip_prefix("listening on ").expect("an address");
    let descriptors = || {
        let directory = format!("/proc/{}/fd", listener.child.id());
        // One that it was started with may be beyond its limit, and takes no place.
        let is_within = |name: &str| name.parse::<usize>().is_ok_and(|number| number < LIMIT);
        let entries = fs::read_dir(directory).expect("its descriptors");
        let names = entries.map(|entry| entry.expect("one").file_name());
        names
            .filter(|name| name.to_str().is_some_and(is_within))
            .count()
    };
    let mut clients = Vec::new();
    while descriptors() < LIMIT {
        // No more than there are descriptors for, so that nobody waits to take the one that is spare.
        let before = descriptors();
        clients.push(TcpStream::connect(address).expect("connect"));
        eventually("a client is accepted", || descriptors() > before);
    }
    write(&pair, &pair.bob.public);
    listener.signal(Signal::HUP);
    let line = loop {
        let line = listener.next_error();
        if line.contains("file of keys") || line.contains("key file") {
            break line;
        }
    };
    assert!(line.contains("was read again"), "{line}");
    drop(clients);
    eventually("there are descriptors", || descriptors() < LIMIT - 8);
    expect_refused(&pair, address, &pair.alice);
    assert_eq!(stop(listener).status.code(), Some(0));
}
