//! Tables of what a flood of strangers costs.

use serde_json::Value;

use super::others::{Cells, cells_of_all, skipped};
use super::{heading, markdown};
use crate::results::Results;

/// Columns of the throughput beside a flood, in order.
const FLOODS: [&str; 11] = [
    "what",
    "wire",
    "asked a second",
    "came a second",
    "messages a second",
    "ratio",
    "dial median ms",
    "dial worst ms",
    "dials",
    "dials failed",
    "strangers percent of a core",
];

/// Columns of the price of a refused handshake, in order.
const PRICES: [&str; 5] = [
    "what",
    "wire",
    "refused a second",
    "server us each",
    "stranger us each",
];

/// Columns of how connections are spread over threads, in order.
const SPREAD: [&str; 2] = ["what", "of each thread"];

/// The tables, with what says which core ran what.
pub(super) fn floods(results: &Results) -> Result<Option<String>, String> {
    let Some(run) = results.run("floods") else {
        return Ok(None);
    };
    let placement = run["placement"].as_str();
    let placement = placement.ok_or("floods does not say which core ran what")?;
    let mut parts = vec![
        heading(run)?,
        placement.to_owned(),
        table(&run["rows"], &FLOODS)?,
        "A refused handshake:".to_owned(),
        table(&run["prices"], &PRICES)?,
        "Connections of each of four threads of one server, all from one address:".to_owned(),
        table(&run["spread"], &SPREAD)?,
    ];
    parts.extend(skipped(run));
    Ok(Some(parts.join("\n\n")))
}

fn table(rows: &Value, columns: &[&str]) -> Result<String, String> {
    let rows = cells_of_all(rows).ok_or("floods has no rows")?;
    let row = |cells: &Cells| -> Result<Vec<String>, String> {
        let cell = |column: &&str| cells.get(*column).cloned();
        let cells = columns
            .iter()
            .map(|column| cell(column).ok_or_else(|| format!("floods has a row without {column}")));
        cells.collect()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect::<Result<_, _>>()?;
    let titles: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
    Ok(markdown(&titles, &rows))
}
