//! Tries models, and says in how many orders. See the top of `lib.rs`.

use std::process::ExitCode;
use std::time::Instant;

use ringseal_models::{MODELS, tell_how_to_replay};

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let is_asked = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part));
    let asked: Vec<_> = MODELS.iter().filter(|model| is_asked(model.name)).collect();
    if asked.is_empty() {
        eprintln!("no such model; there are:");
        MODELS
            .iter()
            .for_each(|model| eprintln!("    {}", model.name));
        return ExitCode::from(2);
    }
    tell_how_to_replay();
    for model in asked {
        let start = Instant::now();
        let orders = model.check();
        let seconds = start.elapsed().as_secs_f64();
        println!("{:<80} {orders:>8} orders, {seconds:.1} s", model.name);
    }
    ExitCode::SUCCESS
}
