//! Use from anywhere: connections that live on ring threads of their own, and handles that may go
//! to every thread and work in every executor.
//!
//! * [`RingThreads`] starts the threads, each with its own runtime, and ends them.
//! * [`RingHandle`] has connections made on them: dialled, by a [`RemoteRedialer`] again when they
//!   are lost, or accepted by a [`RemoteListener`].
//! * `Distribution` has each client served by the thread that has the fewest.
//! * [`RemoteConnection`] splits into a [`RemoteSender`] and a [`RemoteReceiver`]. Behind each is a
//!   queue of [`Bytes`](bytes::Bytes) and a task on the ring thread that moves what is in it to
//!   or from the real half of the connection.
//!
//! ```text
//! any thread                                                            ring thread
//! RemoteSender   --Bytes-->  Outgoing: bounded queue  --a batch a wake-->  Sender: sealed from them
//! RemoteReceiver <--Bytes--  Incoming: bounded queue  <--a read a wake--   Receiver: copied once
//! ```

mod batch;
mod copier;
mod distribution;
mod error;
mod incoming;
mod limits;
mod locked;
mod notices;
mod outgoing;
mod remote_connection;
mod remote_listener;
mod remote_message_reader;
mod remote_message_writer;
mod remote_receiver;
mod remote_redialer;
mod remote_sender;
mod ring_handle;
mod ring_threads;
mod shared;
mod tasks;
mod threads;

pub(crate) use distribution::{Distribution, Inbox, Seat};
pub use error::{RemoteError, RunError};
pub use limits::QueueLimits;
pub use remote_connection::RemoteConnection;
pub use remote_listener::RemoteListener;
pub use remote_message_reader::RemoteMessageReader;
pub use remote_message_writer::RemoteMessageWriter;
pub use remote_receiver::RemoteReceiver;
pub use remote_redialer::RemoteRedialer;
pub use remote_sender::RemoteSender;
pub use ring_handle::RingHandle;
pub use ring_threads::RingThreads;
pub(crate) use tasks::spawn;
