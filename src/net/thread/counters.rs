//! What a thread counts beside bytes and messages: connections by state, handshakes by outcome, and
//! the time that was spent in waits.

use core::cell::Cell;
use core::time::Duration;
use std::time::Instant;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionStage {
    /// The peers do not know each other yet.
    Handshaking,
    /// Somebody has it.
    Open,
    /// Nobody has it any more; what was sent still goes out.
    Ending,
    /// Its socket is closed.
    Over,
}

/// How many connections there are at each stage.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    pub(crate) handshaking: Cell<usize>,
    pub(crate) open: Cell<usize>,
    pub(crate) ending: Cell<usize>,
}

impl Connections {
    /// One more connection begins.
    pub(crate) fn begin(&self) -> ConnectionStage {
        self.handshaking.set(self.handshaking.get() + 1);
        ConnectionStage::Handshaking
    }

    /// A connection moves on. One that is over stays so.
    pub(crate) fn move_on(&self, stage: &Cell<ConnectionStage>, next: ConnectionStage) {
        let Some(before) = self.place(stage.get()) else {
            return;
        };
        before.set(before.get() - 1);
        if let Some(place) = self.place(next) {
            place.set(place.get() + 1);
        }
        stage.set(next);
    }

    const fn place(&self, stage: ConnectionStage) -> Option<&Cell<usize>> {
        match stage {
            ConnectionStage::Handshaking => Some(&self.handshaking),
            ConnectionStage::Open => Some(&self.open),
            ConnectionStage::Ending => Some(&self.ending),
            ConnectionStage::Over => None,
        }
    }
}

/// How handshakes have ended, as one of the two ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandshakeCounts {
    /// With a connection.
    pub established: u64,
    /// By admission: the peer's key was not let in, or the listener did not let in this one.
    pub not_admitted: u64,
    /// Not within [`Config::handshake_deadline`](crate::Config::handshake_deadline), or
    /// [`Config::first_message_timeout`](crate::Config::first_message_timeout) of a listener.
    pub timed_out: u64,
    /// By too much to do: on a listener, [`AttemptError::Overloaded`](crate::AttemptError::Overloaded);
    /// on a dialer, a listener that says that it is busy or about to end.
    pub overloaded: u64,
    /// For others, because of [`Config::max_handshakes`](crate::Config::max_handshakes). Of listeners
    /// alone.
    pub made_way: u64,
    /// By a limit of a [`Server`](crate::Server), or because it drained;
    /// [`Refusals`](crate::Refusals) tells by which. Of listeners alone.
    pub no_room: u64,
    /// By a client that closed its connection without having sent anything, as health checks do. Of
    /// listeners alone.
    pub unused: u64,
    /// By the end of the listener: those that were under way when it was dropped, or when its server
    /// drained or was shut down. Of listeners alone.
    pub dropped: u64,
    /// By an end or a failure of the socket in the middle.
    pub closed: u64,
    /// By what the peer sent, or an admission check that panicked.
    pub invalid: u64,
    /// Before they began: the name did not resolve, or nobody answered. Of dialers alone.
    pub unreachable: u64,
}

impl HandshakeCounts {
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            established: self.established + other.established,
            not_admitted: self.not_admitted + other.not_admitted,
            timed_out: self.timed_out + other.timed_out,
            overloaded: self.overloaded + other.overloaded,
            made_way: self.made_way + other.made_way,
            no_room: self.no_room + other.no_room,
            unused: self.unused + other.unused,
            dropped: self.dropped + other.dropped,
            closed: self.closed + other.closed,
            invalid: self.invalid + other.invalid,
            unreachable: self.unreachable + other.unreachable,
        }
    }
}

/// Which number a handshake counts in.
pub(crate) type Outcome = fn(&mut HandshakeCounts) -> &mut u64;

/// Adds one handshake.
pub(crate) fn count_handshake(counts: &Cell<HandshakeCounts>, outcome: Outcome) {
    let mut changed = counts.get();
    *outcome(&mut changed) += 1;
    counts.set(changed);
}

/// How often and for how long somebody has waited.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    pub(crate) count: Cell<u64>,
    pub(crate) time: Cell<Duration>,
}

/// One who waits now and then.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    since: Cell<Option<Instant>>,
}

impl Waiting {
    /// Whether it waits now.
    #[inline]
    pub(crate) fn is_waiting(&self) -> bool {
        self.since.get().is_some()
    }

    /// Begins to wait, unless it does already. The clock is read then and at the end alone.
    #[cold]
    pub(crate) fn begin(&self, now: impl FnOnce() -> Instant) {
        if !self.is_waiting() {
            self.since.set(Some(now()));
        }
    }

    /// Ends the wait, if there is one, and counts it in `waits`.
    #[cold]
    pub(crate) fn end(&self, waits: &Waits, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.since.take() {
            let lasted = now().saturating_duration_since(since);
            waits.count.set(waits.count.get() + 1);
            waits.time.set(waits.time.get().saturating_add(lasted));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_is_at_one_stage_and_leaves_none_behind() {
        let connections = Connections::default();
        let counts = || {
            let Connections {
                handshaking,
                open,
                ending,
            } = &connections;
            [handshaking.get(), open.get(), ending.get()]
        };
        let first = Cell::new(connections.begin());
        let second = Cell::new(connections.begin());
        assert_eq!(counts(), [2, 0, 0]);
        connections.move_on(&first, ConnectionStage::Open);
        assert_eq!(counts(), [1, 1, 0]);
        connections.move_on(&first, ConnectionStage::Ending);
        connections.move_on(&second, ConnectionStage::Over);
        assert_eq!(counts(), [0, 0, 1]);
        connections.move_on(&second, ConnectionStage::Open);
        assert_eq!(counts(), [0, 0, 1], "what is over stays so");
        connections.move_on(&first, ConnectionStage::Over);
        connections.move_on(&first, ConnectionStage::Over);
        assert_eq!(counts(), [0, 0, 0]);
    }

    #[test]
    fn a_wait_counts_from_its_first_look_to_its_end() {
        let (waits, waiting, start) = (Waits::default(), Waiting::default(), Instant::now());
        let after = |seconds| move || start + Duration::from_secs(seconds);
        waiting.end(&waits, || unreachable!("nobody waits"));
        waiting.begin(after(1));
        waiting.begin(|| unreachable!("it waits already"));
        waiting.end(&waits, after(4));
        waiting.begin(after(10));
        waiting.end(&waits, after(11));
        assert_eq!((waits.count.get(), waits.time.get().as_secs()), (2, 4));
    }
}
