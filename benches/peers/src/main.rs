//! Runs ringseal and its peers in turn on the same work and prints medians, spread and ratios.
//!
//! `cargo run --release -p ringseal-peers -- [--seconds S] [--rounds N] [--json FILE]`

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use ringseal_peers::contender::{Contender, Work};

const USAGE: &str = "usage: ringseal-peers [--seconds S] [--rounds N] [--only TEXT] [--json FILE]";

/// Size and batch of each stream.
const STREAMS: [(usize, usize); 6] = [
    (64, 1),
    (1024, 1),
    (16_384, 1),
    (65_536, 1),
    (64, 64),
    (16_384, 16),
];

struct Options {
    seconds: f64,
    rounds: usize,
    only: String,
    json: Option<String>,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        seconds: 1.0,
        rounds: 5,
        only: String::new(),
        json: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        match name.as_str() {
            "--seconds" => options.seconds = value.parse().map_err(|_| USAGE)?,
            "--rounds" => options.rounds = value.parse().map_err(|_| USAGE)?,
            "--only" => options.only = value,
            "--json" => options.json = Some(value),
            _ => return Err(USAGE.to_owned()),
        }
    }
    if options.rounds == 0 || !options.seconds.is_finite() || options.seconds <= 0.0 {
        return Err(USAGE.to_owned());
    }
    Ok(options)
}

/// Median, least and most.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (
        values[values.len() / 2],
        values[0],
        values[values.len() - 1],
    )
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    let progress = std::io::stderr().is_terminal();
    let mut records = Vec::new();
    let works: Vec<Option<Work>> = STREAMS
        .iter()
        .map(|&(size, batch)| {
            Some(Work {
                size,
                batch,
                duration: Duration::from_secs_f64(options.seconds),
            })
        })
        .chain([None])
        .collect();
    for work in &works {
        let title = work.as_ref().map_or_else(
            || "ping, 1 byte, p50 microseconds".to_owned(),
            |work| format!("{} B, {} a call, messages/s", work.size, work.batch),
        );
        if !title.contains(&options.only) {
            continue;
        }
        let mut values = vec![Vec::new(); Contender::ALL.len()];
        // In turn, so that a machine that slows down slows everybody down.
        for round in 0..options.rounds {
            for (contender, values) in Contender::ALL.iter().zip(&mut values) {
                if progress {
                    let name = contender.name();
                    eprint!(
                        "\r{title}: round {} of {}, {name:24}",
                        round + 1,
                        options.rounds
                    );
                    let _ = std::io::stderr().flush();
                }
                values.push(match work {
                    Some(work) => contender.stream(work).rate(),
                    None => {
                        let mut pings = contender.ping(5000);
                        pings.sort();
                        pings[pings.len() / 2].as_secs_f64() * 1e6
                    }
                });
            }
        }
        if progress {
            eprint!("\r{:78}\r", "");
        }
        println!("{title}");
        let mut ours = f64::NAN;
        for (contender, values) in Contender::ALL.iter().zip(&values) {
            let (median, least, most) = spread(values.clone());
            // Those after us are on the same wire.
            if matches!(contender, Contender::Ringseal(_)) {
                ours = median;
            }
            records.push(format!(
                "{{\"work\":\"{title}\",\"peer\":\"{}\",\"median\":{median},\"min\":{least},\"max\":{most},\"rounds\":{}}}",
                contender.name(),
                options.rounds
            ));
            println!(
                "  {:24} {median:12.1}  ({least:.1} to {most:.1})  ringseal is {:.2} of it",
                contender.name(),
                ours / median
            );
        }
    }
    if let Some(path) = options.json
        && let Err(error) = std::fs::write(&path, format!("[{}]\n", records.join(",\n")))
    {
        eprintln!("cannot write {path}: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
