//! The command lines of `scale`, and of the server that it starts.

use core::time::Duration;

use clap::Args;
use ringseal::Wire;
use ringseal::protocol::record::MAX_MESSAGE_SIZE;
use ringseal_cli::args::{RingArgs, seconds};

/// What a number of connections may be.
const MAX_CONNECTIONS: i64 = 200_000;
/// What a number of threads may be.
const MAX_THREADS: u64 = 64;

/// Measures a server with few and with many connections, on one thread and on more.
///
/// A server in a process of its own takes messages in that dialers in this process send on all
/// connections at once, as fast as they can. Each core has one thread of the server and one of the
/// dialers, so that with one thread all of it is on one core and with two on two: what a second core
/// brings then shows also where there are no more than two. Beside it runs a bare pipeline of the same
/// shape: on each core one thread that seals and one that opens, by blocking sockets.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  ringseal-bench scale --chart scale.svg
  ringseal-bench scale --connections 2,200 --threads 1,2 --idle 0      what a second core brings
  ringseal-bench scale --connections 1 --threads 1 --idle 0 --metrics  what being watched costs")]
pub(crate) struct ScaleArgs {
    /// Connections at a time, one row each.
    #[arg(long, value_name = "N,N", value_delimiter = ',',
        default_values_t = [1, 2, 100, 200, 1000, 10_000],
        value_parser = clap::value_parser!(u32).range(1..=MAX_CONNECTIONS))]
    pub(crate) connections: Vec<u32>,
    /// Threads of the server, and of the dialers. Without it 1 and 2, where there are two cores.
    #[arg(long, value_name = "N,N", value_delimiter = ',', value_parser = threads)]
    pub(crate) threads: Vec<usize>,
    /// Idle connections beside busy ones, to see what they cost those; 0 for no such row.
    #[arg(long, value_name = "N", default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(0..=MAX_CONNECTIONS))]
    pub(crate) idle: u32,
    /// Measure as well what it costs to have the server's metrics taken ten times a second.
    #[arg(long)]
    pub(crate) metrics: bool,
    /// Measure as well a program of tokio's that listens by a handle of ring threads.
    #[arg(long)]
    pub(crate) handles: bool,
    /// The wire, as often as there are wires to measure: native[:SUITE] or commonware[:SAKE,CUPS].
    #[arg(long = "wire", value_name = "WIRE", default_values_t = [Wire::native(), Wire::COMMONWARE])]
    pub(crate) wires: Vec<Wire>,
    /// Bytes in a message.
    #[arg(long, value_name = "BYTES", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_MESSAGE_SIZE)))]
    pub(crate) size: u32,
    /// How long each run takes; with 1000 connections and more three times as long.
    #[arg(long, value_name = "S", default_value = "0.5", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Runs of each row; rows that are compared take turns.
    #[arg(long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Let the kernel choose the cores.
    #[arg(long)]
    pub(crate) no_pin: bool,
    #[command(flatten)]
    pub(crate) ring: RingArgs,
    /// Print one line of JSON instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw throughput and memory by number of connections to this SVG file.
    #[arg(long, value_name = "FILE")]
    pub(crate) chart: Option<String>,
}

/// The server of `scale`: the first line of standard input is the seed, each other one asks for its
/// state, and the end of standard input is the end.
#[derive(Clone, Debug, Args)]
pub(crate) struct ScaleServerArgs {
    /// The wire.
    #[arg(long)]
    pub(crate) wire: Wire,
    /// Threads.
    #[arg(long, value_parser = threads)]
    pub(crate) threads: usize,
    /// The core of each thread.
    #[arg(long, value_delimiter = ',')]
    pub(crate) cores: Vec<usize>,
    /// Connections that it has to have descriptors for.
    #[arg(long)]
    pub(crate) connections: u32,
    /// Bytes in a message.
    #[arg(long)]
    pub(crate) size: u32,
    /// Have metrics taken all the time.
    #[arg(long)]
    pub(crate) metrics: bool,
    /// Serve by handles, from tokio.
    #[arg(long)]
    pub(crate) handles: bool,
    #[command(flatten)]
    pub(crate) ring: RingArgs,
}

fn threads(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|threads| (1..=MAX_THREADS).contains(threads))
        .and_then(|threads| usize::try_from(threads).ok())
        .ok_or_else(|| format!("write a number from 1 to {MAX_THREADS}"))
}
