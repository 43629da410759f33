//! Tables of what other programs measure.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::numbers::{grouped_count, short};
use crate::results::Results;

use super::{heading, markdown};

/// A table as the program printed it.
pub(super) fn printed(results: &Results, name: &str) -> Result<Option<String>, String> {
    let Some(run) = results.run(name) else {
        return Ok(None);
    };
    let texts = |value: &Value| -> Option<Vec<String>> {
        let cells = value.as_array()?.iter();
        cells.map(|cell| Some(cell.as_str()?.to_owned())).collect()
    };
    let table = || {
        let rows = run["rows"].as_array()?.iter().map(texts);
        Some((texts(&run["columns"])?, rows.collect::<Option<Vec<_>>>()?))
    };
    let (columns, rows) = table().ok_or_else(|| format!("{name} has no table"))?;
    Ok(Some(format!(
        "{}\n\n{}",
        heading(run)?,
        markdown(&columns, &rows)
    )))
}

/// Columns that come before the others, which are sorted by name.
const FIRST: [&str; 5] = ["what", "wire", "connections", "threads", "rate"];

/// Times that come behind those, in this order, with their titles.
const PERCENTILES: [(&str, &str); 6] = [
    ("p50 us", "p50, us"),
    ("p90 us", "p90, us"),
    ("p99 us", "p99, us"),
    ("p99 9 us", "p99.9, us"),
    ("p99 99 us", "p99.99, us"),
    ("max us", "max, us"),
];

/// Titles that say more than the names of the fields.
const OTHERS: [(&str, &str); 1] = [("reached there", "reached where saturated")];

/// What the program gives of work that it left out.
const SKIPPED: &str = "skipped";

/// Tables of the lists of objects that the program gave, `rows` before the others, and what it left
/// out.
pub(super) fn rows(results: &Results, name: &str) -> Result<Option<String>, String> {
    let Some(run) = results.run(name) else {
        return Ok(None);
    };
    let mut lists: Vec<(&String, Vec<Cells>)> = run
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(field, value)| Some((field, cells_of_all(value)?)))
        .collect();
    lists.sort_by_key(|(field, _)| (field.as_str() != "rows", field.as_str()));
    if lists
        .first()
        .is_none_or(|(field, _)| field.as_str() != "rows")
    {
        return Err(format!("{name} has no rows"));
    }
    let mut parts = vec![heading(run)?];
    for (field, rows) in lists {
        if field != "rows" {
            parts.push(format!("{}:", words(field)));
        }
        parts.push(table(&rows));
    }
    parts.extend(skipped(run));
    Ok(Some(parts.join("\n\n")))
}

pub(super) fn skipped(run: &Value) -> impl Iterator<Item = String> {
    let texts = run[SKIPPED].as_array().into_iter().flatten();
    texts.map(|text| format!("!! SKIPPED: {}", cell(text)))
}

/// Texts by the names of their columns.
pub(super) type Cells = BTreeMap<String, String>;

fn table(rows: &[Cells]) -> String {
    let names: BTreeSet<&String> = rows.iter().flat_map(Cells::keys).collect();
    let mut columns: Vec<String> = names.into_iter().cloned().collect();
    let known: Vec<&str> = (FIRST.into_iter())
        .chain(PERCENTILES.map(|(name, _)| name))
        .collect();
    let place = |column: &String| known.iter().position(|known| known == column);
    columns.sort_by_key(|column| place(column).unwrap_or(known.len()));
    let cell = |row: &Cells, column: &String| match row.get(column) {
        Some(text) if is_above_target(row, column, text) => format!("**{text}**"),
        Some(text) => text.clone(),
        None => "-".to_owned(),
    };
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| columns.iter().map(|column| cell(row, column)).collect())
        .collect();
    let title = |column: &String| {
        let known = PERCENTILES.iter().chain(&OTHERS);
        let known = known.into_iter().find(|(name, _)| name == column);
        known.map_or_else(|| column.clone(), |(_, title)| (*title).to_owned())
    };
    let titles: Vec<String> = columns.iter().map(title).collect();
    markdown(&titles, &rows)
}

/// Whether a row has a target for this column, at most which it was to be.
fn is_above_target(row: &Cells, column: &str, text: &str) -> bool {
    let first = |text: &str| text.split(' ').next()?.parse::<f64>().ok();
    let target = row.get(&format!("target {column}"));
    let target = target.and_then(|target| first(target));
    target.is_some_and(|target| first(text).is_some_and(|figure| figure > target))
}

