//! Limits on waiting for the peer: when one has fired, that it was time, and not long past it.

use std::rc::Rc;

use ringseal::TimeLimit;

use crate::network::{Network, Number};
use crate::scenario::End;
use crate::world::World;

/// By how much a limit may be overrun, in milliseconds: half a second as it says, and what it may take
/// until a read is in flight where memory is short.
const OVERRUN: u64 = 500 + 1000;
/// What of a step of the clock may be charged to the peer, in milliseconds: one tick.
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

    /// Returns the time that has passed since then, without steps of the clock but for what may be
    /// charged of those.
    fn passed(&self, since: u64) -> u64 {
        let world = self.world();
        let (stepped, steps) = world.stepped_since(since);
        (world.now() - since).saturating_sub(stepped) + steps * TICK
    }

    /// Checks that the limit which the sender was told of is over.
    pub(crate) fn timed_out_sending(&self, limit: TimeLimit) {
        self.world().count("a limit ends sending");
        self.is_over(limit);
    }

    /// Checks that the limit which the receiver was told of is over, and was not overrun, when it
    /// waits since `waits_since`.
    pub(crate) fn timed_out_receiving(&self, limit: TimeLimit, waits_since: u64) {
        self.world().count("a limit ends receiving");
        self.is_over(limit);
        let delivered_at = self
            .network
            .with(self.incoming, |channel| channel.delivered_at);
        let since = delivered_at.max(waits_since);
        let quiet = self.world().now() - since;
        let (stepped, _) = self.world().stepped_since(since);
        if let (TimeLimit::Idle, Some(idle)) = (limit, self.end.idle) {
            assert!(
                quiet <= idle + OVERRUN + stepped,
                "the idle limit of {idle} ms fired after {quiet} ms"
            );
        }
    }

    fn is_over(&self, limit: TimeLimit) {
        let delivered_at = self
            .network
            .with(self.incoming, |channel| channel.delivered_at);
        let write_since = self
            .network
            .with(self.outgoing, |channel| channel.write_since);
        let quiet = self.passed(delivered_at);
        let stuck = write_since.map_or(0, |since| self.passed(since));
        let (limit, passed) = match limit {
            TimeLimit::Idle => (self.end.idle, quiet),
            TimeLimit::Progress => (self.end.progress, quiet.max(stuck)),
            other => panic!("nothing has the limit {other}"),
        };
        let limit = limit.expect("a limit that was set");
        assert!(
            passed >= limit,
            "a limit of {limit} ms fired when {passed} ms had passed"
        );
    }
}
