//! What each command does for a person who uses it, and for a script.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketType};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::{Ended, Pair, Program, hex, json, keygen, openssl, run, stop, text};

#[test]
fn each_program_tells_its_own_name_and_version() {
    for (program, name) in [
        (env!("CARGO_BIN_EXE_ringseal"), "ringseal"),
        (env!("CARGO_BIN_EXE_ringseal-bench"), "ringseal-bench"),
    ] {
        let output = Command::new(program).arg("--version").output().unwrap();
        let expected = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}

#[test]
fn generated_key_is_private_and_never_overwritten() {
    let directory = TempDir::new().unwrap();
    let key = keygen(&directory, "key.pem");
    assert_eq!(key.public.len(), 64);
    assert!(key.public.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let mode = fs::metadata(&key.file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let before = fs::read(&key.file).unwrap();
    run(&["keygen", "--out", text(&key.file)]).expect_failure(&["exists", "another name"]);
    assert_eq!(fs::read(&key.file).unwrap(), before);
    let output = run(&["pubkey", text(&key.file)]).expect_success();
    assert_eq!(output, [key.public]);
}

#[test]
fn key_goes_to_standard_output_and_its_public_half_to_standard_error() {
    let directory = TempDir::new().unwrap();
    let ended = run(&["keygen"]);
    assert_eq!(ended.status.code(), Some(0));
    let file = directory.path().join("key.pem");
    fs::write(&file, ended.output.join("\n")).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let output = run(&["pubkey", text(&file)]).expect_success();
    assert_eq!(output, ended.errors);
}

#[test]
fn keys_go_to_openssl_and_come_from_it() {
    let directory = TempDir::new().unwrap();
    let public_of = |file: &Path| {
        let der = openssl(&["pkey", "-in", text(file), "-pubout", "-outform", "DER"]);
        hex(&der[der.len() - 32..])
    };
    let ours = keygen(&directory, "ours.pem");
    assert_eq!(public_of(&ours.file), ours.public);
    let theirs = directory.path().join("theirs.pem");
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", text(&theirs)]);
    fs::set_permissions(&theirs, PermissionsExt::from_mode(0o600)).unwrap();
    let public = run(&["pubkey", text(&theirs)]).expect_success();
    assert_eq!(public, [public_of(&theirs)]);
    let dos = fs::read_to_string(&theirs).unwrap().replace('\n', "\r\n");
    fs::write(&theirs, dos).unwrap();
    let output = run(&["pubkey", text(&theirs)]).expect_success();
    assert_eq!(output, public);
}

#[test]
fn unfit_key_files_are_refused_with_what_to_do() {
    let directory = TempDir::new().unwrap();
    let key = keygen(&directory, "key.pem");
    let pubkey = |file: &Path| run(&["pubkey", text(file)]);
    let write = |name: &str, bytes: &[u8]| {
        let file = directory.path().join(name);
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        file
    };

    // As some editors save it.
    let marked = [b"\xef\xbb\xbf", &*fs::read(&key.file).unwrap()].concat();
    assert_eq!(
        pubkey(&write("marked.pem", &marked)).expect_success(),
        [&*key.public]
    );

    let missing = directory.path().join("missing.pem");
    pubkey(&missing).expect_failure(&["there is no private key", "ringseal keygen --out"]);
    pubkey(directory.path()).expect_failure(&["is a directory"]);
    pubkey(&write("empty", b"")).expect_failure(&["private key is empty", "genpkey"]);
    pubkey(&write("noise", &[0xff; 100])).expect_failure(&["not PEM"]);
    pubkey(&write("long", &[b'x'; 65_537])).expect_failure(&["longer than 65536 bytes"]);
    pubkey(&write("label", b"-----BEGIN \x1b[2J-----\n")).expect_failure(&["PRIVATE KEY"]);

    // Never read in full.
    let sparse = write("sparse", b"");
    let file = fs::OpenOptions::new().write(true).open(&sparse).unwrap();
    file.set_len(1 << 40).unwrap();
    pubkey(&sparse).expect_failure(&["longer than 65536 bytes"]);
    pubkey(Path::new("/dev/zero")).expect_failure(&["longer than 65536 bytes"]);

    let other = write("other.pem", b"");
    openssl(&["genpkey", "-algorithm", "x25519", "-out", text(&other)]);
    pubkey(&other).expect_failure(&["1.3.101.110", "not ed25519"]);
    let locked = write("locked.pem", b"");
    let mut args = vec!["genpkey", "-algorithm", "ed25519", "-aes256"];
    args.extend(["-pass", "pass:x", "-out", text(&locked)]);
    openssl(&args);
    pubkey(&locked).expect_failure(&["encrypted", "openssl pkey"]);

    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&key.file, PermissionsExt::from_mode(mode)).unwrap();
        let advice = format!("chmod 600 {}", key.file.display());
        pubkey(&key.file).expect_failure(&["open to others", &advice]);
    }
}

#[test]
fn a_unix_socket_serves_and_a_dead_one_is_replaced_on_request() {
    let pair = Pair::new();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let wanted = format!("unix:{}", path.display());
    // What std leaves behind is a dead socket.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
    let bob = text(&pair.bob.file);
    let refused = Program::start(&[
        "listen",
        &wanted,
        "--identity",
        bob,
        "--namespace",
        "test",
        "--allow-any",
    ])
    .wait();
    assert_eq!(refused.status.code(), Some(1));
    let advice = refused.errors.join("\n");
    assert!(advice.contains("--replace-dead-socket"), "{advice}");
    let (mut listener, address) =
        pair.listen_on(&wanted, &["--replace-dead-socket", "--socket-mode", "600"]);
    assert_eq!(address, wanted);
    let metadata = fs::metadata(&path).expect("metadata");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let mut dialer = pair.dial(&address, &[]);
    dialer.type_line("hello");
    assert_eq!(listener.next_line(), "hello");
    listener.type_line("and back");
    assert_eq!(dialer.next_line(), "and back");
}

#[test]
fn advice_on_a_path_that_is_taken_fits_what_is_there() {
    let pair = Pair::new();
    let path = pair.directory.path().join("taken");
    let wanted = format!("unix:{}", path.display());
    let mut args = vec!["listen", &wanted, "--identity", text(&pair.bob.file)];
    args.extend(["--namespace", "test", "--allow-any"]);
    let replacing = [&args[..], &["--replace-dead-socket"]].concat();
    fs::write(&path, "").unwrap();
    for args in [&args, &replacing] {
        let ended = run(args);
        let line = ended.errors.join("\n");
        assert!(!line.contains("--replace-dead-socket"), "{line}");
        ended.expect_failure(&[&wanted, "no socket", "another path"]);
    }
    fs::remove_file(&path).unwrap();
    let _listening = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let ended = run(&replacing);
    let line = ended.errors.join("\n");
    assert!(!line.contains("--replace-dead-socket"), "{line}");
    ended.expect_failure(&[&wanted, "somebody listens there", "another path"]);
}

#[test]
fn typed_lines_go_both_ways_and_to_every_peer() {
    let pair = Pair::new();
    let (mut listener, address) = pair.listen(&[]);
    let mut dialers = [pair.dial(&address, &[]), pair.dial(&address, &[])];
    for (index, dialer) in dialers.iter_mut().enumerate() {
        let line = format!("hello {index} ü");
        dialer.type_line(&line);
        assert_eq!(listener.next_line(), line);
    }
    for line in ["to all", "", "again"] {
        listener.type_line(line);
        for dialer in &dialers {
            assert_eq!(dialer.next_line(), line);
        }
    }
    for mut dialer in dialers {
        let start = Instant::now();
        dialer.type_line("bye");
        dialer.end_input();
        assert_eq!(listener.next_line(), "bye");
        assert_eq!(dialer.wait().expect_success(), [""; 0]);
        assert!(start.elapsed() < Duration::from_secs(4), "waits too long");
    }
    assert_eq!(stop(listener).expect_success(), [""; 0]);
}

#[test]
fn echo_gives_every_line_back() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--mode", "echo"]);
    let mut dialer = pair.dial(&address, &[]);
    let sent: Vec<String> = (0..1000).map(|n| format!("{n:0>100}")).collect();
    for line in &sent {
        dialer.type_line(line);
    }
    dialer.end_input();
    assert_eq!(dialer.wait().expect_success(), sent);
    stop(listener).expect_success();
}

