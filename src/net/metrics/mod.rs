//! What is counted, for systems that watch it: tables of names, and two ways to hand them on.
//!
//! * `table`: names, units and texts, and which number of a snapshot each is;
//!   [`Statistics`](crate::Statistics) has its table there, and a server its own beside what it counts.
//! * `text`: the text format of Prometheus, with no other crate.
//! * `publisher`: the `metrics` facade, behind the feature of that name.
//!
//! Both ways take numbers from the same tables, so none has a name or a number that the other lacks.

#[cfg(feature = "metrics")]
mod publisher;
mod table;
mod text;

#[cfg(feature = "metrics")]
pub use publisher::MetricsPublisher;
pub(crate) use table::MetricSink;
#[cfg(test)]
pub(crate) use table::check_names;
pub use table::{METRICS, Metric, MetricKind, MetricUnit};
pub use text::PrometheusText;
