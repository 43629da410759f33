//! What the command line says, and what clap cannot refuse by itself.

use core::time::Duration;
use std::net::SocketAddr;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use ringseal::protocol::record::MAX_MESSAGE_SIZE;
use ringseal::{Address, RuntimeBuilder, Wire};
use ringseal_cli::args::{RingArgs, address, seconds, seconds_or_none};
use ringseal_cli::work_order::{Direction, MAX_BATCH};

use super::pinning::Cores;
use super::rate::RateArgs;
use super::scale::{ScaleArgs, ScaleServerArgs};
use super::settings::{self, MAX_ARENA, MAX_CONNECTIONS, Settings};
use super::soak::SoakArgs;

/// Measures ringseal for as long as a profiler needs: throughput or latency, and what it costs.
///
/// Without a command it is a closed loop: messages follow each other as fast as both ends can, and a
/// ping waits for its answer before the next one. For latency at a rate that waits for nobody see
/// `rate`.
#[derive(Debug, Parser)]
#[command(
    // Not the name of the package.
    name = "ringseal-bench",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  ringseal-bench                                       16 KiB messages for 5 seconds
  ringseal-bench --size 64 --batch 64 --direction both
  ringseal-bench --size 1 --direction ping --json
  perf record -g -m 64K ringseal-bench --seconds 30
  ringseal-bench --listen 0.0.0.0:7000 --seed TEXT     and on another host or container
  ringseal-bench --connect HOST:7000 --seed TEXT

Dialer and listener are two threads, each with its own ring, over loopback TCP. Figures are of
the time after the warm-up; messages and bytes are counted where they are received. Ctrl-C ends
a run early and prints what was measured."
)]
pub(crate) struct Invocation {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) closed_loop: BenchArgs,
}

/// What is measured beside a closed loop.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Rate(RateArgs),
    Scale(ScaleArgs),
    #[command(hide = true)]
    ScaleServer(ScaleServerArgs),
    Soak(SoakArgs),
}

// Not a comment for clap, which would show it in place of the program's.
// The options of the closed loop.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Bytes in a message, 0 allowed; the longest message that both ends take is raised to it.
    #[arg(long, value_name = "BYTES", default_value_t = 16_384,
        value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_MESSAGE_SIZE)))]
    pub(crate) size: u32,
    /// How long to measure.
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds,
        conflicts_with = "listen")]
    pub(crate) seconds: Duration,
    /// How long to run before that, 0 allowed.
    #[arg(long, value_name = "S", default_value = "0.5", value_parser = seconds_or_none,
        conflicts_with = "listen")]
    pub(crate) warmup: Duration,
    /// Which way messages go, seen from the dialer.
    #[arg(long, value_enum, default_value_t = Direction::Send, conflicts_with = "listen")]
    pub(crate) direction: Direction,
    /// Connections at a time.
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CONNECTIONS)))]
    pub(crate) connections: u32,
    /// Messages given to the sender in one call.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "listen",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_BATCH)))]
    pub(crate) batch: u32,
    /// The wire: native[:SUITE], or commonware[:SAKE,CUPS] with the versions of its key exchange
    /// and its records.
    #[arg(long, value_name = "WIRE", default_value_t = Wire::default())]
    pub(crate) wire: Wire,
    /// The cores of dialer and listener. Without it the first two that this process may use, where
    /// there are two.
    #[arg(long, value_name = "DIALER,LISTENER", conflicts_with = "no_pin")]
    pub(crate) pin: Option<Cores>,
    /// Let the kernel choose the cores.
    #[arg(long)]
    pub(crate) no_pin: bool,
    /// Run the listener in a process of its own.
    #[arg(long, conflicts_with_all = ["listen", "connect"])]
    pub(crate) processes: bool,
    /// Slots of each end. Without it as many as all connections need, 10 at least.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(4..))]
    pub(crate) slots: Option<u32>,
    /// Bytes in a slot, rounded up to whole pages. Without it 272 KiB, and less for many
    /// connections, so that the slots together stay within what may be locked.
    #[arg(long, value_name = "BYTES",
        value_parser = clap::value_parser!(u32).range(RuntimeBuilder::MIN_SLOT_SIZE as i64..))]
    pub(crate) slot_size: Option<u32>,
    /// Submissions that fit the ring of each end.
    #[arg(long, value_name = "N", default_value_t = RuntimeBuilder::DEFAULT_RING_ENTRIES,
        value_parser = clap::value_parser!(u32).range(1..=32_768))]
    pub(crate) ring_entries: u32,
    #[command(flatten)]
    pub(crate) ring: RingArgs,
    /// How long a connection may be silent, and stand still; without it both are off.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) time_limit: Option<Duration>,
    /// Print one line of JSON instead of words.
    #[arg(long, conflicts_with = "listen")]
    pub(crate) json: bool,
    /// Tell of the progress on standard error each S seconds. Without it each second where
    /// standard error is a terminal, and never elsewhere.
    #[arg(long, value_name = "S", value_parser = seconds, conflicts_with = "listen")]
    pub(crate) interval: Option<Duration>,
    /// Be the listener alone, on this address, for one --connect after the other until
    /// interrupted.
    #[arg(long, value_name = "ADDR", value_parser = address, conflicts_with = "connect")]
    pub(crate) listen: Option<Address>,
    /// Be the dialer alone, of the --listen at this address.
    #[arg(long, value_name = "ADDR", value_parser = address, requires = "seed")]
    pub(crate) connect: Option<Address>,
    /// A text that --listen and --connect share; both keys are made from it. For benchmarks only:
    /// whoever knows or guesses it can be either end, so it proves nothing about who is there.
    #[arg(long, value_name = "TEXT", conflicts_with = "processes")]
    pub(crate) seed: Option<String>,
    /// Be the listener of --processes: the first line of standard input is the seed, and the end
    /// of standard input is the end.
    #[arg(long, hide = true, requires = "listen", conflicts_with = "seed")]
    pub(crate) supervised: bool,
}

