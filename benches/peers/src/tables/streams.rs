//! Tables of messages a second, round trips and handshakes.

use serde_json::Value;

use crate::measured::Measured;
use crate::numbers::{bytes, grouped, ratio, thousands};
use crate::results::{Results, STREAMS};

use super::{heading, markdown};

/// The run of handshakes, if it was made.
pub(super) const HANDSHAKES: &str = "handshakes";

const OURS: &str = "ringseal native AES";
const OURS_BY_BATCH_CALLS: &str = "ringseal by batch calls native AES";
const OURS_BY_CHACHA: [&str; 2] = [
    "ringseal native ChaCha",
    "ringseal by batch calls native ChaCha",
];

/// Message sizes of the table that everybody reads.
const HEADLINE_SIZES: [usize; 6] = [64, 1024, 4096, 16_384, 65_536, 1 << 20];

/// Some peer, and whether by its own batching.
#[derive(Clone, Copy)]
pub(super) struct Way {
    peer: &'static str,
    is_batched: bool,
}

pub(super) const fn one(peer: &'static str) -> Way {
    Way {
        peer,
        is_batched: false,
    }
}

pub(super) const fn batched(peer: &'static str) -> Way {
    Way {
        peer,
        is_batched: true,
    }
}

/// The columns of the headline behind ours, and what is over them.
const HEADLINE: [(&str, Way); 7] = [
    ("rustls, a flush per n", batched("rustls AES-256-GCM")),
    ("rustls, coalesced", one("rustls AES-256-GCM coalesced")),
    (
        "rustls on compio, a flush per n",
        batched("rustls compio AES-256-GCM"),
    ),
    (
        "quinn, a write per n",
        batched("quinn AES-256-GCM, 1 stream"),
    ),
    ("tonic, from an iterator", batched("tonic TLS AES-256-GCM")),
    ("plain TCP, coalesced", one("plain TCP coalesced")),
    ("records without a protocol", one("packed pipeline AES")),
];

/// Who the native wire is compared with.
const RIVALS: [Way; 18] = [
    one("packed pipeline AES"),
    one("plain TCP coalesced"),
    batched("plain TCP tokio"),
    one("rustls AES-256-GCM"),
    batched("rustls AES-256-GCM"),
    one("rustls AES-256-GCM coalesced"),
    one("rustls compio AES-256-GCM"),
    batched("rustls compio AES-256-GCM"),
    one("quinn AES-256-GCM, 1 stream"),
    batched("quinn AES-256-GCM, 1 stream"),
    batched("quinn AES-256-GCM, 4 streams"),
    one("tonic TLS AES-256-GCM"),
    batched("tonic TLS AES-256-GCM"),
    batched("snow Noise XX ChaChaPoly"),
    one("commonware tokio V1"),
    batched("commonware tokio V1"),
    one("commonware io_uring V1"),
    batched("commonware io_uring V1"),
];

/// Who it is compared with where both seal with ChaCha20-Poly1305.
const CHACHA_RIVALS: [Way; 7] = [
    one("packed pipeline ChaCha"),
    one("rustls ChaCha20-Poly1305"),
    batched("rustls ChaCha20-Poly1305"),
    one("commonware tokio V1"),
    batched("commonware tokio V1"),
    one("commonware io_uring V1"),
    batched("commonware io_uring V1"),
];

/// The figures of a run.
pub(super) struct Figures {
    rows: Vec<Measured>,
    pub(super) heading: String,
}

impl Figures {
    pub(super) fn of(run: &Value) -> Result<Self, String> {
        Ok(Self {
            rows: Measured::all(run)?,
            heading: format!(
                "{}. Medians of {} alternating runs of {} s; closed loops: who sends waits until a \
                 message is taken.",
                heading(run)?,
                run["rounds"],
                run["seconds"]
            ),
        })
    }

