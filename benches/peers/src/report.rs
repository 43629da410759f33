//! The figures as a table that is Markdown too, and as JSON.

use serde_json::{Value, json};

use crate::case::{Case, Row};

/// The head of the table.
pub(crate) fn head() -> String {
    let titles = line([
        "work",
        "contender",
        "median",
        "least",
        "most",
        "ringseal V1 is",
        "CPU s/GB",
    ]);
    let rule = titles
        .chars()
        .map(|character| if character == '|' { '|' } else { '-' });
    format!("{titles}\n{}", rule.collect::<String>())
}

/// One row of the table.
pub(crate) fn row(row: &Row) -> String {
    let two_digits =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    line([
        &row.case.title(),
        &row.contender.name(),
        &grouped(row.median),
        &grouped(row.least),
        &grouped(row.most),
        &two_digits(row.ratio),
        &two_digits(row.processor),
    ])
}

/// All figures, one record a row.
pub(crate) fn json(rows: &[Row]) -> Value {
    rows.iter()
        .map(|row| {
            let work = match row.case {
                Case::Stream(work) => Some(work),
                Case::Ping | Case::Handshakes(_) => None,
            };
            json!({
                "work": row.case.title(),
                "size": work.map(|work| work.size),
                "batch": work.map(|work| work.batch),
                "peer": row.contender.name(),
                "median": row.median,
                "min": row.least,
                "max": row.most,
                "rounds": row.rounds,
                "ringseal_v1_over_it": row.ratio,
                "cpu_seconds_per_gigabyte": row.processor,
            })
        })
        .collect()
}

fn line(cells: [&str; 7]) -> String {
    let [work, contender, median, least, most, ratio, processor] = cells;
    format!(
        "| {work:33} | {contender:26} | {median:>11} | {least:>11} | {most:>11} | {ratio:>14} \
         | {processor:>8} |"
    )
}

/// Writes large numbers without a fraction and in groups of three digits.
fn grouped(value: f64) -> String {
    if value < 1000.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        let cases = [
            (0.25, "0.2"),
            (999.4, "999.4"),
            (1000.0, "1 000"),
            (65_432.1, "65 432"),
            (1_234_567.8, "1 234 568"),
        ];
        for (value, text) in cases {
            assert_eq!(grouped(value), text);
        }
    }

    #[test]
    fn the_table_is_markdown() {
        let head = head();
        let (titles, rule) = head.split_once('\n').expect("two lines");
        assert_eq!(titles.matches('|').count(), rule.matches('|').count());
        assert_eq!(titles.len(), rule.len());
    }
}
