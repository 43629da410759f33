//! How far each direction of a connection is, and with that whether its socket is still needed.

use core::cell::Cell;

/// The sending direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SendingStage {
    /// Messages may come.
    Open,
    /// Nobody sends any more; what is sealed still goes out.
    Left,
    /// All is out and the end is said, or nothing more goes out.
    Ended,
    /// The socket has failed.
    Failed,
}

/// The receiving direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReceivingStage {
    /// Somebody may receive.
    Open,
    /// Nobody receives any more.
    Left,
    /// The peer's end was read.
    Ended,
    /// The peer sent what is not acceptable, so nobody receives any more.
    Refused,
}

/// What a socket is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Somebody has a direction that is not over.
    Use,
    /// What was sent has to arrive. Closed now, a socket with something unread would be reset, and
    /// what the peer's kernel does not have yet would be lost.
    Arrival,
    /// Nothing.
    Nothing,
}

/// Both directions of a connection.
#[derive(Debug)]
pub(crate) struct Lifetime {
    sending: Cell<SendingStage>,
    receiving: Cell<ReceivingStage>,
}

impl Default for Lifetime {
    fn default() -> Self {
        Self {
            sending: Cell::new(SendingStage::Open),
            receiving: Cell::new(ReceivingStage::Open),
        }
    }
}

impl Lifetime {
    pub(crate) fn need(&self) -> Need {
        match (self.sending.get(), self.receiving.get()) {
            (_, ReceivingStage::Open) | (SendingStage::Open, _) => Need::Use,
            (SendingStage::Failed, _) | (SendingStage::Ended, ReceivingStage::Ended) => {
                Need::Nothing
            }
            (SendingStage::Left | SendingStage::Ended, _) => Need::Arrival,
        }
    }

    /// Nobody sends any more.
    pub(crate) fn sender_left(&self) {
        if self.sending.get() == SendingStage::Open {
            self.sending.set(SendingStage::Left);
        }
    }

    /// Whether nobody sends any more, and what is sealed may still be on its way.
    pub(crate) fn has_sender_left(&self) -> bool {
        self.sending.get() == SendingStage::Left
    }

    /// All is out that ever will be.
    pub(crate) fn sending_ended(&self) {
        if self.sending.get() != SendingStage::Failed {
            self.sending.set(SendingStage::Ended);
        }
    }

    /// Whether all is out that ever will be.
    pub(crate) fn has_sending_ended(&self) -> bool {
        self.sending.get() == SendingStage::Ended
    }

    /// The socket takes nothing more.
    pub(crate) fn sending_failed(&self) {
        self.sending.set(SendingStage::Failed);
    }

    /// Nobody receives any more.
    pub(crate) fn receiver_left(&self) {
        if self.receiving.get() == ReceivingStage::Open {
            self.receiving.set(ReceivingStage::Left);
        }
    }

    /// The peer's end was read.
    pub(crate) fn peer_ended(&self) {
        self.receiving.set(ReceivingStage::Ended);
    }

    /// What the peer sent is not acceptable.
    pub(crate) fn peer_refused(&self) {
        self.receiving.set(ReceivingStage::Refused);
    }

    /// Whether the peer has sent what is not acceptable.
    pub(crate) fn is_peer_refused(&self) -> bool {
        self.receiving.get() == ReceivingStage::Refused
    }

    /// Whether the peer's end was read.
    pub(crate) fn has_peer_ended(&self) -> bool {
        self.receiving.get() == ReceivingStage::Ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What can happen to a connection.
    const EVENTS: [fn(&Lifetime); 6] = [
        Lifetime::sender_left,
        Lifetime::sending_ended,
        Lifetime::sending_failed,
        Lifetime::receiver_left,
        Lifetime::peer_refused,
        Lifetime::peer_ended,
    ];

    #[test]
    fn a_socket_is_needed_until_both_directions_are_over() {
        // Every set of events, as bits, in their order.
        for set in 0..1_u8 << EVENTS.len() {
            let lifetime = Lifetime::default();
            let happened = |event: usize| set & 1 << event != 0;
            for (event, happen) in EVENTS.iter().enumerate() {
                if happened(event) {
                    happen(&lifetime);
                }
            }
            let (left, ended, failed) = (happened(0), happened(1), happened(2));
            let (receiver_left, refused, peer_ended) = (happened(3), happened(4), happened(5));
            let is_received = receiver_left || refused || peer_ended;
            let expected = if !(left || ended || failed) || !is_received {
                Need::Use
            } else if failed || (ended && peer_ended) {
                Need::Nothing
            } else {
                Need::Arrival
            };
            assert_eq!(lifetime.need(), expected, "{lifetime:?}");
        }
    }

    #[test]
    fn the_order_of_events_changes_nothing_but_that_a_failure_is_final() {
        let lifetime = Lifetime::default();
        lifetime.sending_failed();
        lifetime.sender_left();
        lifetime.sending_ended();
        lifetime.peer_ended();
        lifetime.receiver_left();
        assert_eq!(lifetime.need(), Need::Nothing);
        assert!(lifetime.has_peer_ended());
    }
}