    pub(super) fn streams(results: &Results) -> Result<Self, String> {
        Self::of(results.run(STREAMS).ok_or("there are no streams")?)
    }

    fn sizes(&self) -> Vec<usize> {
        let mut sizes: Vec<usize> = self.rows.iter().filter_map(|row| row.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// The row of a stream. Where messages are so long that nobody batches, one at a time stands
    /// for it. Who gathers by itself has one row, and so has who only takes batches.
    pub(super) fn stream(&self, way: Way, size: usize) -> Result<&Measured, String> {
        let rows = || {
            let of_size = self.rows.iter().filter(move |row| row.size == Some(size));
            of_size.filter(move |row| row.peer == way.peer)
        };
        let several = rows().find(|row| row.batch.is_some_and(|batch| 1 < batch));
        let single = rows().find(|row| row.batch == Some(1));
        let found = if way.is_batched {
            several.or(single)
        } else {
            single
        };
        found.ok_or_else(|| format!("{} was not measured at {size} bytes", way.peer))
    }

    pub(super) fn work(&self, beginning: &str, peer: &str) -> Option<&Measured> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.size.is_none() && row.work.starts_with(beginning) && row.peer == peer)
    }

    /// How messages are given, with n for their number, which differs by size.
    fn call(&self, way: Way) -> Result<String, String> {
        let size = *self.sizes().first().ok_or("there are no streams")?;
        let call = self.stream(way, size)?.call.as_deref().unwrap_or_default();
        let name = call.trim_end_matches(|character: char| character.is_ascii_digit());
        Ok(if name == call {
            call.to_owned()
        } else {
            format!("{name}n")
        })
    }
}

/// Ours beside the strongest of the others, each by its own batching.
pub(super) fn headline(results: &Results) -> Result<Option<String>, String> {
    let figures = Figures::streams(results)?;
    let mut columns = vec![
        "message".to_owned(),
        "ringseal, `send` each".to_owned(),
        "`try_send`, `recv_batch`".to_owned(),
    ];
    columns.extend(HEADLINE.map(|(title, _)| title.to_owned()));
    let mut rows = Vec::new();
    for size in HEADLINE_SIZES {
        let ours = figures.stream(one(OURS), size)?;
        // Nobody gives several messages at a time that are as long as a batch.
        let by_batch_calls = figures.stream(batched(OURS_BY_BATCH_CALLS), size);
        let mut row = vec![
            bytes(size),
            over_its_spread(ours, thousands, ""),
            by_batch_calls.map_or_else(
                |_| "-".to_owned(),
                |row| over_its_spread(row, thousands, ""),
            ),
        ];
        for (_, way) in HEADLINE {
            let theirs = figures.stream(way, size)?;
            let over = ratio(ours.median / theirs.median);
            row.push(over_its_spread(theirs, thousands, &format!(": {over}")));
        }
        rows.push(row);
    }
    rows.push(round_trip(&figures)?);
    Ok(Some(format!(
        "{} Below each median, small, the least and the most.\n\n{}",
        figures.heading,
        markdown(&columns, &rows)
    )))
}

/// A median with what belongs to it, over the least and the most in small print: a table that is read at
/// a glance has no room for them beside it.
fn over_its_spread(row: &Measured, write: fn(f64) -> String, behind: &str) -> String {
    let [median, least, most] = [row.median, row.least, row.most].map(write);
    format!("{median}{behind}<br><sub>{least} to {most}</sub>")
}

/// The row of the headline for a byte there and back. Batches make no difference to it.
fn round_trip(figures: &Figures) -> Result<Vec<String>, String> {
    let ours = figures.work("ping", OURS).ok_or("there is no ping")?;
    let mut row = vec![
        "1 B there and back".to_owned(),
        over_its_spread(ours, grouped, " µs"),
        "-".to_owned(),
    ];
    for (_, way) in HEADLINE {
        row.push(match figures.work("ping", way.peer) {
            Some(theirs) => {
                let over = ratio(theirs.median / ours.median);
                over_its_spread(theirs, grouped, &format!(" µs: {over}"))
            }
            None => "-".to_owned(),
        });
    }
    Ok(row)
}

