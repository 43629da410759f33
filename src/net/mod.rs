//! The edge: connections over sockets, driven by the sans-IO machines of
//! [`protocol`](crate::protocol), in slots of the thread's pool, over the thread's ring.
//!
//! * [`Runtime`] makes pool and ring; a context that all of a thread's connections share finds
//!   them, and collects what dropped handles leave in flight.
//! * [`dial`] and [`Listener`] run attempts: a socket, a handshake, a deadline.
//! * [`Connection`] splits into a [`Sender`], which seals into the outbox that a writer task
//!   empties, and a [`Receiver`], which opens in the slots that were read into.

mod address;
mod admission;
mod attempt;
mod config;
mod connection;
mod context;
mod dial;
mod error;
mod link;
mod listener;
mod message;
mod message_sink;
mod message_stream;
mod outbox;
mod receiver;
mod runtime;
mod sender;
mod time_limits;
mod unix_socket;

pub use address::Address;
pub use admission::Admission;
pub use config::Config;
pub use connection::Connection;
pub use dial::{accept_over, dial, dial_over};
pub use error::{AcceptError, AttemptError, BindError, DialError, RecvError, SendError};
pub use listener::Listener;
pub use message::Message;
pub use message_sink::MessageSink;
pub use message_stream::MessageStream;
pub use receiver::Receiver;
pub use runtime::{Builder, Runtime, Statistics};
pub use sender::{Reservation, Sender};
pub use time_limits::TimeLimit;
pub use unix_socket::{PeerCredentials, UnixSocket};