/// The cells of a list of objects that is not empty.
pub(super) fn cells_of_all(value: &Value) -> Option<Vec<Cells>> {
    let list = value.as_array().filter(|list| !list.is_empty())?;
    list.iter()
        .map(|row| {
            let mut cells = Cells::new();
            collect("", row.as_object()?, &mut cells);
            Some(cells)
        })
        .collect()
}

/// Takes in the fields of an object, and those of objects in it behind their name. Lists that are not of
/// plain values are left out.
fn collect(before: &str, object: &Map<String, Value>, cells: &mut Cells) {
    for (field, value) in object {
        let name = format!("{before}{}", words(field));
        match value {
            Value::Array(list) if list.iter().any(|it| it.is_array() || it.is_object()) => {}
            Value::Array(list) => {
                let texts: Vec<String> = list.iter().map(cell).collect();
                cells.insert(name, texts.join(", "));
            }
            Value::Object(inner) => match spread(inner) {
                Some(text) => drop(cells.insert(name, text)),
                None => collect(&format!("{name} "), inner, cells),
            },
            plain => drop(cells.insert(name, cell(plain))),
        }
    }
}

/// A median with its spread, if that is what the object is.
fn spread(object: &Map<String, Value>) -> Option<String> {
    let number = |name: &str| object.get(name)?.as_f64().map(short);
    let [median, least, most] = ["median", "least", "most"].map(number);
    Some(format!("{} ({} to {})", median?, least?, most?))
}

fn words(field: &str) -> String {
    field.replace('_', " ")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_u64() {
            Some(count) => grouped_count(count),
            None => number.as_f64().map_or_else(|| "-".to_owned(), short),
        },
        other => other.to_string(),
    }
}

/// A tool with its version, which for some begins with the tool's name.
fn named(tool: &str, version: &str) -> String {
    if version.starts_with(tool) {
        version.to_owned()
    } else {
        format!("{tool} {version}")
    }
}

/// The committed counts of instructions a message.
pub(super) fn instructions(path: &Path) -> Result<String, String> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    let counts: Value = serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    let workloads = counts["workloads"].as_object();
    let workloads = workloads.ok_or_else(|| format!("{name} has no workloads"))?;
    let tools = counts["made_with"].as_object();
    let tools = tools.ok_or_else(|| format!("{name} does not say what it was made with"))?;
    let tools: Vec<String> = tools
        .iter()
        .map(|(tool, version)| named(tool, version.as_str().unwrap_or("?")))
        .collect();
    let columns = ["work", "instructions a message"].map(str::to_owned);
    let mut rows = Vec::new();
    for (work, count) in workloads {
        let count = count
            .as_u64()
            .ok_or_else(|| format!("{name}: {work} is no count"))?;
        rows.push(vec![format!("`{work}`"), grouped_count(count)]);
    }
    Ok(format!(
        "Made with {}:\n\n{}",
        tools.join(", "),
        markdown(&columns, &rows)
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_of_objects_are_tables_with_their_spread() {
        let list = json!([
            { "wire": "native", "rate": 100, "p50_us": 12.5, "saturated": false },
            {
                "wire": "native", "rate": 10_000, "list": [{ "left": 1 }], "spread": [3, 4], "max_us": 9, "p99_99_us": 8, "p99_9_us": 7,
                "idle": { "bytes": 7, "cpu": null },
                "over": { "median": 1.02, "least": 0.9, "most": 2.0 },
            },
        ]);
        let rows = cells_of_all(&list).expect("a list of objects");
        let expected = "\
            | wire | rate | p50, us | p99.9, us | p99.99, us | max, us | idle bytes | idle cpu | over | saturated | spread |\n\
            |---|---|---|---|---|---|---|---|---|---|---|\n\
            | native | 100 | 12.5 | - | - | - | - | - | - | no | - |\n\
            | native | 10 000 | - | 7 | 8 | 9 | 7 | - | 1.02 (0.90 to 2.00) | - | 3, 4 |";
        assert_eq!(table(&rows), expected);
        assert!(cells_of_all(&json!([1, 2])).is_none());
        assert!(cells_of_all(&json!([])).is_none());
    }

    #[test]
    fn what_was_left_out_is_told() {
        let run = json!({ "rows": [{}], "skipped": ["10 000 idle: too few descriptors"] });
        let told: Vec<String> = skipped(&run).collect();
        assert_eq!(told, ["!! SKIPPED: 10 000 idle: too few descriptors"]);
        assert_eq!(skipped(&json!({ "rows": [{}] })).count(), 0);
    }
}