impl BenchArgs {
    /// What both ends are set up with. Ends the program where the options do not go together.
    pub(crate) fn settings(&self) -> Settings {
        let settings = self.unchecked_settings();
        if self.direction == Direction::Ping && self.batch > 1 {
            refuse("--direction ping sends one message at a time; leave --batch out");
        }
        if self.seed.is_some() && self.listen.is_none() && self.connect.is_none() {
            refuse("--seed is for --listen and --connect; within one host keys are made anew");
        }
        if self.listen.is_some() && self.seed.is_none() && !self.supervised {
            refuse("--listen needs the --seed that its --connect names");
        }
        if self.seed.as_ref().is_some_and(String::is_empty) {
            refuse("--seed is empty; write a text that nobody else here uses");
        }
        if let Some(Address::Socket(listen)) = &self.listen
            && self.supervised
            && !SocketAddr::ip(listen).is_loopback()
        {
            refuse("--supervised is for loopback");
        }
        let arena = settings.slots.checked_mul(settings.slot_size);
        if arena.is_none_or(|length| length > MAX_ARENA) {
            refuse(&format!(
                "{} slots of {} bytes are more than the 1 GiB that the kernel registers; lower \
                 --slots or --slot-size",
                settings.slots, settings.slot_size
            ));
        }
        settings
    }

    fn unchecked_settings(&self) -> Settings {
        let slots = self.slots.map_or_else(
            || settings::slots_for(self.connections as usize),
            |slots| slots as usize,
        );
        let slot_size = self.slot_size.map_or_else(
            || settings::slot_size_for(slots, self.size as usize),
            |bytes| bytes as usize,
        );
        Settings {
            size: self.size,
            connections: self.connections,
            wire: self.wire,
            slots,
            slot_size: slot_size.next_multiple_of(rustix::param::page_size()),
            ring_entries: self.ring_entries.next_power_of_two(),
            ring: self.ring,
            time_limit: self.time_limit,
        }
    }
}

/// Ends the program as clap does for bad options.
fn refuse(text: &str) -> ! {
    Invocation::command()
        .error(ErrorKind::ValueValidation, text)
        .exit()
}
