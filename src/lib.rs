//! Encrypted message streams over io_uring for Linux server backends.
//!
//! Two servers hold a long-lived connection and exchange messages. Each proves an ed25519
//! identity, x25519 gives fresh keys, and every message is sealed with ChaCha20-Poly1305. The
//! wire is that of `commonware-stream` 2026.10.0, so either end may be that crate.
//!
//! What makes it fast: one arena of slots per thread is registered with the thread's ring. Reads
//! fill slots and messages are opened where they landed; sends seal from the caller's bytes
//! straight into the slot that the kernel takes them from. In the steady state nothing is
//! allocated and nothing is copied but the start of an incomplete frame.
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
//! * The end of a stream is not authenticated: a connection cut between two messages looks like
//!   a normal end. Mark your own end where it matters.
//! * Identities of dialers cross in the clear; message lengths and times can be seen (CUPS V0
//!   shows exact lengths, V1 only how many bytes flow when). Nothing is padded.
//! * No key update on this wire, no resumption, no early data, no negotiation.
//! * `commonware-stream` closes connections that are silent for 60 seconds, by default; there is
//!   no keep-alive on this wire, so send something.
//!
//! # Rooms
//!
//! * [`protocol`]: handshake, records, keys, ciphers; slices in, slices out, no I/O.
//! * `memory`: the arena, its slots, who holds them; all `unsafe` for memory.
//! * `ring`: the drivers; the only room that names io-uring, tokio-uring and tokio.
//! * `net`: the edge: runtime, connections.
//! * `testing` (with the feature of that name): a wire in memory, for callers' tests.
//! * `handle`: the same from any thread and any executor: [`RingThreads`].

#![cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, unused_imports, reason = "what only a ring needs")
)]

extern crate alloc;

mod handle;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod memory;
mod net;
pub mod protocol;
mod ring;
#[cfg(feature = "testing")]
pub mod testing;

pub use handle::{
    QueueLimits, RemoteAcceptError, RemoteConnection, RemoteListener, RemoteReceiver, RemoteSender,
    RingHandle, RingThreads, RunError,
};
pub use net::{
    AcceptError, Address, Admission, AttemptError, BindError, Builder, Config, Connection,
    DialError, Listener, Message, MessageSink, MessageStream, PeerCredentials, Receiver, RecvError,
    Reservation, Runtime, SendError, Sender, Statistics, TimeLimit, UnixSocket, accept_over, dial,
    dial_over,
};
pub use protocol::handshake::{HandshakeError, SakeVersion};
pub use protocol::identity::{Identity, KeyError, PublicKey, Verification};
pub use protocol::record::{CupsVersion, OpenError};
pub use ring::{Backend, Registration, StartError, Task, sleep, spawn, timeout};
#[cfg(target_os = "linux")]
pub use ring::{Inspection, Support, SystemCall};

/// Runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
