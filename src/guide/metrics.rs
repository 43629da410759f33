//! Counters, and how to hand them to a monitoring system.
//!
//! [`Statistics`](crate::Statistics) is a snapshot of what one runtime holds and has done since it
//! was made. Taking one costs nothing that can be measured. [`Statistics::current`] takes that of
//! the thread it is called on, [`Runtime::statistics`] that of a runtime at hand, and
//! [`RingThreads::statistics`] asks all threads. [`ServerHandle::statistics`] has them too, and beside
//! them connections by thread, handshakes by outcome, and refusals by reason.
//!
//! What to watch:
//!
//! | field | when it rises |
//! |---|---|
//! | `slot_waits` | connections wait for slots: raise [`RuntimeBuilder::slots`], or find the peer that does not read, or who keeps [`Message`](crate::Message)s |
//! | `large_blocks` | messages do not fit a slot and take heap blocks: raise [`RuntimeBuilder::slot_size`] |
//! | `moved_bytes` over the bytes that came | frames are often cut at the end of a slot: raise [`RuntimeBuilder::slot_size`] |
//! | `in_flight` while nothing moves | operations do not complete |
//! | `refused` | strangers come: `Admission::filter` or `Incoming::refuse` turned them away before a handshake |
//! | `registered`, `backend` | not counters: whether this thread got the fast path |
//!
//! One figure of the system's needs care: before Linux 6.15 the kernel counts every wait in a ring as
//! one for storage, and `io.pressure` (PSI) rises by it. A thread that has nothing to do waits outside
//! its ring there, so an idle server shows none; a busy one may show some, and it means nothing.
//!
//! ```
//! use std::fmt::Write;
//!
//! use ringseal::{Admission, Config, Identity, RingThreads, Runtime, Statistics};
//!
//! /// In the text format of Prometheus; `thread` is its label.
//! fn prometheus(statistics: &Statistics, thread: usize) -> String {
//!     let mut text = String::new();
//!     for (name, value) in [
//!         ("messages_sent_total", statistics.messages_sent),
//!         ("messages_received_total", statistics.messages_received),
//!         ("reads_total", statistics.reads),
//!         ("writes_total", statistics.writes),
//!         ("moved_bytes_total", statistics.moved_bytes),
//!         ("slot_waits_total", statistics.slot_waits),
//!         ("large_blocks_total", statistics.large_blocks),
//!         ("refused_total", statistics.refused),
//!         ("free_slots", statistics.free_slots as u64),
//!         ("in_flight", statistics.in_flight as u64),
//!     ] {
//!         writeln!(text, "ringseal_{name}{{thread=\"{thread}\"}} {value}").expect("a string");
//!     }
//!     text
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let count = 2;
//! let threads = RingThreads::start(Runtime::builder(), count)?;
//! let server = Config::new(Identity::from_seed(&[1; 32]), "guide");
//! let client = Config::new(Identity::from_seed(&[2; 32]), "guide");
//! let handle = threads.handle();
//! let mut listener = handle.listen("127.0.0.1:0", &server, Admission::any()).await?;
//! let mut dialed = handle
//!     .dial(listener.local_address(), server.public_key(), &client)
//!     .await?;
//! let mut accepted = listener.accept().await?;
//! dialed.send("hello").await?;
//! assert_eq!(accepted.recv().await?.as_deref(), Some(&b"hello"[..]));
//!
//! let mut text = String::new();
//! for (thread, statistics) in threads.statistics().await.iter().enumerate() {
//!     text += &prometheus(statistics.as_ref().expect("it has not ended"), thread);
//! }
//! let sent = (0..count).filter(|thread| {
//!     text.contains(&format!("ringseal_messages_sent_total{{thread=\"{thread}\"}} 1\n"))
//! });
//! assert_eq!(sent.count(), 1, "{text}");
//! threads.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`RuntimeBuilder::slots`]: crate::RuntimeBuilder::slots
//! [`RuntimeBuilder::slot_size`]: crate::RuntimeBuilder::slot_size
//! [`RingThreads::statistics`]: crate::RingThreads::statistics
//! [`ServerHandle::statistics`]: crate::ServerHandle::statistics
//! [`Runtime::statistics`]: crate::Runtime::statistics
//! [`Statistics::current`]: crate::Statistics::current
