//! Control frames (NATIVE section 4.3): what an end may say beside messages, and what came of it
//! at the other.

use crate::protocol::{AbortReason, RefuseReason};

/// The longest frame that this end writes, in bytes.
pub(super) const MAX_FRAME_LEN: usize = 3;

/// Types from here on may be ignored by who does not know them.
const IGNORABLE: u8 = 0x80;

mod types {
    pub(super) const ACCEPT: u8 = 1;
    pub(super) const REFUSE: u8 = 2;
    pub(super) const UPDATE: u8 = 3;
    pub(super) const END: u8 = 4;
    pub(super) const ALIVE: u8 = 5;
    pub(super) const DROP: u8 = 6;
    pub(super) const ABORT: u8 = 7;
    pub(super) const LEAVING: u8 = super::IGNORABLE;
}

/// The listener's first record.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol::native) enum Answer {
    /// The dialer is admitted.
    Accept,
    /// The dialer is not admitted, and nothing follows.
    Refuse(RefuseReason),
}

impl Answer {
    pub(super) const fn encode(self) -> Encoded {
        match self {
            Self::Accept => Encoded::plain(types::ACCEPT),
            Self::Refuse(reason) => Encoded::with_reason(types::REFUSE, reason.0),
        }
    }
}

/// A control frame to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// The last record of this direction.
    End,
    /// Says that this end is there.
    Alive,
    /// Gives the message up that was begun in parts.
    Drop,
    /// The last record of this direction, and no end.
    Abort(AbortReason),
    /// Asks the peer to start nothing new, and then to end. The number is the reason.
    Leaving(u16),
}

/// A frame in its bytes.
pub(super) struct Encoded {
    bytes: [u8; MAX_FRAME_LEN],
    length: usize,
}

impl Encoded {
    /// Update, which no caller sends as such.
    pub(super) const UPDATE: Self = Self::plain(types::UPDATE);

    const fn plain(frame: u8) -> Self {
        Self {
            bytes: [frame, 0, 0],
            length: 1,
        }
    }

    const fn with_reason(frame: u8, reason: u16) -> Self {
        let [high, low] = reason.to_be_bytes();
        Self {
            bytes: [frame, high, low],
            length: 3,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Frame {
    pub(super) const fn encode(self) -> Encoded {
        match self {
            Self::End => Encoded::plain(types::END),
            Self::Alive => Encoded::plain(types::ALIVE),
            Self::Drop => Encoded::plain(types::DROP),
            Self::Abort(reason) => Encoded::with_reason(types::ABORT, reason.0),
            Self::Leaving(reason) => Encoded::with_reason(types::LEAVING, reason),
        }
    }

    /// Whether nothing may follow it.
    pub(super) const fn is_last(self) -> bool {
        matches!(self, Self::End | Self::Abort(_))
    }
}

/// What came beside messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The listener has admitted this end.
    Accepted,
    /// The listener has not admitted this end. Nothing follows.
    Refused(RefuseReason),
    /// The peer's keys have moved on.
    Updated,
    /// The peer sends nothing more. Nothing follows.
    Ended,
    /// The peer is there.
    Alive,
    /// The message that parts had come of is given up: forget them.
    Dropped,
    /// The peer has given the connection up. Nothing follows.
    Aborted(AbortReason),
    /// The peer asks to start nothing new, and then to end.
    Leaving(u16),
    /// A frame that this version does not know and may ignore.
    Ignored(u8),
    /// A record that holds nothing.
    Padding,
}

impl Event {
    /// Whether nothing may follow it.
    pub(super) const fn is_last(self) -> bool {
        matches!(self, Self::Refused(_) | Self::Ended | Self::Aborted(_))
    }
}

/// A frame as it came, taken to pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    Known(Event),
    /// Known, and of the wrong length.
    WrongLength {
        answer: bool,
    },
    /// Not known, and not to be ignored.
    Unknown(u8),
}

impl Decoded {
    /// Takes a frame of 1 to 255 bytes to pieces; `None` if it has another length.
    pub(super) fn from_bytes(frame: &[u8]) -> Option<Self> {
        let (&first, data) = frame.split_first()?;
        u8::try_from(frame.len()).ok()?;
        let answer = matches!(first, types::ACCEPT | types::REFUSE);
        let event = match (first, data) {
            (types::ACCEPT, []) => Event::Accepted,
            (types::REFUSE, [high, low]) => Event::Refused(RefuseReason(number(*high, *low))),
            (types::UPDATE, []) => Event::Updated,
            (types::END, []) => Event::Ended,
            (types::ALIVE, []) => Event::Alive,
            (types::DROP, []) => Event::Dropped,
            (types::ABORT, [high, low]) => Event::Aborted(AbortReason(number(*high, *low))),
            (types::LEAVING, [high, low]) => Event::Leaving(number(*high, *low)),
            (types::ACCEPT..=types::ABORT | types::LEAVING, _) => {
                return Some(Self::WrongLength { answer });
            }
            (IGNORABLE.., _) => Event::Ignored(first),
            _ => return Some(Self::Unknown(first)),
        };
        Some(Self::Known(event))
    }
}

const fn number(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low])
}
