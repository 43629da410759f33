//! Latency by rate: in words, in JSON, as a chart.

use core::fmt::Write;

use ringseal::Wire;
use ringseal_cli::args::BackendName;
use ringseal_cli::chart::Chart;
use ringseal_cli::envelope::Envelope;
use ringseal_cli::machine::Machine;
use ringseal_cli::pictures;
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

    /// Messages a second that came.
    fn reached(&self) -> Option<Median> {
        Median::of(self.runs.iter().map(|run| run.reached))
    }

    fn median_reached(&self) -> f64 {
        self.reached().map_or(0.0, |reached| reached.median)
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

/// Where a wire ends.
#[derive(Debug)]
struct Saturation<'a> {
    wire: Wire,
    /// The highest rate that was reached in most rounds.
    keeps_up_with: Option<u64>,
    /// The lowest above it.
    too_much: Option<&'a Row>,
}

impl Saturation<'_> {
    fn json(&self) -> Value {
        json!({
            "wire": self.wire.to_string(),
            "keeps_up_with": self.keeps_up_with,
            "saturated_at": self.too_much.map(|row| row.rate),
            "reached_there": self.too_much.and_then(Row::reached).map(Median::json),
        })
    }

    fn text(&self) -> String {
        let kept = self.keeps_up_with.map_or_else(
            || "keeps up with none of these".to_owned(),
            |rate| format!("keeps up with {rate} a second"),
        );
        match self.too_much {
            Some(row) => format!(
                "{kept}, saturated at {}, of which it reaches {:.0}",
                row.rate,
                row.median_reached()
            ),
            None => format!("{kept}, the highest of these"),
        }
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
    /// All rows of a wire, which are sorted by rate.
    fn rows_of(&self, wire_index: usize) -> impl Iterator<Item = &Row> {
        (self.rows.iter()).filter(move |row| row.wire_index == wire_index)
    }

    /// The row of the same wire with the lowest rate.
    fn lowest(&self, row: &Row) -> Option<&Row> {
        self.rows_of(row.wire_index).next()
    }

    fn saturation(&self, wire_index: usize, wire: Wire) -> Saturation<'_> {
        // A rate that was missed below it was missed for another reason.
        let kept = self.rows_of(wire_index).filter(|row| row.keeps_up());
        let keeps_up_with = kept.last().map(|row| row.rate);
        Saturation {
            wire,
            keeps_up_with,
            too_much: (self.rows_of(wire_index))
                .find(|row| keeps_up_with.is_none_or(|kept| row.rate > kept)),
        }
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
             took longer; SATURATED where less than 95 % of the rate was reached, or half of the \
             messages took more than 10 ms.",
        );
        for (index, wire) in self.args.wires.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n\nwire {wire}\n{:>10}{:>12}", "rate/s", "reached/s");
            for (name, _) in PERCENTILES {
                let _ = write!(text, "{name:>11}");
            }
            text.push_str("   median over that of the lowest rate");
            for row in self.rows_of(index) {
                self.write_row(row, &mut text);
            }
            let _ = write!(text, "\n{}", self.saturation(index, *wire).text());
        }
        text
    }

    fn write_row(&self, row: &Row, text: &mut String) {
        let _ = write!(text, "\n{:>10}{:>12.0}", row.rate, row.median_reached());
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
            text.push_str("   SATURATED");
        }
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let latencies = row.latencies();
            let mut value = json!({
                "wire": row.wire.to_string(),
                "rate": row.rate,
                "reached": row.median_reached(),
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
        let wires = self.args.wires.iter().enumerate();
        let saturation = wires.map(|(index, wire)| self.saturation(index, *wire).json());
        let figures = json!({
            "loop": "open",
            "echo": self.args.echo,
            "size_bytes": self.args.size,
            "seconds": self.args.seconds.as_secs_f64(),
            "rounds": self.args.rounds,
            "warmup_seconds": self.args.warmup.as_secs_f64(),
            "backend": self.backend.to_string(),
            "busy_poll_us": self.args.ring.busy_poll,
            "pinned": self.is_pinned,
            "machine": self.machine.json(),
            "rows": rows.collect::<Vec<Value>>(),
            "saturation": saturation.collect::<Vec<Value>>(),
        });
        Envelope::here().around(figures)
    }

    pub(crate) fn chart(&self) -> Chart {
        pictures::latency(&self.json(), self.heading())
    }
}
