//! Encrypted message streams over io_uring for Linux server backends.
//!
//! Two servers hold a long-lived connection and exchange messages. Each proves an ed25519
//! identity, fresh keys are agreed, and every message is sealed by an AEAD. There are two wires
//! ([which to take](guide::wires)): [one of this crate's own](protocol::native), the default; and that
//! of `commonware-stream` 2026.10.0, so that either end may be that crate, whose handshake is called
//! SAKE and whose record layer CUPS, each in a version V0 and a version V1.
//!
//! The [`guide`] has a page for each thing that servers have to do: [ways of
//! use](guide::ways_of_use), [handlers](guide::handlers), [graceful shutdown](guide::shutdown), [under
//! systemd](guide::service_manager),
//! [reconnecting](guide::reconnecting), [many cores](guide::many_cores), [limits and defaults](guide::limits), [logging](guide::logging),
//! [metrics](guide::metrics). What is [promised](guide::promises), what it is [built
//! from](guide::dependencies) and what has [changed](guide::releases) stands there too.
//!
//! What makes it fast: one arena of slots per thread is registered with the thread's ring. Reads
//! fill slots and messages are opened where they landed; sends seal from the caller's bytes
//! straight into the slot that the kernel takes them from. In the steady state nothing is
//! allocated, and nothing is copied but the start of an incomplete frame and, on the native wire,
//! once each message of at most 4096 bytes, into the record that it shares with others;
//! [`Sender::reserve`] avoids that.
//!
//! # Example
//!
//! ```
//! use ringseal::{Admission, Config, Identity, Listener, Runtime, dial};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let alice = Config::new(Identity::from_seed(&[1; 32]), "example");
//! let bob = Config::new(Identity::from_seed(&[2; 32]), "example");
//!
//! let runtime = Runtime::builder().build()?;
//! runtime.block_on(async {
//!     let only_alice = Admission::allow_list([alice.public_key()]);
//!     let mut listener = Listener::bind("127.0.0.1:0", &bob, only_alice).await?;
//!     let address = listener.local_address();
//!     let server = ringseal::spawn(async move {
//!         let mut connection = listener.accept().await.expect("alice is let in");
//!         while let Ok(Some(message)) = connection.recv().await {
//!             connection.send(&message).await.expect("alice reads");
//!         }
//!     });
//!
//!     let (mut sender, mut receiver) = dial(address, bob.public_key(), &alice).await?.split();
//!     sender.send(b"hello").await?;
//!     let echo = receiver.recv().await?.expect("an echo");
//!     assert_eq!(&*echo, b"hello");
//!     sender.close().await?;
//!     server.await;
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # What it promises
//!
//! * Whoever is at the other end holds the secret key of [`Connection::peer`], and nobody else
//!   can read or change a message, or repeat, reorder or drop one without being noticed at the
//!   next.
//! * Nothing a stranger sends panics, takes memory beyond the limits set, or reaches a caller
//!   unauthenticated.
//! * Memory that the kernel may still write is never freed or reused, whatever is dropped when.
//!
//! # What it does not
//!
//! On the commonware wire:
//!
//! * The end of a stream is not authenticated: a connection cut between two messages looks like
//!   a normal end. Mark your own end where it matters.
//! * Identities of dialers are sent in the clear; message lengths and times can be seen (CUPS V0
//!   shows exact lengths, V1 only how many bytes flow when). Nothing is padded.
//! * No key update.
//! * `commonware-stream` closes connections that are silent for 60 seconds, by default; there is
//!   no keep-alive on this wire, so send something.
//!
//! The native wire hides neither that two hosts talk nor how much, unless [`Config::padding`] is set;
//! see [what it gives](protocol::native).
//!
//! On both: no resumption, no early data, and nothing is negotiated.
//!
//! # Debug builds
//!
//! Without optimization a handshake takes tens of milliseconds of processor time instead of a
//! fraction of one, so that a hundred at once take longer than the handshake deadline. A listener
//! finishes those that came first and fails the others with [`AttemptError::Overloaded`]. These
//! lines in the `Cargo.toml` of your workspace have the arithmetic optimized in debug builds and
//! tests (the first of them makes a handshake thirty times as fast):
//!
//! ```toml
//! [profile.dev.package]
//! curve25519-dalek.opt-level = 3
//! ringseal.opt-level = 3
//! chacha20.opt-level = 3
//! poly1305.opt-level = 3
//! ```
//!
//! # Features
//!
//! * `aws-lc-rs` (default): AWS-LC seals and agrees on keys. Without it and `ring-crypto` everything is Rust.
//! * `ring-crypto` (default): ring seals AES-256-GCM on processors where it is the fastest; see
//!   [`Library`](protocol::native::Library).
//! * `avx512`: seals with code of our own on x86-64 processors that have AVX-512 and its integer
//!   multiplication. **Nobody outside this project has audited it.** Its tests run everywhere, on
//!   a model of the instructions.
//! * `metrics`: hands counters to the facade of that name, and so to the exporter of your choice.
//! * `openssl`: seals long messages with the system's OpenSSL.
//! * `testing`: a byte stream in memory and time that can be paused, for tests of programs that use this
//!   crate.
//!
//! # Rooms
//!
//! * [`protocol`]: handshake, records, keys, ciphers; slices in, slices out, no I/O.
//! * `memory`: the arena, its slots, who holds them; all `unsafe` for memory.
//! * `driver`: input and output and the executor, on io_uring or epoll; the only room that names
//!   io-uring, tokio-uring and tokio.
//! * `net`: the runtime of a thread; establishing connections, and connections.
//! * `testing` (with the feature of that name): a byte stream in memory, for callers' tests.
//! * `handle`: connections from any thread and any executor: [`RingThreads`].
//! * `server`: a server on every core, with limits and graceful shutdown: [`Server`].
//!
//! The programs `ringseal` and `ringseal-bench` are thin clients of this, in a package of their
//! own (`src/bin`), so that this crate does not pay for them.

