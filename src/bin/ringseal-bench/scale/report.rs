//! How a server scales: in words, in JSON, as a chart.

use core::fmt::Write;

use ringseal::protocol::cipher::{Aead, DefaultAead};
use ringseal_cli::chart::Chart;
use ringseal_cli::envelope::Envelope;
use ringseal_cli::machine::Machine;
use ringseal_cli::pictures::{self, COUNTED_FROM};
use serde_json::{Value, json};

use super::arguments::ScaleArgs;
use super::row::{BareRow, Measured, Row};
use super::settings::{SLOT_SIZE, SLOTS};
use crate::median::Median;

/// All that is told.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) args: &'a ScaleArgs,
    pub(crate) machine: &'a Machine,
    pub(crate) measured: &'a Measured,
}

impl Report<'_> {
    fn heading(&self) -> String {
        let args = self.args;
        format!(
            "messages of {} bytes, {} runs of {} s each in turn, {} slots of {} KiB a thread, {}{}",
            args.size,
            args.rounds,
            args.seconds.as_secs_f64(),
            SLOTS,
            SLOT_SIZE / 1024,
            if args.no_pin { "not pinned, " } else { "" },
            self.machine.text(),
        )
    }

    /// Both lists of rows, by what they are told as.
    fn lists(&self) -> [(&'static str, &[Row]); 2] {
        let measured = self.measured;
        [("rows", &measured.rows), ("by_handles", &measured.handles)]
    }

    fn bare_on_one_thread(&self) -> Option<&BareRow> {
        self.measured.bare.iter().find(|row| row.threads == 1)
    }

    pub(crate) fn text(&self) -> String {
        let mut text = self.heading();
        text.push_str(
            "\nEach core has one thread of the server and one of the dialers: one thread is one core.\n",
        );
        for (name, rows) in self.lists() {
            Self::write_rows(name, rows, &mut text);
        }
        text.push('\n');
        self.write_bare(&mut text);
        for comparison in &self.measured.comparisons {
            let (wire, what, ratio) = (comparison.wire, &comparison.what, comparison.ratio);
            let _ = writeln!(text, "wire {wire}: {what}: {ratio:.3}");
        }
        for skipped in &self.measured.skipped {
            let _ = writeln!(text, "!! SKIPPED: {skipped}");
        }
        text.trim_end().to_owned()
    }

    fn write_rows(name: &str, rows: &[Row], text: &mut String) {
        let by = match name {
            "by_handles" => ", by handles from tokio",
            _ => "",
        };
        let mut wire = None;
        for row in rows {
            if wire.replace(row.wire) != Some(row.wire) {
                // Writing to a string cannot fail.
                let _ = write!(
                    text,
                    "\nwire {}{by}\n{:>11}{:>8}  {:<36}{:<22}{:<24}{:>8}{:>16}{:>16}{:>7}{:>10}\n",
                    row.wire,
                    "connections",
                    "threads",
                    "messages/s",
                    "over one thread",
                    "us of processor/message",
                    "target",
                    "B idle, server",
                    "B idle, dialer",
                    "slots",
                    "idle CPU"
                );
            }
            Self::write_row(row, rows, text);
        }
    }

    fn write_row(row: &Row, rows: &[Row], text: &mut String) {
        let shown = |median: Option<Median>, digits: usize| {
            median.map_or_else(|| "-".to_owned(), |median| format!("{median:.digits$}"))
        };
        let over = on_one_thread(row, rows).filter(|_| row.threads > 1);
        let target = of_one_connection(row, rows).and_then(|one| row.target(one));
        let bytes = |bytes: Option<f64>| {
            let counted = bytes.filter(|_| u64::from(row.connections) >= COUNTED_FROM);
            counted.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes:.0}"))
        };
        let _ = writeln!(
            text,
            "{:>11}{:>8}  {:<36}{:<22}{:<24}{:>8}{:>16}{:>16}{:>7}{:>9.2}%",
            row.connections,
            row.threads,
            shown(row.rate(), 0),
            shown(over.and_then(|one| row.over(one)), 2),
            shown(row.cpu(), 2),
            target.map_or_else(|| "-".to_owned(), |target| format!("{target:.2}")),
            bytes(row.idle.server_bytes),
            bytes(row.idle.dialer_bytes),
            row.idle.server_slots,
            100.0 * row.idle.server_cpu,
        );
    }

    fn write_bare(&self, text: &mut String) {
        for row in &self.measured.bare {
            let Some(rate) = Median::of(row.runs.iter().copied()) else {
                continue;
            };
            let over = self.bare_on_one_thread().filter(|_| row.threads > 1);
            let over = over.and_then(|one| row.over(one));
            let over = over.map_or_else(String::new, |over| format!(", {over} of one thread"));
            let _ = writeln!(
                text,
                "bare pipeline in the same shape ({}, records of 64 KiB), {} threads: {rate:.0} \
                 records/s{over}",
                DefaultAead::name(),
                row.threads,
            );
        }
    }

    pub(crate) fn json(&self) -> Value {
        let measured = self.measured;
        let bare = measured.bare.iter().map(|row| {
            let over = self.bare_on_one_thread().and_then(|one| row.over(one));
            json!({
                "threads": row.threads,
                "records_per_second": Median::of(row.runs.iter().copied()).map(Median::json),
                "over_one_thread": over.map(Median::json),
            })
        });
        let comparisons = measured.comparisons.iter().map(|comparison| {
            json!({
                "what": comparison.what,
                "wire": comparison.wire.to_string(),
                "ratio": comparison.ratio.json(),
            })
        });
        let mut figures = json!({
            "loop": "closed",
            "size_bytes": self.args.size,
            "seconds": self.args.seconds.as_secs_f64(),
            "rounds": self.args.rounds,
            "pinned": !self.args.no_pin,
            "machine": self.machine.json(),
            "bare": bare.collect::<Vec<Value>>(),
            "comparisons": comparisons.collect::<Vec<Value>>(),
            "skipped": measured.skipped,
        });
        for (name, rows) in self.lists() {
            figures[name] = rows.iter().map(|row| json_of(row, rows)).collect();
        }
        Envelope::here().around(figures)
    }

    pub(crate) fn chart(&self) -> Chart {
        pictures::scale(&self.json(), self.heading())
    }
}

/// The row with the same connections on one thread.
fn on_one_thread<'a>(row: &Row, rows: &'a [Row]) -> Option<&'a Row> {
    rows.iter().find(|other| {
        (other.wire, other.connections, other.threads) == (row.wire, row.connections, 1)
    })
}

/// The row with one connection on as many threads, where this one has more.
fn of_one_connection<'a>(row: &Row, rows: &'a [Row]) -> Option<&'a Row> {
    let mut others = rows.iter().filter(|_| row.connections > 1);
    others
        .find(|other| (other.wire, other.connections, other.threads) == (row.wire, 1, row.threads))
}

fn json_of(row: &Row, rows: &[Row]) -> Value {
    let mut value = row.json();
    let over = on_one_thread(row, rows).and_then(|one| row.over(one));
    value["over_one_thread"] = over.map(Median::json).into();
    let target = of_one_connection(row, rows).and_then(|one| row.target(one));
    value["target_cpu_us_per_message"] = target.into();
    value
}
