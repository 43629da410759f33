//! Limits on waiting for the peer: when one has fired, that it was time, and not long past it.

use core::future::Future;
use core::ops::Range;
use std::rc::Rc;

use ringseal::TimeLimit;

use crate::network::{Network, Number};
use crate::patience::Patience;
use crate::scenario::End;
use crate::shortage::noticed;
use crate::world::World;

/// By how much a limit may be overrun, in milliseconds: two ticks, as it says, and what every tick of
/// a long limit is rounded by.
const OVERRUN: u64 = 2 * TICK + 250;
/// What of a step of the clock may be charged to the peer, in milliseconds: one tick. One more judges
/// nobody.
const TICK: u64 = 250;

/// What an end of a wire sees of it, and its limits.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) network: Rc<Network>,
    pub(crate) incoming: Number,
    pub(crate) outgoing: Number,
    pub(crate) end: End,
}

impl Watch {
    pub(crate) fn world(&self) -> &Rc<World> {
        &self.network.world
    }

    /// Runs `call` for as long as `patience` says; `None` when it was given up.
    pub(crate) async fn give<F: Future>(&self, patience: Patience, call: F) -> Option<F::Output> {
        patience.give(noticed(self.world(), call)).await
    }

    /// Returns how many bytes the network has taken.
    pub(crate) fn written(&self) -> u64 {
        self.network
            .with(self.outgoing, |channel| channel.written())
    }

    /// Whether the network was told that nothing follows.
    pub(crate) fn is_ended(&self) -> bool {
        self.network
            .with(self.outgoing, |channel| channel.is_ended())
    }

    /// Whether the network takes what is written, and whatever was ready has run since then.
    pub(crate) fn is_at_ease(&self, since: u64) -> bool {
        let (_, steps) = self.world().stepped_since(since);
        let now = self.world().now();
        steps == 0
            && self
                .network
                .with(self.outgoing, |channel| channel.is_at_ease(now))
    }

    /// Checks that `limit`, which the sender was told of, was over, and was not overrun.
    pub(crate) fn timed_out_sending(&self, limit: TimeLimit) {
        self.world().count("a limit ends sending");
        self.has_fired(limit);
    }

    /// Checks that `limit`, which the receiver was told of, was over, and was not overrun.
    pub(crate) fn timed_out_receiving(&self, limit: TimeLimit) {
        self.world().count("a limit ends receiving");
        self.has_fired(limit);
    }

    /// When it fired is when the wire was let go of: those that hear of it may hear later.
    fn has_fired(&self, limit: TimeLimit) {
        let (read_since, gone_at) = self.network.with(self.incoming, |channel| {
            let since = channel.read_since;
            let since = since.map(|since| since.max(channel.delivered_at));
            (since, channel.reader_gone_at)
        });
        let write_since = self
            .network
            .with(self.outgoing, |channel| channel.write_since);
        let fired_at = gone_at.unwrap_or_else(|| self.world().now());
        match limit {
            TimeLimit::Idle => {
                let since = read_since.expect("a read waits, or nobody is late");
                self.is_in_time("idle", self.end.idle, since..fired_at);
            }
            TimeLimit::Progress => {
                // Whichever began first may have fired, and a write for certain if it is out for so long.
                let waits = [read_since, write_since].into_iter().flatten();
                let first = waits.min().expect("something waits, or nobody is late");
                self.is_over("progress", self.end.progress, first..fired_at);
                let certain = write_since.or(read_since).unwrap_or(first);
                self.is_not_overrun("progress", self.end.progress, certain..fired_at);
            }
            other => panic!("nothing has the limit {other}"),
        }
    }

    fn is_in_time(&self, what: &str, limit: Option<u64>, wait: Range<u64>) {
        self.is_over(what, limit, wait.clone());
        self.is_not_overrun(what, limit, wait);
    }

    /// Checks that a wait was long enough, without steps of the clock but for what may be charged.
    fn is_over(&self, what: &str, limit: Option<u64>, wait: Range<u64>) {
        let limit = limit.expect("a limit that was set");
        let (stepped, steps) = self.world().stepped_between(wait.start, wait.end);
        let passed = (wait.end - wait.start).saturating_sub(stepped) + steps * TICK;
        assert!(
            passed >= limit,
            "the {what} limit of {limit} ms fired when {passed} ms had passed"
        );
    }

    /// Checks that a wait was not too long, steps of the clock excepted.
    fn is_not_overrun(&self, what: &str, limit: Option<u64>, wait: Range<u64>) {
        let limit = limit.expect("a limit that was set");
        let (stepped, steps) = self.world().stepped_between(wait.start, wait.end);
        let (passed, excused) = (wait.end - wait.start, stepped + steps * 2 * TICK);
        assert!(
            passed <= limit + OVERRUN + excused,
            "the {what} limit of {limit} ms fired after {passed} ms"
        );
    }

    /// Checks that no read has got bytes that the idle limit should have been before.
    pub(crate) fn was_not_forgotten(&self) {
        let (waited, idle) = (
            self.network
                .with(self.incoming, |channel| channel.longest_wait),
            self.end.idle.unwrap_or(u64::MAX - OVERRUN),
        );
        let (_, steps) = self.world().stepped_since(0);
        assert!(
            steps > 0 || waited <= idle + OVERRUN,
            "the idle limit of {idle} ms did not fire in {waited} ms"
        );
    }
}
