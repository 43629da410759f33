//! Runs seeds, as many as asked for, on all cores. One that fails is printed, with how to replay it.
//!
//! ```text
//! ringseal-simulation [--seeds COUNT] [--first SEED | --fresh] [--threads COUNT] [--within SECONDS]
//! ringseal-simulation --seed SEED
//! ```
//!
//! `--fresh` begins with a seed that nobody has tried, and says which. With `--within` it is a failure to
//! take longer: so many seconds of processor time for each thread, which other work on the machine does
//! not lengthen.

use core::hash::{BuildHasher, Hasher};
use core::time::Duration;
use std::collections::hash_map::RandomState;
use std::process::ExitCode;

use ringseal_simulation::{Settings, replay, run_all};

const USAGE: &str = "ringseal-simulation [--seeds COUNT] [--first SEED | --fresh] [--threads COUNT] \
                     [--within SECONDS], or --seed SEED";

fn main() -> ExitCode {
    let mut settings = Settings::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--fresh" {
            settings.first = draw_seed();
            continue;
        }
        let Some(Ok(value)) = arguments.next().map(|value| value.parse::<u64>()) else {
            return usage(&name);
        };
        match name.as_str() {
            "--seeds" => settings.count = value,
            "--first" => settings.first = value,
            "--threads" => settings.threads = usize::try_from(value).unwrap_or(1).max(1),
            "--within" => settings.within = Some(Duration::from_secs(value)),
            "--seed" => return replay(value),
            _ => return usage(&name),
        }
    }
    run_all(settings)
}

/// Returns a number that is another each time, short enough to be typed.
fn draw_seed() -> u64 {
    RandomState::new().build_hasher().finish() >> 24
}

fn usage(argument: &str) -> ExitCode {
    eprintln!("{argument}: not understood; {USAGE}");
    ExitCode::from(2)
}
