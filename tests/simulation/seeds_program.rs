//! Runs seeds, as many as asked for, on all cores. One that fails is printed, with how to replay it.
//!
//! ```text
//! ringseal-simulation [--seeds COUNT] [--first SEED] [--threads COUNT]
//! ringseal-simulation --seed SEED
//! ```

use std::process::ExitCode;

use ringseal_simulation::{Settings, replay, run_all};

const USAGE: &str =
    "ringseal-simulation [--seeds COUNT] [--first SEED] [--threads COUNT], or --seed SEED";

fn main() -> ExitCode {
    let mut settings = Settings::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let Some(Ok(value)) = arguments.next().map(|value| value.parse::<u64>()) else {
            return usage(&name);
        };
        match name.as_str() {
            "--seeds" => settings.count = value,
            "--first" => settings.first = value,
            "--threads" => settings.threads = usize::try_from(value).unwrap_or(1).max(1),
            "--seed" => return replay(value),
            _ => return usage(&name),
        }
    }
    run_all(settings)
}

fn usage(argument: &str) -> ExitCode {
    eprintln!("{argument}: not understood; {USAGE}");
    ExitCode::from(2)
}
