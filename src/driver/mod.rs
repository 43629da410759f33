//! The drivers: the only room that names io-uring, tokio-uring and tokio.
//!
//! There are three, [`Backend::Uring`], [`Backend::TokioUring`] and, without a ring,
//! [`Backend::Epoll`]. Everything above asks this room for six things, and another driver that
//! takes its place beside them has to provide the same:
//!
//! * [`Driver`]: made from a [`Pool`] whose arena it registers; runs a future on this thread; tells
//!   how many operations are in flight; turns even when a task never idles;
//! * [`Socket`]: a read, or a wait for one, and a write in flight. What is in flight owns the memory
//!   that the kernel may touch and gives it back in its [`Completion`]. It begins when it is started,
//!   survives being polled from different tasks, and has to be polled to its end by the rooms above.
//!   Dropped before, it never frees its memory while the kernel may be at it;
//! * [`connect`], [`resolve`], [`ListeningSocket`], [`Acceptor`]: sockets, safe to cancel at any point;
//! * [`spawn`]: tasks on this thread;
//! * [`sleep`], [`timeout`]: timers, none of them on the hot path;
//! * [`StartError`]: why there is no ring, in words that say what to change.

mod acceptor;
mod bind_options;
mod byte_stream;
mod catch_panic;
mod completion;
mod connect;
mod descriptor;
mod direction;
#[expect(
    clippy::module_inception,
    reason = "the room is named after what this file defines"
)]
mod driver;
mod driver_error;
mod driver_state;
mod driver_status;
mod endpoint;

mod epoll;
#[cfg(target_os = "linux")]
mod inspection;
mod keep_alive;
mod latch;
mod listening_socket;
#[cfg(not(target_os = "linux"))]
mod no_operation;
#[cfg(target_os = "linux")]
mod operation;
#[cfg(target_os = "linux")]
mod operation_resources;
mod pollable;
mod port;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod required_operation;
mod resolver;
mod retries;
#[cfg(target_os = "linux")]
mod ring_socket;
mod settings;
#[cfg(target_os = "linux")]
mod setup_flag;
mod shutdown;
mod socket;
mod start_error;
mod stream_socket;
mod task;
#[cfg(target_os = "linux")]
mod tokio_uring;
mod unix_path;
mod unsuitable_socket;
#[cfg(target_os = "linux")]
mod uring;
mod waker_cell;

pub(crate) use crate::memory::ProcessMark;
#[cfg(feature = "testing")]
pub(crate) use ::tokio::io::ReadBuf;
pub(crate) use ::tokio::io::{AsyncRead, AsyncWrite};
pub(crate) use ::tokio::sync::watch;
pub(crate) use acceptor::{Acceptor, Arrival, refuse};
pub use bind_options::BindOptions;
pub(crate) use byte_stream::Duplex;
pub(crate) use catch_panic::catch_panic;
pub(crate) use completion::Completion;
pub(crate) use connect::connect;
pub(crate) use driver::Driver;
pub use driver_error::DriverError;
pub(crate) use driver_state::DriverState;
#[cfg(target_os = "linux")]
use driver_state::Engine;
use driver_status::DriverStatus;
pub(crate) use endpoint::{Endpoint, UnixName, ends};

#[cfg(target_os = "linux")]
pub use inspection::{Inspection, Support, SystemCall};
pub(crate) use keep_alive::{KeepAlive, is_silence};
pub(crate) use latch::{Latch, Waiting};
pub(crate) use listening_socket::ListeningSocket;
#[cfg(not(target_os = "linux"))]
pub(crate) use no_operation::Operation;
#[cfg(target_os = "linux")]
pub(crate) use operation::Operation;
pub(crate) use resolver::resolve;
pub(crate) use settings::DriverSettings;
pub use settings::{Backend, Registration};
pub(crate) use shutdown::ShutdownSide;
pub(crate) use socket::Socket;
pub use start_error::StartError;
pub(crate) use task::tasks;
pub use task::{Task, sleep, spawn, timeout};
pub(crate) use task::{give_others_a_turn, now};
pub use unsuitable_socket::UnsuitableSocket;
#[cfg(all(test, target_os = "linux"))]
pub(crate) use uring::{Playing, Rates};
pub(crate) use waker_cell::WakerCell;
