//! The `ringseal` command-line tool: a thin layer over the library.

mod args;
mod demo;
mod dial;
mod doctor;
mod halves;
mod health;
mod keygen;
mod listen;
mod output;
mod standstill;

use std::process::ExitCode;

use ringseal_cli::args::parse;
use ringseal_cli::{
    descriptors, events, failure, figures, interrupts, key_file, log, patient, peer_fields,
    public_key_argument, round_trips, start, stdio,
};

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli: Cli = parse();
    cli.log_format.choose();
    interrupts::choose();
    let _log = log::start();
    events::start();
    let result = match cli.command {
        None => demo::run(&cli.demo),
        Some(Command::Demo(args)) => demo::run(&args),
        Some(Command::Keygen(args)) => keygen::generate(&args),
        Some(Command::Pubkey(args)) => keygen::show(&args),
        Some(Command::Listen(args)) => listen::run(&args),
        Some(Command::Dial(args)) => dial::run(&args),
        Some(Command::Health(args)) => health::run(&args),
        // Its exit code is its answer.
        Some(Command::Doctor(args)) => return doctor::run(&args),
    };
    failure::exit_code(result)
}
