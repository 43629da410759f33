//! What a run has shown: differences of counters over the measured time, and nothing else.
use ringseal_cli::round_trips::RoundTrips;
use ringseal_cli::snapshot::Snapshot;
use ringseal_cli::work_order::{Description, Direction};

/// The figures of both ends at about the same time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) dialer: Snapshot,
    pub(crate) listener: Snapshot,
}

/// All that is known at the end of a run.
#[derive(Debug)]
pub(crate) struct Measurement {
    pub(crate) dialer: Description,
    pub(crate) listener: Description,
    pub(crate) begin: Mark,
    pub(crate) end: Mark,
    /// Commands and answers from the first mark to the last, without the first.
    pub(crate) exchanges: u64,
    pub(crate) round_trips: RoundTrips,
    pub(crate) interrupted: bool,
}

/// What both ends have counted over the measured time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) dialer: Snapshot,
    pub(crate) listener: Snapshot,
    /// How long the receivers counted; of two ends that receive, the longer.
    pub(crate) seconds: f64,
    /// What the receivers have counted.
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Window {
    pub(crate) fn between(direction: Direction, begin: &Mark, end: &Mark) -> Self {
        let dialer = end.dialer.since(&begin.dialer);
        let listener = end.listener.since(&begin.listener);
        let nanoseconds = match direction {
            Direction::Send => listener.at_ns,
            Direction::Receive => dialer.at_ns,
            Direction::Both | Direction::Ping => dialer.at_ns.max(listener.at_ns),
        };
        Self {
            dialer,
            listener,
            seconds: nanoseconds as f64 / 1e9,
            messages: dialer.messages + listener.messages,
            bytes: dialer.bytes + listener.bytes,
        }
    }

    /// A counter of both ends together.
    pub(crate) fn sum(&self, field: impl Fn(&Snapshot) -> u64) -> u64 {
        field(&self.dialer) + field(&self.listener)
    }
}

impl Measurement {
    /// The measured time without what asking for the figures has added: one read and one write on
    /// each end.
    pub(crate) fn window(&self, direction: Direction) -> Window {
        let mut window = Window::between(direction, &self.begin, &self.end);
        for end in [&mut window.dialer, &mut window.listener] {
            end.reads = end.reads.saturating_sub(self.exchanges);
            end.writes = end.writes.saturating_sub(self.exchanges);
        }
        window
    }
}

/// `count` for each of `whole`, or zero where there is none: JSON has no infinity.
pub(crate) fn ratio(count: f64, whole: f64) -> f64 {
    if whole > 0.0 { count / whole } else { 0.0 }
}

/// One line of progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) seconds: f64,
    pub(crate) messages_per_second: f64,
    pub(crate) bytes_per_second: f64,
}

impl Progress {
    pub(crate) fn between(direction: Direction, begin: &Mark, latest: &Mark, now: &Mark) -> Self {
        let step = Window::between(direction, latest, now);
        Self {
            seconds: Window::between(direction, begin, now).seconds,
            messages_per_second: ratio(step.messages as f64, step.seconds),
            bytes_per_second: ratio(step.bytes as f64, step.seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(dialer: Snapshot, listener: Snapshot) -> Mark {
        Mark { dialer, listener }
    }

    #[test]
    fn time_is_that_of_the_end_that_receives() {
        let nothing = mark(Snapshot::default(), Snapshot::default());
        let at = |at_ns, messages| Snapshot {
            at_ns,
            messages,
            ..Snapshot::default()
        };
        let end = mark(at(2_000_000_000, 3), at(1_000_000_000, 4));
        for (direction, seconds) in [
            (Direction::Send, 1.0),
            (Direction::Receive, 2.0),
            (Direction::Both, 2.0),
            (Direction::Ping, 2.0),
        ] {
            let window = Window::between(direction, &nothing, &end);
            assert_eq!((window.seconds, window.messages), (seconds, 7));
        }
    }

    #[test]
    fn ratios_of_nothing_are_zero() {
        assert_eq!(ratio(1.0, 0.0), 0.0);
        assert_eq!(ratio(1.0, 2.0), 0.5);
    }
}
