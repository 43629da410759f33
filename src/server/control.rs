//! What a server is to do, and how far its end is.

use core::time::Duration;
use std::time::Instant;

use crate::driver::{timeout, watch};

/// What a server is to do. It only goes on, never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// Nobody new, and those who are there until then; `None` for as long as they like.
    Draining(Option<Instant>),
    Stopping,
}

impl Phase {
    pub(super) fn draining(limit: Duration) -> Self {
        Self::Draining(Instant::now().checked_add(limit))
    }

    /// Goes on to `next`, if that is further; returns whether it was. Of two deadlines the earlier holds.
    fn go_on(&mut self, next: Self) -> bool {
        let further = match (*self, next) {
            (Self::Serving, next) => next,
            (Self::Draining(first), Self::Draining(second)) => {
                Self::Draining(first.into_iter().chain(second).min())
            }
            (Self::Draining(_), Self::Stopping) => Self::Stopping,
            (current, _) => current,
        };
        core::mem::replace(self, further) != further
    }

    /// Returns how much time is left; `None` for no limit.
    fn left(self) -> Option<Duration> {
        match self {
            Self::Serving | Self::Draining(None) => None,
            Self::Draining(Some(end)) => Some(end.saturating_duration_since(Instant::now())),
            Self::Stopping => Some(Duration::ZERO),
        }
    }
}

/// What became of the connections of a server that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Connections that were cut: their handlers, or the peer, had not ended when the time was over.
    pub cut: usize,
    /// Threads that have panicked, or whose driver has failed, with all of their connections.
    pub lost_threads: usize,
}

/// How far the end of a server is.
#[derive(Clone, Copy, Debug)]
struct Ending {
    /// Threads that still serve.
    threads: usize,
    drained: Drained,
}

/// Tells the threads of a server what to do, and those who wait how far they are.
#[derive(Debug)]
pub(super) struct Control {
    phase: watch::Sender<Phase>,
    ending: watch::Sender<Ending>,
}

impl Control {
    pub(super) fn new(threads: usize) -> Self {
        let drained = Drained::default();
        Self {
            phase: watch::Sender::new(Phase::Serving),
            ending: watch::Sender::new(Ending { threads, drained }),
        }
    }

    pub(super) fn go_on(&self, phase: Phase) {
        self.phase.send_if_modified(|current| current.go_on(phase));
    }

    pub(super) fn is_serving(&self) -> bool {
        *self.phase.borrow() == Phase::Serving
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.phase.borrow() == Phase::Stopping
    }

    pub(super) fn follow(&self) -> Follower {
        Follower(self.phase.subscribe())
    }

    /// Notes that a thread serves nobody any more.
    pub(super) fn thread_ended(&self, cut: usize, is_lost: bool) {
        self.ending.send_modify(|ending| {
            ending.threads -= 1;
            ending.drained.cut += cut;
            ending.drained.lost_threads += usize::from(is_lost);
        });
    }

    /// Waits until no thread serves anybody.
    pub(super) async fn ended(&self) -> Drained {
        let mut ending = self.ending.subscribe();
        // The sender is here, so somebody would wait for good rather than this fail.
        let ended = ending.wait_for(|ending| ending.threads == 0).await;
        ended.map(|ending| ending.drained).unwrap_or_default()
    }
}

/// Sees what a server is to do.
#[derive(Debug)]
pub(super) struct Follower(watch::Receiver<Phase>);

impl Follower {
    /// Waits until nobody new is to be served.
    pub(super) async fn draining(&mut self) {
        // An error is that there is no server any more.
        let _ = self.0.wait_for(|phase| *phase != Phase::Serving).await;
    }

    /// Waits until who is left is to be cut.
    pub(super) async fn cut(&mut self) {
        loop {
            let left = self.0.borrow_and_update().left();
            let changed = self.0.changed();
            let is_over = match left {
                Some(left) if left.is_zero() => true,
                Some(left) => timeout(left, changed).await.is_some_and(|it| it.is_err()),
                None => changed.await.is_err(),
            };
            if is_over {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_never_goes_back_and_the_earlier_deadline_holds() {
        let mut phase = Phase::Serving;
        let (early, late) = (Instant::now(), Instant::now() + Duration::from_secs(60));
        assert!(phase.go_on(Phase::Draining(None)));
        assert!(phase.go_on(Phase::Draining(Some(late))));
        assert!(!phase.go_on(Phase::Draining(None)) && !phase.go_on(Phase::Serving));
        assert!(phase.go_on(Phase::Draining(Some(early))));
        assert!(!phase.go_on(Phase::Draining(Some(late))));
        assert_eq!(phase.left(), Some(Duration::ZERO));
        assert!(phase.go_on(Phase::Stopping));
        assert!(!phase.go_on(Phase::Draining(None)) && !phase.go_on(Phase::Serving));
        assert_eq!(phase, Phase::Stopping);
    }
}
