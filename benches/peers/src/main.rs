//! Runs ringseal and its peers in turn on the same work in one run, and prints medians, spread,
//! ratios and what they cost in processor time.
//!
//! `cargo run --release -p ringseal-peers -- [--seconds S] [--rounds N] [--peers TEXT,...]`
//!
//! With `listen` or `dial` it is one end of one stream, for two processes or two hosts. With
//! `record` it keeps what another program measures, with `tables` it writes the documents' tables
//! from what was kept, and with `built-from` it tells its commit.

mod case;
mod chart;
mod measured;
mod numbers;
mod one_end;
mod options;
mod record;
mod report;
mod results;
mod tables;

use std::error::Error;
use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ringseal_cli::envelope::{Envelope, checked_out};
use ringseal_cli::failure::Failure;
use ringseal_cli::interrupts::Interrupts;
use ringseal_peers::contender::Contender;
use ringseal_peers::work;
use serde_json::json;

use crate::case::{Case, Participant, Row, Sample};
use crate::measured::Measured;
use crate::options::Options;

/// Message sizes of the streams.
const SIZES: [usize; 6] = [64, 1024, 4096, 16_384, 65_536, 1 << 20];

/// By which libraries the peers seal that bring their own.
const PEER_LIBRARIES: [(&str, &str); 2] =
    [("rustls, quinn and tonic", "aws-lc-rs"), ("snow", "ring")];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == "--help").is_some() {
        println!("{}", options::USAGE);
        return ExitCode::SUCCESS;
    }
    let command = arguments.next_if(|first| options::COMMANDS.contains(&first.as_str()));
    let result = match command.as_deref() {
        Some("record") => record::run(arguments),
        Some("tables") => tables::run(arguments),
        Some("built-from") => built_from(),
        Some(role) => one_end::run(role, arguments),
        None => match Options::parse(arguments) {
            Ok(options) => run(&options),
            Err(message) => {
                eprintln!("{message}");
                return ExitCode::from(2);
            }
        },
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
    let cores = cases.iter().map(|case| case.cores()).max().unwrap_or(1);
    work::check_cores(cores).map_err(|core| {
        format!(
            "this process may not run on core {core}, and each end needs a core of its own, 0 and \
             1: nothing is measured; give it both (by its cpuset), or measure on another machine"
        )
    })?;
    let interrupts = Interrupts::new().map_err(text_of)?;
    let mut rows = Vec::new();
    for (index, &case) in cases.iter().enumerate() {
        let place = format!("case {} of {}: {}", index + 1, cases.len(), case.title());
        let measured = measure(case, &place, &contenders, options.rounds, &interrupts);
        rows.extend(measured.ok_or("interrupted: no table, and no file is written")?);
    }
    println!("{}", report::table(&rows));
    let figures = json!({
        "seconds": options.seconds,
        "rounds": options.rounds,
        "rows": report::json(&rows),
    });
    if let Some(path) = &options.json {
        let text = format!("{:#}\n", envelope().around(figures.clone()));
        write_whole(path.as_ref(), &text)?;
    }
    if let Some(path) = &options.chart {
        let note = format!(
            "both ends on one machine over loopback, a core each; medians of {} x {} s",
            options.rounds, options.seconds
        );
        let text = chart::draw(&Measured::all(&figures)?, &note)
            .map_err(|error| format!("cannot draw {path}: {error}"))?;
        write_whole(path.as_ref(), &text)?;
    }
    Ok(())
}

/// Tells the commit that figures of this program would be of, if it is the one that is checked out.
fn built_from() -> Result<(), Box<dyn Error>> {
    let envelope = Envelope::here();
    let commit = results::commit("this program", &envelope)?;
    if checked_out() != Some((commit.to_owned(), false)) {
        return Err(
            format!("{commit} is not what is checked out: build this program again").into(),
        );
    }
    println!("{commit}");
    Ok(())
}

/// This run.
fn envelope() -> Envelope {
    with_peers(Envelope::here())
}

/// A run, with the libraries of the peers beside ours.
fn with_peers(mut envelope: Envelope) -> Envelope {
    let libraries = PEER_LIBRARIES.map(|(peer, library)| (peer.to_owned(), library.to_owned()));
    envelope.libraries.extend(libraries);
    envelope
}

/// Writes a file that is there as a whole or not at all.
fn write_whole(path: &Path, text: &str) -> Result<(), String> {
    let beside = path.with_extension("part");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn text_of(failure: Failure) -> String {
    match failure {
        Failure::Failed(text) => text,
        Failure::OutputClosed => "nobody reads standard output".to_owned(),
    }
}

fn contenders(options: &Options) -> Vec<Contender> {
    Contender::ALL
        .iter()
        .copied()
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
        let mut sizes = SIZES.to_vec();
        if options.chart.is_some() {
            sizes.extend(chart::SIZES);
            sizes.sort_unstable();
            sizes.dedup();
        }
        let streams = sizes.into_iter();
        cases.extend(streams.map(|size| Case::Stream { size, duration }));
        cases.push(Case::Ping);
    }
    cases.retain(|case| case.title().contains(&options.only));
    cases
}

/// Gives the rows of a case, or `None` if a signal has come. The work that it comes into is done to
/// its end, so that nothing is left behind.
fn measure(
    case: Case,
    place: &str,
    contenders: &[Contender],
    rounds: usize,
    interrupts: &Interrupts,
) -> Option<Vec<Row>> {
    let terminal = std::io::stderr().is_terminal();
    if !terminal {
        eprintln!("{place}");
    }
    let start = Instant::now();
    let participants = case.participants(contenders).into_iter();
    let mut samples: Vec<(Participant, Vec<Sample>)> = participants
        .map(|participant| (participant, Vec::new()))
        .collect();
    // In turn, so that a machine that slows down slows everybody down; and each round begins with
    // somebody else, so that nobody has the best place in all of them.
    let count = samples.len();
    for round in 1..=rounds {
        let first = (round - 1) * count / rounds;
        for turn in 0..count {
            let (participant, samples) = &mut samples[(first + turn) % count];
            if interrupts.has_come() {
                return None;
            }
            if terminal {
                let seconds = start.elapsed().as_secs();
                let name = participant.contender.name();
                eprint!("\r\x1b[K{place}: round {round} of {rounds}, {seconds} s, {name}");
                let _ = std::io::stderr().flush();
            }
            samples.extend(case.measure(*participant));
        }
    }
    if terminal {
        eprint!("\r\x1b[K");
    }
    Some(case::rows(case, &samples))
}