#[test]
fn sink_counts_what_the_flood_sends() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--mode", "sink"]);
    for size in ["0", "64", "16384", "300000"] {
        let flood = ["--flood", "--size", size, "--seconds", "0.2", "--json"];
        let output = pair.dial(&address, &flood).wait().expect_success();
        let (sent, got) = (json(&output[0]), json(&listener.next_line()));
        assert!(sent["messages"].as_u64().unwrap() > 0);
        for name in ["messages", "bytes"] {
            assert_eq!(sent[name], got[name], "{name} of size {size}");
        }
        assert_eq!(sent["peer"], pair.bob.public);
        assert_eq!(got["peer"], pair.alice.public);
        for figures in [&sent, &got] {
            let number = |name: &str| figures[name].as_f64().unwrap();
            assert!(number("seconds") > 0.1, "{figures}");
            let rate = number("messages") / number("seconds");
            assert!((number("messages_per_second") / rate - 1.0).abs() < 1e-6);
            let rate = number("bytes") / number("seconds");
            assert!((number("bytes_per_second") - rate).abs() <= rate * 1e-6);
        }
    }
    stop(listener).expect_success();
}

#[test]
fn sink_tells_of_connections_without_messages_and_of_those_a_signal_ends() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--mode", "sink"]);
    let mut dialer = pair.dial(&address, &[]);
    dialer.end_input();
    dialer.wait().expect_success();
    let figures = json(&listener.next_line());
    assert_eq!(
        (&figures["messages"], &figures["seconds"]),
        (&0.into(), &0.0.into())
    );
    assert_eq!(figures["bytes_per_second"], 0.0);

    let mut dialer = pair.dial(&address, &[]);
    dialer.type_line("three");
    thread::sleep(Duration::from_millis(500));
    let output = stop(listener).expect_success();
    assert_eq!(json(&output[0])["bytes"], 5);
    // Its input is still open.
    dialer
        .wait()
        .expect_failure(&["the peer ended the connection"]);
}

