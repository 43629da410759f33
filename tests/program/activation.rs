//! Sockets that a service manager passes, and what it is told.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::{PATIENCE, Pair, Program, json, stop, text};

/// Passes its standard input as descriptor 3, as a service manager does, and becomes the program.
const PASS: &str = "export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 0</dev/null";

/// Passes two sockets that a client has opened at the address and the path in the environment: its
/// standard input and its standard error, which is a pipe again behind that.
const PASS_TWO: &str = "export LISTEN_FDS=2 LISTEN_PID=$$; \
    exec \"$0\" \"$@\" 3<&0 4<&2 0</dev/null 2>/dev/null";

/// Bob listens for Alice on what `script` passes.
fn start(pair: &Pair, script: &str, passed: impl Into<OwnedFd>, more: &[&str]) -> Program {
    let mut args = vec!["-c", script, env!("CARGO_BIN_EXE_ringseal"), "listen"];
    args.extend(["--identity", text(&pair.bob.file), "--namespace", "test"]);
    args.extend(more);
    args.extend(["--mode", "echo", "--allow", &pair.alice.public]);
    Program::start_program("sh", &args, |command| {
        command.stdin(passed.into());
    })
}

fn expect_echo(pair: &Pair, address: &str) {
    let mut dialer = pair.dial(address, &[]);
    dialer.type_line("hello");
    dialer.end_input();
    assert_eq!(dialer.wait().expect_success(), ["hello"]);
}

#[test]
fn a_passed_socket_is_served_and_stays_with_who_passed_it() {
    let pair = Pair::new();
    let socket = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = socket.local_addr().expect("bound").to_string();
    let pass = || socket.try_clone().expect("a copy");
    let listener = start(&pair, PASS, pass(), &[]);
    assert_eq!(listener.next_line(), format!("listening on {address}"));
    expect_echo(&pair, &address);
    stop(listener).expect_success();
    // Who comes while nobody serves waits for the next one.
    let mut waiting = pair.dial(&address, &["--handshake-timeout", "30"]);
    waiting.type_line("early");
    waiting.end_input();
    let listener = start(&pair, PASS, pass(), &["--threads", "1"]);
    assert_eq!(waiting.wait().expect_success(), ["early"]);
    stop(listener);
}

#[test]
fn a_passed_unix_socket_is_served_and_its_file_stays() {
    let pair = Pair::new();
    let path = pair.directory.path().join("socket");
    let socket = UnixListener::bind(&path).expect("bind");
    let listener = start(&pair, PASS, socket, &[]);
    let address = format!("unix:{}", path.display());
    assert_eq!(listener.next_line(), format!("listening on {address}"));
    expect_echo(&pair, &address);
    stop(listener).expect_success();
    assert!(path.exists());
}

#[test]
fn several_passed_sockets_are_all_served() {
    let pair = Pair::new();
    let path = pair.directory.path().join("socket");
    let (first, second) = (
        TcpListener::bind("127.0.0.1:0").expect("bind"),
        UnixListener::bind(&path).expect("bind"),
    );
    let addresses = [
        first.local_addr().expect("bound").to_string(),
        format!("unix:{}", path.display()),
    ];
    let args = [
        "-c",
        PASS_TWO,
        env!("CARGO_BIN_EXE_ringseal"),
        "listen",
        "--identity",
        text(&pair.bob.file),
        "--namespace",
        "test",
        "--mode",
        "echo",
        "--allow",
        &pair.alice.public,
    ];
    let start = |more: &[&str]| {
        let args: Vec<_> = args.iter().chain(more).copied().collect();
        let (first, second) = (
            OwnedFd::from(first.try_clone().expect("a copy")),
            OwnedFd::from(second.try_clone().expect("a copy")),
        );
        Program::start_program("sh", &args, |command| {
            command.stdin(first).stderr(second);
        })
    };
    let listener = start(&[]);
    for address in &addresses {
        assert_eq!(listener.next_line(), format!("listening on {address}"));
        expect_echo(&pair, address);
    }
    listener.signal(Signal::TERM);
    assert_eq!(listener.wait().status.code(), Some(0));
    let listener = start(&["--json"]);
    for address in &addresses {
        assert_eq!(json(&listener.next_line())["listening"], **address);
        expect_echo(&pair, address);
    }
}

