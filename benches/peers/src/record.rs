//! Keeps the figures that another program prints, with what they were measured on.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use ringseal_cli::envelope::Envelope;
use serde_json::{Value, json};

use crate::options::USAGE;
use crate::{envelope, with_peers, write_whole};

/// What a soak's figures have of each of its states, as long as a line.
const STATES: &str = "states";

/// Runs a program and writes its figures.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = arguments.collect();
    let [path, separator, program, rest @ ..] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    if separator != "--" {
        return Err(USAGE.into());
    }
    let command = arguments[2..].join(" ");
    // What can fail does so before a program has run for an hour.
    let ours = Envelope {
        command: command.clone(),
        ..envelope()
    };
    let path = Path::new(path);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)
            .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    }
    let output = Command::new(program)
        .args(rest)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command} failed ({}): nothing is written", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let figures =
        figures(&text).ok_or_else(|| format!("{command} prints no figures: nothing is written"))?;
    if figures["interrupted"] == true {
        return Err(format!("{command} was interrupted: nothing is written").into());
    }
    let envelope = envelope_of(&figures, ours)?;
    let text = written(envelope.around(figures));
    Ok(write_whole(path, &text)?)
}

/// The run that figures come from: as they say themselves, which they know best; or else ours.
fn envelope_of(figures: &Value, ours: Envelope) -> Result<Envelope, String> {
    if let Ok(theirs) = Envelope::of(figures) {
        return Ok(with_peers(theirs));
    }
    // It took so long that this program may be of another build.
    if figures["kind"] == "soak" {
        return Err("the soak does not say what it is of: nothing is written".to_owned());
    }
    // What was measured before and elsewhere is not of this machine.
    match figures["processor"].as_str() {
        Some(theirs) if !ours.processor.starts_with(theirs) => Err(format!(
            "the figures are of {theirs} and this is {}: nothing is written",
            ours.processor
        )),
        _ => Ok(ours),
    }
}

/// Figures for people and for git: the states of a soak, of which there are hundreds, a line each.
fn written(mut figures: Value) -> String {
    let fields = figures.as_object_mut().expect("figures are an object");
    let states = fields.remove(STATES);
    let mut text = format!("{figures:#}");
    if let Some(states) = states.as_ref().and_then(Value::as_array) {
        let lines: Vec<String> = states.iter().map(|state| format!("    {state}")).collect();
        text.truncate(text.len() - "\n}".len());
        text.push_str(&format!(
            ",\n  \"{STATES}\": [\n{}\n  ]\n}}",
            lines.join(",\n")
        ));
    }
    text.push('\n');
    text
}

/// The figures in what a program prints: a JSON object; the lines of a soak, or the last one of other
/// JSON lines; a Markdown table; or criterion's lines in the format of `cargo bench`.
fn figures(text: &str) -> Option<Value> {
    let object = |text: &str| {
        let value: Value = serde_json::from_str(text.trim()).ok()?;
        value.is_object().then_some(value)
    };
    object(text)
        .or_else(|| soak(text.lines().filter_map(object).collect()))
        .or_else(|| text.lines().rev().find_map(object))
        .or_else(|| table(text))
        .or_else(|| bench_lines(text))
}

/// What a soak says at its start, with its states and its result.
fn soak(mut lines: Vec<Value>) -> Option<Value> {
    let is = |kind: &str, line: &Value| line["kind"] == kind;
    let result = lines.pop().filter(|last| is("result", last))?;
    if !lines.first().is_some_and(|first| is("start", first)) {
        return None;
    }
    let mut figures = lines.remove(0);
    figures["kind"] = "soak".into();
    figures["result"] = result;
    figures[STATES] = lines.into();
    Some(figures)
}