#[test]
fn flood_speaks_in_words_and_does_not_hang_on_an_echo() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--mode", "echo"]);
    let dialer = pair.dial(&address, &["--flood", "--seconds", "0.2"]);
    let output = dialer.wait().expect_success();
    assert!(
        output[0].starts_with("sent ") && output[0].contains("MB/s"),
        "{output:?}"
    );
    stop(listener).expect_success();
}

#[test]
fn ping_tells_round_trip_times() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--mode", "echo"]);
    let ping = ["--ping", "--seconds", "0.2"];
    let output = pair.dial(&address, &ping).wait().expect_success();
    assert!(output[0].contains("p50_us") && output[0].contains("round trips"));
    let ping = ["--ping", "--seconds", "0.2", "--json"];
    let output = pair.dial(&address, &ping).wait().expect_success();
    let figures = json(&output[0]);
    let number = |name: &str| figures[name].as_f64().unwrap();
    assert!(0.0 < number("p50_us") && number("p50_us") <= number("p99_us"));
    assert!(number("p99_us") <= number("max_us"));
    stop(listener).expect_success();
}

#[test]
fn ping_without_echo_ends_and_says_what_is_wrong() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--mode", "sink"]);
    let dialer = pair.dial(&address, &["--ping", "--seconds", "0.1"]);
    dialer.wait().expect_failure(&["--mode echo"]);
    stop(listener);
}

#[test]
fn every_wire_works() {
    let pair = Pair::new();
    for wire in [
        "native",
        "native:aes-256-gcm",
        "native:chacha20-poly1305",
        "commonware",
        "v0,v0",
        "v0,v1",
        "v1,v0",
        "v1,v1",
    ] {
        let (listener, address) = pair.listen(&["--mode", "echo", "--wire", wire]);
        let mut dialer = pair.dial(&address, &["--wire", wire]);
        dialer.type_line(wire);
        assert_eq!(dialer.next_line(), wire);
        dialer.end_input();
        dialer.wait().expect_success();
        stop(listener).expect_success();
    }
}

