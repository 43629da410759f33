//! `health`: does a listener still answer?

use core::time::Duration;
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use clap::Parser;
use ringseal::{Address, UnixSocket};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use crate::args::{Cli, Command, HealthArgs};
use crate::failure::Failure;
use crate::stdio;

/// The programs that may listen in a container.
const TOOL: &str = env!("CARGO_BIN_NAME");
const BENCH: &str = "ringseal-bench";
/// How long an address may be silent before the next is tried as well, as RFC 8305 recommends.
const STAGGER: Duration = Duration::from_millis(250);
/// The first process of a container.
const FIRST_PROCESS: &str = "/proc/1/cmdline";

pub(crate) fn run(args: &HealthArgs) -> Result<(), Failure> {
    let address = match &args.address {
        Some(address) => address.clone(),
        None => {
            let command_line = fs::read(FIRST_PROCESS).map_err(|error| {
                Failure::with_advice(&error, "process 1 cannot be looked at; name an address")
            })?;
            match listening(&command_line)? {
                Some(address) => address,
                None => return stdio::print("process 1 does not listen, so nothing was asked"),
            }
        }
    };
    ask(&address, args.timeout)
        .map_err(|error| Failure::new(format!("{address} does not answer: {error}")))?;
    stdio::print(&format!("{address} answers"))
}

/// Where the ringseal listens that was started with these words, each followed by a zero. `None`
/// if it does something else.
fn listening(command_line: &[u8]) -> Result<Option<Address>, Failure> {
    let unknown = |what: &str| Failure::new(format!("{what}; name an address"));
    let words = command_line
        .split_inclusive(|byte| *byte == 0)
        .map(|word| OsString::from_vec(word.strip_suffix(&[0]).unwrap_or(word).to_vec()))
        // An init that starts us comes first.
        .skip_while(|word| !is_program(word, TOOL) && !is_program(word, BENCH))
        .collect::<Vec<_>>();
    let Some(program) = words.first() else {
        return Err(unknown("process 1 is no ringseal"));
    };
    let address = if is_program(program, BENCH) {
        value_of("--listen", &words[1..]).map(|value| Address::from(&*value))
    } else {
        let cli = Cli::try_parse_from(words)
            .map_err(|_| unknown("process 1 is a ringseal whose command line is unknown"))?;
        match cli.command {
            Some(Command::Listen(args)) => {
                let passed = || unknown("process 1 listens on a socket that was passed to it");
                Some(args.address.ok_or_else(passed)?)
            }
            _ => None,
        }
    };
    if matches!(&address, Some(Address::Socket(address)) if address.port() == 0) {
        return Err(unknown("process 1 listens on a port that the kernel chose"));
    }
    Ok(address)
}

fn is_program(word: &OsStr, name: &str) -> bool {
    Path::new(word).file_name() == Some(name.as_ref())
}

/// What a command line gives to an option, in either way that there is to write it.
fn value_of(option: &str, arguments: &[OsString]) -> Option<String> {
    let mut arguments = arguments.iter().map(|word| word.to_string_lossy());
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix(option) {
            Some("") => return arguments.next().map(Cow::into_owned),
            Some(rest) if rest.starts_with('=') => return Some(rest[1..].to_owned()),
            _ => {}
        }
    }
    None
}

/// Connects, ends our direction, and waits for the other end to do the same.
fn ask(address: &Address, limit: Duration) -> io::Result<()> {
    let socket: OwnedFd = match address {
        Address::Unix(socket) => connect_unix(socket, limit)?,
        _ => connect(address, limit)?.into(),
    };
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(limit))?;
    net::shutdown(&socket, net::Shutdown::Write)?;
    await_end(File::from(socket))
}

/// Connects, and waits for room in the listener's backlog for as long as `limit`.
fn connect_unix(address: &UnixSocket, limit: Duration) -> io::Result<OwnedFd> {
    let name = match address.as_path() {
        Some(path) => SocketAddrUnix::new(path),
        None => SocketAddrUnix::new_abstract_name(address.as_abstract_name().unwrap_or_default()),
    }?;
    let socket = net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(limit))?;
    match net::connect(&socket, &name) {
        Err(Errno::AGAIN) => Err(io::Error::other("it accepts no connections")),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(socket),
    }
}

/// Connects to the first address that takes us, all within `limit`.
fn connect(address: &Address, limit: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + limit;
    let candidates = resolve(address.to_string(), limit)?;
    connect_first(candidates.into_iter().map(reachable).collect(), deadline)
}

/// Tries one address after the other, the next when one has failed or is silent for a while, and
/// takes the first that answers (RFC 8305): one that swallows everything costs a moment.
fn connect_first(candidates: Vec<SocketAddr>, deadline: Instant) -> io::Result<TcpStream> {
    let step = step(
        deadline.saturating_duration_since(Instant::now()),
        candidates.len(),
    );
    let (sender, answers) = channel();
    let mut waiting = candidates.into_iter();
    let mut tried = 0_usize;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        let next = waiting.next();
        if let Some(candidate) = next {
            attempt(candidate, deadline, sender.clone())?;
            tried += 1;
        } else if tried == 0 {
            return Err(last);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = if next.is_some() { left.min(step) } else { left };
        match answers.recv_timeout(patience) {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                tried -= 1;
                last = error;
            }
            Err(_) if Instant::now() >= deadline => return Err(io::ErrorKind::TimedOut.into()),
            Err(_) => {}
        }
    }
}

