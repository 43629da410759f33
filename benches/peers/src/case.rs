//! What is measured, and the figures that come of it.

use std::time::Duration;

use ringseal_peers::contender::Contender;
use ringseal_peers::ringseal_peer::{Drive, Spoken};
use ringseal_peers::work::Work;

/// From here on the cipher and the kernel take the time, and processor time per byte says
/// something.
const LARGE: usize = 16_384;

const PINGS: usize = 5000;

/// One work that every contender does in turn.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Stream(Work),
    Ping,
    Handshakes(Duration),
}

/// What one run of a case gave.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// In the unit that the case's title names.
    value: f64,
    /// Processor seconds for each gigabyte.
    processor: Option<f64>,
}

/// The figures of one contender in one case.
pub(crate) struct Row {
    pub(crate) case: Case,
    pub(crate) contender: Contender,
    pub(crate) rounds: usize,
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// The median of ringseal V1 in the same case over this one, if that was measured.
    pub(crate) ratio: Option<f64>,
    /// Median of processor seconds for each gigabyte, of long messages.
    pub(crate) processor: Option<f64>,
}

impl Case {
    pub(crate) fn title(self) -> String {
        match self {
            Self::Stream(work) => format!("{} B, {} a call, messages/s", work.size, work.batch),
            Self::Ping => "ping, 1 byte, p50 microseconds".to_owned(),
            Self::Handshakes(_) => "handshakes/s, both ends on core 0".to_owned(),
        }
    }

    /// Lets a contender do it, if that contender does such work.
    pub(crate) fn measure(self, contender: Contender) -> Option<Sample> {
        match self {
            Self::Stream(work) => {
                let flow = contender.stream(&work);
                Some(Sample {
                    value: flow.rate(),
                    processor: (work.size >= LARGE).then(|| flow.processor_per_gigabyte()),
                })
            }
            Self::Ping => {
                let mut pings = contender.ping(PINGS)?;
                pings.sort_unstable();
                Some(Sample {
                    value: pings[pings.len() / 2].as_secs_f64() * 1e6,
                    processor: None,
                })
            }
            Self::Handshakes(duration) => Some(Sample {
                value: contender.handshakes(duration)?.rate(),
                processor: None,
            }),
        }
    }
}

/// Makes the rows of a case out of what each contender's rounds gave. Who gave nothing gets none.
pub(crate) fn rows(case: Case, samples: &[(Contender, Vec<Sample>)]) -> Vec<Row> {
    let mut rows: Vec<Row> = samples
        .iter()
        .filter(|(_, samples)| !samples.is_empty())
        .map(|(contender, samples)| {
            let values = sorted(samples.iter().map(|sample| sample.value));
            let processor = sorted(samples.iter().filter_map(|sample| sample.processor));
            Row {
                case,
                contender: *contender,
                rounds: values.len(),
                median: values[values.len() / 2],
                least: values[0],
                most: values[values.len() - 1],
                ratio: None,
                processor: processor.get(processor.len() / 2).copied(),
            }
        })
        .collect();
    let ours = rows
        .iter()
        .find(|row| row.contender == Contender::Ringseal(Drive::Native, Spoken::V1))
        .map(|row| row.median);
    for row in &mut rows {
        row.ratio = ours.map(|ours| ours / row.median);
    }
    rows
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}
