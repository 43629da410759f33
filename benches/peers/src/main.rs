//! Runs ringseal and its peers in turn on the same work in one run, and prints medians, spread,
//! ratios and what they cost in processor time.
//!
//! `cargo run --release -p ringseal-peers -- [--seconds S] [--rounds N] [--peers TEXT,...]`
//!
//! With `listen` or `dial` it is one end of one stream, for two processes or two hosts.

mod case;
mod chart;
mod one_end;
mod options;
mod report;

use std::error::Error;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ringseal_peers::contender::Contender;
use ringseal_peers::work::Work;

use crate::case::{Case, Row, Sample};
use crate::options::Options;

/// Message sizes of the streams of one message a call.
const SINGLE: [usize; 5] = [64, 1024, 16_384, 65_536, 1 << 20];

/// Message size and messages in a call of the other streams.
const BATCHES: [(usize, usize); 3] = [(64, 64), (1024, 64), (16_384, 16)];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let role = arguments.next_if(|first| first == "listen" || first == "dial");
    let result = if let Some(role) = role {
        one_end::run(&role, arguments)
    } else {
        match Options::parse(arguments) {
            Ok(options) => run(&options),
            Err(message) => {
                eprintln!("{message}");
                return ExitCode::from(2);
            }
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let contenders = contenders(options);
    let cases = cases(options);
    if contenders.is_empty() || cases.is_empty() {
        return Err("no contender or no work has such a name".into());
    }
    let mut rows = Vec::new();
    println!("{}", report::head());
    for (index, &case) in cases.iter().enumerate() {
        let place = format!("case {} of {}: {}", index + 1, cases.len(), case.title());
        let measured = measure(case, &place, &contenders, options.rounds);
        for row in &measured {
            println!("{}", report::row(row));
        }
        rows.extend(measured);
    }
    if let Some(path) = &options.json {
        let text = format!("{:#}\n", report::json(&rows));
        std::fs::write(path, text).map_err(|error| format!("cannot write {path}: {error}"))?;
    }
    if let Some(path) = &options.chart {
        let note = format!(
            "both ends on one machine over loopback TCP, a core each; medians of {} x {} s",
            options.rounds, options.seconds
        );
        chart::draw(path, &rows, &note).map_err(|error| format!("cannot draw {path}: {error}"))?;
    }
    Ok(())
}

fn contenders(options: &Options) -> Vec<Contender> {
    Contender::ALL
        .into_iter()
        .filter(|contender| {
            let name = contender.name().to_lowercase();
            let texts = &options.peers;
            texts.is_empty() || texts.iter().any(|text| name.contains(text))
        })
        .collect()
}

fn cases(options: &Options) -> Vec<Case> {
    let duration = Duration::from_secs_f64(options.seconds);
    let mut cases = Vec::new();
    if options.handshakes {
        cases.push(Case::Handshakes(duration));
    } else {
        let mut sizes = SINGLE.to_vec();
        if options.chart.is_some() {
            sizes.extend(chart::SIZES);
            sizes.sort_unstable();
            sizes.dedup();
        }
        let single = sizes.into_iter().map(|size| (size, 1));
        cases.extend(single.chain(BATCHES).map(|(size, batch)| {
            Case::Stream(Work {
                size,
                batch,
                duration,
            })
        }));
        cases.push(Case::Ping);
    }
    cases.retain(|case| case.title().contains(&options.only));
    cases
}

fn measure(case: Case, place: &str, contenders: &[Contender], rounds: usize) -> Vec<Row> {
    let terminal = std::io::stderr().is_terminal();
    if !terminal {
        eprintln!("{place}");
    }
    let start = Instant::now();
    let mut samples: Vec<(Contender, Vec<Sample>)> = contenders
        .iter()
        .map(|&contender| (contender, Vec::new()))
        .collect();
    // In turn, so that a machine that slows down slows everybody down.
    for round in 1..=rounds {
        for (contender, samples) in &mut samples {
            if terminal {
                let seconds = start.elapsed().as_secs();
                let name = contender.name();
                eprint!("\r\x1b[K{place}: round {round} of {rounds}, {seconds} s, {name}");
                let _ = std::io::stderr().flush();
            }
            samples.extend(case.measure(*contender));
        }
    }
    if terminal {
        eprint!("\r\x1b[K");
    }
    case::rows(case, &samples)
}