/// A table of lines such as `test NAME ... bench: 12 ns/iter (+/- 3)`.
fn bench_lines(text: &str) -> Option<Value> {
    let row = |line: &str| -> Option<[String; 3]> {
        let (name, rest) = line.strip_prefix("test ")?.split_once(" ... bench:")?;
        let (time, spread) = rest.split_once(" ns/iter (+/- ")?;
        let [time, spread] = [time, spread.trim_end().trim_end_matches(')')].map(str::trim);
        Some([name.trim(), time, spread].map(str::to_owned))
    };
    let rows: Vec<_> = text.lines().filter_map(row).collect();
    let columns = ["bench", "ns", "spread, ns"];
    (!rows.is_empty()).then(|| json!({ "columns": columns, "rows": rows }))
}

fn table(text: &str) -> Option<Value> {
    let cells = |line: &str| -> Option<Vec<String>> {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        Some(
            inner
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect(),
        )
    };
    let mut lines = text.lines().filter_map(cells);
    let columns = lines.next()?;
    let is_rule = |cells: &[String]| cells.iter().all(|cell| cell.chars().all(|c| c == '-'));
    let rows: Vec<Vec<String>> = lines.filter(|cells| !is_rule(cells)).collect();
    let is_whole = !rows.is_empty() && rows.iter().all(|row| row.len() == columns.len());
    is_whole.then(|| json!({ "columns": columns, "rows": rows }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_an_object_are_figures() {
        let printed = "!! a note\n| wire | bytes |\n|---|---|\n| V1 | 12 |\n| native | 11 |\n";
        let expected = json!({
            "columns": ["wire", "bytes"],
            "rows": [["V1", "12"], ["native", "11"]],
        });
        assert_eq!(figures(printed), Some(expected));
        let object = json!({ "rows": [] });
        assert_eq!(figures("{\n  \"rows\": []\n}\n"), Some(object.clone()));
        assert_eq!(figures("{\"progress\": 1}\n{\"rows\": []}\n"), Some(object));
    }

    #[test]
    fn figures_that_say_what_they_are_of_are_believed() {
        let ours = envelope();
        let theirs = Envelope {
            commit: Some("0123456".to_owned()),
            is_dirty: Some(false),
            processor: "another".to_owned(),
            ..ours.clone()
        };
        let figures = theirs.around(json!({}));
        assert_eq!(envelope_of(&figures, ours.clone()), Ok(theirs));
        // Those that say nothing, or only what is true of this machine too.
        let word = ours.processor.split(' ').next().expect("a word");
        for figures in [json!({}), json!({ "processor": word })] {
            assert_eq!(envelope_of(&figures, ours.clone()), Ok(ours.clone()));
        }
    }

    #[test]
    fn a_soak_is_kept_with_all_that_it_said() {
        let lines = [
            json!({ "kind": "start", "seed": 1 }),
            json!({ "kind": "state", "seconds": 1 }),
            json!({ "kind": "rest", "seconds": 2 }),
            json!({ "kind": "result", "passed": true }),
        ];
        let printed =
            |lines: &[Value]| -> String { lines.iter().map(|line| format!("{line}\n")).collect() };
        let expected = json!({
            "kind": "soak", "seed": 1, "states": lines[1..3], "result": lines[3],
        });
        let found = figures(&printed(&lines)).expect("a soak");
        assert_eq!(found, expected);
        let text = written(found);
        assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(expected));
        assert_eq!(text.matches("\n    {").count(), 2, "{text}");
        // One that has not come to its end has no result.
        let half = figures(&printed(&lines[..3])).expect("an object");
        assert_eq!(half["result"], Value::Null);
    }

    #[test]
    fn lines_of_cargo_bench_are_a_table() {
        let printed = "test packed/aes ... bench:        123 ns/iter (+/- 4)\nnothing else\n";
        let expected = json!({
            "columns": ["bench", "ns", "spread, ns"],
            "rows": [["packed/aes", "123", "4"]],
        });
        assert_eq!(figures(printed), Some(expected));
    }

    #[test]
    fn half_a_table_is_no_figures() {
        assert_eq!(figures(""), None);
        assert_eq!(figures("all is well\n"), None);
        assert_eq!(figures("| wire | bytes |\n|---|---|\n"), None);
        assert_eq!(figures("| wire | bytes |\n|---|---|\n| V1 |\n"), None);
    }
}
