//! Keeps the figures that another program prints, with what they were measured on.

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};

use ringseal_cli::envelope::Envelope;
use serde_json::{Value, json};

use crate::options::USAGE;
use crate::{envelope, with_peers, write_whole};

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
    // What a program says of its own build and run is better known than what this one can say.
    let envelope = Envelope::of(&figures).map_or_else(
        |_| Envelope {
            command,
            ..envelope()
        },
        with_peers,
    );
    let text = format!("{:#}\n", envelope.around(figures));
    Ok(write_whole(Path::new(path), &text)?)
}

/// The figures in what a program prints: a JSON object, the last one if there are several lines of
/// them, or a Markdown table, or criterion's lines in the format of `cargo bench`.
fn figures(text: &str) -> Option<Value> {
    let object = |text: &str| {
        let value: Value = serde_json::from_str(text.trim()).ok()?;
        value.is_object().then_some(value)
    };
    object(text)
        .or_else(|| text.lines().rev().find_map(object))
        .or_else(|| table(text))
        .or_else(|| bench_lines(text))
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
