//! `health`: does a listener still answer?

use core::time::Duration;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{self as unix, UnixStream};
use std::path::Path;

use clap::Parser;
use ringseal::Address;
use rustix::net::{self, sockopt};

use crate::args::{Cli, Command, HealthArgs};
use crate::failure::Failure;
use crate::stdio;

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
        .skip_while(|word| Path::new(word).file_name() != Some(env!("CARGO_BIN_NAME").as_ref()))
        .collect::<Vec<_>>();
    if words.is_empty() {
        return Err(unknown("process 1 is no ringseal"));
    }
    let cli = Cli::try_parse_from(words)
        .map_err(|_| unknown("process 1 is a ringseal whose command line is unknown"))?;
    let address = match cli.command {
        Some(Command::Listen(args)) => Some(args.address),
        Some(Command::Bench(args)) => args.listen,
        _ => None,
    };
    if matches!(&address, Some(Address::Socket(address)) if address.port() == 0) {
        return Err(unknown("process 1 listens on a port that the kernel chose"));
    }
    Ok(address)
}

/// Connects, ends our direction, and waits for the other end to do the same.
fn ask(address: &Address, limit: Duration) -> io::Result<()> {
    let socket: OwnedFd = match address {
        Address::Unix(socket) => {
            let name = match socket.as_path() {
                Some(path) => unix::SocketAddr::from_pathname(path),
                None => unix::SocketAddr::from_abstract_name(
                    socket.as_abstract_name().unwrap_or_default(),
                ),
            };
            UnixStream::connect_addr(&name?)?.into()
        }
        _ => connect(address, limit)?.into(),
    };
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(limit))?;
    net::shutdown(&socket, net::Shutdown::Write)?;
    await_end(File::from(socket))
}

/// Connects to the first address that takes us.
fn connect(address: &Address, limit: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for candidate in address.to_string().to_socket_addrs()? {
        match TcpStream::connect_timeout(&reachable(candidate), limit) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
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
        let bench = found(&["ringseal", "bench", "--listen", "unix:@b", "--seed", "s"]);
        assert_eq!(bench.expect("it listens"), Some(Address::from("unix:@b")));
    }

    #[test]
    fn who_does_not_listen_is_not_asked_and_who_is_unknown_is_an_error() {
        for words in [&["ringseal"][..], &["ringseal", "bench", "--size", "1"]] {
            assert_eq!(found(words).expect("a ringseal"), None);
        }
        for words in [
            &[][..],
            &["/sbin/init", "splash"],
            &["ringseal", "no-such-command"],
            &["ringseal", "bench", "--listen", "0.0.0.0:0", "--seed", "s"],
        ] {
            assert!(found(words).is_err(), "{words:?}");
        }
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
