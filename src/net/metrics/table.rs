//! The names under which numbers are known elsewhere, and those of [`Statistics`].

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
enum Read<S> {
    Whole(fn(&S) -> u64),
    Seconds(fn(&S) -> f64),
}

/// What a number is now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MetricValue {
    Whole(u64),
    Seconds(f64),
}

/// Whoever hands numbers on. What is to be handed on goes through this whichever way it goes, so that
/// no way has others.
pub(crate) trait MetricSink {
    /// Takes the numbers of `snapshot` that `metrics` names, under `labels` beside their own.
    fn take<S>(&mut self, labels: &[(&str, &str)], metrics: &'static [Metric<S>], snapshot: &S);
}

/// One number of a snapshot, by default of [`Statistics`], as monitoring systems see it. Several may
/// share a name, and differ by their label; these are next to each other in their table.
#[derive(Clone, Copy, Debug)]
pub struct Metric<S = Statistics> {
    name: &'static str,
    help: &'static str,
    kind: MetricKind,
    unit: MetricUnit,
    label: Option<(&'static str, &'static str)>,
    read: Read<S>,
}

impl<S> Metric<S> {
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

    /// Whether it may have fractions.
    #[cfg(feature = "metrics")]
    pub(crate) const fn has_fractions(&self) -> bool {
        matches!(self.read, Read::Seconds(_))
    }

    /// Returns what it is in `snapshot`.
    pub(crate) fn value(&self, snapshot: &S) -> MetricValue {
        match &self.read {
            Read::Whole(read) => MetricValue::Whole(read(snapshot)),
            Read::Seconds(read) => MetricValue::Seconds(read(snapshot)),
        }
    }

    pub(crate) const fn counter(
        name: &'static str,
        help: &'static str,
        read: fn(&S) -> u64,
    ) -> Self {
        Self {
            name,
            help,
            kind: MetricKind::Counter,
            unit: MetricUnit::Count,
            label: None,
            read: Read::Whole(read),
        }
    }

    pub(crate) const fn gauge(name: &'static str, help: &'static str, read: fn(&S) -> u64) -> Self {
        let mut gauge = Self::counter(name, help, read);
        gauge.kind = MetricKind::Gauge;
        gauge
    }

    const fn bytes(mut self) -> Self {
        self.unit = MetricUnit::Bytes;
        self
    }

    const fn seconds(mut self, read: fn(&S) -> f64) -> Self {
        self.unit = MetricUnit::Seconds;
        self.read = Read::Seconds(read);
        self
    }

    pub(crate) const fn label_is(mut self, name: &'static str, value: &'static str) -> Self {
        self.label = Some((name, value));
        self
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

/// All that is known of one runtime, those of one name next to each other.
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
    accepted("dropped", |now| now.accepted.dropped),
    accepted("closed", |now| now.accepted.closed),
    accepted("invalid", |now| now.accepted.invalid),
    Metric::gauge(
        "ringseal_lingering_connections",
        "Connections that nobody holds and whose end is still under way.",
        |now| now.lingering as u64,
    ),
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
        "Bytes of incomplete frames and messages that were moved to where there was room for the rest.",
        |now: &Statistics| now.moved_bytes,
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
    Metric::gauge(
        "ringseal_operations_in_flight",
        "Reads, writes and waits of connections that are not complete.",
        |now| now.in_flight as u64,
    ),
    Metric::gauge(
        "ringseal_tasks",
        "Tasks that have not ended.",
        |now| now.tasks as u64,
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
        |now: &Statistics| now.send_waits,
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
        |now: &Statistics| now.heap_budget as u64,
    )
    .bytes(),
    Metric::gauge(
        "ringseal_heap_in_use_bytes",
        "Bytes of heap blocks that there are.",
        |now: &Statistics| now.heap_bytes as u64,
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

/// Checks a table as Prometheus wants it.
#[cfg(test)]
pub(crate) fn check_names<S>(metrics: &'static [Metric<S>]) {
    use std::collections::BTreeSet;

    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    for metric in metrics {
        let name = metric.name();
        let is_plain = |character: char| character.is_ascii_lowercase() || character == '_';
        assert!(
            name.starts_with("ringseal_") && name.chars().all(is_plain),
            "{name}"
        );
        let is_counter = metric.kind() == MetricKind::Counter;
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        let base = name.trim_end_matches("_total");
        for (end, unit) in [
            ("_bytes", MetricUnit::Bytes),
            ("_seconds", MetricUnit::Seconds),
        ] {
            assert_eq!(base.ends_with(end), metric.unit() == unit, "{name}");
        }
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
    for family in metrics.chunk_by(|one, other| one.name() == other.name()) {
        let first = &family[0];
        for metric in family {
            let name = metric.name();
            assert_eq!(metric.help(), first.help());
            assert_eq!((metric.kind(), metric.unit()), (first.kind(), first.unit()));
            assert_eq!(metric.label().is_some(), family.len() > 1, "{name}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_as_prometheus_wants_them() {
        check_names(METRICS);
    }
}
