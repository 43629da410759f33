//! What the command line says of a listener.

use core::net::SocketAddr;
use core::num::{NonZeroU32, NonZeroUsize};
use core::time::Duration;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use ringseal::{Address, BindOptions, Config, ServerLimits};
use ringseal_cli::args::{address, seconds, seconds_or_none};

use super::end::EndArgs;
use super::pinning::Pinning;
use crate::failure::Failure;
use crate::public_key_argument::PublicKeyArgument;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("admission").required(true)))]
pub(crate) struct ListenArgs {
    /// Where to listen, as HOST:PORT, unix:/PATH or unix:@ABSTRACT. Left out where systemd passes a
    /// socket (LISTEN_FDS).
    #[arg(value_name = "ADDR", value_parser = address)]
    pub(crate) address: Option<Address>,
    #[command(flatten)]
    pub(crate) end: EndArgs,
    /// Public keys that may connect.
    #[arg(long, value_name = "KEY", num_args = 1.., group = "admission")]
    pub(crate) allow: Vec<PublicKeyArgument>,
    /// A file of public keys that may connect: one a line, its name behind it, comments behind #.
    /// SIGHUP has it read again.
    #[arg(long, value_name = "FILE", group = "admission")]
    pub(crate) allow_file: Option<PathBuf>,
    /// Let anybody connect who can prove some key.
    #[arg(long, group = "admission", conflicts_with = "allow")]
    pub(crate) allow_any: bool,
    /// When --allow-file was read again, cut the connections of keys that are no longer in it.
    #[arg(long, requires = "allow_file", conflicts_with_all = ["allow", "allow_any"])]
    pub(crate) drop_removed: bool,
    /// What to do with messages.
    #[arg(long, value_enum, default_value_t = Mode::Print)]
    pub(crate) mode: Mode,
    #[command(flatten)]
    pub(crate) threads: ThreadArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// Permission bits of the file of a Unix-domain socket, in octal; else the umask decides.
    #[arg(long, value_name = "OCTAL", value_parser = mode, requires = "address")]
    pub(crate) socket_mode: Option<u32>,
    /// Remove a Unix-domain socket at the path that nobody listens on.
    #[arg(long, requires = "address")]
    pub(crate) replace_dead_socket: bool,
    /// How long a peer that has ended is kept for an answer that is typed, since it ended or since
    /// the last such line; --mode print only, and only while standard input is open.
    #[arg(long, value_name = "S", default_value = "2", value_parser = seconds_or_none)]
    pub(crate) answer_timeout: Duration,
    /// How long peers have to end after SIGTERM or SIGINT, before they are cut off: in all, however
    /// much still comes meanwhile.
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds_or_none)]
    pub(crate) drain_timeout: Duration,
    /// Where Prometheus finds figures, by HTTP: an address of this host alone, as in 127.0.0.1:9100;
    /// port 0 takes a free one. The path is /metrics.
    #[arg(long, value_name = "ADDR", value_parser = loopback)]
    pub(crate) metrics: Option<SocketAddr>,
    /// Print addresses as JSON; figures are JSON in any case.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How many threads serve, and where.
#[derive(Debug, Args)]
pub(crate) struct ThreadArgs {
    /// How many threads serve; without it one for each core that this process may use.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Keep each thread on a core of its own: on the first that this process may use, or on those
    /// that are named, as in --pin=0,2-3.
    #[arg(long, value_name = "CORES", num_args = 0..=1, require_equals = true,
        default_missing_value = Pinning::AUTO)]
    pub(crate) pin: Option<Pinning>,
}

/// How much a listener takes, over all threads.
#[derive(Debug, Args)]
struct LimitArgs {
    /// How many connections there may be; without it there is no limit.
    #[arg(long, value_name = "N", value_parser = limit::<NonZeroUsize>)]
    max_connections: Option<NonZeroUsize>,
    /// How many connections one key may have; without it there is no limit.
    #[arg(long, value_name = "N", value_parser = limit::<NonZeroUsize>)]
    max_connections_per_key: Option<NonZeroUsize>,
    /// How many connections one address may have: an IPv4 address, an IPv6 network of 64 bits, a
    /// user of Unix-domain sockets; without it there is no limit.
    #[arg(long, value_name = "N", value_parser = limit::<NonZeroUsize>)]
    max_connections_per_address: Option<NonZeroUsize>,
    /// How many handshakes may be under way; each thread may have one at least.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_HANDSHAKES,
        value_parser = limit::<NonZeroUsize>)]
    max_handshakes: NonZeroUsize,
    /// How many handshakes may begin in a second; without it there is no limit.
    #[arg(long, value_name = "N", value_parser = limit::<NonZeroU32>)]
    max_handshakes_per_second: Option<NonZeroU32>,
    /// How long a connection may last; without it there is no limit.
    #[arg(long, value_name = "S", value_parser = seconds)]
    max_lifetime: Option<Duration>,
}

const DEFAULT_HANDSHAKES: NonZeroUsize =
    NonZeroUsize::new(Config::DEFAULT_MAX_HANDSHAKES).expect("a listener shakes hands");

impl ListenArgs {
    /// Returns what an address is bound with.
    pub(crate) fn bind_options(&self) -> BindOptions {
        let options = BindOptions::new().replace_dead(self.replace_dead_socket);
        match self.socket_mode {
            Some(mode) => options.mode(mode),
            None => options,
        }
    }

    /// Reads the identity and puts the settings together.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let config = self.end.config()?;
        Ok(config
            .max_handshakes(self.limits.max_handshakes.get())
            .max_lifetime(self.limits.max_lifetime))
    }

    /// Returns how many clients may come.
    pub(crate) fn limits(&self) -> ServerLimits {
        let given = &self.limits;
        let mut limits = ServerLimits::new();
        if let Some(count) = given.max_connections {
            limits = limits.connections(count.get());
        }
        if let Some(count) = given.max_connections_per_key {
            limits = limits.connections_per_peer(count.get());
        }
        if let Some(count) = given.max_connections_per_address {
            limits = limits.connections_per_source(count.get());
        }
        if let Some(count) = given.max_handshakes_per_second {
            limits = limits.handshakes_per_second(count.get());
        }
        limits
    }
}

/// Reads a limit. One of zero would let nobody in.
fn limit<N: core::str::FromStr>(text: &str) -> Result<N, &'static str> {
    text.parse()
        .map_err(|_| "write a number from 1 on, or leave the option out")
}

fn loopback(text: &str) -> Result<SocketAddr, &'static str> {
    let address: Option<SocketAddr> = text.parse().ok();
    address
        .filter(|address| address.ip().is_loopback())
        .ok_or("write a loopback address and a port, as in 127.0.0.1:9100 or [::1]:9100")
}

fn mode(text: &str) -> Result<u32, &'static str> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or("write permission bits in octal, as in 660")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Print each as a line; lines of standard input go to every connected peer.
    Print,
    /// Send each back.
    Echo,
    /// Count them and print one line of JSON when a connection ends.
    Sink,
}
