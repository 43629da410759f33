//! What is to be done between two messages on their way to a sender.

use std::collections::VecDeque;

/// What to do behind the message of this number and before the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Notice {
    after: u64,
    /// Whether what follows is sealed with new keys.
    pub(super) updates_keys: bool,
    /// Why the peer is asked to end.
    pub(super) leaving: Option<u16>,
}

/// Notices in order, one at most between two messages: however often somebody asks, there are no
/// more of them than messages, and one.
#[derive(Debug, Default)]
pub(super) struct Notices {
    queue: VecDeque<Notice>,
}

impl Notices {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the notice behind so many messages, to be changed. They only get more.
    pub(super) fn behind(&mut self, messages: u64) -> &mut Notice {
        if self.queue.back().is_none_or(|last| last.after != messages) {
            self.queue.push_back(Notice {
                after: messages,
                ..Notice::default()
            });
        }
        let last = self.queue.len() - 1;
        &mut self.queue[last]
    }

    /// Takes the next notice if it is due when so many messages are sent.
    pub(super) fn take_due(&mut self, messages: u64) -> Option<Notice> {
        let next = self.queue.front()?;
        if next.after > messages {
            return None;
        }
        self.queue.pop_front()
    }

    /// Moves all of `other` to the end of this.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.queue.append(&mut other.queue);
    }

    /// Drops all of them: nobody will say them any more.
    pub(super) fn clear(&mut self) {
        self.queue = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_keep_their_places_and_do_not_add_up() {
        let mut notices = Notices::default();
        for reason in 0..1000 {
            notices.behind(3).leaving = Some(reason);
            notices.behind(3).updates_keys = true;
        }
        notices.behind(5).updates_keys = true;
        assert_eq!(notices.queue.len(), 2);
        assert_eq!(notices.take_due(2), None);
        let first = notices.take_due(3).expect("due");
        assert_eq!((first.updates_keys, first.leaving), (true, Some(999)));
        assert_eq!(notices.take_due(4), None);
        let second = notices.take_due(6).expect("due");
        assert_eq!((second.updates_keys, second.leaving), (true, None));
        assert!(notices.is_empty());
    }
}
