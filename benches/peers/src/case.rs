//! What is measured, and the figures that come of it.

use std::time::Duration;

use ringseal_peers::contender::Contender;
use ringseal_peers::work::Work;

/// From here on the cipher and the kernel take the time, and processor time per byte says
/// something.
const LARGE: usize = 16_384;

/// Bytes of a batch, of messages that are so long that fewer than [`MOST_IN_A_BATCH`] fill it.
const BATCH_BYTES: usize = 256 * 1024;

const MOST_IN_A_BATCH: usize = 64;

const PINGS: usize = 5000;

/// One work that every contender does in turn.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    /// Messages of one size for a time, one at a time and several.
    Stream { size: usize, duration: Duration },
    /// Round trips of a byte.
    Ping,
    /// Handshakes for a time.
    Handshakes(Duration),
}

/// A contender, and how many messages it is given at a time.
#[derive(Clone, Copy)]
pub(crate) struct Participant {
    pub(crate) contender: Contender,
    pub(crate) batch: usize,
}

/// What one run of a case gave.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// In the unit that the case's title names.
    value: f64,
    /// Processor seconds for each gigabyte.
    processor: Option<f64>,
}

/// The figures of one participant in one case.
pub(crate) struct Row {
    pub(crate) case: Case,
    pub(crate) participant: Participant,
    pub(crate) rounds: usize,
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// Median of processor seconds for each gigabyte, of long messages.
    pub(crate) processor: Option<f64>,
}

impl Case {
    pub(crate) fn title(self) -> String {
        match self {
            Self::Stream { size, .. } => format!("{size} B, messages/s"),
            Self::Ping => "ping, 1 byte, p50 microseconds".to_owned(),
            Self::Handshakes(_) => "handshakes/s, both ends on core 0".to_owned(),
        }
    }

    /// How many cores it is measured on.
    pub(crate) fn cores(self) -> usize {
        match self {
            Self::Stream { .. } | Self::Ping => 2,
            Self::Handshakes(_) => 1,
        }
    }

    /// Each contender once for each number of messages at a time by which it is measured.
    pub(crate) fn participants(self, contenders: &[Contender]) -> Vec<Participant> {
        let batches = match self {
            Self::Stream { size, .. } => {
                let most = (BATCH_BYTES / size).clamp(1, MOST_IN_A_BATCH);
                if most == 1 { vec![1] } else { vec![1, most] }
            }
            Self::Ping | Self::Handshakes(_) => vec![1],
        };
        let is_stream = matches!(self, Self::Stream { .. });
        contenders
            .iter()
            .flat_map(|&contender| {
                batches
                    .iter()
                    .filter(move |&&batch| !is_stream || contender.call(batch).is_some())
                    .map(move |&batch| Participant { contender, batch })
            })
            .collect()
    }

    /// Lets a contender do it, if that contender does such work.
    pub(crate) fn measure(self, participant: Participant) -> Option<Sample> {
        let Participant { contender, batch } = participant;
        match self {
            Self::Stream { size, duration } => {
                let flow = contender.stream(&Work {
                    size,
                    batch,
                    duration,
                });
                Some(Sample {
                    value: flow.rate(),
                    processor: (size >= LARGE).then(|| flow.processor_per_gigabyte()),
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

impl Row {
    /// How the messages were given, where there is more than one way.
    pub(crate) fn call(&self) -> Option<String> {
        match self.case {
            Case::Stream { .. } => self.participant.contender.call(self.participant.batch),
            Case::Ping | Case::Handshakes(_) => None,
        }
    }
}

/// Makes the rows of a case out of what each participant's rounds gave. Who gave nothing gets none.
pub(crate) fn rows(case: Case, samples: &[(Participant, Vec<Sample>)]) -> Vec<Row> {
    samples
        .iter()
        .filter(|(_, samples)| !samples.is_empty())
        .map(|(participant, samples)| {
            let values = sorted(samples.iter().map(|sample| sample.value));
            let processor = sorted(samples.iter().filter_map(|sample| sample.processor));
            Row {
                case,
                participant: *participant,
                rounds: values.len(),
                median: median(&values).unwrap_or_default(),
                least: values[0],
                most: values[values.len() - 1],
                processor: median(&processor),
            }
        })
        .collect()
}

/// The middle one of sorted values, or the mean of the middle two.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 {
        upper
    } else {
        f64::midpoint(sorted[middle - 1], upper)
    })
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use ringseal_peers::ringseal_peer::{Drive, Spoken};
    use ringseal_peers::tls::Suite;

    use super::*;

    fn batches(size: usize, contender: Contender) -> Vec<usize> {
        let duration = Duration::ZERO;
        let participants = Case::Stream { size, duration }.participants(&[contender]);
        participants.iter().map(|taker| taker.batch).collect()
    }

    #[test]
    fn a_median_of_an_even_count_lies_between_the_middle_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
    }

    #[test]
    fn every_peer_is_measured_one_at_a_time_and_with_its_own_batching() {
        let tls = Contender::Tls(Suite::Aes256Gcm);
        assert_eq!(batches(64, tls), [1, 64]);
        assert_eq!(batches(16_384, tls), [1, 16]);
        assert_eq!(batches(65_536, tls), [1, 4]);
        assert_eq!(batches(1 << 20, tls), [1]);
        let batch_calls = Contender::Ringseal(Drive::BatchCalls, Spoken::NativeAes);
        assert_eq!(batches(64, batch_calls), [64]);
        let pipeline = Contender::PackedPipeline(Suite::Aes256Gcm);
        assert_eq!(batches(64, pipeline), [1]);
        assert_eq!(Case::Ping.participants(&[tls, pipeline]).len(), 2);
    }
}
