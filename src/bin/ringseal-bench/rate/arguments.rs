//! The command line of `rate`.

use core::time::Duration;

use clap::Args;
use ringseal::Wire;
use ringseal::protocol::record::MAX_MESSAGE_SIZE;
use ringseal_cli::args::{RingArgs, seconds, seconds_or_none};

use super::pace::STAMP;
use crate::pinning::Cores;

/// Messages a second, at most.
const MAX_RATE: u64 = 100_000_000;

/// Sends messages at fixed rates and measures how long each takes from the moment when it was meant to
/// be sent.
///
/// An open loop: who sends does not wait for who receives, and a message that could not leave in time
/// is late by that time as well, so that no delay hides others (coordinated omission). One connection
/// between two threads of this process, which read one clock, over loopback TCP. The thread that sends
/// never sleeps.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  ringseal-bench rate                                   from 1 000 a second on until no more fit
  ringseal-bench rate --rates 100,10000 --size 64       does a stream cost latency? see the last column
  ringseal-bench rate --echo --wire native --wire commonware --chart latency.svg")]
pub(crate) struct RateArgs {
    /// Messages a second, one row each. Without it 1 000, 2 000, 4 000 and so on until a rate is too
    /// much: less than 95 % of it is reached, or half of its messages take more than 10 ms; then two
    /// more, towards the most that is kept up with.
    #[arg(long, value_name = "N,N", value_delimiter = ',',
        value_parser = clap::value_parser!(u64).range(1..=MAX_RATE))]
    pub(crate) rates: Vec<u64>,
    /// Bytes in a message, 8 at least: the time is in it.
    #[arg(long, value_name = "BYTES", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(STAMP as i64..=i64::from(MAX_MESSAGE_SIZE)))]
    pub(crate) size: u32,
    /// Measure there and back instead of one way.
    #[arg(long)]
    pub(crate) echo: bool,
    /// The wire, as often as there are wires to compare: native[:SUITE] or commonware[:SAKE,CUPS].
    #[arg(long = "wire", value_name = "WIRE", default_values_t = [Wire::default()])]
    pub(crate) wires: Vec<Wire>,
    /// How long each run takes.
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// How long each run goes on before that, 0 allowed.
    #[arg(long, value_name = "S", default_value = "0.2", value_parser = seconds_or_none)]
    pub(crate) warmup: Duration,
    /// Runs of each row; all rows take turns.
    #[arg(long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// The cores of dialer and listener. Without it the first two that this process may use.
    #[arg(long, value_name = "DIALER,LISTENER", conflicts_with = "no_pin")]
    pub(crate) pin: Option<Cores>,
    /// Let the kernel choose the cores.
    #[arg(long)]
    pub(crate) no_pin: bool,
    #[command(flatten)]
    pub(crate) ring: RingArgs,
    /// Print one line of JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw latency by rate and percentile to this SVG file.
    #[arg(long, value_name = "FILE")]
    pub(crate) chart: Option<String>,
}
