//! The figures as a table that is Markdown too, and as JSON.

use ringseal_peers::contender::Contender;
use ringseal_peers::ringseal_peer::{Drive, Spoken};
use serde_json::{Value, json};

use crate::case::{Case, Row};
use crate::numbers::grouped;

/// Ours whose `send` the others are compared with: the first of these that was measured.
const COMPARED: [Contender; 2] = [
    Contender::Ringseal(Drive::Native, Spoken::NativeAes),
    Contender::Ringseal(Drive::Native, Spoken::V1),
];

/// The whole table.
pub(crate) fn table(rows: &[Row]) -> String {
    let ours = COMPARED.into_iter().find(|&ours| {
        let mut contenders = rows.iter().map(|row| row.participant.contender);
        contenders.any(|contender| contender == ours)
    });
    let over = ours.map_or_else(|| "-".to_owned(), |ours| format!("{} is", ours.name()));
    let head = line([
        "work",
        "contender",
        "by",
        "median",
        "least",
        "most",
        &over,
        "CPU s/GB",
    ]);
    let rule = head.chars().map(|c| if c == '|' { '|' } else { '-' });
    let mut lines = vec![head.clone(), rule.collect()];
    lines.extend(rows.iter().map(|row| line_of(row, ours, rows)));
    lines.join("\n")
}

fn line_of(row: &Row, ours: Option<Contender>, rows: &[Row]) -> String {
    let two_digits =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let title = row.case.title();
    let baseline = rows.iter().find(|other| {
        Some(other.participant.contender) == ours
            && other.participant.batch == 1
            && other.case.title() == title
    });
    line([
        &title,
        &row.participant.contender.name(),
        row.call().as_deref().unwrap_or("-"),
        &grouped(row.median),
        &grouped(row.least),
        &grouped(row.most),
        &two_digits(baseline.map(|baseline| baseline.median / row.median)),
        &two_digits(row.processor),
    ])
}

/// All figures, one record a row.
pub(crate) fn json(rows: &[Row]) -> Value {
    rows.iter()
        .map(|row| {
            let (size, batch) = match row.case {
                Case::Stream { size, .. } => (Some(size), Some(row.participant.batch)),
                Case::Ping | Case::Handshakes(_) => (None, None),
            };
            json!({
                "work": row.case.title(),
                "size": size,
                "batch": batch,
                "peer": row.participant.contender.name(),
                "call": row.call(),
                "median": row.median,
                "min": row.least,
                "max": row.most,
                "rounds": row.rounds,
                "cpu_seconds_per_gigabyte": row.processor,
            })
        })
        .collect()
}

fn line(cells: [&str; 8]) -> String {
    let [work, contender, call, median, least, most, ratio, processor] = cells;
    format!(
        "| {work:33} | {contender:37} | {call:20} | {median:>11} | {least:>11} | {most:>11} \
         | {ratio:>22} | {processor:>8} |"
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringseal_peers::tls::Suite;

    use super::*;
    use crate::case::Participant;

    fn row(contender: Contender, batch: usize, median: f64) -> Row {
        Row {
            case: Case::Stream {
                size: 64,
                duration: Duration::ZERO,
            },
            participant: Participant { contender, batch },
            rounds: 1,
            median,
            least: median,
            most: median,
            processor: None,
        }
    }

    #[test]
    fn the_table_is_markdown_and_compares_with_our_send() {
        let rows = [
            row(COMPARED[0], 1, 1000.0),
            row(COMPARED[0], 64, 4000.0),
            row(Contender::Tls(Suite::Aes256Gcm), 64, 500.0),
        ];
        let table = table(&rows);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 5);
        for line in &lines {
            assert_eq!(line.matches('|').count(), 9, "{line}");
            assert_eq!(line.len(), lines[0].len(), "{line}");
        }
        assert!(lines[2].contains("| send ") && lines[2].contains(" 1.00 |"));
        assert!(lines[3].contains("| send_many of 64 ") && lines[3].contains(" 0.25 |"));
        assert!(lines[4].contains("| a flush per 64 ") && lines[4].contains(" 2.00 |"));
    }
}
