//! What the two ends of a connection's queues share.

use std::rc::Rc;
use std::sync::Arc;

use super::incoming::Incoming;
use super::limits::QueueLimits;
use super::outgoing::Outgoing;
use super::tasks;
use crate::driver::ProcessMark;
use crate::net::{Place, Receiver, Sender};
use crate::protocol::Wire;

/// Both directions, so that either half can tell when the other is gone.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) outgoing: Outgoing,
    pub(super) incoming: Incoming,
    /// Bytes of the longest message that is put together of parts.
    pub(super) message_limit: usize,
    process: ProcessMark,
}

impl Shared {
    /// Makes queues for the halves of a connection of this ring thread, and starts the tasks that
    /// move what is in them. `place` is what the connection takes up.
    pub(super) fn start(
        sender: Sender,
        receiver: Receiver,
        wire: Wire,
        limits: QueueLimits,
        place: Option<Box<dyn Place>>,
    ) -> Arc<Self> {
        let message_limit = receiver.message_limit();
        let shared = Arc::new(Self {
            outgoing: Outgoing::new(limits, sender.max_message_size(), wire.is_native()),
            incoming: Incoming::new(limits),
            message_limit,
            process: ProcessMark::current(),
        });
        let sending = Arc::clone(&shared);
        let receiving = Arc::clone(&shared);
        // Taken up until both halves have gone.
        let place = Rc::new(place);
        let shared_place = Rc::clone(&place);
        tasks::spawn(async move {
            sending.outgoing.empty_into(sender).await;
            drop(place);
        });
        // Each future that it goes through has room for it.
        let receiver = Box::new(receiver);
        tasks::spawn(async move {
            receiving.incoming.fill_from(receiver).await;
            drop(shared_place);
        });
        shared
    }

    /// Whether this process is a forked child, which has no ring threads, and whose locks may be
    /// held by threads that it does not have.
    pub(super) fn is_inherited(&self) -> bool {
        self.process.is_inherited()
    }
}
