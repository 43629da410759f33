//! Latency by rate: in words, in JSON, as a chart.

use core::fmt::Write;

use ringseal::Wire;
use ringseal_cli::args::BackendName;
use ringseal_cli::chart::{Axis, Chart, Line, Panel};
use ringseal_cli::envelope::Envelope;
use ringseal_cli::machine::Machine;
use serde_json::{Value, json};

use super::arguments::RateArgs;
use super::latencies::{Latencies, PERCENTILES, Run};
use crate::median::Median;

/// All runs of one wire at one rate.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) wire: Wire,
    pub(crate) wire_index: usize,
    pub(crate) rate: u64,
    pub(crate) runs: Vec<Run>,
}

impl Row {
    /// The times of all runs.
    fn latencies(&self) -> Option<Latencies> {
        let (first, rest) = self.runs.split_first()?;
        let mut all = first.latencies.clone();
        for run in rest {
            all.merge(&run.latencies);
        }
        Some(all)
    }

    fn reached(&self) -> f64 {
        Median::of(self.runs.iter().map(|run| run.reached)).map_or(0.0, |reached| reached.median)
    }

    /// Whether the rate was reached in most runs.
    fn keeps_up(&self) -> bool {
        2 * self.runs.iter().filter(|run| run.keeps_up).count() > self.runs.len()
    }

    /// Its median over that of `other`, run by run.
    fn over(&self, other: &Self) -> Option<Median> {
        let medians = |row: &Self| -> Vec<f64> {
            (row.runs.iter())
                .map(|run| run.latencies.percentile(50.0))
                .collect()
        };
        let pairs = medians(self).into_iter().zip(medians(other));
        Median::of(pairs.map(|(ours, theirs)| ours / theirs))
    }
}

/// All that is told.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) args: &'a RateArgs,
    pub(crate) machine: &'a Machine,
    pub(crate) backend: BackendName,
    pub(crate) is_pinned: bool,
    pub(crate) rows: &'a [Row],
}

impl Report<'_> {
    /// The row of the same wire with the lowest rate.
    fn lowest(&self, row: &Row) -> Option<&Row> {
        let same = self
            .rows
            .iter()
            .filter(|other| other.wire_index == row.wire_index);
        same.min_by_key(|other| other.rate)
    }

    fn heading(&self) -> String {
        let (args, echo) = (
            self.args,
            if self.args.echo {
                "there and back"
            } else {
                "one way"
            },
        );
        let pinned = if self.is_pinned { "" } else { ", not pinned" };
        format!(
            "open loop, {echo}: messages of {} bytes, {} runs of {} s each in turn, {}{pinned}, {}",
            args.size,
            args.rounds,
            args.seconds.as_secs_f64(),
            self.backend,
            self.machine.text(),
        )
    }

    pub(crate) fn text(&self) -> String {
        let mut text = self.heading();
        text.push_str(
            "\nMicroseconds from when a message was meant to be sent; - where fewer than 10 messages \
             took longer.",
        );
        let mut wire = None;
        for row in self.rows {
            if wire.replace(row.wire_index) != Some(row.wire_index) {
                // Writing to a string cannot fail.
                let _ = write!(
                    text,
                    "\n\nwire {}\n{:>10}{:>12}",
                    row.wire, "rate/s", "reached/s"
                );
                for (name, _) in PERCENTILES {
                    let _ = write!(text, "{name:>11}");
                }
                text.push_str("   median over that of the lowest rate");
            }
            self.write_row(row, &mut text);
        }
        text
    }

    fn write_row(&self, row: &Row, text: &mut String) {
        let _ = write!(text, "\n{:>10}{:>12.0}", row.rate, row.reached());
        let latencies = row.latencies();
        for (_, percent) in PERCENTILES {
            let time = latencies
                .as_ref()
                .and_then(|all| all.sound_percentile(percent))
                .map_or_else(|| "-".to_owned(), |time| format!("{time:.1}"));
            let _ = write!(text, "{time:>11}");
        }
        if let Some(ratio) = self.lowest(row).and_then(|lowest| row.over(lowest)) {
            let _ = write!(text, "   {ratio}");
        }
        if !row.keeps_up() {
            text.push_str("   SATURATED: less than 95 % of the rate was reached");
        }
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let latencies = row.latencies();
            let mut value = json!({
                "wire": row.wire.to_string(),
                "rate": row.rate,
                "reached": row.reached(),
                "saturated": !row.keeps_up(),
                "rounds": row.runs.len(),
                "messages": latencies.as_ref().map_or(0, Latencies::count),
            });
            for (name, percent) in PERCENTILES {
                let time = latencies
                    .as_ref()
                    .and_then(|all| all.sound_percentile(percent));
                value[format!("{}_us", name.replace('.', "_"))] = time.into();
            }
            if let Some(ratio) = self.lowest(row).and_then(|lowest| row.over(lowest)) {
                value["median_over_lowest_rate"] = ratio.json();
            }
            value
        });
        let figures = json!({
            "loop": "open",
            "echo": self.args.echo,
            "size_bytes": self.args.size,
            "seconds": self.args.seconds.as_secs_f64(),
            "warmup_seconds": self.args.warmup.as_secs_f64(),
            "backend": self.backend.to_string(),
            "busy_poll_us": self.args.ring.busy_poll,
            "pinned": self.is_pinned,
            "machine": self.machine.json(),
            "rows": rows.collect::<Vec<Value>>(),
        });
        Envelope::here().around(figures)
    }

    /// A panel for each wire, a line for each percentile.
    pub(crate) fn chart(&self) -> Chart {
        let panels = self.args.wires.iter().enumerate().map(|(index, wire)| {
            let rows = || self.rows.iter().filter(move |row| row.wire_index == index);
            let lines = PERCENTILES.map(|(name, percent)| Line {
                name: name.to_owned(),
                points: rows()
                    .filter_map(|row| {
                        let time = row.latencies()?.sound_percentile(percent)?;
                        Some((row.rate as f64, time))
                    })
                    .collect(),
            });
            Panel {
                across: Axis::logarithmic(format!("messages a second, {wire}")),
                up: Axis::logarithmic("microseconds"),
                lines: Vec::from(lines),
            }
        });
        Chart {
            title: "Latency from the intended time of sending".to_owned(),
            note: self.heading(),
            panels: panels.collect(),
        }
    }
}
