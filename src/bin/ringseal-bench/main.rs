//! `ringseal-bench`: runs long enough to be profiled, and counts what it costs.
//!
//! * `arguments`: the command line; `closed_loop`: the command without a name; `rate`,
//!   `scale`, `soak`: commands of their own;
//! * `settings`: what both ends are set up with; the only place that sets up a runtime;
//! * `dialer`, `listener`: the ends, each a runtime on a thread; `listener_process`: the listener
//!   as a child;
//! * `control`: how they tell each other what is in the common library; `workload`: what they do meanwhile;
//! * `counting_allocator`, `snapshot`, `measurement`, `report`: counters, their differences, and
//!   how they are told;
//! * `heap`, `process`: what this process has; `pinning`: cores; `median`: of several runs.

mod arguments;
mod closed_loop;
mod control;
mod counting_allocator;
mod dialer;
mod heap;
mod listener;
mod listener_process;
mod measurement;
mod median;
mod pinning;
mod process;
mod rate;
mod report;
mod scale;
mod settings;
mod snapshot;
mod soak;
mod workload;

use std::process::ExitCode;

use ringseal_cli::args::parse;
use ringseal_cli::{events, failure, interrupts, log, terms};

use arguments::{Command, Invocation};

fn main() -> ExitCode {
    let Invocation {
        command,
        closed_loop: args,
    } = parse();
    interrupts::choose();
    let _log = log::start();
    events::start();
    terms::speak_of(terms::BENCH);
    failure::exit_code(match command {
        None => closed_loop::run(&args),
        Some(Command::Rate(args)) => rate::run(&args),
        Some(Command::Scale(args)) => scale::run(&args),
        Some(Command::ScaleServer(args)) => scale::serve(&args),
        Some(Command::Soak(args)) => soak::run(&args),
    })
}
