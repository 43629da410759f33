//! What the native wire is to reach, and what it has reached in the same figures.

use serde_json::Value;

use crate::numbers::bytes;
use crate::results::Results;

use super::markdown;
use super::streams::{Figures, HANDSHAKES, Way, batched, one};

/// What stands for a figure that the run did not give.
const NOT_MEASURED: &str = "not in this run";

const RUSTLS: Way = batched("rustls AES-256-GCM");
const COMMONWARE: [Way; 2] = [one("commonware tokio V1"), one("commonware io_uring V1")];
const COMMONWARE_WIRE: &str = "ringseal V1";
/// The rate at which the latency of a stream of small messages is looked at.
const MODERATE_RATE: f64 = 10_000.0;

/// The native wire with one suite.
struct Ours {
    suite: &'static str,
    peer: &'static str,
    by_batch_calls: &'static str,
    pipeline: &'static str,
    /// Over commonware's `send` at 64 bytes and at 16 KiB.
    over_commonware: [f64; 2],
}

const AES: Ours = Ours {
    suite: "AES-256-GCM",
    peer: "ringseal native AES",
    by_batch_calls: "ringseal by batch calls native AES",
    pipeline: "packed pipeline AES",
    over_commonware: [100.0, 2.5],
};

const CHACHA: Ours = Ours {
    suite: "ChaCha20-Poly1305",
    peer: "ringseal native ChaCha",
    by_batch_calls: "ringseal by batch calls native ChaCha",
    pipeline: "packed pipeline ChaCha",
    over_commonware: [60.0, 1.4],
};

/// Of a figure.
#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn is_kept_by(self, figure: f64) -> bool {
        // By what is written: 0.999 is no loss.
        let written = (figure * 100.0).round() / 100.0;
        match self {
            Self::AtLeast(bound) => written >= bound,
            Self::AtMost(bound) => written <= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("at least {bound:.2}"),
            Self::AtMost(bound) => format!("at most {bound:.2}"),
        }
    }
}

/// One figure that is wanted.
struct Target {
    what: String,
    wanted: Bound,
    reached: Option<f64>,
}

impl Target {
    fn row(&self) -> Vec<String> {
        let reached = match self.reached {
            None => NOT_MEASURED.to_owned(),
            Some(figure) if self.wanted.is_kept_by(figure) => format!("{figure:.2}"),
            Some(figure) => format!("**{figure:.2}**"),
        };
        vec![self.what.clone(), self.wanted.text(), reached]
    }
}

/// Each target, with what the figures of this processor say.
pub(super) fn targets(results: &Results) -> Result<Option<String>, String> {
    let figures = Figures::streams(results)?;
    let mut targets = Vec::new();
    for ours in [&AES, &CHACHA] {
        targets.extend(over_pipeline(&figures, ours));
    }
    let has_avx512 = !results.envelope.processor.contains("no AVX-512");
    targets.extend(over_rustls(&figures, has_avx512));
    for ours in [&AES, &CHACHA] {
        targets.extend(over_commonware(&figures, ours));
    }
    targets.extend(round_trips(&figures));
    targets.push(moderate_rate(results));
    targets.extend(handshakes(results)?);
    targets.push(stranger(results));
    targets.push(memory(results));
    let columns = ["figure", "wanted", "reached"].map(str::to_owned);
    let rows: Vec<Vec<String>> = targets.iter().map(Target::row).collect();
    Ok(Some(format!(
        "{}\n\n{}",
        figures.heading,
        markdown(&columns, &rows)
    )))
}

/// How much more messages ours takes than theirs.
fn over(figures: &Figures, ours: Way, theirs: Way, size: usize) -> Option<f64> {
    let median = |way| figures.stream(way, size).ok().map(|row| row.median);
    Some(median(ours)? / median(theirs)?)
}

fn over_pipeline(figures: &Figures, ours: &Ours) -> impl Iterator<Item = Target> {
    let (by_send, by_batch_calls) = (one(ours.peer), batched(ours.by_batch_calls));
    let wanted = [
        (64, by_send, "`send`", 0.40),
        (64, by_batch_calls, "`try_send`, `recv_batch`", 0.65),
        (1024, by_send, "`send`", 0.70),
        (16_384, by_send, "`send`", 0.85),
        (65_536, by_send, "`send`", 0.90),
        (1 << 20, by_send, "`send`", 0.90),
    ];
    wanted.into_iter().map(|(size, way, call, bound)| Target {
        what: format!("{}, {}, {call}, over its pipeline", ours.suite, bytes(size)),
        wanted: Bound::AtLeast(bound),
        reached: over(figures, way, one(ours.pipeline), size),
    })
}

fn over_rustls(figures: &Figures, has_avx512: bool) -> impl Iterator<Item = Target> {
    let (by_send, by_batch_calls) = (one(AES.peer), batched(AES.by_batch_calls));
    let at_16_kib = if has_avx512 { 1.15 } else { 1.7 };
    let wanted = [
        (64, by_send, "`send`", 1.5),
        (64, by_batch_calls, "`try_send`, `recv_batch`", 2.5),
        (1024, by_send, "`send`", 1.5),
        (16_384, by_send, "`send`", at_16_kib),
        (65_536, by_send, "`send`", 1.4),
    ];
    wanted.into_iter().map(|(size, way, call, bound)| Target {
        what: format!(
            "{}, {}, {call}, over rustls by a flush per n",
            AES.suite,
            bytes(size)
        ),
        wanted: Bound::AtLeast(bound),
        reached: over(figures, way, RUSTLS, size),
    })
}

