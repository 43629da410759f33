//! The `ringseal` command-line tool: a thin layer over the library.

mod args;
mod bench;
mod counting_allocator;
mod demo;
mod dial;
mod doctor;
mod failure;
mod health;
mod interrupts;
mod key_file;
mod keygen;
mod listen;
mod report;
mod start;
mod stdio;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => demo::run(&cli.demo),
        Some(Command::Demo(args)) => demo::run(&args),
        Some(Command::Keygen(args)) => keygen::generate(&args),
        Some(Command::Pubkey(args)) => keygen::show(&args),
        Some(Command::Listen(args)) => listen::run(&args),
        Some(Command::Dial(args)) => dial::run(&args),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::Health(args)) => health::run(&args),
        // Its exit code is its answer.
        Some(Command::Doctor(args)) => return doctor::run(&args),
    };
    match result {
        // Whoever read our output has seen enough.
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(Failure::Failed(text)) => {
            failure::warn(&text);
            ExitCode::FAILURE
        }
    }
}