#[test]
fn what_was_passed_and_is_not_suitable_is_refused_with_what_to_change() {
    let pair = Pair::new();
    let listening = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").expect("bind"));
    let connected = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("bound");
        OwnedFd::from(TcpStream::connect(address).expect("connect"))
    };
    let udp = || OwnedFd::from(UdpSocket::bind("127.0.0.1:0").expect("bind"));
    let pair_of_unix = || OwnedFd::from(UnixStream::pair().expect("a pair").0);
    let file = || OwnedFd::from(std::fs::File::open("/dev/null").expect("open"));
    let number = |count: &str, process: &str| {
        PASS.replace("FDS=1", &format!("FDS={count}"))
            .replace("=$$", &format!("={process}"))
    };
    let another = number("1", "1");
    let two = number("2", "$$");
    let nonsense = number("one", "$$");
    let none = number("0", "$$");
    for (script, passed, parts) in [
        (PASS, connected(), ["does not listen", "Accept=no"]),
        (PASS, pair_of_unix(), ["does not listen", "Accept=no"]),
        (PASS, udp(), ["no stream socket", "ListenStream="]),
        (PASS, file(), ["no stream socket", "ListenStream="]),
        (&another, listening(), ["LISTEN_PID=`1`", "give an address"]),
        (
            &two,
            listening(),
            ["descriptor 4", "those that listen (ListenStream="],
        ),
        (
            &nonsense,
            listening(),
            ["LISTEN_FDS is `one`", "set how many are passed"],
        ),
        (
            &none,
            listening(),
            ["nothing to listen on", "give an address"],
        ),
    ] {
        start(&pair, script, passed, &[])
            .wait()
            .expect_failure(&parts);
    }
    let both = start(&pair, PASS, listening(), &["127.0.0.1:0"]);
    both.wait()
        .expect_failure(&["127.0.0.1:0", "leave the address out"]);
    // What belongs to another process is none of ours.
    let listener = start(&pair, &another, listening(), &["127.0.0.1:0"]);
    assert!(listener.next_line().starts_with("listening on 127.0.0.1:"));
    stop(listener).expect_success();
    // Without an address there is no file whose permissions could be set.
    let mode = start(&pair, PASS, listening(), &["--socket-mode", "600"]);
    mode.wait().expect_usage_error("ADDR");
}

/// Who is told what the program does.
pub(crate) struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    /// Gone with this.
    _directory: TempDir,
}

impl Manager {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bind");
        socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
        Self {
            socket,
            path,
            _directory: directory,
        }
    }

    /// Has its queue full, until it is [read](Self::next).
    pub(crate) fn fill(&self) {
        let filler = UnixDatagram::unbound().expect("a socket");
        filler.set_nonblocking(true).expect("set");
        while filler.send_to(b"filler", &self.path).is_ok() {}
    }

    pub(crate) fn path(&self) -> &str {
        text(&self.path)
    }

    /// What it is told next.
    pub(crate) fn next(&self) -> String {
        let mut told = [0; 1024];
        let length = self.socket.recv(&mut told).expect("it is told");
        String::from_utf8_lossy(&told[..length]).into_owned()
    }
}

#[test]
fn a_service_manager_is_told_of_the_start_and_of_the_end() {
    let pair = Pair::new();
    let manager = Manager::new();
    let (listener, address) = pair.listen_set("127.0.0.1:0", &["--mode", "echo"], |command| {
        command.env("NOTIFY_SOCKET", manager.path());
    });
    assert_eq!(manager.next(), "READY=1\n");
    expect_echo(&pair, &address);
    listener.signal(Signal::TERM);
    assert_eq!(manager.next(), "STOPPING=1\n");
    listener.wait().expect_success();
}

#[test]
fn a_service_manager_that_can_not_be_told_costs_a_line_and_nothing_else() {
    let pair = Pair::new();
    let (listener, address) = pair.listen_set("127.0.0.1:0", &["--mode", "echo"], |command| {
        command.env("NOTIFY_SOCKET", "/nowhere/notify");
    });
    let line = listener.next_error();
    assert!(
        line.contains("NOTIFY_SOCKET") && line.contains("unset it"),
        "{line}"
    );
    expect_echo(&pair, &address);
    listener.signal(Signal::TERM);
    assert_eq!(listener.wait().status.code(), Some(0));
}

// sd_notify(3): "@" stands for the null byte that names in the abstract namespace begin with.
#[test]
fn a_service_manager_in_the_abstract_namespace_is_told() {
    let pair = Pair::new();
    let name = format!("ringseal-notify-{}", pair.bob.public);
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = UnixDatagram::bind_addr(&address).expect("bind");
    manager.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let (listener, _address) = pair.listen_set("127.0.0.1:0", &["--mode", "echo"], |command| {
        command.env("NOTIFY_SOCKET", format!("@{name}"));
    });
    let mut told = [0; 64];
    let length = manager.recv(&mut told).expect("it is told");
    assert_eq!(&told[..length], b"READY=1\n");
    stop(listener).expect_success();
}

#[test]
fn a_service_manager_that_does_not_read_delays_no_end() {
    let pair = Pair::new();
    let manager = Manager::new();
    let (listener, address) = pair.listen_set("127.0.0.1:0", &["--mode", "echo"], |command| {
        command.env("NOTIFY_SOCKET", manager.path());
    });
    assert_eq!(manager.next(), "READY=1\n");
    manager.fill();
    let mut dialer = pair.dial(&address, &[]);
    dialer.type_line("hello");
    assert_eq!(dialer.next_line(), "hello");
    listener.signal(Signal::TERM);
    // It drains: nobody new comes in, and who is there is told of the end.
    let ended = listener.wait();
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
    let [line] = &ended.errors[..] else {
        panic!("not one line: {:?}", ended.errors);
    };
    assert!(line.contains("notifications that still wait: 1"), "{line}");
    drop(dialer);
}

#[test]
fn what_a_service_manager_has_no_room_for_is_told_when_it_has() {
    let pair = Pair::new();
    let manager = Manager::new();
    manager.fill();
    let (listener, address) = pair.listen_set("127.0.0.1:0", &["--mode", "echo"], |command| {
        command.env("NOTIFY_SOCKET", manager.path());
    });
    expect_echo(&pair, &address);
    while manager.next() != "READY=1\n" {}
    stop(listener).expect_success();
}