/// Over the better one of its runtimes.
fn over_commonware(figures: &Figures, ours: &Ours) -> impl Iterator<Item = Target> {
    let sizes = [64, 16_384].into_iter().zip(ours.over_commonware);
    sizes.map(|(size, bound)| {
        let [first, second] = COMMONWARE.map(|way| over(figures, one(ours.peer), way, size));
        Target {
            what: format!(
                "{}, {}, `send`, over commonware's `send`",
                ours.suite,
                bytes(size)
            ),
            wanted: Bound::AtLeast(bound),
            reached: first.zip(second).map(|(first, second)| first.min(second)),
        }
    })
}

fn round_trips(figures: &Figures) -> impl Iterator<Item = Target> {
    let pairs = [
        ("", AES.peer, COMMONWARE_WIRE),
        (
            ", busy polling",
            "ringseal busy polling native AES",
            "ringseal busy polling V1",
        ),
    ];
    pairs.into_iter().map(|(how, ours, theirs)| {
        let time = |peer| figures.work("ping", peer).map(|row| row.median);
        Target {
            what: format!("time of a round trip of 1 byte{how}, over the commonware wire's"),
            wanted: Bound::AtMost(1.0),
            reached: time(ours).zip(time(theirs)).map(|(ours, its)| ours / its),
        }
    })
}

/// At the first rate that is not below the one that is wanted.
fn moderate_rate(results: &Results) -> Target {
    let rows = results.run("rate").and_then(|run| run["rows"].as_array());
    let reached = rows.into_iter().flatten().find_map(|row| {
        let is_native = row["wire"].as_str()?.starts_with("native");
        let rate = row["rate"].as_f64()?;
        let median = row["median_over_lowest_rate"]["median"].as_f64()?;
        (is_native && rate >= MODERATE_RATE).then_some(median)
    });
    Target {
        what: format!(
            "median latency at {MODERATE_RATE:.0} messages a second or the next rate above, over that at the lowest rate"
        ),
        wanted: Bound::AtMost(1.0),
        reached,
    }
}

fn handshakes(results: &Results) -> Result<impl Iterator<Item = Target>, String> {
    let figures = results.run(HANDSHAKES).map(Figures::of).transpose()?;
    let rate = move |peer| {
        let row = figures.as_ref()?.work("handshakes", peer)?;
        Some(row.median)
    };
    let rows = [&AES, &CHACHA].into_iter();
    Ok(rows.map(move |ours| Target {
        what: format!(
            "{}, handshakes a second over the commonware wire's",
            ours.suite
        ),
        wanted: Bound::AtLeast(0.85),
        reached: rate(ours.peer)
            .zip(rate(COMMONWARE_WIRE))
            .map(|(ours, its)| ours / its),
    }))
}

fn stranger(results: &Results) -> Target {
    let nanoseconds = cell(results, "native_records", "wrong_mac", 1);
    Target {
        what: "a stranger with a wrong mac, without sockets, in µs".to_owned(),
        wanted: Bound::AtMost(5.0),
        reached: nanoseconds.map(|nanoseconds| nanoseconds / 1000.0),
    }
}

fn memory(results: &Results) -> Target {
    let bytes = |wire| cell(results, "idle_connections", wire, 2);
    let native = bytes("native AES-256-GCM").zip(bytes("commonware V1"));
    Target {
        what: "an idle connection's heap above the commonware wire's, in KiB".to_owned(),
        wanted: Bound::AtMost(2.0),
        reached: native.map(|(native, commonware)| (native - commonware) / 1024.0),
    }
}

/// The number in a column of the row whose first cell ends with `name`, of a table as a program has
/// printed it.
fn cell(results: &Results, run: &str, name: &str, column: usize) -> Option<f64> {
    let rows = results.run(run)?["rows"].as_array()?;
    let is_named = |row: &&Value| row[0].as_str().is_some_and(|first| first.ends_with(name));
    let text = rows.iter().find(is_named)?[column].as_str()?;
    text.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(wanted: Bound, reached: Option<f64>) -> Vec<String> {
        let what = "it".to_owned();
        let target = Target {
            what,
            wanted,
            reached,
        };
        target.row()
    }

    #[test]
    fn what_is_missed_is_bold_and_what_is_not_measured_is_said() {
        let (least, most) = (Bound::AtLeast(0.85), Bound::AtMost(1.0));
        assert_eq!(row(least, Some(0.852)), ["it", "at least 0.85", "0.85"]);
        assert_eq!(row(least, Some(0.846)), ["it", "at least 0.85", "0.85"]);
        assert_eq!(row(least, Some(0.84)), ["it", "at least 0.85", "**0.84**"]);
        assert_eq!(row(most, Some(1.004)), ["it", "at most 1.00", "1.00"]);
        assert_eq!(row(most, Some(1.02)), ["it", "at most 1.00", "**1.02**"]);
        assert_eq!(row(most, None), ["it", "at most 1.00", NOT_MEASURED]);
    }
}