#[test]
fn attempts_that_do_not_fit_fail_on_both_ends_and_leave_the_listener_serving() {
    let pair = Pair::new();
    let carol = keygen(&pair.directory, "carol.pem");
    let both = ["--mode", "echo", "--wire", "native", "--wire", "commonware"];
    let (listener, address) = pair.listen(&both);
    let failed = |part: &str| {
        let line = listener.next_error();
        assert!(line.starts_with("ringseal: the connection from 127.0.0.1:"));
        assert!(line.contains(part), "`{part}` is not in: {line}");
    };

    for (wire, told) in [
        (
            "native",
            "compare the namespace of both ends, and the listener's public key",
        ),
        (
            "commonware",
            "the namespace, the sake version and the expected public key",
        ),
    ] {
        let dialer = pair.dial_key(&address, &carol.public, &["--wire", wire]);
        dialer
            .wait()
            .expect_failure(&["closed the connection during the handshake"]);
        failed(told);

        let dialer = pair.dial(&address, &["--wire", wire, "--namespace", "other"]);
        dialer.wait().expect_failure(&["namespace"]);
        failed("namespace");
    }

    let dialer = pair.dial(&address, &["--wire", "v0,v1"]);
    dialer.wait().expect_failure(&["SAKE version"]);
    failed("sake version");

    let mut dialer = pair.dial(&address, &["--wire", "v1,v0"]);
    dialer.type_line(&"long enough for a header of either version".repeat(100));
    dialer.wait().expect_failure(&["--wire"]);
    let line = listener.next_error();
    assert!(
        line.contains("failed: ") && line.contains("cups version"),
        "{line}"
    );

    let mut dialer = pair.dial(&address, &[]);
    dialer.type_line("still here");
    assert_eq!(dialer.next_line(), "still here");
    dialer.end_input();
    dialer.wait().expect_success();
    stop(listener).expect_success();
}

#[test]
fn unlisted_peers_are_refused_and_anybody_is_let_in_on_request() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--allow", &pair.bob.public]);
    let dialer = pair.dial(&address, &[]);
    dialer
        .wait()
        .expect_failure(&["this end's key is not admitted", "--allow"]);
    let line = listener.next_error();
    assert!(
        line.contains(&pair.alice.public) && line.contains("not admitted"),
        "{line}"
    );
    stop(listener).expect_success();

    for allow in [
        vec!["--allow-any"],
        vec!["--allow", &pair.bob.public, &pair.alice.public],
    ] {
        let (listener, address) = pair.listen(&allow);
        let mut dialer = pair.dial(&address, &[]);
        dialer.type_line("in");
        assert_eq!(listener.next_line(), "in");
    }
}

#[test]
fn addresses_that_cannot_be_used_are_named() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&[]);
    let mut args = vec!["listen", &address, "--identity", text(&pair.bob.file)];
    args.extend(["--namespace", "test", "--allow-any"]);
    run(&args).expect_failure(&[&address, "in use", "another port"]);
    stop(listener).expect_success();
    let dialer = pair.dial(&address, &[]);
    dialer
        .wait()
        .expect_failure(&[&address, "refused", "ringseal listen"]);
}

#[test]
fn lines_beyond_the_message_size_are_refused_and_those_before_arrive() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--max-message-size", "10"]);
    let mut dialer = pair.dial(&address, &["--max-message-size", "10"]);
    dialer.type_line("0123456789");
    dialer.type_line("0123456789a");
    dialer
        .wait()
        .expect_failure(&["more than 10 bytes", "--max-message-size"]);
    assert_eq!(listener.next_line(), "0123456789");

    // On the native wire the dialer knows what the listener takes.
    let mut dialer = pair.dial(&address, &[]);
    dialer.type_line("0123456789a");
    dialer
        .wait()
        .expect_failure(&["message of 11 bytes exceeds the limit of 10"]);

    let wire = ["--wire", "commonware"];
    let limited = [&wire[..], &["--max-message-size", "10"]].concat();
    let (listener, address) = pair.listen(&limited);
    let mut dialer = pair.dial(&address, &wire);
    dialer.type_line("0123456789a");
    let line = listener.next_error();
    assert!(
        line.contains("message of 11 bytes, above the limit of 10"),
        "{line}"
    );
}

#[test]
fn address_is_json_on_request() {
    let pair = Pair::new();
    let (listener, line) = pair.listen(&["--json"]);
    let address = json(&line)["listening"].as_str().unwrap().to_owned();
    let mut dialer = pair.dial(&address, &[]);
    dialer.type_line("hello");
    assert_eq!(listener.next_line(), "hello");
}

