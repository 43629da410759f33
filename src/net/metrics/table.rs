//! The names under which the numbers of [`Statistics`] are known elsewhere.

use crate::net::thread::statistics::Statistics;

/// Whether a number only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows while the runtime lives.
    Counter,
    /// It is what there is now.
    Gauge,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricUnit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

/// How a number is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Whole(fn(&Statistics) -> u64),
    Seconds(fn(&Statistics) -> f64),
}

/// One number of [`Statistics`], as monitoring systems see it. Several may share a name, and differ
/// by their label; these are next to each other in [`METRICS`].
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    name: &'static str,
    help: &'static str,
    kind: MetricKind,
    unit: MetricUnit,
    label: Option<(&'static str, &'static str)>,
    pub(super) read: Read,
}

impl Metric {
    /// Returns its name, by the conventions of Prometheus: with the unit, and `_total` for a counter.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns what it is, in a sentence.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        self.help
    }

    /// Returns whether it only grows.
    #[must_use]
    pub const fn kind(&self) -> MetricKind {
        self.kind
    }

    /// Returns what it counts.
    #[must_use]
    pub const fn unit(&self) -> MetricUnit {
        self.unit
    }

    /// Returns the name and the value of the label by which it differs from others of its name.
    #[must_use]
    pub const fn label(&self) -> Option<(&'static str, &'static str)> {
        self.label
    }

    const fn counter(name: &'static str, help: &'static str, read: fn(&Statistics) -> u64) -> Self {
        Self {
            name,
            help,
            kind: MetricKind::Counter,
            unit: MetricUnit::Count,
            label: None,
            read: Read::Whole(read),
        }
    }

    const fn gauge(name: &'static str, help: &'static str, read: fn(&Statistics) -> u64) -> Self {
        Self {
            kind: MetricKind::Gauge,
            ..Self::counter(name, help, read)
        }
    }

    const fn bytes(self) -> Self {
        Self {
            unit: MetricUnit::Bytes,
            ..self
        }
    }

    const fn seconds(self, read: fn(&Statistics) -> f64) -> Self {
        Self {
            unit: MetricUnit::Seconds,
            read: Read::Seconds(read),
            ..self
        }
    }

    const fn label_is(self, name: &'static str, value: &'static str) -> Self {
        Self {
            label: Some((name, value)),
            ..self
        }
    }
}

const fn connections(state: &'static str, read: fn(&Statistics) -> u64) -> Metric {
    let help =
        "Connections by state: with a handshake under way, open, or ending without a holder.";
    Metric::gauge("ringseal_connections", help, read).label_is("state", state)
}

const fn dialed(outcome: &'static str, read: fn(&Statistics) -> u64) -> Metric {
    let help = "Attempts to dial that have ended, by outcome.";
    Metric::counter("ringseal_dialed_handshakes_total", help, read).label_is("outcome", outcome)
}

const fn accepted(outcome: &'static str, read: fn(&Statistics) -> u64) -> Metric {
    let help = "Handshakes of clients that have ended, by outcome.";
    Metric::counter("ringseal_accepted_handshakes_total", help, read).label_is("outcome", outcome)
}

const fn messages(direction: &'static str, read: fn(&Statistics) -> u64) -> Metric {
    let help = "Messages sealed or opened; over the records, messages a record.";
    Metric::counter("ringseal_messages_total", help, read).label_is("direction", direction)
}

const fn records(direction: &'static str, read: fn(&Statistics) -> u64) -> Metric {
    let help = "Records that have left, or come.";
    Metric::counter("ringseal_records_total", help, read).label_is("direction", direction)
}

const fn wire_bytes(direction: &'static str, read: fn(&Statistics) -> u64) -> Metric {
    let help = "Bytes of connections that the kernel has taken or given, handshakes included.";
    let metric = Metric::counter("ringseal_wire_bytes_total", help, read);
    metric.bytes().label_is("direction", direction)
}

const fn time_limit(limit: &'static str, read: fn(&Statistics) -> u64) -> Metric {
    let help = "Connections that a time limit has ended, by limit.";
    Metric::counter("ringseal_time_limits_hit_total", help, read).label_is("limit", limit)
}

