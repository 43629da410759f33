//! Whether what one direction of a connection brings is what was sent: order, content, count, end.

use core::fmt;

use super::plan::Flow;

/// How far around a wrong message is looked for the one that came in its place.
const NEIGHBOURS: u64 = 64;

/// How a direction has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The peer has said that this is the end, and nobody else can.
    Authenticated,
    /// It looks like the end, as a cut does as well.
    Unauthenticated,
    /// An error.
    Failed,
}

/// What must not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Another message than the one that is due, which was sent.
    Order { due: u64, came: u64 },
    /// A message of another length.
    Length {
        index: u64,
        expected: usize,
        came: usize,
    },
    /// A byte of a message is another.
    Content { index: u64, offset: usize },
    /// More messages than were sent.
    TooMany { sent: u64 },
    /// An orderly end, and messages are missing.
    Missing { came: u64, sent: u64 },
    /// Something else, in words.
    Other(String),
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order { due, came } => write!(
                formatter,
                "message {came} came where message {due} was due (lost, doubled or reordered)"
            ),
            Self::Length {
                index,
                expected,
                came,
            } => write!(
                formatter,
                "message {index} came with {came} bytes instead of {expected}"
            ),
            Self::Content { index, offset } => {
                write!(
                    formatter,
                    "byte {offset} of message {index} is not the one that was sent"
                )
            }
            Self::TooMany { sent } => {
                write!(
                    formatter,
                    "more than the {sent} messages came that were sent"
                )
            }
            Self::Missing { came, sent } => write!(
                formatter,
                "the direction ended as if complete after {came} of {sent} messages"
            ),
            Self::Other(text) => formatter.write_str(text),
        }
    }
}

/// Follows one direction.
#[derive(Debug)]
pub(crate) struct Checker {
    flow: Flow,
    /// The message that is due.
    due: u64,
    /// Bytes of it that have come in parts.
    taken: usize,
}

impl Checker {
    pub(crate) const fn new(flow: Flow) -> Self {
        Self {
            flow,
            due: 0,
            taken: 0,
        }
    }

    /// How many messages have come.
    pub(crate) const fn count(&self) -> u64 {
        self.due
    }

    /// Takes a whole message.
    pub(crate) fn message(&mut self, bytes: &[u8]) -> Result<(), Mistake> {
        self.part(bytes)
            .and_then(|()| self.complete())
            // What came in its place says more than where the first byte differs.
            .map_err(|mistake| self.explain(bytes).unwrap_or(mistake))
    }

    /// Takes a part of the message that is due.
    pub(crate) fn part(&mut self, bytes: &[u8]) -> Result<(), Mistake> {
        self.check_due()?;
        let (content, length) = self.flow.message(self.due);
        let end = self.taken + bytes.len();
        if end > length {
            return Err(self.wrong_length(end));
        }
        if let Some(offset) = content.first_difference(self.taken, bytes) {
            return Err(Mistake::Content {
                index: self.due,
                offset,
            });
        }
        self.taken = end;
        Ok(())
    }

    /// Says that the message that came in parts is complete.
    pub(crate) fn complete(&mut self) -> Result<(), Mistake> {
        self.check_due()?;
        let (_, length) = self.flow.message(self.due);
        if self.taken != length {
            return Err(self.wrong_length(self.taken));
        }
        self.taken = 0;
        self.due += 1;
        Ok(())
    }

    /// Says how the direction has ended. `is_cut`: whether anything but an orderly end was meant to
    /// happen.
    pub(crate) fn end(&self, ending: Ending, is_cut: bool) -> Result<(), Mistake> {
        let is_complete = self.due == self.flow.messages && self.taken == 0;
        let may_be_incomplete = match ending {
            Ending::Authenticated => false,
            Ending::Unauthenticated | Ending::Failed => is_cut,
        };
        if is_complete || may_be_incomplete {
            return Ok(());
        }
        Err(Mistake::Missing {
            came: self.due,
            sent: self.flow.messages,
        })
    }

    fn check_due(&self) -> Result<(), Mistake> {
        let sent = self.flow.messages;
        (self.due < sent)
            .then_some(())
            .ok_or(Mistake::TooMany { sent })
    }

    fn wrong_length(&self, came: usize) -> Mistake {
        Mistake::Length {
            index: self.due,
            expected: self.flow.message(self.due).1,
            came,
        }
    }

