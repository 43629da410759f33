//! What the command line says.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

use ringseal::protocol::record::MAX_MESSAGE_SIZE;
use ringseal::{Address, Backend, Builder, Config, CupsVersion, PublicKey, Runtime, SakeVersion};

use crate::bench::BenchArgs;
use crate::failure::Failure;
use crate::key_file;

/// Encrypted message streams over io_uring.
///
/// Without a command it runs the demo.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  ringseal                                   see it at work in one process
  ringseal keygen --out alice.pem            make a key, print its public half
  ringseal listen 127.0.0.1:9000 --identity bob.pem --namespace chat --allow-any
  ringseal dial 127.0.0.1:9000 --peer BOB --identity alice.pem --namespace chat"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) demo: DemoArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a listener and a dialer in this process and tell what happens and how fast.
    #[command(after_help = "\
Examples:
  ringseal demo
  ringseal demo --seconds 10 --json")]
    Demo(DemoArgs),
    /// Make a private key (PKCS#8 PEM) and print its public key.
    #[command(after_help = "\
Examples:
  ringseal keygen --out alice.pem            the public key goes to standard output
  ringseal keygen > alice.pem                the public key goes to standard error

A key made by `openssl genpkey -algorithm ed25519` works as well.")]
    Keygen(KeygenArgs),
    /// Print the public key of a private key.
    #[command(after_help = "\
Example:
  ringseal pubkey alice.pem")]
    Pubkey(PubkeyArgs),
    /// Listen for connections until interrupted.
    #[command(after_help = "\
Examples:
  ringseal listen 127.0.0.1:9000 --identity bob.pem --namespace chat --allow ALICE CAROL
  ringseal listen 0.0.0.0:9000 --identity bob.pem --namespace bench --allow-any --mode sink

ALICE and CAROL stand for public keys, 64 hexadecimal digits each. The first line on standard
output is the address that is listened on; port 0 takes a free port. Messages are printed as
lines also with --json.")]
    Listen(ListenArgs),
    /// Connect to a listener; lines of standard input are messages, replies are printed.
    #[command(after_help = "\
Examples:
  ringseal dial 127.0.0.1:9000 --peer BOB --identity alice.pem --namespace chat
  ringseal dial 127.0.0.1:9000 --peer BOB --identity alice.pem --namespace bench --flood \\
      --size 16384 --seconds 10 --json
  ringseal dial 127.0.0.1:9000 --peer BOB --identity alice.pem --namespace bench --ping

BOB stands for the listener's public key, 64 hexadecimal digits. --flood suits a listener with
--mode sink, --ping needs one with --mode echo.")]
    Dial(DialArgs),
    /// Measure for as long as a profiler needs: throughput or latency, and what it costs.
    #[command(after_help = "\
Examples:
  ringseal bench                                       16 KiB messages for 5 seconds
  ringseal bench --size 64 --batch 64 --direction both
  ringseal bench --size 1 --direction ping --json
  perf record -g -m 64K ringseal bench --seconds 30
  ringseal bench --listen 0.0.0.0:7000 --seed TEXT     and on another host or container
  ringseal bench --connect HOST:7000 --seed TEXT

Dialer and listener are two threads, each with its own ring, over loopback TCP. Figures are of
the time after the warm-up; messages and bytes are counted where they are received. Ctrl-C ends
a run early and prints what was measured.")]
    Bench(BenchArgs),
    /// Say what this host gives, which backend is taken, and how to get the fast path.
    #[command(after_help = "\
Exit codes:
  0  the fast path can be had: io_uring with registered slots
  1  the fallback is taken: io_uring is refused or too old, or locked memory is short; a ring
     whose slots can't be registered counts here as well
  2  nothing works (no memory for the slots, or epoll is refused too), the report could not be
     written, or the command line is wrong

Examples:
  ringseal doctor
  ringseal doctor --json --seconds 0         at once, for a script or a health check
  docker run ... ringseal doctor             what it is like in that container")]
    Doctor(DoctorArgs),
    /// Ask a listener whether it still answers; for health checks of containers.
    #[command(after_help = "\
It connects, ends its own direction, and waits for the listener to end the other one. So it is the
program that answers, and not only the kernel, which would also connect to one that hangs. No key
is needed and none is shown; the listener prints nothing.

