//! The figures that are kept: one file a processor, with each run's figures under its name; and a soak
//! in a file of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ringseal_cli::envelope::{Envelope, is_same_build};
use serde_json::Value;

use crate::write_whole;

/// What every set has: without it there is no table at all.
pub(crate) const STREAMS: &str = "streams";
/// The file that has a soak. It takes an hour, so it is not of the commit of each set, and stands beside
/// none of them.
pub(crate) const SOAK: &str = "soak.json";

/// What was measured of one commit on one processor.
#[derive(Debug)]
pub(crate) struct Results {
    /// Of the streams; the others agree with it in all but command and date.
    pub(crate) envelope: Envelope,
    /// Figures and envelope of each run, by its name.
    runs: BTreeMap<String, Value>,
}

impl Results {
    /// Takes runs together, if they are of one commit and one machine.
    fn new(runs: BTreeMap<String, Value>) -> Result<Self, String> {
        let first = runs
            .get(STREAMS)
            .ok_or_else(|| format!("there are no {STREAMS}"))?;
        let first = envelope(STREAMS, first)?;
        for (name, run) in &runs {
            let run = envelope(name, run)?;
            commit(name, &run)?;
            let differs = [
                ("commit", run.commit != first.commit),
                ("processor", run.processor != first.processor),
                ("number of cores", run.cores != first.cores),
                ("choice of libraries", run.libraries != first.libraries),
            ];
            if let Some((what, _)) = differs.iter().find(|(_, differs)| *differs) {
                return Err(format!(
                    "{name} and {STREAMS} are not of the same {what}: measure both again"
                ));
            }
        }
        Ok(Self {
            envelope: first,
            runs,
        })
    }

    /// Reads what a directory has, a file a run.
    pub(crate) fn taken(directory: &Path) -> Result<Self, String> {
        let mut runs = BTreeMap::new();
        if directory.join(SOAK).exists() {
            return Err(format!(
                "{} is kept by itself: write it to benches/results by `record`",
                directory.join(SOAK).display()
            ));
        }
        for path in json_files(directory)? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            runs.insert(name.into_owned(), json(&path)?);
        }
        Self::new(runs).map_err(|error| format!("{}: {error}", directory.display()))
    }

    /// Reads all that is kept, sorted by processor, with `taken` in the place of what was kept of its
    /// processor. Refuses commits beside each other that build
    /// different programs.
    pub(crate) fn kept(directory: &Path, taken: Option<Self>) -> Result<Vec<Self>, String> {
        let taken_name = taken
            .as_ref()
            .map(|taken| file_name(&taken.envelope.processor));
        let mut all = Vec::from_iter(taken);
        let paths = if directory.exists() {
            json_files(directory)?
        } else {
            Vec::new()
        };
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name == SOAK || taken_name.as_deref() == Some(&*name) {
                continue;
            }
            let Value::Object(runs) = json(&path)? else {
                return Err(format!("{} is no JSON object", path.display()));
            };
            let results = Self::new(runs.into_iter().collect())
                .map_err(|error| format!("{}: {error}", path.display()))?;
            if file_name(&results.envelope.processor) != name {
                return Err(format!(
                    "{} is named after another processor",
                    path.display()
                ));
            }
            all.push(results);
        }
        all.sort_by(|left, right| left.envelope.processor.cmp(&right.envelope.processor));
        let mut commits = all
            .iter()
            .filter_map(|results| results.envelope.commit.as_deref());
        let first = commits.next().unwrap_or_default();
        // Committing the figures of one processor makes another commit of the same programs.
        if let Some(other) = commits.find(|other| !is_same_build(directory, first, other)) {
            return Err(format!(
                "figures of commits {first} and {other} are not put beside each other, since what \
                 is built differs or git does not know them: measure again, or remove the older \
                 file from {}",
                directory.display()
            ));
        }
        Ok(all)
    }

    /// Writes the file of this processor.
    pub(crate) fn keep(&self, directory: &Path) -> Result<(), String> {
        fs::create_dir_all(directory)
            .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
        let path = directory.join(file_name(&self.envelope.processor));
        let text = serde_json::to_string_pretty(&self.runs).expect("strings are its keys");
        write_whole(&path, &format!("{text}\n"))
    }

    /// The figures of a run, if it was made.
    pub(crate) fn run(&self, name: &str) -> Option<&Value> {
        self.runs.get(name)
    }
}

fn envelope(name: &str, run: &Value) -> Result<Envelope, String> {
    Envelope::of(run).map_err(|field| format!("{name} has no proper {field}"))
}

/// The commit that figures are of. Refuses what nobody could measure again.
pub(crate) fn commit<'a>(name: &str, envelope: &'a Envelope) -> Result<&'a str, String> {
    let commit = envelope.commit.as_deref().ok_or_else(|| {
        format!("{name} is of no known commit: build it by --release from a git work tree")
    })?;
    match envelope.is_dirty {
        Some(false) => Ok(commit),
        Some(true) => Err(format!(
            "{name} is of sources that no commit has: commit, build and measure again"
        )),
        None => Err(format!(
            "{name} is of {commit} as whoever built it says, and nobody knows whether of what no \
             commit has: build it from a git work tree"
        )),
    }
}

fn json_files(directory: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let cannot = |error| format!("cannot read {}: {error}", directory.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

pub(crate) fn json(path: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The processor's name in small letters and digits.
fn file_name(processor: &str) -> String {
    let lower = processor.to_lowercase();
    let words = lower.split(|character: char| !character.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    format!("{}.json", words.join("-"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(field: &str, value: &Value) -> Value {
        let mut run = json!({
            "commit": "1234567890", "is_dirty": false, "processor": "Some (R) CPU, VAES",
            "cores": 2, "libraries": {}, "command": "it", "date": "2026-11-27T00:00:00Z",
            "rows": [],
        });
        run[field] = value.clone();
        run
    }

    fn results(other: Value) -> Result<Results, String> {
        let same = run("command", &json!("that"));
        Results::new(BTreeMap::from([
            (STREAMS.to_owned(), same),
            ("rate".to_owned(), other),
        ]))
    }

    #[test]
    fn runs_of_one_commit_on_one_machine_go_together() {
        results(run("date", &json!("2026-11-28T00:00:00Z"))).expect("only the date differs");
    }

    #[test]
    fn other_code_and_other_machines_are_not_mixed() {
        for (field, value, said) in [
            ("commit", json!("0987654321"), "the same commit"),
            ("commit", Value::Null, "no known commit"),
            ("is_dirty", json!(true), "no commit has"),
            ("is_dirty", Value::Null, "no commit has"),
            ("processor", json!("Other"), "the same processor"),
            ("cores", json!(4), "the same number of cores"),
            (
                "libraries",
                json!({ "native": "ring" }),
                "the same choice of libraries",
            ),
            ("date", Value::Null, "no proper date"),
        ] {
            let error = results(run(field, &value)).expect_err(field);
            assert!(error.contains(said), "{error}");
        }
        let none = Results::new(BTreeMap::new()).expect_err("nothing is there");
        assert!(none.contains(STREAMS));
    }

    #[test]
    fn a_file_is_named_after_its_processor() {
        assert_eq!(file_name("Some (R) CPU, VAES"), "some-r-cpu-vaes.json");
    }
}
