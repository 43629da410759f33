//! The two ends of a handshake.

/// Which end of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that speaks first and knows whom it wants.
    Dialer,
    /// The end that admits or refuses.
    Listener,
}
