//! In the place of the library's room of this name: connections and clients without sockets.

mod clients;
#[path = "../../../src/net/establish/connection_limit.rs"]
mod connection_limit;
mod halves;
#[path = "../../../src/net/establish/place.rs"]
mod place;
#[path = "../../../src/net/connection/send_progress.rs"]
mod send_progress;

pub(crate) use clients::{
    Admission, AttemptError, CurrentAdmission, HandshakeCounts, Incoming, ListenError,
    SocketListener, Source, Statistics, of_attempt,
};
pub(crate) use connection_limit::ConnectionLimit;
pub(crate) use halves::{Arrivals, Piece, Receiver, RecvError, SendError, Sender, Sent, Wire};
pub(crate) use place::Place;
pub(crate) use send_progress::SendProgress;
