//! Why an end refuses another or gives a connection up, for wires that can say so.

use core::fmt;

/// Why a listener does not admit a dialer. Shown in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RefuseReason(pub u16);

impl RefuseReason {
    /// The dialer's key is not let in.
    pub const NOT_ADMITTED: Self = Self(1);
    /// The listener has too much to do; try again later.
    pub const TOO_BUSY: Self = Self(2);
    /// The listener is about to end.
    pub const SHUTTING_DOWN: Self = Self(3);
}

impl fmt::Display for RefuseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NOT_ADMITTED => f.write_str("this end's key is not admitted"),
            Self::TOO_BUSY => f.write_str("too busy"),
            Self::SHUTTING_DOWN => f.write_str("shutting down"),
            Self(other) => write!(f, "reason {other}"),
        }
    }
}

/// Why an end gives a connection up. Shown in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AbortReason(pub u16);

impl AbortReason {
    /// No reason is given.
    pub const UNSPECIFIED: Self = Self(0);
    /// What came was not as the wire demands.
    pub const PROTOCOL: Self = Self(1);
    /// A message was larger than its receiver takes.
    pub const TOO_LARGE: Self = Self(2);
    /// The first reason that belongs to the application.
    pub const FIRST_OF_APPLICATION: u16 = 256;
}

impl fmt::Display for AbortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UNSPECIFIED => f.write_str("no reason given"),
            Self::PROTOCOL => f.write_str("it received what the wire forbids"),
            Self::TOO_LARGE => f.write_str("it received a message above its limit"),
            Self(other) if other >= Self::FIRST_OF_APPLICATION => {
                write!(f, "the application's reason {other}")
            }
            Self(other) => write!(f, "reason {other}"),
        }
    }
}
