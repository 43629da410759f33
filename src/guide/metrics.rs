//! Counters, and how to hand them to a monitoring system.
//!
//! [`Statistics`](crate::Statistics) is a snapshot of what one runtime holds and has done since it
//! was made. Taking one costs nothing that can be measured. [`Statistics::current`] takes that of
//! the thread it is called on, [`Runtime::statistics`] that of a runtime at hand, and
//! [`RingThreads::statistics`] asks all threads. [`ServerHandle::statistics`] has them too, and beside
//! them connections by thread, handshakes by outcome, and refusals by reason.
//!
//! The names below are those of [`METRICS`](crate::METRICS), which are numbers of one runtime, and
//! behind them those that only a [`Server`](crate::Server) has. There are two ways to hand them on,
//! which take both from the same tables:
//!
//! * [`PrometheusText`](crate::PrometheusText) is the text that Prometheus reads, made when somebody
//!   asks, without any other crate;
//!   [`ServerStatistics::prometheus_text`](crate::ServerStatistics::prometheus_text) makes it for all
//!   threads of a server;
//! * `MetricsPublisher`, with the feature `metrics`, hands what was added since the last time to the
//!   [`metrics`](https://docs.rs/metrics) facade, at an interval or when told to, and so to the
//!   exporter that the program has; `MetricsPublisher::of_server` does that for a server.
//!
//! Either way connections count in plain variables of their thread. Nothing is shared between threads
//! for a message, and nothing is allocated.
//!
//! | name | label | what, and what to do when it rises |
//! |---|---|---|
//! | `ringseal_connections` | `state`: handshaking, open, ending | connections now |
//! | `ringseal_dialed_handshakes_total` | `outcome`: see [`HandshakeCounts`](crate::HandshakeCounts) | attempts of this end |
//! | `ringseal_accepted_handshakes_total` | `outcome` | attempts of clients; `overloaded`: serve fewer a thread; `made_way`: a flood, or raise `Config::max_handshakes`; `no_room`: a limit of `ServerLimits`; `unused`: health checks; `dropped`: the listener ended, or its server drained; `not_admitted`: strangers, or a key that is not listed |
//! | `ringseal_lingering_connections` | | connections that were dropped and whose peers take long to end |
//! | `ringseal_refused_clients_total` | | strangers came: `Admission::filter` or `Incoming::refuse` turned them away before a handshake |
//! | `ringseal_messages_total` | `direction`: sent, received | over the records: messages a record |
//! | `ringseal_records_total` | `direction` | records |
//! | `ringseal_wire_bytes_total` | `direction` | bytes, with handshakes and records' overhead |
//! | `ringseal_moved_bytes_total` | | over the bytes received: frames are often cut at the end of a slot, so raise [`RuntimeBuilder::slot_size`] |
//! | `ringseal_reads_total`, `ringseal_writes_total` | | over the messages: how well they share system calls |
//! | `ringseal_submissions_total`, `ringseal_completions_total` | | operations of the driver; a difference that stays while nothing moves: operations do not complete |
//! | `ringseal_operations_in_flight` | | reads, writes and waits of connections now |
//! | `ringseal_tasks` | | yours, and those of connections, listeners and the runtime; more while connections are not: yours do not end |
//! | `ringseal_key_updates_total` | | once a gigabyte in each direction of the native wire |
//! | `ringseal_send_waits_total`, `ringseal_send_wait_seconds_total` | | backpressure: peers do not read, or memory is short. The clock is read when a wait begins and ends |
//! | `ringseal_time_limits_hit_total` | `limit`: idle, progress, host, lifetime | connections that were ended; handshakes that took too long are `timed_out` above |
//! | `ringseal_slots`, `ringseal_slots_in_use` | | the pool |
//! | `ringseal_slot_waits_total` | | somebody found no slot: raise [`RuntimeBuilder::slots`], or find the peer that does not read, or who keeps [`Message`](crate::Message)s |
//! | `ringseal_heap_budget_bytes`, `ringseal_heap_in_use_bytes` | | [`RuntimeBuilder::heap_budget`], and what of it is used |
//! | `ringseal_heap_waits_total` | | somebody waited for heap memory: raise the budget, or send less at a time |
//! | `ringseal_heap_blocks_total` | | messages did not fit a slot: raise [`RuntimeBuilder::slot_size`] |
//! | `ringseal_registered` | | 0: this thread did not get the fast path; see `ringseal doctor` |
//! | `ringseal_server_connections` | `thread` | connections whose handlers run |
//! | `ringseal_server_handshakes_under_way` | `thread` | with clients that wait for theirs; near `Config::max_handshakes`: a flood |
//! | `ringseal_server_handshakes_total` | `thread`, `outcome` | as those that are accepted above, also of a thread that has ended |
//! | `ringseal_server_handler_panics_total` | `thread` | a fault of the handler: its connection was aborted |
//! | `ringseal_server_thread_ended` | `thread` | 1 while the server goes on: the thread has panicked or its driver has failed; the log says which |
//! | `ringseal_server_refusals_total` | `reason`: see [`Refusals`](crate::Refusals) | which limit keeps clients out |
//!
//! Messages and records are counted when their buffer leaves, or is gone through. Each runtime counts
//! for itself, so give each a label, as `thread` below.
//!
//! One figure of the system's needs care: before Linux 6.15 the kernel counts every wait in a ring as
//! one for storage, and `io.pressure` (PSI) rises by it. A thread that has nothing to do waits outside
//! its ring there, so an idle server shows none; a busy one may show some, and it means nothing.
//!
//! ```
//! use ringseal::{Admission, Config, Identity, PrometheusText, RingThreads, Runtime};
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
//! let mut text = PrometheusText::new();
//! for (thread, statistics) in threads.statistics().await.iter().enumerate() {
//!     let statistics = statistics.as_ref().expect("it has not ended");
//!     text.add(&[("thread", &thread.to_string())], statistics);
//! }
//! // Serve this with the content type PrometheusText::CONTENT_TYPE.
//! let text = text.to_string();
//! // One thread dialled, the other listened.
//! let sent = (0..count).filter(|thread| {
//!     let labels = format!("thread=\"{thread}\",direction=\"sent\"");
//!     text.contains(&format!("\nringseal_messages_total{{{labels}}} 1\n"))
//! });
//! assert_eq!(sent.count(), 1, "{text}");
//! threads.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`RuntimeBuilder::slots`]: crate::RuntimeBuilder::slots
//! [`RuntimeBuilder::slot_size`]: crate::RuntimeBuilder::slot_size
//! [`RuntimeBuilder::heap_budget`]: crate::RuntimeBuilder::heap_budget
//! [`RingThreads::statistics`]: crate::RingThreads::statistics
//! [`ServerHandle::statistics`]: crate::ServerHandle::statistics
//! [`Runtime::statistics`]: crate::Runtime::statistics
//! [`Statistics::current`]: crate::Statistics::current
