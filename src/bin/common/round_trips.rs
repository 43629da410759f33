//! Round-trip times: how they are kept, and how they are told in words and in JSON.

use core::fmt;
use core::time::Duration;

use serde_json::{Value, json};

/// Values that share their leading digits with a bucket differ by less than one part in this.
const STEPS: u64 = 128;
/// Exact small values, then `STEPS` buckets for each power of two.
const BUCKETS: usize = 58 * 128;

/// Round-trip times, in memory that does not grow with them.
#[derive(Debug)]
pub struct RoundTrips {
    buckets: Vec<u64>,
    count: u64,
    max_ns: u64,
}

impl Default for RoundTrips {
    fn default() -> Self {
        Self::new()
    }
}

impl RoundTrips {
    /// None yet.
    pub fn new() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
            max_ns: 0,
        }
    }

    /// Counts one that took `time`.
    #[inline]
    pub fn add(&mut self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(ns)] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.buckets.fill(0);
        self.count = 0;
        self.max_ns = 0;
    }

    /// The longest, in microseconds.
    pub fn max_us(&self) -> f64 {
        self.max_ns as f64 / 1e3
    }

    /// The time that `per_mille` of 1000 round trips do not exceed, within one part in `STEPS`.
    pub fn percentile_us(&self, per_mille: u64) -> f64 {
        let rank = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        let index = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        let highest = index.map_or(self.max_ns, |index| last_of(index as u64));
        highest.min(self.max_ns) as f64 / 1e3
    }

    /// As a JSON object.
    pub fn json(&self) -> Value {
        json!({
            "round_trips": self.count,
            "p50_us": self.percentile_us(500),
            "p99_us": self.percentile_us(990),
            "max_us": self.max_us(),
        })
    }
}

impl fmt::Display for RoundTrips {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} round trips: half within {:.1} us (p50_us), 99 of 100 within {:.1} us (p99_us), \
             the slowest {:.1} us (max_us)",
            self.count,
            self.percentile_us(500),
            self.percentile_us(990),
            self.max_us()
        )
    }
}

/// Where a value is counted: by its power of two and the seven bits below the leading one.
fn bucket(ns: u64) -> usize {
    if ns < STEPS {
        return usize::try_from(ns).unwrap_or(0);
    }
    let shift = ns.ilog2() - STEPS.ilog2();
    let index = u64::from(shift) * STEPS + (ns >> shift);
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// The highest value of a bucket.
fn last_of(index: u64) -> u64 {
    if index < 2 * STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    let lead = u128::from(index - shift * STEPS) + 1;
    u64::try_from((lead << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_values_within_one_part_in_128() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1 << shift) | ((1 << shift) / 3)] {
                let last = last_of(bucket(value) as u64);
                assert!(last >= value && last - value <= value / STEPS, "{value}");
            }
        }
        assert_eq!(last_of(bucket(u64::MAX) as u64), u64::MAX);
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_values() {
        let mut times = RoundTrips::new();
        for ns in 1..=100 {
            times.add(Duration::from_nanos(ns));
        }
        times.add(Duration::from_nanos(5000));
        let json = times.json();
        assert_eq!(json["p50_us"], 0.051);
        assert_eq!(json["p99_us"], 0.1);
        assert_eq!(json["max_us"], 5.0);
    }
}
