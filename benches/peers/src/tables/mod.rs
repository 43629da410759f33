//! Writes the documents' tables and charts from the figures that are kept, or checks that they say
//! the same.

mod document;
mod floods;
mod others;
mod soak;
mod streams;
mod targets;

use std::error::Error;
use std::path::{Path, PathBuf};

use ringseal_cli::chart::Chart;
use ringseal_cli::envelope::Envelope;
use ringseal_cli::pictures;
use serde_json::Value;

use crate::chart;
use crate::measured::Measured;
use crate::options::USAGE;
use crate::results::{Results, STREAMS};
use crate::tables::document::Document;
use crate::tables::soak::Soak;
use crate::{text_of, write_whole};

/// Where figures are kept, within the repository.
const KEPT: &str = "benches/results";
/// The chart of the newest figures, within the repository.
const CHART: &str = "benches/throughput.svg";
/// The chart of the soak that is kept, within the repository.
const SOAK_CHART: &str = "benches/soak.svg";
/// What is counted instead of timed, within the repository.
const INSTRUCTIONS: &str = "benches/instructions.json";

/// The table that everybody reads.
const HEADLINE: &str = "headline";

/// Makes a table of one processor's figures; `None` where the run was not made.
type Table = fn(&Results) -> Result<Option<String>, String>;

/// Each document, and what stands between which of its markers.
const DOCUMENTS: [(&str, &[(&str, Table)]); 2] = [
    ("README.md", &[(HEADLINE, streams::headline)]),
    (
        "benches/README.md",
        &[
            ("targets", targets::targets),
            ("native", streams::native),
            ("commonware", streams::commonware),
            ("all", streams::all),
            ("idle connections", |results| {
                others::printed(results, "idle_connections")
            }),
            ("ways of use", |results| {
                others::printed(results, "ways_of_use")
            }),
            ("native records", |results| {
                others::printed(results, "native_records")
            }),
            ("rate", |results| others::rows(results, "rate")),
            ("scale", |results| others::rows(results, "scale")),
            ("floods", floods::floods),
        ],
    ),
];

/// A chart of the newest figures of a run, which stands below its tables.
struct Picture {
    run: &'static str,
    /// Beside the document.
    file: &'static str,
    shows: &'static str,
    draw: fn(&Value, String) -> Chart,
}

const PICTURES: [Picture; 2] = [
    Picture {
        run: "rate",
        file: "latency.svg",
        shows: "latency by rate",
        draw: pictures::latency,
    },
    Picture {
        run: "scale",
        file: "scale.svg",
        shows: "messages a second, processor time and memory by number of connections",
        draw: pictures::scale,
    },
];

impl Picture {
    /// The figures that it is drawn from, if there are any.
    fn newest<'a>(&self, results: &'a [Results]) -> Option<(&'a Value, Envelope)> {
        let runs = results.iter().filter_map(|results| results.run(self.run));
        let told = runs.filter_map(|run| Some((run, Envelope::of(run).ok()?)));
        told.max_by(|left, right| left.1.date.cmp(&right.1.date))
    }

    fn drawn(&self, results: &[Results]) -> Result<Option<String>, String> {
        let Some((run, envelope)) = self.newest(results) else {
            return Ok(None);
        };
        let note = format!(
            "{}; messages of {} bytes, {} runs of {} s in turn; commit {}",
            envelope.processor,
            run["size_bytes"],
            run["rounds"],
            run["seconds"],
            short_commit(&envelope)
        );
        svg(&(self.draw)(run, note)).map(Some)
    }
}

fn svg(chart: &Chart) -> Result<String, String> {
    chart.to_svg().map_err(text_of)
}

struct Options {
    take: Option<PathBuf>,
    is_check: bool,
    root: PathBuf,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            take: None,
            is_check: false,
            root: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")),
        };
        while let Some(name) = arguments.next() {
            let mut value = || {
                let value = arguments.next().map(PathBuf::from);
                value.ok_or_else(|| format!("{name} needs a directory\n{USAGE}"))
            };
            match name.as_str() {
                "--check" => options.is_check = true,
                "--take" => options.take = Some(value()?),
                "--root" => options.root = value()?,
                _ => return Err(format!("there is no {name}\n{USAGE}")),
            }
        }
        if options.is_check && options.take.is_some() {
            return Err("a check writes nothing: leave out --check or --take".to_owned());
        }
        Ok(options)
    }
}

