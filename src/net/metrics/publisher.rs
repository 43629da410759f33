//! Hands numbers to the `metrics` facade, and through it to whichever exporter the program has.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use std::collections::HashMap;

use metrics::{Counter, Gauge, Key, Label, Unit, counter, describe_counter, describe_gauge, gauge};

use super::table::{METRICS, Metric, MetricKind, MetricSink, MetricUnit, MetricValue};
use crate::driver;
use crate::net::thread::statistics::Statistics;

/// Publishes snapshots through the crate [`metrics`](https://docs.rs/metrics): [`Statistics`] of one
/// runtime as [`METRICS`], or [`ServerStatistics`](crate::ServerStatistics), see
/// [`of_server`](MetricsPublisher::of_server). Feature `metrics`.
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
pub struct MetricsPublisher<S = Statistics> {
    series: AllSeries,
    snapshot: PhantomData<fn(&S)>,
}

/// Everything that was published, and what it was then.
#[derive(Debug)]
pub(crate) struct AllSeries {
    labels: Vec<Label>,
    series: HashMap<Key, Series>,
}

/// Where one number goes.
enum Series {
    Counter {
        handle: Counter,
        published: u64,
    },
    Gauge {
        handle: Gauge,
        /// Whether the snapshot that is published has it.
        is_current: bool,
    },
}

impl MetricsPublisher {
    /// The shortest interval of [`run`](Self::run): 100 milliseconds.
    pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

    /// Describes all metrics to the current recorder, and registers them under `labels`, which have to
    /// differ from those of other publishers.
    #[must_use]
    pub fn new(labels: &[(&str, &str)]) -> Self {
        let mut publisher = Self::under(labels);
        for metric in METRICS {
            publisher.series.get(&[], metric);
        }
        publisher
    }

    /// Hands on what has changed since the last call. Give it snapshots of one runtime, the older
    /// first; it may be another thread that has them.
    pub fn publish(&mut self, statistics: &Statistics) {
        self.publish_with(|sink| sink.take(&[], METRICS, statistics));
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

impl<S> MetricsPublisher<S> {
    /// Begins without any series.
    pub(crate) fn under(labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|&(name, value)| label(name, value));
        let series = AllSeries {
            labels: labels.collect(),
            series: HashMap::new(),
        };
        Self {
            series,
            snapshot: PhantomData,
        }
    }

    /// Publishes the numbers that `hand_on` gives. Gauges that it does not give any more go to 0: what
    /// they were of has ended.
    pub(crate) fn publish_with(&mut self, hand_on: impl FnOnce(&mut AllSeries)) {
        for series in self.series.series.values_mut() {
            if let Series::Gauge { is_current, .. } = series {
                *is_current = false;
            }
        }
        hand_on(&mut self.series);
        for series in self.series.series.values() {
            if let Series::Gauge {
                handle,
                is_current: false,
            } = series
            {
                handle.set(0.0);
            }
        }
    }
}

impl AllSeries {
    /// Returns where a number goes, which is described and registered when it is new.
    fn get<S>(&mut self, labels: &[(&str, &str)], metric: &Metric<S>) -> &mut Series {
        let more = labels.iter().copied().chain(metric.label());
        let more = more.map(|(name, value)| label(name, value));
        let labels: Vec<Label> = self.labels.iter().cloned().chain(more).collect();
        let key = Key::from_parts(metric.name(), labels.clone());
        let series = self.series.entry(key);
        series.or_insert_with(|| Series::new(metric, labels))
    }
}

impl MetricSink for AllSeries {
    fn take<S>(&mut self, labels: &[(&str, &str)], metrics: &'static [Metric<S>], snapshot: &S) {
        for metric in metrics {
            self.get(labels, metric).publish(metric.value(snapshot));
        }
    }
}

impl Series {
    fn new<S>(metric: &Metric<S>, labels: Vec<Label>) -> Self {
        let unit = match metric.unit() {
            MetricUnit::Count => Unit::Count,
            MetricUnit::Bytes => Unit::Bytes,
            MetricUnit::Seconds => Unit::Seconds,
        };
        if metric.kind() == MetricKind::Counter && !metric.has_fractions() {
            describe_counter!(metric.name(), unit, metric.help());
            Self::Counter {
                handle: counter!(metric.name(), labels),
                published: 0,
            }
        } else {
            describe_gauge!(metric.name(), unit, metric.help());
            Self::Gauge {
                handle: gauge!(metric.name(), labels),
                is_current: false,
            }
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a fraction, exact up to 2^53 of what is counted"
    )]
    fn publish(&mut self, value: MetricValue) {
        match (self, value) {
            (Self::Counter { handle, published }, MetricValue::Whole(now)) => {
                // An older snapshot adds nothing.
                handle.increment(now.saturating_sub(*published));
                *published = now.max(*published);
            }
            (Self::Gauge { handle, is_current }, value) => {
                *is_current = true;
                handle.set(match value {
                    MetricValue::Whole(count) => count as f64,
                    MetricValue::Seconds(seconds) => seconds,
                });
            }
            (Self::Counter { .. }, MetricValue::Seconds(_)) => {
                unreachable!("what has fractions is no counter there")
            }
        }
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Counter { .. } => "Counter",
            Self::Gauge { .. } => "Gauge",
        })
    }
}

fn label(name: &str, value: &str) -> Label {
    Label::new(name.to_owned(), value.to_owned())
}
