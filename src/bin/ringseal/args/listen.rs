//! What the command line says of a listener.

use core::net::SocketAddr;
use core::num::{NonZeroU32, NonZeroUsize};
use core::time::Duration;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use ringseal::{Address, BindOptions, Config, RuntimeBuilder, ServerLimits};
use ringseal_cli::args::{address, seconds, seconds_or_none};

use super::end::EndArgs;
use super::pinning::Pinning;
use crate::failure::Failure;
use crate::public_key_argument::PublicKeyArgument;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("admission").required(true)))]
pub(crate) struct ListenArgs {
    /// Where to listen, as HOST:PORT, unix:/PATH or unix:@ABSTRACT. Left out where systemd passes
    /// sockets (LISTEN_FDS).
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
    /// How many slots of 272 KiB each thread has; their memory is locked. A connection that moves data
    /// both ways has four, an idle one has none when they are short. Without it 10.
    #[arg(long, value_name = "N", value_parser = slots)]
    slots: Option<u16>,
    /// How much heap memory the connections of each thread share for messages that find no slot, in
    /// bytes or with a unit, as in 64MiB. Without it 64MiB.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    heap_budget: Option<usize>,
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

/// Descriptors beside those of clients, rounded up a good deal.
const SPARE_DESCRIPTORS: u64 = 64;
/// What the kernel registers at most as one buffer, in slots.
const MAX_SLOTS: usize = (1 << 30) / RuntimeBuilder::DEFAULT_SLOT_SIZE;

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

    /// Returns the settings of the runtime of each thread.
    pub(crate) fn runtime(&self) -> RuntimeBuilder {
        let mut builder = self.end.ring.builder();
        if let Some(slots) = self.threads.slots {
            builder = builder.slots(slots.into());
        }
        if let Some(bytes) = self.threads.heap_budget {
            builder = builder.heap_budget(bytes);
        }
        builder
    }

    /// Returns how many descriptors are needed, if that is limited.
    pub(crate) fn descriptors(&self) -> Option<u64> {
        let connections = self.limits.max_connections?.get();
        let handshakes = self.limits.max_handshakes.get();
        let all = connections.saturating_add(handshakes) as u64;
        Some(all.saturating_add(SPARE_DESCRIPTORS))
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

/// Reads how many slots there are to be. A connection may hold four.
fn slots(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|slots| (4..=MAX_SLOTS).contains(&usize::from(*slots)))
        .ok_or_else(|| {
            format!("write a number from 4 to {MAX_SLOTS}, or leave the option out for 10")
        })
}

/// Reads how many bytes.
fn bytes(text: &str) -> Result<usize, &'static str> {
    const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("B", 0)];
    let unit = UNITS.iter().find_map(|(unit, shift)| {
        let number = text.strip_suffix(*unit)?;
        Some((number.trim_end(), shift))
    });
    let (number, shift) = unit.unwrap_or((text, &0));
    let number: Option<usize> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|bytes| *bytes > 0)
        .ok_or("write a number of bytes above 0, with KiB, MiB or GiB behind it or without, as in 64MiB")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_and_bytes_are_read_and_anything_else_is_refused() {
        assert_eq!(slots("4"), Ok(4));
        assert_eq!(slots("3855"), Ok(3855));
        for text in ["0", "3", "3856", "65540", "-4", "", "ten", "4.5"] {
            let error = slots(text).expect_err(text);
            assert!(error.contains("from 4 to 3855"), "{error}");
        }
        for (text, number) in [
            ("1", 1),
            ("1B", 1),
            ("4096", 4096),
            ("64KiB", 65_536),
            ("64 MiB", 64 << 20),
            ("3GiB", 3 << 30),
        ] {
            assert_eq!(bytes(text), Ok(number), "{text}");
        }
        for text in [
            "",
            "0",
            "0MiB",
            "MiB",
            "-1",
            "64M",
            "1.5GiB",
            "99999999999GiB",
            "lots",
        ] {
            let error = bytes(text).expect_err(text);
            assert!(error.contains("as in 64MiB"), "{error}");
        }
    }
}