#[test]
fn wrong_usage_exits_with_2() {
    let key = "5866666666666666666666666666666666666666666666666666666666666666";
    let listen = [
        "listen",
        "127.0.0.1:0",
        "--identity",
        "x",
        "--namespace",
        "x",
    ];
    let dial = [
        "dial",
        "127.0.0.1:1",
        "--identity",
        "x",
        "--namespace",
        "x",
        "--peer",
        key,
    ];
    let with = |base: &[&str], more: &[&str]| run(&[base, more].concat());
    run(&["nonsense"]).expect_usage_error("nonsense");
    with(&listen, &[]).expect_usage_error("--allow");
    with(&listen, &["--allow-any", "--allow", key]).expect_usage_error("cannot be used with");
    with(&listen, &["--allow", "12"]).expect_usage_error("64 hexadecimal digits");
    with(&listen, &["--allow-any", "--wire", "v2,v1"]).expect_usage_error("v0 or v1");
    with(
        &listen,
        &["--allow-any", "--max-message-size", "4294967290"],
    )
    .expect_usage_error("4294967279");
    with(&dial, &["--flood", "--ping"]).expect_usage_error("cannot be used with");
    with(&dial, &["--size", "7"]).expect_usage_error("--flood");
    with(&dial, &["--seconds", "7"]).expect_usage_error("--flood");
    with(&dial, &["--ping", "--seconds", "0"]).expect_usage_error("above 0");
    with(&dial, &["--ping", "--seconds", "NaN"]).expect_usage_error("above 0");
    with(&dial, &["--flood", "--size", "2000000"]).expect_usage_error("--max-message-size");
    let no_port = [
        "dial",
        "localhost",
        "--identity",
        "x",
        "--namespace",
        "x",
        "--peer",
        key,
    ];
    run(&no_port).expect_usage_error("host and port");
}

#[test]
fn demo_tells_what_happened_and_how_fast() {
    for args in [&["demo", "--seconds", "0.1"][..], &["--seconds", "0.1"]] {
        let output = run(args).expect_success().join("\n");
        for part in [
            "127.0.0.1:",
            "Hello from the dialer",
            "Hello from the listener",
        ] {
            assert!(output.contains(part), "{output}");
        }
        for part in ["16384 bytes", "64 bytes", "MB/s", "p99_us"] {
            assert!(output.contains(part), "{output}");
        }
    }
    let output = run(&["demo", "--seconds", "0.1", "--json"]).expect_success();
    let figures = json(&output[0]);
    assert_eq!(figures["bursts"][0]["message_size"], 16_384);
    assert!(
        figures["bursts"][1]["messages_per_second"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    assert!(figures["ping"]["p50_us"].as_f64().unwrap() > 0.0);
}

#[test]
fn help_names_the_demo_and_shows_examples() {
    let output = run(&["--help"]).expect_success().join("\n");
    for part in [
        "Without a command it runs the demo",
        "Examples:",
        "keygen",
        "listen",
    ] {
        assert!(output.contains(part), "{output}");
    }
    for command in ["demo", "keygen", "pubkey", "listen", "dial", "health"] {
        let output = run(&[command, "--help"]).expect_success().join("\n");
        assert!(output.contains("Example"), "{output}");
    }
}

#[test]
fn help_says_what_limits_count_what_is_told_and_how_to_see_records() {
    for (command, parts) in [
        (&["--help"][..], &["RUST_LOG=ringseal::wire=debug"][..]),
        (
            &["listen", "--help"],
            &["in all, however much still comes", "Leaving with reason 3"],
        ),
    ] {
        let output = run(command).expect_success().join(" ");
        let words: Vec<_> = output.split_whitespace().collect();
        for part in parts {
            assert!(
                words.join(" ").contains(part),
                "`{part}` is not in: {output}"
            );
        }
    }
}

/// Asks whether the listener at `address` answers.
fn health(address: &str) -> Ended {
    run(&["health", address, "--timeout", "0.5"])
}

#[test]
fn health_tells_who_answers_and_the_listener_prints_nothing() {
    let pair = Pair::new();
    let file = format!("unix:{}", text(&pair.directory.path().join("socket")));
    let name = format!("unix:@{}", pair.bob.public);
    for address in ["127.0.0.1:0", &file, &name] {
        let (listener, address) = pair.listen_on(address, &[]);
        let output = health(&address).expect_success();
        assert_eq!(output, [format!("{address} answers")]);
        stop(listener).expect_success();
        health(&address).expect_failure(&[&address, "does not answer"]);
    }
}

#[test]
fn health_is_not_deceived_by_a_kernel_that_connects_or_by_another_service() {
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = hanging.local_addr().unwrap().to_string();
    health(&address).expect_failure(&["took the connection, and nothing happened"]);
    let (mut other, _) = hanging.accept().unwrap();
    drop(other.read(&mut [0]));
    thread::spawn(move || {
        let (mut client, _) = hanging.accept().unwrap();
        client.write_all(b"SSH-2.0\n").unwrap();
        // Until the client has gone.
        let _ = client.read_to_end(&mut Vec::new());
    });
    health(&address).expect_failure(&["something else"]);
}

// HAZARDS F12: the limit covers the wait for a full backlog.
#[test]
fn health_does_not_wait_for_a_listener_that_accepts_nobody() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("socket");
    let name = SocketAddrUnix::new(&path).unwrap();
    let new = || net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let listener = new();
    net::bind(&listener, &name).unwrap();
    net::listen(&listener, 0).unwrap();
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let client = new();
            rustix::io::ioctl_fionbio(&client, true).unwrap();
            let connected = net::connect(&client, &name).is_ok();
            connected.then_some(client)
        })
        .collect();
    assert!(waiting.iter().any(Option::is_none), "the backlog is full");
    let address = format!("unix:{}", text(&path));
    health(&address).expect_failure(&[&address, "accepts no connections"]);
}

