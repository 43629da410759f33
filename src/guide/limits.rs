//! What each end allows, the defaults, and what memory that comes to.
//!
//! | what | default | where |
//! |---|---|---|
//! | longest message | 1 MiB, each end its own; up to 4 294 967 279 bytes | [`Config::max_message_size`] |
//! | longest message that is taken [in parts](crate::Receiver::recv_stream), native wire | 0: as any other; up to 2^64 - 1 bytes, which is no limit | [`Config::max_streamed_size`] |
//! | handshake, from connect to the end, admission included | 5 s | [`Config::handshake_deadline`] |
//! | a dial returns when the listener has accepted, native wire | yes; else half a round trip earlier | [`Config::await_accept`] |
//! | first message of a client, from accept | 2 s | [`Config::first_message_timeout`] |
//! | peer's clock ahead; its handshake message old | 5 s; 10 s | [`Config::synchrony_bound`], [`Config::max_handshake_age`] |
//! | clients that wait to be accepted, on each address | 4 096, cut to `net.core.somaxconn` | [`BindOptions::backlog`] |
//! | handshakes of a listener, or of a server, at a time | 256 | [`Config::max_handshakes`] |
//! | handshakes of a server in a second, shared by the sources | no limit | [`ServerLimits::handshakes_per_second`] |
//! | connections of a server, in all, for a key, for a source | no limit | [`ServerLimits`] |
//! | a connection lasts | no limit | [`Config::max_lifetime`] |
//! | nothing comes while the receiver waits | no limit | [`Config::idle_timeout`] |
//! | nothing is sent, native wire: the peer hears of this end within | its own idle timeout, if it has one | [`Config::keep_alive`] |
//! | half a record, or a peer that stops reading, stands still | 60 s | [`Config::progress_timeout`] |
//! | peer's host does not answer | 60 s | [`Config::host_timeout`] |
//! | wire | `native`, with the suite that the processor is fast at | [`Config::wire`] |
//! | records are padded to a multiple of, native wire | not padded; 1 to 4 294 967 295 bytes | [`Config::padding`] |
//! | messages of up to so many bytes share a record, native wire | 4096 bytes | [`SealOptions::packing_limit`], of [`protocol`](crate::protocol) alone |
//! | a record of messages that share it; of one message, or a part of one | 64 KiB; what a slot of its receiver holds, 16 KiB to 16 MiB | [`RuntimeBuilder::slot_size`] of the receiver |
//! | one key seals, native wire | 2^26 blocks of 16 bytes, 1 GiB; then it is updated, or when you ask | [`Sender::update_keys`] |
//! | signatures | small-order and non-canonical keys refused | [`Config::verification`] |
//! | a peer with our own identity | refused | [`Config::allow_self`] |
//! | slots of a runtime | 10 of 272 KiB: 2 785 280 bytes locked | [`RuntimeBuilder::slots`], [`RuntimeBuilder::slot_size`] |
//! | heap blocks of a runtime, in all | 64 MiB | [`RuntimeBuilder::heap_budget`] |
//! | ring entries | 256, about 32 KiB locked | [`RuntimeBuilder::ring_entries`] |
//! | registration refused (`RLIMIT_MEMLOCK`) | epoll, or an error where a ring was asked for | [`RuntimeBuilder::registration`] |
//! | backend | io_uring, else epoll | [`RuntimeBuilder::backend`] |
//! | looking for work before sleeping | 20 µs, only while that finds something | [`RuntimeBuilder::busy_poll`] |
//! | waiting between a thread and a ring thread | 256 KiB and 4096 messages | [`RingHandle::queue_limits`] |
//! | pauses between attempts of a redialer | 100 ms at first, 30 s at most | [`Backoff`](crate::Backoff) |
//! | file of admitted keys | 4 MiB, names of up to 64 characters | [`KeyFile`](crate::KeyFile) |
//! | names being resolved at a time, in the process | 8; dials of one name share a query | |
//! | connections that nobody holds and that still send, of a runtime | 1024; 20 s, 8 MiB thrown away each | [`Connection`] |
//!
//! A connection that moves data holds two slots for sending (one that fills, one in flight) and two
//! for receiving (one that is read into, one that the messages given out are views of; more if you
//! keep messages longer). Sending leaves two fifths of the slots to receiving, and receiving a
//! quarter to sending. An idle connection holds one slot, and none once many are out; a record of
//! which a part has come then waits in a heap block of its own length, so that ends whose slots
//! are short never wait for each other. Full pools are backpressure: tasks wait, in order. A
//! message longer than a slot takes a heap block for itself; so does what is sent while peers that
//! do not read hold every slot for sending, a block of one record or 16 KiB at a time. A thread keeps
//! the memory of the last long block of each direction, of 64 KiB to 4 MiB, for the next that is as
//! long, unless none comes for a second or two; what was in it stays there until then, as in slots.
//!
//! Who is let in may stand in a file that is read again while the listener runs: see
//! [`KeyFile`](crate::KeyFile).
//!
//! What a stranger can cost before its identity is proved is bounded by the handshakes at a time
//! and their deadline; what an admitted peer can cost, by the message size and the time limits. The heap
//! blocks are shared: a peer that begins long messages on many connections, and drips, can keep others
//! from messages that do not fit in a slot. [`ServerLimits::connections_per_peer`] bounds that: choose it
//! so that as many times the longest message come to less than half of the budget.
//! Where strangers may come by the thousand a second, set [`ServerLimits::handshakes_per_second`]: a
//! handshake that is refused at its end takes several times the processor time of one beyond that limit
//! (`benches/README.md` has both).
//!
//! ```
//! use std::time::Duration;
//!
//! use ringseal::{Admission, Config, Identity, Listener, Runtime, SendError, dial};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limited = |seed| {
//!     Config::new(Identity::from_seed(&[seed; 32]), "guide")
//!         .max_message_size(4096)
//!         .max_handshakes(32)
//!         .handshake_deadline(Duration::from_secs(2))
//!         .idle_timeout(Duration::from_secs(30))
//!         .progress_timeout(Duration::from_secs(10))
//! };
//! let (ours, theirs) = (limited(1), limited(2));
//! // 64 slots of 64 KiB lock 4 MiB.
//! let builder = Runtime::builder().slots(64).slot_size(64 * 1024);
//! builder.build()?.block_on(async {
//!     let only_us = Admission::allow_list([ours.public_key()]);
//!     let mut listener = Listener::bind("127.0.0.1:0", &theirs, only_us).await?;
//!     let address = listener.local_address();
//!     let accepting = ringseal::spawn(async move { listener.accept().await });
//!     let mut connection = dial(address, theirs.public_key(), &ours).await?;
//!     // Refused before anything is sealed, so the sender stays usable.
//!     let refused = connection.send(&[0; 4097]).await;
//!     assert!(matches!(refused, Err(SendError::TooLarge { length: 4097, limit: 4096 })));
//!     connection.send(&[0; 4096]).await?;
//!     connection.flush().await?;
//!     let mut accepted = accepting.await?;
//!     assert_eq!(accepted.recv().await?.expect("a message").len(), 4096);
//!     Ok(())
//! })
//! # }
//! ```
//!
//! [`Config::await_accept`]: crate::Config::await_accept
//! [`Config::keep_alive`]: crate::Config::keep_alive
//! [`Config::max_streamed_size`]: crate::Config::max_streamed_size
//! [`Config::padding`]: crate::Config::padding
//! [`SealOptions::packing_limit`]: crate::protocol::native::record::SealOptions::packing_limit
//! [`Sender::update_keys`]: crate::Sender::update_keys
//! [`RuntimeBuilder::slots`]: crate::RuntimeBuilder::slots
//! [`RuntimeBuilder::slot_size`]: crate::RuntimeBuilder::slot_size
//! [`RuntimeBuilder::ring_entries`]: crate::RuntimeBuilder::ring_entries
//! [`RuntimeBuilder::registration`]: crate::RuntimeBuilder::registration
//! [`RuntimeBuilder::backend`]: crate::RuntimeBuilder::backend
//! [`RuntimeBuilder::busy_poll`]: crate::RuntimeBuilder::busy_poll
//! [`BindOptions::backlog`]: crate::BindOptions::backlog
//! [`Config::max_lifetime`]: crate::Config::max_lifetime
//! [`ServerLimits`]: crate::ServerLimits
//! [`ServerLimits::connections_per_peer`]: crate::ServerLimits::connections_per_peer
//! [`ServerLimits::handshakes_per_second`]: crate::ServerLimits::handshakes_per_second
//! [`Config::max_message_size`]: crate::Config::max_message_size
//! [`Config::handshake_deadline`]: crate::Config::handshake_deadline
//! [`Config::synchrony_bound`]: crate::Config::synchrony_bound
//! [`Config::max_handshake_age`]: crate::Config::max_handshake_age
//! [`Config::max_handshakes`]: crate::Config::max_handshakes
//! [`Config::idle_timeout`]: crate::Config::idle_timeout
//! [`Config::progress_timeout`]: crate::Config::progress_timeout
//! [`Config::wire`]: crate::Config::wire
//! [`Config::host_timeout`]: crate::Config::host_timeout
//! [`Config::first_message_timeout`]: crate::Config::first_message_timeout
//! [`RuntimeBuilder::heap_budget`]: crate::RuntimeBuilder::heap_budget
//! [`Connection`]: crate::Connection
//! [`Config::verification`]: crate::Config::verification
//! [`Config::allow_self`]: crate::Config::allow_self
//! [`RingHandle::queue_limits`]: crate::RingHandle::queue_limits
