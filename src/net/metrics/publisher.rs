//! Hands the numbers of a thread to the `metrics` facade, and through it to whichever exporter the
//! program has.

use core::time::Duration;

use metrics::{Counter, Gauge, Label, Unit, counter, describe_counter, describe_gauge, gauge};

use super::table::{METRICS, Metric, MetricKind, MetricUnit, Read};
use crate::driver;
use crate::net::thread::statistics::Statistics;

/// Publishes [`Statistics`] of one runtime as [`METRICS`] through the crate
/// [`metrics`](https://docs.rs/metrics). Feature `metrics`.
///
/// What connections do is counted in plain variables of their thread; nothing of the facade is touched
/// until somebody publishes, and then what was added since the last time goes there. Make it when the
/// recorder is installed: before that there is nobody to hand anything to.
///
/// `ringseal_send_wait_seconds_total` is a gauge there, though it only grows: the facade's counters
/// have no fractions.
///
/// ```
/// use std::time::Duration;
///
/// use ringseal::{MetricsPublisher, Runtime};
///
/// let runtime = Runtime::builder().build().expect("a runtime");
/// runtime.block_on(async {
///     // metrics_exporter_prometheus::PrometheusBuilder::new().install(), or another one
///     let publisher = MetricsPublisher::new(&[("thread", "0")]);
///     ringseal::spawn(publisher.run(Duration::from_secs(5)));
/// });
/// ```
#[derive(Debug)]
pub struct MetricsPublisher {
    series: Vec<Series>,
}

/// One number, where it goes.
enum Series {
    Counter {
        handle: Counter,
        read: fn(&Statistics) -> u64,
        published: u64,
    },
    Gauge {
        handle: Gauge,
        read: Read,
    },
}

impl MetricsPublisher {
    /// The shortest interval of [`run`](Self::run): 100 milliseconds.
    pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

    /// Describes all metrics to the current recorder, and registers them under `labels`, which have to
    /// differ from those of other publishers.
    #[must_use]
    pub fn new(labels: &[(&str, &str)]) -> Self {
        describe();
        let series = METRICS.iter().map(|metric| Series::new(metric, labels));
        Self {
            series: series.collect(),
        }
    }

    /// Hands on what has changed since the last call. Give it snapshots of one runtime, the older
    /// first; it may be another thread that has them.
    pub fn publish(&mut self, statistics: &Statistics) {
        for series in &mut self.series {
            series.publish(statistics);
        }
    }

    /// Publishes what the runtime of this thread counts, once in each `interval`, for as long as it
    /// runs. An idle thread is woken for it, so do not make that shorter than somebody looks.
    ///
    /// # Panics
    ///
    /// Outside [`Runtime::block_on`](crate::Runtime::block_on).
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends it. What was counted since the last time is not published.
    pub async fn run(mut self, interval: Duration) {
        let interval = interval.max(Self::SHORTEST_INTERVAL);
        while let Some(statistics) = Statistics::current() {
            self.publish(&statistics);
            driver::sleep(interval).await;
        }
    }
}

impl Series {
    fn new(metric: &Metric, labels: &[(&str, &str)]) -> Self {
        let own = metric.label();
        let labels = labels.iter().copied().chain(own);
        let labels = labels.map(|(name, value)| Label::new(name.to_owned(), value.to_owned()));
        let labels: Vec<Label> = labels.collect();
        match (metric.kind(), metric.read) {
            (MetricKind::Counter, Read::Whole(read)) => Self::Counter {
                handle: counter!(metric.name(), labels),
                read,
                published: 0,
            },
            (_, read) => Self::Gauge {
                handle: gauge!(metric.name(), labels),
                read,
            },
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a fraction, exact up to 2^53 of what is counted"
    )]
    fn publish(&mut self, statistics: &Statistics) {
        match self {
            Self::Counter {
                handle,
                read,
                published,
            } => {
                let now = read(statistics);
                // An older snapshot adds nothing.
                handle.increment(now.saturating_sub(*published));
                *published = now.max(*published);
            }
            Self::Gauge { handle, read } => handle.set(match read {
                Read::Whole(read) => read(statistics) as f64,
                Read::Seconds(read) => read(statistics),
            }),
        }
    }
}

impl core::fmt::Debug for Series {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Counter { .. } => "Counter",
            Self::Gauge { .. } => "Gauge",
        })
    }
}

fn describe() {
    for family in METRICS.chunk_by(|one, other| one.name() == other.name()) {
        let [metric, ..] = family else { continue };
        let unit = match metric.unit() {
            MetricUnit::Count => Unit::Count,
            MetricUnit::Bytes => Unit::Bytes,
            MetricUnit::Seconds => Unit::Seconds,
        };
        match (metric.kind(), metric.read) {
            (MetricKind::Counter, Read::Whole(_)) => {
                describe_counter!(metric.name(), unit, metric.help());
            }
            _ => describe_gauge!(metric.name(), unit, metric.help()),
        }
    }
}