/// The native wire over each rival, by `send` and by the batch calls.
pub(super) fn native(results: &Results) -> Result<Option<String>, String> {
    let figures = Figures::streams(results)?;
    let by_aes = over_rivals(
        &figures,
        "AES-256-GCM over",
        [OURS, OURS_BY_BATCH_CALLS],
        &RIVALS,
    )?;
    let by_chacha = over_rivals(
        &figures,
        "ChaCha20-Poly1305 over",
        OURS_BY_CHACHA,
        &CHACHA_RIVALS,
    )?;
    Ok(Some(format!(
        "{}\n\n{by_aes}\n\n{by_chacha}",
        figures.heading
    )))
}

/// Ours, by `send` and by the batch calls, over each rival.
fn over_rivals(
    figures: &Figures,
    title: &str,
    [by_send, by_batch_calls]: [&'static str; 2],
    rivals: &[Way],
) -> Result<String, String> {
    let sizes = figures.sizes();
    let mut columns = vec![title.to_owned()];
    columns.extend(sizes.iter().map(|&size| bytes(size)));
    let mut rows = Vec::new();
    for &way in rivals {
        let mut row = vec![format!("{}, {}", way.peer, figures.call(way)?)];
        for &size in &sizes {
            let theirs = figures.stream(way, size)?.median;
            let ours = figures.stream(one(by_send), size)?.median / theirs;
            row.push(match figures.stream(batched(by_batch_calls), size) {
                Ok(batch) => format!("{}, {}", ratio(ours), ratio(batch.median / theirs)),
                Err(_) => ratio(ours),
            });
        }
        rows.push(row);
    }
    Ok(markdown(&columns, &rows))
}

/// ringseal on the commonware wire beside commonware-stream on both of its runtimes.
pub(super) fn commonware(results: &Results) -> Result<Option<String>, String> {
    let figures = Figures::streams(results)?;
    let columns = [
        "wire: work",
        "ringseal",
        "commonware, tokio",
        "commonware, io_uring",
        "ratio",
    ];
    let mut rows = Vec::new();
    for version in ["V1", "V0"] {
        let peers = [
            format!("ringseal {version}"),
            format!("commonware tokio {version}"),
            format!("commonware io_uring {version}"),
        ];
        for size in figures.sizes() {
            let mut batches: Vec<usize> = figures
                .rows
                .iter()
                .filter(|row| row.size == Some(size) && row.peer == peers[0])
                .filter_map(|row| row.batch)
                .collect();
            batches.sort_unstable();
            for batch in batches {
                let found = peers.each_ref().map(|peer| {
                    figures.rows.iter().find(|row| {
                        row.size == Some(size) && row.batch == Some(batch) && row.peer == *peer
                    })
                });
                let call = if batch == 1 {
                    "`send`".to_owned()
                } else {
                    format!("`send_many` of {batch}")
                };
                let title = format!("{version}: {}, {call}, messages/s", bytes(size));
                rows.push(beside(title, found, true)?);
            }
        }
        let found = peers.each_ref().map(|peer| figures.work("ping", peer));
        rows.push(beside(
            format!("{version}: ping, 1 byte, µs"),
            found,
            false,
        )?);
    }
    let busy = figures.work("ping", "ringseal busy polling V1");
    let theirs = ["commonware tokio V1", "commonware io_uring V1"];
    let [tokio, io_uring] = theirs.map(|peer| figures.work("ping", peer));
    let title = "V1: ping, 1 byte, µs, busy polling".to_owned();
    rows.push(beside(title, [busy, tokio, io_uring], false)?);
    let mut text = figures.heading.clone();
    if let Some(run) = results.run(HANDSHAKES) {
        let handshakes = Figures::of(run)?;
        for version in ["V1", "V0"] {
            let found = ["ringseal", "commonware tokio", "commonware io_uring"]
                .map(|peer| handshakes.work("handshakes", &format!("{peer} {version}")));
            let title = format!("{version}: handshakes/s, one core");
            rows.push(beside(title, found, true)?);
        }
        let ours = handshakes.work("handshakes", OURS);
        if let Some(ours) = ours {
            rows.push(vec![
                "native AES-256-GCM: handshakes/s, one core".to_owned(),
                with_spread(ours),
                String::new(),
                String::new(),
                String::new(),
            ]);
        }
        text = format!("{text}\n\nHandshakes: {}", handshakes.heading);
    }
    let columns = columns.map(str::to_owned);
    Ok(Some(format!("{text}\n\n{}", markdown(&columns, &rows))))
}

/// A row of ours, two of theirs, and ours over the better one.
fn beside(
    title: String,
    found: [Option<&Measured>; 3],
    more_is_better: bool,
) -> Result<Vec<String>, String> {
    let [Some(ours), Some(tokio), Some(io_uring)] = found else {
        return Err(format!("{title}: somebody was not measured"));
    };
    let better = if more_is_better {
        tokio.median.max(io_uring.median)
    } else {
        tokio.median.min(io_uring.median)
    };
    // A time below theirs is no loss, so nothing is in bold.
    let over = ours.median / better;
    let over = if more_is_better {
        ratio(over)
    } else {
        format!("{over:.2}")
    };
    Ok(vec![
        title,
        with_spread(ours),
        with_spread(tokio),
        with_spread(io_uring),
        over,
    ])
}

fn with_spread(row: &Measured) -> String {
    format!(
        "{} ({} to {})",
        grouped(row.median),
        grouped(row.least),
        grouped(row.most)
    )
}

/// Everybody's figures.
pub(super) fn all(results: &Results) -> Result<Option<String>, String> {
    let figures = Figures::streams(results)?;
    let sizes = figures.sizes();
    let mut columns = vec!["messages/s".to_owned()];
    columns.extend(sizes.iter().map(|&size| bytes(size)));
    columns.push("CPU s/GB at 16 KiB".to_owned());
    columns.push("ping, µs".to_owned());
    let mut rows = Vec::new();
    for (peer, is_batched) in ways(&figures) {
        let of = |size: usize| {
            figures.rows.iter().find(|row| {
                let several = row.batch.is_some_and(|batch| 1 < batch);
                row.size == Some(size) && row.peer == peer && several == is_batched
            })
        };
        let Some(first) = sizes.iter().find_map(|&size| of(size)) else {
            continue;
        };
        let call = first.call.as_deref().unwrap_or_default();
        let name = call.trim_end_matches(|character: char| character.is_ascii_digit());
        let n = if name == call { "" } else { "n" };
        let mut row = vec![format!("{peer}, {name}{n}")];
        let cell = |row: Option<&Measured>| row.map_or_else(|| "-".to_owned(), with_spread);
        row.extend(sizes.iter().map(|&size| cell(of(size))));
        let processor = of(16_384).and_then(|row| row.processor);
        row.push(processor.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2}")));
        let ping = (!is_batched).then(|| figures.work("ping", peer)).flatten();
        row.push(cell(ping));
        rows.push(row);
    }
    Ok(Some(format!(
        "{}\n\n{}",
        figures.heading,
        markdown(&columns, &rows)
    )))
}

/// Every peer one at a time and batched, in the order in which they were measured.
fn ways(figures: &Figures) -> Vec<(&str, bool)> {
    let mut ways = Vec::new();
    for row in &figures.rows {
        for is_batched in [false, true] {
            let way = (row.peer.as_str(), is_batched);
            if row.size.is_some() && !ways.contains(&way) {
                ways.push(way);
            }
        }
    }
    ways
}
