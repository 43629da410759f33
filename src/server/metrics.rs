//! The names under which what only a server counts is known elsewhere.

use super::statistics::{Refusals, ServerStatistics, ThreadStatistics};
use crate::net::{METRICS, Metric, MetricSink};

const fn handshakes(
    outcome: &'static str,
    read: fn(&ThreadStatistics) -> u64,
) -> Metric<ThreadStatistics> {
    let help =
        "Handshakes of clients that have ended, by outcome, also of a thread that has ended.";
    Metric::counter("ringseal_server_handshakes_total", help, read).label_is("outcome", outcome)
}

/// What is known of each thread, those of one name next to each other.
pub(super) const OF_THREADS: &[Metric<ThreadStatistics>] = &[
    Metric::gauge(
        "ringseal_server_connections",
        "Connections whose handlers run.",
        |now| now.connections as u64,
    ),
    Metric::gauge(
        "ringseal_server_handshakes_under_way",
        "Handshakes under way, with clients that wait for theirs.",
        |now| now.handshakes_under_way as u64,
    ),
    handshakes("established", |now| now.handshakes.established),
    handshakes("not_admitted", |now| now.handshakes.not_admitted),
    handshakes("timed_out", |now| now.handshakes.timed_out),
    handshakes("overloaded", |now| now.handshakes.overloaded),
    handshakes("made_way", |now| now.handshakes.made_way),
    handshakes("no_room", |now| now.handshakes.no_room),
    handshakes("unused", |now| now.handshakes.unused),
    handshakes("dropped", |now| now.handshakes.dropped),
    handshakes("closed", |now| now.handshakes.closed),
    handshakes("invalid", |now| now.handshakes.invalid),
    Metric::counter(
        "ringseal_server_handler_panics_total",
        "Handlers that have panicked.",
        |now| now.handler_panics,
    ),
    Metric::gauge(
        "ringseal_server_thread_ended",
        "1 if the thread serves nobody any more, else 0.",
        |now| now.has_ended.into(),
    ),
];

const fn refusals(reason: &'static str, read: fn(&Refusals) -> u64) -> Metric<Refusals> {
    let help = "Clients that were refused, by reason.";
    Metric::counter("ringseal_server_refusals_total", help, read).label_is("reason", reason)
}

/// What is known of all threads together.
pub(super) const OF_REFUSALS: &[Metric<Refusals>] = &[
    refusals("by_filter", |now| now.by_filter),
    refusals("not_admitted", |now| now.not_admitted),
    refusals("connections", |now| now.connections),
    refusals("connections_per_peer", |now| now.connections_per_peer),
    refusals("connections_per_source", |now| now.connections_per_source),
    refusals("handshakes_per_second", |now| now.handshakes_per_second),
    refusals("shutting_down", |now| now.shutting_down),
];

impl ServerStatistics {
    /// Hands on all numbers: those of each thread under the label `thread`, with those of its runtime
    /// unless it has ended.
    pub(super) fn hand_on(&self, sink: &mut impl MetricSink) {
        for (thread, statistics) in self.threads.iter().enumerate() {
            let thread = thread.to_string();
            let labels = [("thread", thread.as_str())];
            if let Some(runtime) = &statistics.runtime {
                sink.take(&labels, METRICS, runtime);
            }
            sink.take(&labels, OF_THREADS, statistics);
        }
        sink.take(&[], OF_REFUSALS, &self.refusals);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::net::{HandshakeCounts, check_names};

    #[test]
    fn names_and_texts_are_as_prometheus_wants_them() {
        check_names(OF_THREADS);
        check_names(OF_REFUSALS);
    }

    #[test]
    fn the_guide_names_each_of_them_and_of_a_runtime() {
        let of_runtime = METRICS.iter().map(Metric::name);
        let of_threads = OF_THREADS.iter().map(Metric::name);
        let of_refusals = OF_REFUSALS.iter().map(Metric::name);
        let names: BTreeSet<_> = of_runtime.chain(of_threads).chain(of_refusals).collect();
        let guide = include_str!("../guide/metrics.rs");
        let words = guide.split('`');
        let named: BTreeSet<_> = words.filter(|word| word.starts_with("ringseal_")).collect();
        assert_eq!(named, names);
    }

    /// Every field has a number of its own, so that none can stand for another.
    #[test]
    fn every_number_of_a_server_is_handed_on() {
        let handshakes = HandshakeCounts {
            established: 101,
            not_admitted: 102,
            timed_out: 103,
            overloaded: 104,
            made_way: 105,
            no_room: 106,
            unused: 107,
            closed: 108,
            dropped: 113,
            invalid: 109,
            // Of dialers alone.
            unreachable: 0,
        };
        let thread = ThreadStatistics {
            connections: 110,
            handshakes_under_way: 111,
            handshakes,
            handler_panics: 112,
            has_ended: true,
            runtime: None,
        };
        let refusals = Refusals {
            by_filter: 201,
            not_admitted: 202,
            connections: 203,
            connections_per_peer: 204,
            connections_per_source: 205,
            handshakes_per_second: 206,
            shutting_down: 207,
        };
        let statistics = ServerStatistics::of(vec![thread], refusals);
        let text = statistics.prometheus_text().to_string();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let values: Vec<&str> = samples
            .filter_map(|sample| Some(sample.rsplit_once(' ')?.1))
            .collect();
        let expected = (101..=113).chain([1]).chain(201..=207);
        for value in expected {
            let value = value.to_string();
            let count = values.iter().filter(|given| **given == value).count();
            assert_eq!(count, 1, "{value}: {text}");
        }
        assert_eq!(values.len(), 21, "and nothing of a runtime that has ended");
    }
}