    /// Whether `bytes` are another message of the direction.
    fn explain(&self, bytes: &[u8]) -> Option<Mistake> {
        let least = self.due.saturating_sub(NEIGHBOURS);
        let most = (self.due + NEIGHBOURS).min(self.flow.messages);
        let came = (least..most)
            .filter(|index| *index != self.due)
            .find(|index| {
                let (content, length) = self.flow.message(*index);
                // Too little to tell one from another.
                length > 3 && length == bytes.len() && content.first_difference(0, bytes).is_none()
            })?;
        Some(Mistake::Order {
            due: self.due,
            came,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::plan::Sizes;

    fn flow(messages: u64) -> Flow {
        Flow {
            messages,
            sizes: Sizes {
                least: 20,
                most: 900,
            },
            ..Flow::quiet(77)
        }
    }

    fn message(flow: Flow, index: u64) -> Vec<u8> {
        let (content, length) = flow.message(index);
        let mut bytes = vec![0; length];
        content.fill(0, &mut bytes);
        bytes
    }

    /// Takes these messages, and gives the first mistake.
    fn check(messages: impl IntoIterator<Item = Vec<u8>>) -> Result<Checker, Mistake> {
        let mut checker = Checker::new(flow(10));
        for message in messages {
            checker.message(&message)?;
        }
        Ok(checker)
    }

    fn all() -> Vec<Vec<u8>> {
        (0..10).map(|index| message(flow(10), index)).collect()
    }

    #[test]
    fn what_was_sent_is_taken_whole_and_in_parts() {
        let checker = check(all()).expect("no mistake");
        for ending in [Ending::Authenticated, Ending::Unauthenticated] {
            assert_eq!(checker.end(ending, false), Ok(()));
        }
        let mut checker = Checker::new(flow(10));
        for message in all() {
            for part in message.chunks(7) {
                checker.part(part).expect("no mistake");
            }
            checker.complete().expect("no mistake");
        }
        assert_eq!(checker.end(Ending::Authenticated, false), Ok(()));
    }

    #[test]
    fn every_altered_byte_is_noticed() {
        for index in 0..10 {
            for offset in 0..all()[index].len() {
                let mut messages = all();
                messages[index][offset] ^= 0x10;
                let mistake = check(messages).expect_err("a mistake");
                let index = index as u64;
                assert_eq!(mistake, Mistake::Content { index, offset });
            }
        }
    }

    #[test]
    fn every_lost_doubled_and_reordered_message_is_noticed() {
        for index in 0..9 {
            let due = index as u64;
            let mut messages = all();
            messages.remove(index);
            let lost = check(messages).expect_err("a mistake");
            assert_eq!(lost, Mistake::Order { due, came: due + 1 });

            let mut messages = all();
            messages.insert(index, messages[index].clone());
            let doubled = check(messages).expect_err("a mistake");
            assert_eq!(
                doubled,
                Mistake::Order {
                    due: due + 1,
                    came: due
                }
            );

            let mut messages = all();
            messages.swap(index, index + 1);
            let reordered = check(messages).expect_err("a mistake");
            assert_eq!(reordered, Mistake::Order { due, came: due + 1 });
        }
        let mut messages = all();
        messages.push(messages[9].clone());
        let doubled = check(messages).expect_err("a mistake");
        assert_eq!(doubled, Mistake::Order { due: 10, came: 9 });
    }

    #[test]
    fn a_message_that_is_cut_short_or_too_long_is_noticed() {
        let mut messages = all();
        let length = messages[4].len();
        messages[4].pop();
        let short = check(messages).expect_err("a mistake");
        let expected = Mistake::Length {
            index: 4,
            expected: length,
            came: length - 1,
        };
        assert_eq!(short, expected);
        let mut messages = all();
        messages[4].push(0);
        assert!(matches!(
            check(messages),
            Err(Mistake::Length { index: 4, .. })
        ));
    }

    #[test]
    fn a_lost_end_is_noticed_unless_the_connection_was_cut() {
        let checker = check(all().into_iter().take(9)).expect("a prefix");
        let missing = Err(Mistake::Missing { came: 9, sent: 10 });
        for is_cut in [false, true] {
            // Nobody but the peer can say this, so not even a cut excuses it.
            assert_eq!(checker.end(Ending::Authenticated, is_cut), missing);
        }
        for ending in [Ending::Unauthenticated, Ending::Failed] {
            assert_eq!(checker.end(ending, false), missing);
            assert_eq!(checker.end(ending, true), Ok(()));
        }
    }
}
