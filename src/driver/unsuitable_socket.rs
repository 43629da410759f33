//! Why nobody can be accepted on a descriptor that was handed in.

use std::io;

/// What is wrong with a descriptor that was to be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnsuitableSocket {
    /// It is a socket of another family.
    #[error("it is a socket of another family; hand in one of TCP, or a Unix-domain one")]
    Family,
    /// It is something else than a socket.
    #[error("it is not a socket; check which descriptor is meant (LISTEN_FDS counts from 3)")]
    NoSocket,
    /// It carries datagrams, or packets.
    #[error("it is not a stream socket; have it made with SOCK_STREAM (ListenStream= in systemd)")]
    NoStream,
    /// It is connected, or nobody has called `listen(2)`.
    #[error(
        "it does not listen; call listen on it first, and hand in the listening socket instead of an \
         accepted one (Accept=no in systemd)"
    )]
    NotListening,
    /// The system says no.
    #[error("the system refuses it: {0}")]
    System(#[source] io::Error),
}