Without ADDR it asks process 1, if that is a ringseal that listens: the one of this container. The
address is taken from its command line.

Exit codes:
  0  it answers; or process 1 is a ringseal that does not listen, so there is nothing to ask
  1  it does not answer, or it is not known whom to ask
  2  the command line is wrong

Examples:
  ringseal health 127.0.0.1:9000
  docker exec CONTAINER /usr/local/bin/ringseal health")]
    Health(HealthArgs),
}

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Where it listens, as HOST:PORT, unix:/PATH or unix:@ABSTRACT.
    #[arg(value_name = "ADDR", value_parser = address)]
    pub(crate) address: Option<Address>,
    /// How long it may take to connect, and again to answer.
    #[arg(long, value_name = "S", default_value = "2", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// For how long each cipher is measured; 0 leaves it out.
    #[arg(long, value_name = "S", default_value = "0.5", value_parser = seconds_or_none)]
    pub(crate) seconds: Duration,
    /// Print one line of JSON instead of words.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How long the measurements take together.
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Print one line of JSON instead of words.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Where the private key goes, readable only by you; an existing file is never overwritten.
    /// Without it, standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PubkeyArgs {
    /// The private key.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// How a thread's ring is driven.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct RingArgs {
    /// Who moves the bytes.
    #[arg(long, value_enum, default_value_t = BackendName::Auto)]
    pub(crate) backend: BackendName,
    /// For how many microseconds an idle thread looks for work before it sleeps.
    #[arg(long, value_name = "US", default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub(crate) busy_poll: u32,
}

impl RingArgs {
    /// Starts the settings of a runtime.
    pub(crate) fn builder(&self) -> Builder {
        let backend = match self.backend {
            BackendName::Auto => Backend::Auto,
            BackendName::Uring => Backend::Uring,
            BackendName::TokioUring => Backend::TokioUring,
            BackendName::Epoll => Backend::Epoll,
        };
        Runtime::builder()
            .backend(backend)
            .busy_poll(Duration::from_micros(self.busy_poll.into()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendName {
    /// io_uring by ringseal's own loop, or epoll where that can't be had.
    Auto,
    /// ringseal's own loop on the io-uring crate.
    Uring,
    /// tokio-uring.
    TokioUring,
    /// No ring: tokio's epoll loop.
    Epoll,
}

impl BackendName {
    pub(crate) fn of(backend: Backend) -> Self {
        match backend {
            Backend::Uring => Self::Uring,
            Backend::TokioUring => Self::TokioUring,
            Backend::Epoll => Self::Epoll,
            _ => Self::Auto,
        }
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Auto => "auto",
            Self::Uring => "uring",
            Self::Epoll => "epoll",
            Self::TokioUring => "tokio-uring",
        })
    }
}

/// What both ends of a connection need.
#[derive(Debug, Args)]
pub(crate) struct EndArgs {
    /// The private key of this end (PKCS#8 PEM); `ringseal keygen` makes one.
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// The application; both ends must name the same.
    #[arg(long, value_name = "NS")]
    namespace: String,
    /// Wire versions of the key exchange and the records, as SAKE,CUPS; both ends must name the
    /// same.
    #[arg(long, value_name = "SAKE,CUPS", default_value = "v1,v1")]
    wire: Wire,
    /// The longest message in bytes, sent or received.
    #[arg(long, value_name = "N", default_value_t = Config::DEFAULT_MAX_MESSAGE_SIZE,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_MESSAGE_SIZE)))]
    pub(crate) max_message_size: u32,
    /// How long the peer may send nothing at all; without it for ever.
    #[arg(long, value_name = "S", value_parser = seconds)]
    idle_timeout: Option<Duration>,
    /// How long half a message, or a peer that stops reading, may stand still; 0 for ever.
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds_or_none)]
    progress_timeout: Duration,
    #[command(flatten)]
    pub(crate) ring: RingArgs,
}

