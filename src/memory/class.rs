//! What memory is taken for.

/// What a slot or a block is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Reads and the messages that came of them.
    Receive,
    /// Records being sealed or written.
    Send,
}
