//! The times of messages, by an HdrHistogram.

use core::time::Duration;

use hdrhistogram::Histogram;
use ringseal_cli::failure::Failure;

use super::pace::nanoseconds;

/// No message takes longer than this, or it counts as if it took this long.
const LONGEST: Duration = Duration::from_secs(3600);
/// Significant digits that are kept.
const DIGITS: u8 = 3;

/// Messages that have to lie above a percentile. With fewer it is the time of one or two of them.
const LEAST_ABOVE: f64 = 10.0;

/// What is told of them: the name, and how many percent are within.
pub(crate) const PERCENTILES: [(&str, f64); 6] = [
    ("p50", 50.0),
    ("p90", 90.0),
    ("p99", 99.0),
    ("p99.9", 99.9),
    ("p99.99", 99.99),
    ("max", 100.0),
];

/// Times from when a message was due to when it came.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Result<Self, Failure> {
        let histogram = Histogram::new_with_bounds(1, nanoseconds(LONGEST), DIGITS);
        Ok(Self(histogram.map_err(|error| {
            Failure::new(format!("no histogram of times: {error}"))
        })?))
    }

    #[inline]
    pub(crate) fn add(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds.max(1));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        // Both have the same bounds, so that it cannot fail.
        let _ = self.0.add(&other.0);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// In microseconds.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        self.0.value_at_quantile(percent / 100.0) as f64 / 1e3
    }

    /// The same where enough messages took longer for it to say something; the longest time always.
    pub(crate) fn sound_percentile(&self, percent: f64) -> Option<f64> {
        let above = self.count() as f64 * (1.0 - percent / 100.0);
        // A percentage is not exact in binary.
        (percent == 100.0 || above + 1e-6 >= LEAST_ABOVE).then(|| self.percentile(percent))
    }
}

/// What one run at one rate has shown.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) latencies: Latencies,
    /// Messages a second that came.
    pub(crate) reached: f64,
    /// Whether that was the rate that was meant, and most messages came in time.
    pub(crate) keeps_up: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_added() {
        let mut latencies = Latencies::new().expect("a histogram");
        for microseconds in 1..=1000 {
            latencies.add(microseconds * 1000);
        }
        let close = |found: f64, expected: f64| (found - expected).abs() < expected / 500.0;
        for (percent, expected) in [(50.0, 500.0), (90.0, 900.0), (99.9, 999.0), (100.0, 1000.0)] {
            let found = latencies.percentile(percent);
            assert!(close(found, expected), "{percent} {found}");
        }
        assert!(latencies.sound_percentile(99.0).is_some());
        assert_eq!(latencies.sound_percentile(99.9), None);
        assert!(latencies.sound_percentile(100.0).is_some());
        let mut more = Latencies::new().expect("a histogram");
        more.add(0);
        more.add(u64::MAX);
        more.merge(&latencies);
        assert_eq!(more.count(), 1002);
        assert!(more.percentile(100.0) >= 3.59e9);
    }
}
