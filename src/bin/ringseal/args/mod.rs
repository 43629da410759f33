//! What the command line says.

mod end;
mod listen;
mod pinning;

use core::time::Duration;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};
use ringseal::Address;
use ringseal::protocol::native::record::RefuseReason;
use ringseal_cli::args::{address, seconds, seconds_or_none};
use ringseal_cli::log_format::LogFormat;

use crate::public_key_argument::PublicKeyArgument;
use end::EndArgs;
pub(crate) use listen::{ListenArgs, Mode, ThreadArgs};
pub(crate) use pinning::Pinning;

/// Encrypted message streams over io_uring.
///
/// Without a command it runs the demo.
#[derive(Debug, Parser)]
#[command(
    // Not the name of the package.
    name = "ringseal",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  ringseal                                   see it at work in one process
  ringseal keygen --out alice.pem            make a key, print its public half
  ringseal listen 127.0.0.1:9000 --identity bob.pem --namespace chat --allow-any
  ringseal dial 127.0.0.1:9000 --peer BOB --identity alice.pem --namespace chat

Exit codes, where a command does not list its own:
  0  it did all that it was asked to; also when nobody reads standard output any more
  1  it failed, or something may have been lost; one line on standard error says what
  2  the command line is wrong

Lines on standard error begin with `ringseal: `, or are JSON objects with --log-format json.
RUST_LOG sets which events are logged there besides, as in RUST_LOG=debug or
RUST_LOG=ringseal=info; without it, warnings. With debug each record of the native wire that is
sent or received is logged as well: its connection, kind (packed, message, part, control, padded)
and length, never what is in it. RUST_LOG=ringseal::wire=debug logs these alone, and
RUST_LOG=debug,ringseal::wire=off all others."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) demo: DemoArgs,
    /// How lines on standard error look, whichever command it is.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        global = true,
        default_value_t
    )]
    pub(crate) log_format: LogFormat,
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

Keys made by `openssl genpkey -algorithm ed25519`, or by `ssh-keygen -t ed25519` without a
passphrase, work as well.")]
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
  ringseal listen unix:/run/chat --identity bob.pem --namespace chat --allow ./alice.pub
  ringseal listen 0.0.0.0:9000 --identity bob.pem --namespace chat --allow-file ./peers \
      --threads 4 --pin --max-connections 10000 --metrics 127.0.0.1:9100

ALICE and CAROL stand for public keys: 64 hexadecimal digits, a line of an OpenSSH .pub file in
quotes, or the path of such a file. The first line on standard output is the address that is
listened on; port 0 takes a free port. Where there are several, each has a line. With --metrics a line
behind them says where those are; with --json they stand in the first object. Messages
are printed as lines also with --json. Figures of --mode sink count from the first message; rates
are null below two messages or 10 milliseconds.

Connections are spread evenly over the threads. Limits are for all threads together. The soft limit
of descriptors (ulimit -n) is raised to what --max-connections needs, or to the hard one. On the native
wire a dialer is told that there are too many connections; handshakes that come faster than
--max-handshakes-per-second are reset. --metrics counts who is refused, by reason.

Under systemd: sockets that it passes (LISTEN_FDS, each ListenStream= of TCP or a path) take the
place of ADDR, and stay open when this ends. It is told of start, reload and end (NOTIFY_SOCKET),
as Type=notify and Type=notify-reload want it. SIGHUP reads --allow-file again, whole or not at all:
a broken file is refused at the start, and later costs a warning. Without --allow-file SIGHUP ends
the program, as the system does by itself.

In mode print, lines of standard input go to every peer, each at its own pace. A peer for which
more than 16 MiB of them wait while others take theirs is cut off. Standard error says who has
connected if it is a terminal (else RUST_LOG=info does), and whose connection failed: 10 lines a
second at most, the others are counted. Where it failed at this end, the peer is told so: on the
native wire by Abort with reason 256.

SIGTERM or SIGINT stops it: nobody new comes in, peers are told, and what they send until they
end too is taken, for as long as --drain-timeout. On the native wire they are told by Leaving with
reason 3, shutting down, before the end. A second signal, half a second later or more, ends it at
once.

While nobody reads standard output, 1 MiB of lines waits, and 16 MiB of peers that are read to
their end; what ended peers leave beyond that is dropped and counted.

Exit codes:
  0    it was told to stop, and nothing was lost by that; or nobody reads standard output any
       more, and then standard error says what was lost
  1    it failed, or something was lost when it stopped: connections cut off with something on
       its way, lines not printed, lines typed and not sent, messages not sent back, messages of
       which only a part came
  2    the command line is wrong
  130  a second signal ended it, SIGINT; 143: SIGTERM")]
    Listen(ListenArgs),
    /// Connect to a listener; lines of standard input are messages, replies are printed.
    #[command(after_help = "\
Examples:
  ringseal dial 127.0.0.1:9000 --peer BOB --identity alice.pem --namespace chat
  ringseal dial 127.0.0.1:9000 --peer BOB --identity alice.pem --namespace bench --flood \\
      --size 16384 --seconds 10 --json
  ringseal dial 127.0.0.1:9000 --peer BOB --identity alice.pem --namespace bench --ping

BOB stands for the listener's public key: 64 hexadecimal digits, a line of an OpenSSH .pub file in
quotes, or the path of such a file. --flood suits a listener with --mode sink, --ping needs one
with --mode echo.

When standard input has ended, it sends the end and waits until the peer ends too, which tells
that the peer has read everything; --wait limits for how long the peer may stand still meanwhile.
Standard error says when it is connected if it is a terminal; else RUST_LOG=info does.

Exit codes:
  0  everything was sent, and then the peer ended the connection; or nobody reads standard output
     any more
  1  it failed, or something may have been lost: the peer ended first, or stood still for too long
  2  the command line is wrong")]
    Dial(DialArgs),
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
    /// How long it may take to resolve a name and connect, and again to answer.
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

/// Why a listener that was told to stop says Leaving on the native wire: as it would refuse.
pub(crate) const LEAVING: u16 = RefuseReason::SHUTTING_DOWN.0;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("measurement")))]
pub(crate) struct DialArgs {
    /// Where to connect to, as HOST:PORT, unix:/PATH or unix:@ABSTRACT.
    #[arg(value_name = "ADDR", value_parser = address)]
    pub(crate) address: Address,
    /// The listener's public key.
    #[arg(long, value_name = "KEY")]
    pub(crate) peer: PublicKeyArgument,
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
    /// For how long the peer may stand still when it is its turn: nothing comes after everything is
    /// sent, or it reads nothing of a --flood; 0 for no limit. Without it 60 seconds, and 5 for the
    /// echo of a --ping.
    #[arg(long, value_name = "S", value_parser = seconds_or_none)]
    pub(crate) wait: Option<Duration>,
    /// Print figures as one line of JSON instead of words.
    #[arg(long)]
    pub(crate) json: bool,
}
