//! The edge: connections over sockets, driven by the sans-IO machines of
//! [`protocol`](crate::protocol), in slots of the thread's pool, over the thread's ring.
//!
//! * `thread`: [`Runtime`] makes pool and driver; the shard that all of a thread's connections share
//!   finds them, keeps their time limits, and sees to its end in the background what dropped handles
//!   leave.
//! * `establish`: [`dial`] and [`Listener`] run attempts: a socket, a handshake, a deadline. Below a
//!   listener are a [`SocketListener`] and what comes to it, [`Incoming`]; above [`dial`] a [`Redialer`].
//! * `connection`: [`Connection`] splits into a [`Sender`], which appends to the outbox that a writer
//!   task empties, and a [`Receiver`], which opens in the slots that were read into. What is done next
//!   is decided by machines without sockets. The socket belongs to a link, which sees it through
//!   retirement when both halves are gone.
//! * `metrics`: what is counted, for systems that watch it.
//! * `plain`: [`PlainSocket`] reads into the reservations of a [`Sender`] and writes the messages of a
//!   [`Receiver`], unsealed.

mod config;
mod connection;
mod error;
mod establish;
mod metrics;
mod plain;
#[cfg(all(test, target_os = "linux"))]
mod scripted;
mod thread;

pub(crate) use self::metrics::MetricSink;
#[cfg(feature = "metrics")]
pub use self::metrics::MetricsPublisher;
#[cfg(test)]
pub(crate) use self::metrics::check_names;
pub use self::metrics::{METRICS, Metric, MetricKind, MetricUnit, PrometheusText};
pub use config::Config;
pub(crate) use connection::About;
pub use connection::Connection;
pub use connection::batch::Batch;
pub(crate) use connection::control::ConnectionControl;
#[cfg(feature = "internals")]
pub(crate) use connection::machines;
pub use connection::message::Message;
pub use connection::message_reader::MessageReader;
pub use connection::message_sink::MessageSink;
pub use connection::message_stream::MessageStream;
pub use connection::message_writer::MessageWriter;
pub(crate) use connection::receiver::Piece;
pub use connection::receiver::{Received, Receiver};
pub use connection::send_progress::SendProgress;
pub use connection::sender::{Reservation, Sender};
pub use error::{
    AcceptError, AttemptError, BindError, DialError, ListenError, Phase, RecvError, SendError,
};
pub(crate) use establish::accepted::Accepted;
pub use establish::address::Address;
pub(crate) use establish::admission::CurrentAdmission;
pub use establish::admission::{Admission, Applicant};
pub(crate) use establish::bind;
pub use establish::connection_limit::ConnectionLimit;
pub use establish::dial::{accept_over, dial, dial_over};
pub(crate) use establish::handshakes::GivenUp;
pub use establish::incoming::Incoming;
pub use establish::key_file::{KeyChanges, KeyFile, KeyFileError};
pub use establish::listener::Listener;
pub(crate) use establish::listener::check_limits;
pub(crate) use establish::outcome::of_attempt;
pub(crate) use establish::place::Place;
pub use establish::redial::RetryOutlook;
pub use establish::redial::backoff::Backoff;
pub use establish::redial::redialer::Redialer;
pub use establish::redial::redialing::RedialState;
pub(crate) use establish::redial::redialing::{RedialStep, Redialing, random_number};
pub use establish::socket_listener::SocketListener;
pub(crate) use establish::source::Source;
pub use establish::unix_socket::{PeerCredentials, UnixSocket};
pub use plain::{PlainConnectError, PlainReader, PlainSocket, PlainSocketError, PlainWriter};
pub use thread::counters::HandshakeCounts;
pub use thread::runtime::{Runtime, RuntimeBuilder};
pub(crate) use thread::shard::Shard;
pub use thread::statistics::Statistics;
pub use thread::task_group::{TaskGroup, TaskGroupClosed};
pub use thread::time_limits::TimeLimit;
pub(crate) use thread::time_limits::within;
