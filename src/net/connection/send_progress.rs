//! How far what was sent has come.

/// How many messages a sender has taken, and how many of them this host's kernel is known to have.
///
/// When a connection is lost, the peer may have received any number of the messages that were
/// `accepted`, and has received none beyond. Those that were not `flushed` may have left or not;
/// those that were have left this program, and still may have been lost on the way. Only an answer
/// of the peer's says what has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendProgress {
    /// Messages that were sent, as far as the calls have returned without an error.
    pub accepted: u64,
    /// The first so many of them were confirmed: a flush that began behind them, or the close, has
    /// returned without an error.
    pub flushed: u64,
}

impl SendProgress {
    pub(crate) const fn new(accepted: u64, flushed: u64) -> Self {
        Self { accepted, flushed }
    }
}