#[test]
fn limits_on_silence_are_set_by_options() {
    let pair = Pair::new();
    // The native wire would keep it alive.
    let wire = ["--wire", "commonware"];
    let (listener, address) = pair.listen(&[&wire[..], &["--idle-timeout", "0.2"]].concat());
    let dialer = pair.dial(&address, &wire);
    assert!(listener.next_error().contains("--idle-timeout"));
    dialer.wait().expect_failure(&["the peer"]);
    run(&["listen", "x:1", "--idle-timeout", "0"]).expect_usage_error("above 0");
    stop(listener);
}

#[test]
fn signals_end_the_listener_well() {
    let pair = Pair::new();
    for signal in [Signal::TERM, Signal::INT] {
        let (listener, address) = pair.listen(&[]);
        let mut dialer = pair.dial(&address, &[]);
        dialer.type_line("connected");
        assert_eq!(listener.next_line(), "connected");
        let start = Instant::now();
        listener.signal(signal);
        listener.wait().expect_success();
        assert!(start.elapsed() < Duration::from_secs(4));
        dialer
            .wait()
            .expect_failure(&["the peer ended the connection"]);
    }
}

/// Starts `ringseal` with a standard output that nobody reads any more.
fn start_unread(args: &[&str]) -> Program {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Program::start_with(args, |command| {
        command.stdout(writer);
    })
}

#[test]
fn output_that_nobody_reads_is_no_error() {
    let pair = Pair::new();
    let bob = text(&pair.bob.file);
    for args in [
        &["demo", "--seconds", "0.1"][..],
        &["keygen"],
        &["pubkey", bob],
        &[
            "listen",
            "127.0.0.1:0",
            "--identity",
            bob,
            "--namespace",
            "x",
            "--allow-any",
        ],
    ] {
        let ended = start_unread(args).wait();
        assert_eq!(ended.status.code(), Some(0), "{args:?}: {:?}", ended.errors);
    }
    let (listener, address) = pair.listen(&["--mode", "echo"]);
    let mut args = vec!["dial", &address, "--identity", text(&pair.alice.file)];
    args.extend(["--namespace", "test", "--peer", &pair.bob.public]);
    let mut dialer = start_unread(&args);
    dialer.type_line("one");
    // Its input stays open.
    let ended = dialer.wait();
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
    // But it says what nobody has seen.
    let [line] = &ended.errors[..] else {
        panic!("not one line: {:?}", ended.errors);
    };
    assert!(line.contains("1 lines were not printed"), "{line}");
    drop(listener);
}

#[test]
fn full_disk_under_the_output_is_an_error() {
    for args in [
        &["demo", "--seconds", "0.05"][..],
        &["--help"],
        &["--version"],
    ] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_ringseal"))
            .args(args)
            .stdout(full)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains("standard output"), "{args:?}: {errors}");
    }
}
