//! The text format of Prometheus, version 0.0.4.

use core::fmt::{self, Write};

use super::table::{METRICS, Metric, MetricKind, MetricSink, MetricValue};
use crate::net::thread::statistics::Statistics;

/// Snapshots of [`Statistics`] as Prometheus reads them, each under labels of its own. Shown by
/// [`Display`](fmt::Display), to be served with the content type
/// [`CONTENT_TYPE`](Self::CONTENT_TYPE).
///
/// ```
/// use ringseal::{PrometheusText, Runtime};
///
/// let runtime = Runtime::builder().build().expect("a runtime");
/// let mut text = PrometheusText::new();
/// text.add(&[("thread", "0")], &runtime.statistics());
/// assert!(text.to_string().contains("ringseal_connections{thread=\"0\",state=\"open\"} 0\n"));
/// ```
#[derive(Clone, Debug)]
pub struct PrometheusText {
    families: Vec<Family>,
}

/// All samples of one name.
#[derive(Clone, Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricKind,
    samples: String,
}

impl PrometheusText {
    /// What to say that it is, in HTTP.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins without any.
    #[must_use]
    pub fn new() -> Self {
        let mut text = Self {
            families: Vec::new(),
        };
        for metric in METRICS {
            text.family(metric);
        }
        text
    }

    /// Adds a snapshot under `labels`, which have to differ from those of the others. A character that
    /// the name of a label can't have becomes `_`; values may be anything.
    pub fn add(&mut self, labels: &[(&str, &str)], statistics: &Statistics) {
        self.take(labels, METRICS, statistics);
    }

    fn family<S>(&mut self, metric: &Metric<S>) -> &mut Family {
        let mut families = self.families.iter();
        let place = families.position(|family| family.name == metric.name());
        let place = place.unwrap_or_else(|| {
            self.families.push(Family {
                name: metric.name(),
                help: metric.help(),
                kind: metric.kind(),
                samples: String::new(),
            });
            self.families.len() - 1
        });
        &mut self.families[place]
    }
}

impl Default for PrometheusText {
    fn default() -> Self {
        Self::new()
    }
}

impl MetricSink for PrometheusText {
    fn take<S>(&mut self, labels: &[(&str, &str)], metrics: &'static [Metric<S>], snapshot: &S) {
        for metric in metrics {
            let all = labels.iter().copied().chain(metric.label());
            let all: Vec<String> = all.map(|(name, value)| label(name, value)).collect();
            self.family(metric)
                .add(&all.join(","), metric.value(snapshot));
        }
    }
}

impl Family {
    fn add(&mut self, labels: &str, value: MetricValue) {
        let samples = &mut self.samples;
        samples.push_str(self.name);
        // Writing to a string does not fail.
        if !labels.is_empty() {
            let _ = write!(samples, "{{{labels}}}");
        }
        let _ = match value {
            MetricValue::Whole(count) => writeln!(samples, " {count}"),
            MetricValue::Seconds(seconds) => writeln!(samples, " {seconds}"),
        };
    }
}

impl fmt::Display for PrometheusText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for family in &self.families {
            let Family { name, help, .. } = family;
            let kind = match family.kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
            };
            writeln!(formatter, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
            formatter.write_str(&family.samples)?;
        }
        Ok(())
    }
}

/// Returns a label as it stands between the braces.
fn label(name: &str, value: &str) -> String {
    let mut label = String::new();
    for (index, character) in name.chars().enumerate() {
        let is_letter = character.is_ascii_alphabetic() || character == '_';
        let is_allowed = is_letter || (index > 0 && character.is_ascii_digit());
        label.push(if is_allowed { character } else { '_' });
    }
    label.push_str("=\"");
    for character in value.chars() {
        // Writing to a string does not fail.
        let _ = match character {
            '\\' => label.write_str("\\\\"),
            '"' => label.write_str("\\\""),
            '\n' => label.write_str("\\n"),
            other => label.write_char(other),
        };
    }
    label.push('"');
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::thread::runtime::Runtime;

    fn statistics() -> Statistics {
        Runtime::builder().build().expect("a runtime").statistics()
    }

    #[test]
    fn each_metric_has_its_text_once_and_a_sample_for_each_snapshot() {
        let mut text = PrometheusText::new();
        for thread in ["0", "1"] {
            text.add(&[("thread", thread), ("job", "a \"b\"\\\n")], &statistics());
        }
        let text = text.to_string();
        for metric in METRICS {
            let name = metric.name();
            let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
            assert_eq!(count(&format!("# HELP {name} ")), 1, "{name}");
            assert_eq!(count(&format!("# TYPE {name} ")), 1, "{name}");
            let label = metric
                .label()
                .map(|(name, value)| format!(",{name}=\"{value}\""));
            let label = label.unwrap_or_default();
            for thread in ["0", "1"] {
                let labels = format!("thread=\"{thread}\",job=\"a \\\"b\\\"\\\\\\n\"{label}");
                assert_eq!(count(&format!("{name}{{{labels}}} ")), 1, "{name}");
            }
        }
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        for sample in samples {
            let (_, value) = sample.rsplit_once(' ').expect("a value");
            value.parse::<f64>().expect(sample);
        }
    }

    #[test]
    fn labels_are_optional_and_their_names_are_made_fit() {
        let mut text = PrometheusText::new();
        text.add(&[], &statistics());
        let plain = text.to_string();
        assert!(plain.contains("\nringseal_reads_total 0\n"), "{plain}");
        assert!(plain.contains("\nringseal_connections{state=\"open\"} 0\n"));
        assert_eq!(label("1a-b1", "ü"), "_a_b1=\"ü\"");
        assert_eq!(PrometheusText::new().to_string().matches("TYPE").count(), {
            METRICS
                .chunk_by(|one, other| one.name() == other.name())
                .count()
        });
    }
}
