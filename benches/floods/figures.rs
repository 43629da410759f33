//! Rows of figures, as a table that is Markdown too and as JSON.

use serde_json::{Map, Value, json};

use crate::sample::Samples;

/// One figure, or what it is of.
#[derive(Debug)]
pub(crate) enum Cell {
    Nothing,
    Text(String),
    Count(u64),
    Number(f64),
    Spread(Samples),
}

/// Figures by the names of their columns, which are the same in all rows of a table.
pub(crate) type Row = Vec<(&'static str, Cell)>;

impl Cell {
    fn text(&self) -> String {
        match self {
            Self::Nothing => "-".to_owned(),
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Number(number) => format!("{number:.2}"),
            Self::Spread(samples) => samples.to_string(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Text(text) => json!(text),
            Self::Count(count) => json!(count),
            Self::Number(number) => json!(number),
            Self::Spread(samples) => json!({
                "median": samples.median(),
                "least": samples.least(),
                "most": samples.greatest(),
            }),
        }
    }
}

/// The table.
pub(crate) fn table(rows: &[Row]) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let mut lines = Vec::new();
    if let Some(first) = rows.first() {
        let titles = first.iter().map(|(name, _)| name.replace('_', " "));
        lines.push(line(titles.collect()));
        lines.push(format!("|{}", "---|".repeat(first.len())));
    }
    for row in rows {
        lines.push(line(row.iter().map(|(_, cell)| cell.text()).collect()));
    }
    lines.join("\n")
}

/// The same as a list of objects.
pub(crate) fn json(rows: &[Row]) -> Value {
    let object = |row: &Row| -> Map<String, Value> {
        let fields = row.iter();
        fields
            .map(|(name, cell)| ((*name).to_owned(), cell.json()))
            .collect()
    };
    rows.iter().map(|row| Value::Object(object(row))).collect()
}