/// All that is known, those of one name next to each other.
pub const METRICS: &[Metric] = &[
    connections("handshaking", |now| now.handshaking as u64),
    connections("open", |now| now.open as u64),
    connections("ending", |now| now.ending as u64),
    dialed("established", |now| now.dialed.established),
    dialed("not_admitted", |now| now.dialed.not_admitted),
    dialed("timed_out", |now| now.dialed.timed_out),
    dialed("overloaded", |now| now.dialed.overloaded),
    dialed("closed", |now| now.dialed.closed),
    dialed("invalid", |now| now.dialed.invalid),
    dialed("unreachable", |now| now.dialed.unreachable),
    accepted("established", |now| now.accepted.established),
    accepted("not_admitted", |now| now.accepted.not_admitted),
    accepted("timed_out", |now| now.accepted.timed_out),
    accepted("overloaded", |now| now.accepted.overloaded),
    accepted("made_way", |now| now.accepted.made_way),
    accepted("no_room", |now| now.accepted.no_room),
    accepted("unused", |now| now.accepted.unused),
    accepted("closed", |now| now.accepted.closed),
    accepted("invalid", |now| now.accepted.invalid),
    Metric::counter(
        "ringseal_refused_clients_total",
        "Clients that were refused before any work was spent on them.",
        |now| now.refused,
    ),
    messages("sent", |now| now.messages_sent),
    messages("received", |now| now.messages_received),
    records("sent", |now| now.records_sent),
    records("received", |now| now.records_received),
    wire_bytes("sent", |now| now.bytes_sent),
    wire_bytes("received", |now| now.bytes_received),
    Metric::counter(
        "ringseal_moved_bytes_total",
        "Bytes of incomplete frames that were moved to where there was room for the rest.",
        |now| now.moved_bytes,
    )
    .bytes(),
    Metric::counter(
        "ringseal_reads_total",
        "Reads of connections that brought data.",
        |now| now.reads,
    ),
    Metric::counter(
        "ringseal_writes_total",
        "Buffers of connections that the kernel has taken.",
        |now| now.writes,
    ),
    Metric::counter(
        "ringseal_submissions_total",
        "Operations that were handed to the driver.",
        |now| now.submissions,
    ),
    Metric::counter(
        "ringseal_completions_total",
        "Operations of the driver that have ended.",
        |now| now.completions,
    ),
    Metric::counter(
        "ringseal_key_updates_total",
        "How often keys were replaced, in both directions.",
        |now| now.key_updates,
    ),
    Metric::counter(
        "ringseal_send_waits_total",
        "How often a message had to wait for room: backpressure.",
        |now| now.send_waits,
    ),
    Metric::counter(
        "ringseal_send_wait_seconds_total",
        "How long messages have waited for room, when the wait is over.",
        |now| now.send_waits,
    )
    .seconds(|now| now.send_wait_time.as_secs_f64()),
    time_limit("idle", |now| now.idle_timeouts),
    time_limit("progress", |now| now.progress_timeouts),
    time_limit("host", |now| now.host_timeouts),
    time_limit("lifetime", |now| now.lifetimes),
    Metric::gauge("ringseal_slots", "Slots in the pool.", |now| {
        now.slots as u64
    }),
    Metric::gauge(
        "ringseal_slots_in_use",
        "Slots that somebody holds.",
        |now| (now.slots - now.free_slots) as u64,
    ),
    Metric::counter(
        "ringseal_slot_waits_total",
        "How often no slot was free for somebody who wanted one.",
        |now| now.slot_waits,
    ),
    Metric::gauge(
        "ringseal_heap_budget_bytes",
        "Bytes of heap blocks that connections share.",
        |now| now.heap_budget as u64,
    )
    .bytes(),
    Metric::gauge(
        "ringseal_heap_in_use_bytes",
        "Bytes of heap blocks that there are.",
        |now| now.heap_bytes as u64,
    )
    .bytes(),
    Metric::counter(
        "ringseal_heap_waits_total",
        "How often somebody had to wait for heap memory.",
        |now| now.heap_waits,
    ),
    Metric::counter(
        "ringseal_heap_blocks_total",
        "Heap blocks for messages that are longer than a slot, or found none.",
        |now| now.large_blocks,
    ),
    Metric::gauge(
        "ringseal_registered",
        "1 if slots are registered with a ring, else 0.",
        |now| now.registered.into(),
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_texts_are_as_prometheus_wants_them() {
        let mut seen = BTreeSet::new();
        let mut names = Vec::new();
        for metric in METRICS {
            let name = metric.name();
            let is_plain = |character: char| character.is_ascii_lowercase() || character == '_';
            assert!(
                name.starts_with("ringseal_") && name.chars().all(is_plain),
                "{name}"
            );
            assert_eq!(
                name.ends_with("_total"),
                metric.kind() == MetricKind::Counter,
                "{name}"
            );
            let base = name.trim_end_matches("_total");
            assert_eq!(
                base.ends_with("_bytes"),
                metric.unit() == MetricUnit::Bytes,
                "{name}"
            );
            assert_eq!(
                base.ends_with("_seconds"),
                metric.unit() == MetricUnit::Seconds,
                "{name}"
            );
            assert!(
                metric.help().ends_with('.') && !metric.help().contains('\n'),
                "{name}"
            );
            assert!(seen.insert((name, metric.label())), "{name} twice");
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        let once: BTreeSet<_> = names.iter().collect();
        assert_eq!(once.len(), names.len(), "those of one name stand together");
        for family in METRICS.chunk_by(|one, other| one.name() == other.name()) {
            let first = family[0];
            for metric in family {
                assert_eq!(metric.help(), first.help());
                assert_eq!((metric.kind(), metric.unit()), (first.kind(), first.unit()));
                assert_eq!(
                    metric.label().is_some(),
                    family.len() > 1,
                    "{}",
                    metric.name()
                );
            }
        }
    }

    #[test]
    fn the_guide_names_each_of_them() {
        let guide = include_str!("../../guide/metrics.rs");
        for metric in METRICS {
            let name = metric.name();
            assert!(
                guide.contains(&format!("`{name}`")),
                "{name} is not in the guide"
            );
        }
        for word in guide
            .split('`')
            .filter(|word| word.starts_with("ringseal_"))
        {
            assert!(
                METRICS.iter().any(|metric| metric.name() == word),
                "{word} is not there"
            );
        }
    }
}
