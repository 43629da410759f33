//! What is counted, for systems that watch it: one table of names, and two ways to hand them on.
//!
//! * `table`: names, units and texts, and which number of [`Statistics`](crate::Statistics) each is.
//! * `text`: the text format of Prometheus, with no other crate.
//! * `publisher`: the `metrics` facade, behind the feature of that name.

#[cfg(feature = "metrics")]
mod publisher;
mod table;
mod text;

#[cfg(feature = "metrics")]
pub use publisher::MetricsPublisher;
pub use table::{METRICS, Metric, MetricKind, MetricUnit};
pub use text::PrometheusText;