impl EndArgs {
    /// Reads the identity and puts the settings together.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let identity = key_file::read(&self.identity)?;
        Ok(Config::new(identity, &self.namespace)
            .sake(self.wire.sake)
            .cups(self.wire.cups)
            .max_message_size(self.max_message_size)
            .idle_timeout(self.idle_timeout)
            .progress_timeout(Some(self.progress_timeout).filter(|limit| !limit.is_zero())))
    }
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("admission").required(true)))]
pub(crate) struct ListenArgs {
    /// Where to listen, as HOST:PORT, unix:/PATH or unix:@ABSTRACT.
    #[arg(value_name = "ADDR", value_parser = address)]
    pub(crate) address: Address,
    #[command(flatten)]
    pub(crate) end: EndArgs,
    /// Public keys that may connect.
    #[arg(long, value_name = "HEX", num_args = 1.., group = "admission")]
    pub(crate) allow: Vec<PublicKey>,
    /// Let anybody connect who can prove some key.
    #[arg(long, group = "admission", conflicts_with = "allow")]
    pub(crate) allow_any: bool,
    /// What to do with messages.
    #[arg(long, value_enum, default_value_t = Mode::Print)]
    pub(crate) mode: Mode,
    /// Permission bits of the file of a Unix-domain socket, in octal; else the umask decides.
    #[arg(long, value_name = "OCTAL", value_parser = mode)]
    pub(crate) socket_mode: Option<u32>,
    /// Remove a Unix-domain socket at the path that nobody listens on.
    #[arg(long)]
    pub(crate) replace_dead_socket: bool,
    /// Print the address as JSON; figures are JSON in any case.
    #[arg(long)]
    pub(crate) json: bool,
}

impl ListenArgs {
    /// Returns where to listen, with what its file is made with.
    pub(crate) fn address(&self) -> Address {
        let Address::Unix(mut socket) = self.address.clone() else {
            return self.address.clone();
        };
        if let Some(mode) = self.socket_mode {
            socket = socket.mode(mode);
        }
        socket.replace_dead(self.replace_dead_socket).into()
    }
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

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("measurement")))]
pub(crate) struct DialArgs {
    /// Where to connect to, as HOST:PORT, unix:/PATH or unix:@ABSTRACT.
    #[arg(value_name = "ADDR", value_parser = address)]
    pub(crate) address: Address,
    /// The listener's public key.
    #[arg(long, value_name = "HEX")]
    pub(crate) peer: PublicKey,
    #[command(flatten)]
    pub(crate) end: EndArgs,
    /// Send messages as fast as possible and print the rate.
    #[arg(long, group = "measurement")]
    pub(crate) flood: bool,
    /// Send one byte, wait for its echo, again and again, and print the round-trip times.
    #[arg(long, group = "measurement")]
    pub(crate) ping: bool,
    /// Bytes in a message of --flood.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 16_384,
        requires = "flood",
        conflicts_with = "ping"
    )]
    pub(crate) size: u32,
    /// How long to --flood or --ping.
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds,
        requires = "measurement")]
    pub(crate) seconds: Duration,
    /// Print figures as one line of JSON instead of words.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The versions that both ends have to agree on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) sake: SakeVersion,
    pub(crate) cups: CupsVersion,
}

impl FromStr for Wire {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sake, cups) = match text {
            "v0,v0" => (SakeVersion::V0, CupsVersion::V0),
            "v0,v1" => (SakeVersion::V0, CupsVersion::V1),
            "v1,v0" => (SakeVersion::V1, CupsVersion::V0),
            "v1,v1" => (SakeVersion::V1, CupsVersion::V1),
            _ => return Err("write two versions, each v0 or v1, as in v1,v1"),
        };
        Ok(Self { sake, cups })
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sake = match self.sake {
            SakeVersion::V0 => "v0",
            SakeVersion::V1 => "v1",
        };
        let cups = match self.cups {
            CupsVersion::V0 => "v0",
            CupsVersion::V1 => "v1",
        };
        write!(formatter, "{sake},{cups}")
    }
}

/// Longer runs would overflow clocks before anybody sees the end.
const MAX_SECONDS: f64 = 1e6;

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    seconds_or_none(text)
        .ok()
        .filter(|seconds| !seconds.is_zero())
        .ok_or_else(|| format!("write a number of seconds above 0 and up to {MAX_SECONDS}"))
}

pub(crate) fn seconds_or_none(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("write a number of seconds from 0 to {MAX_SECONDS}"))
}

pub(crate) fn address(text: &str) -> Result<Address, &'static str> {
    let address = Address::from(text);
    let names_port = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    match address {
        Address::Name(_) if !names_port => {
            Err("write host and port, as in 127.0.0.1:9000 or [::1]:9000, or unix:/path")
        }
        _ => Ok(address),
    }
}