#![cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, unused_imports, reason = "what only a ring needs")
)]

extern crate alloc;

mod driver;
#[cfg(any(doc, doctest))]
pub mod guide;
mod handle;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod memory;
mod net;
pub mod protocol;
mod server;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;

pub use driver::{
    Backend, BindOptions, DriverError, Registration, StartError, Task, UnsuitableSocket, sleep,
    spawn, timeout,
};
#[cfg(target_os = "linux")]
pub use driver::{Inspection, Support, SystemCall};
pub use handle::{
    QueueLimits, RemoteConnection, RemoteError, RemoteListener, RemoteMessageReader,
    RemoteMessageWriter, RemoteReceiver, RemoteRedialer, RemoteSender, RingHandle, RingThreads,
    RunError,
};
#[cfg(feature = "metrics")]
pub use net::MetricsPublisher;
pub use net::{
    AcceptError, Address, Admission, Applicant, AttemptError, Backoff, Batch, BindError, Config,
    Connection, ConnectionLimit, DialError, HandshakeCounts, Incoming, KeyChanges, KeyFile,
    KeyFileError, ListenError, Listener, METRICS, Message, MessageReader, MessageSink,
    MessageStream, MessageWriter, Metric, MetricKind, MetricUnit, PeerCredentials, Phase,
    PlainConnectError, PlainReader, PlainSocket, PlainSocketError, PlainWriter, PrometheusText,
    Received, Receiver, RecvError, RedialState, Redialer, Reservation, RetryOutlook, Runtime,
    RuntimeBuilder, SendError, SendProgress, Sender, SocketListener, Statistics, TaskGroup,
    TaskGroupClosed, TimeLimit, UnixSocket, accept_over, dial, dial_over,
};
pub use protocol::handshake::{HandshakeError, SakeVersion};
pub use protocol::identity::{
    Identity, KeyError, KeyLineFault, KeyList, KeyListError, PublicKey, Verification,
};
pub use protocol::record::{CupsVersion, OpenError};
pub use protocol::{Wire, WireError};
pub use server::{
    Drained, Refusals, Server, ServerBuilder, ServerError, ServerHandle, ServerLimits,
    ServerStatistics, Session, ThreadStatistics,
};

/// Runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