/// After how long the next of `count` addresses is tried: all have half of the time at least.
fn step(limit: Duration, count: usize) -> Duration {
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    STAGGER.min(limit / 2 / count)
}

/// Connects on a thread that is left alone when somebody else answers.
fn attempt(
    candidate: SocketAddr,
    deadline: Instant,
    answer: Sender<io::Result<TcpStream>>,
) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    thread::Builder::new()
        .name("connect".to_owned())
        .spawn(move || {
            // Fails only when nobody waits any more.
            let _ = answer.send(TcpStream::connect_timeout(&candidate, left));
        })
        .map(drop)
}

/// Asks the system's resolver, on a thread that is left alone when it takes too long.
fn resolve(name: String, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    let (sender, found) = channel();
    thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(move || {
            let addresses = name.to_socket_addrs().map(Iterator::collect);
            // Fails only when nobody waits any more.
            let _ = sender.send(addresses);
        })?;
    found.recv_timeout(limit).unwrap_or_else(|_| {
        let text = "the name was not resolved in time";
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    })
}

/// What listens on all addresses of this host listens on its loopback address too.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

fn await_end(mut stream: impl Read) -> io::Result<()> {
    match stream.read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => await_end(stream),
        Ok(0) => Ok(()),
        Ok(_) => Err(io::Error::other(
            "something else than a ringseal listens there",
        )),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::Error::other(
            "it took the connection, and nothing happened",
        )),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: &[&str]) -> Result<Option<Address>, Failure> {
        let command_line: String = words.iter().map(|word| format!("{word}\0")).collect();
        listening(command_line.as_bytes())
    }

    #[test]
    fn the_address_is_taken_from_the_command_line_of_process_1() {
        let listen = [
            "listen",
            "0.0.0.0:7000",
            "--identity",
            "k",
            "--namespace",
            "n",
        ];
        for before in [
            &["/usr/local/bin/ringseal"][..],
            &["/sbin/docker-init", "--", "ringseal"],
        ] {
            let words = [before, &listen, &["--allow-any"]].concat();
            let address = found(&words).expect("it listens");
            assert_eq!(address, Some(Address::from("0.0.0.0:7000")));
        }
        for listen in [&["--listen", "unix:@b"][..], &["--listen=unix:@b"]] {
            let words = [&["ringseal-bench", "--seed", "s"], listen].concat();
            let address = found(&words).expect("it listens");
            assert_eq!(address, Some(Address::from("unix:@b")));
        }
    }

    #[test]
    fn who_does_not_listen_is_not_asked_and_who_is_unknown_is_an_error() {
        for words in [&["ringseal"][..], &["ringseal-bench", "--size", "1"]] {
            assert_eq!(found(words).expect("a ringseal"), None);
        }
        for words in [
            &[][..],
            &["/sbin/init", "splash"],
            &["ringseal", "no-such-command"],
            &["ringseal", "bench"],
            &["ringseal-bench", "--listen", "0.0.0.0:0", "--seed", "s"],
        ] {
            assert!(found(words).is_err(), "{words:?}");
        }
    }

    // HAZARDS F11.
    #[test]
    fn the_last_of_many_silent_addresses_is_tried_in_the_first_half_of_the_limit() {
        let limit = Duration::from_secs(2);
        for count in 0..100 {
            let step = step(limit, count);
            assert!(step <= STAGGER && step * u32::try_from(count).expect("few") <= limit / 2);
        }
        assert_eq!(step(limit, 2), STAGGER);
    }

    #[test]
    fn addresses_that_refuse_are_passed_at_once_and_the_last_error_is_told() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let open = listener.local_addr().expect("an address");
        let closed = {
            let other = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
            other.local_addr().expect("an address")
        };
        let deadline = || Instant::now() + Duration::from_secs(20);
        let stream = connect_first(vec![closed, closed, open], deadline()).expect("it listens");
        assert_eq!(stream.peer_addr().expect("connected"), open);
        for refused in [vec![closed], vec![closed; 9]] {
            let error = connect_first(refused, deadline()).expect_err("nobody listens");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
        let error = connect_first(Vec::new(), deadline()).expect_err("nobody to ask");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn loopback_stands_for_all_addresses() {
        for (all, one) in [("0.0.0.0:7", "127.0.0.1:7"), ("[::]:7", "[::1]:7")] {
            let all: SocketAddr = all.parse().expect("an address");
            assert_eq!(reachable(all).to_string(), one);
            assert_eq!(reachable(reachable(all)), reachable(all));
        }
    }
}