/// Does what was asked for.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let options = Options::parse(arguments)?;
    let kept = options.root.join(KEPT);
    let taken = options.take.as_deref().map(Results::taken).transpose()?;
    let is_taken = taken.is_some();
    let results = Results::kept(&kept, taken)?;
    let soak = Soak::kept(&kept)?;
    // All are made before one is written. What nothing is kept of must not be there.
    let mut files = Vec::new();
    for (path, regions) in DOCUMENTS {
        let file = options.root.join(path);
        let text = document(&file, regions, &options.root, &results, soak.as_ref())?;
        files.push((path.to_owned(), Some(text)));
    }
    if let Some(newest) = results.iter().max_by_key(|results| &results.envelope.date) {
        files.push((CHART.to_owned(), Some(drawn(newest)?)));
    } else {
        println!(
            "{KEPT} has no figures: the tables of speed are dated text, and are left as they are"
        );
    }
    for picture in PICTURES {
        let path = format!("benches/{}", picture.file);
        files.push((path, picture.drawn(&results)?));
    }
    let chart = soak.as_ref().map(Soak::chart).transpose()?;
    files.push((SOAK_CHART.to_owned(), chart));
    let mut differing = Vec::new();
    for (path, text) in files {
        let file = options.root.join(&path);
        if std::fs::read_to_string(&file).ok() == text {
            continue;
        }
        if options.is_check {
            differing.push(path);
        } else if let Some(text) = text {
            write_whole(&file, &text)?;
            println!("{path} is written");
        } else {
            std::fs::remove_file(&file)
                .map_err(|error| format!("cannot remove {}: {error}", file.display()))?;
            println!("{path} is removed: nothing is kept that it shows");
        }
    }
    if is_taken {
        // Behind the documents: figures that are kept have their tables.
        for results in &results {
            results.keep(&kept)?;
        }
    }
    if differing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} and the figures in {KEPT} and {INSTRUCTIONS} do not say the same; \
         `cargo run -p ringseal-peers -- tables` writes it anew",
        differing.join(", ")
    )
    .into())
}

/// The document with its tables as the figures have them.
fn document(
    path: &Path,
    regions: &[(&str, Table)],
    root: &Path,
    results: &[Results],
    soak: Option<&Soak>,
) -> Result<String, String> {
    let mut document = Document::read(path)?;
    if path.ends_with("benches/README.md") {
        let text = others::instructions(&root.join(INSTRUCTIONS))?;
        document.replace("instructions", &text)?;
        let text = match soak {
            Some(soak) => format!("{}\n\n![a soak over time](soak.svg)", soak.table()?),
            None => soak::NONE.to_owned(),
        };
        document.replace("soak", &text)?;
    }
    for (name, table) in regions {
        // Checked also where nothing is to be written.
        let old = document.region(name)?.to_owned();
        if results.is_empty() {
            continue;
        }
        let mut parts = Vec::new();
        for results in results {
            if let Some(table) = table(results)? {
                parts.push(table);
            } else {
                let commit = short_commit(&results.envelope);
                let processor = &results.envelope.processor;
                parts.push(format!("Not measured at commit {commit} on {processor}."));
            }
        }
        let mut pictures = PICTURES.iter().filter(|picture| picture.run == *name);
        if let Some(picture) = pictures.find(|picture| picture.newest(results).is_some()) {
            parts.push(format!("![{}]({})", picture.shows, picture.file));
        }
        if *name == HEADLINE {
            parts.extend(unseen(results));
        }
        let text = parts.join("\n\n");
        if text != old {
            document.replace(name, &text)?;
        }
    }
    Ok(document.text())
}

/// Says which kind of processor nobody has measured.
fn unseen(results: &[Results]) -> Option<String> {
    let is_seen = |words: &str| {
        let mut processors = results.iter().map(|results| &results.envelope.processor);
        processors.any(|processor| processor.contains(words))
    };
    let kind = match (is_seen("AVX-512 with"), is_seen("no AVX-512")) {
        (true, true) => return None,
        (true, false) => "without AVX-512",
        (false, true) => "with AVX-512",
        (false, false) => "of x86-64 of which it is known whether they have AVX-512",
    };
    Some(format!(
        "Nobody has measured this commit on processors {kind}."
    ))
}

fn drawn(results: &Results) -> Result<String, String> {
    let streams = results.run(STREAMS).ok_or("there are no streams")?;
    let envelope = &results.envelope;
    let note = format!(
        "{}, a core each; medians of {} x {} s; commit {}",
        envelope.processor,
        streams["rounds"],
        streams["seconds"],
        short_commit(envelope)
    );
    chart::draw(&Measured::all(streams)?, &note).map_err(|error| error.to_string())
}

/// A line that says what a table was measured on and by which command.
fn heading(run: &Value) -> Result<String, String> {
    let envelope = Envelope::of(run).map_err(|field| format!("no proper {field}"))?;
    Ok(heading_by(&envelope, &envelope.command))
}

fn heading_by(envelope: &Envelope, command: &str) -> String {
    let libraries: Vec<String> = envelope
        .libraries
        .iter()
        .map(|(cipher, library)| format!("{cipher} by {library}"))
        .collect();
    let day = envelope.date.get(..10).unwrap_or(&envelope.date);
    format!(
        "On {} cores of {}; {}; commit {}, {day}: `{command}`",
        envelope.cores,
        envelope.processor,
        libraries.join(", "),
        short_commit(envelope),
    )
}

fn short_commit(envelope: &Envelope) -> &str {
    let commit = envelope.commit.as_deref().unwrap_or("unknown");
    commit.get(..7).unwrap_or(commit)
}

/// Markdown of a table.
fn markdown(columns: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let rule = format!("|{}", "---|".repeat(columns.len()));
    let mut lines = vec![line(columns), rule];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.join("\n")
}
