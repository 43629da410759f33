//! What the two ends of a connection's queues share.

use std::sync::Arc;

use super::incoming::Incoming;
use super::limits::QueueLimits;
use super::outgoing::Outgoing;
use super::tasks;
use crate::net::{Receiver, Sender};

/// Both directions, so that either half can tell when the other is gone.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) outgoing: Outgoing,
    pub(super) incoming: Incoming,
}

impl Shared {
    /// Makes queues for the halves of a connection of this ring thread, and starts the tasks that
    /// move what is in them.
    pub(super) fn start(sender: Sender, receiver: Receiver, limits: QueueLimits) -> Arc<Self> {
        let shared = Arc::new(Self {
            outgoing: Outgoing::new(limits, sender.max_message_size()),
            incoming: Incoming::new(limits),
        });
        let sending = Arc::clone(&shared);
        let receiving = Arc::clone(&shared);
        tasks::spawn(async move { sending.outgoing.empty_into(sender).await });
        tasks::spawn(async move { receiving.incoming.fill_from(receiver).await });
        shared
    }
}
