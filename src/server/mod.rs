//! A server that stays up: every core, limits, an end without losses.
//!
//! ```text
//! accepting: one ring thread, for all --Incoming--> inbox of the thread that has the fewest
//! serving:   each ring thread: handshakes --Connection--> the handler, a task of that thread
//! entrance:  who may come in and how many, for all threads; asked once a client
//! control:   serving -> draining -> stopping, from any thread; each ring thread follows
//! ```
//!
//! * [`ServerBuilder`] starts a [`Server`], which owns the ring threads; [`ServerHandle`] acts on it
//!   from anywhere.
//! * `entrance` keeps the [`ServerLimits`], with a `HandshakeRate` that sources share, and counts
//!   [`Refusals`]; a `ClientPlace` is what a client takes up, from accept to the end of its handler.
//! * `serving` is what each thread does: it runs handlers, each with a [`Session`], and drains.
//! * A `Reporter` tells of clients that did not become connections.
//! * `metrics` names all that a server counts; `prometheus` and `publisher` hand it on.
//! * Nothing of this is touched while messages move: a handler has a plain
//!   [`Connection`](crate::Connection).
//!
//! **A thread that panics** (what it runs for others is contained; so only a fault of this crate does
//! that), or whose driver has failed, ends its connections. The server goes on with the other threads, accepts on one of them, says
//! so in the log and in [`ServerStatistics`], and reports it at its end.

mod accepting;
mod blocking;
mod builder;
mod client_place;
mod control;
mod cores;
mod counters;
mod entrance;
mod error;
mod handshake_rate;
mod limits;
mod metrics;
mod prometheus;
#[cfg(feature = "metrics")]
mod publisher;
mod registry;
mod reporter;
#[expect(
    clippy::module_inception,
    reason = "the room is named after what this file defines"
)]
mod server;
mod server_handle;
mod serving;
mod session;
mod shared;
mod statistics;
#[cfg(test)]
mod tests;

pub use builder::ServerBuilder;
pub use control::Drained;
pub use error::ServerError;
pub use limits::ServerLimits;
pub use server::Server;
pub use server_handle::ServerHandle;
pub use session::Session;
pub use statistics::{Refusals, ServerStatistics, ThreadStatistics};
