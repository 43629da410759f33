//! What the crate logs by itself, and what it leaves to you.
//!
//! Whatever a call can return, it returns: an error of [`dial`](crate::dial) or of
//! [`Listener::accept`](crate::Listener::accept) is not logged as well. What has no caller goes to
//! [`tracing`](https://docs.rs/tracing), with the target `ringseal` and the name of the room behind
//! it. No secret key, no plaintext and no sealed byte is ever part of it.
//!
//! A [`Server`](crate::Server) takes what `accept` would return:
//! [`ServerBuilder::on_accept_error`](crate::ServerBuilder::on_accept_error) has it told to you.
//!
//! What is told of a connection is told within a span, `connection`, of the level info and the target
//! `ringseal::connection`, with the fields `peer` (the first 16 digits of its key), `address`, and
//! `wire` (which names the suite). [`Connection::span`](crate::Connection::span) gives it, so that the
//! task which serves the connection can run in it too, as below; names of keys are in a
//! [`KeyList`](crate::KeyList).
//!
//! Each line and span, with its fields; `error` and `reason` say the cause. An error or a warning is for
//! somebody to look at. What one connection or one client comes to is debug, and as frequent as
//! strangers like:
//!
//! | level | target | line | fields |
//! |---|---|---|---|
//! | error | `ringseal::driver::catch_panic` | what panicked on this ring's thread is given up; the others go on | |
//! | error | `ringseal::driver::driver_status` | the driver of this thread has failed | `error` |
//! | error | `ringseal::driver::task` | a child that was forked in a task has returned into the runtime | |
//! | error | `ringseal::net::thread::task_group` | a task of a group has panicked; the others go on | |
//! | error | `ringseal::server::accepting` | a thread of the server cannot accept any more | `error` |
//! | error | `ringseal::server::accepting` | no thread of the server can accept any more; it drains | |
//! | error | `ringseal::server::serving` | a thread of the server has ended with all of its connections; the others go on | `thread` |
//! | error | `ringseal::server::serving` | the driver of a thread of the server has failed | `error` |
//! | error | `ringseal::server::serving` | the handler of a connection has panicked; the others go on | |
//! | warn | `ringseal::driver::driver` | no io_uring here; falling back to epoll, without busy polling | `reason` |
//! | warn | `ringseal::driver::driver` | the arena is not registered; reads take the plain path | `error` |
//! | warn | `ringseal::driver::tokio_uring` | tokio-uring can't let go of a ring that it can't enter; it is leaked | |
//! | warn | `ringseal::driver::unix_path` | the socket's file stays behind | `error`, `path` |
//! | warn | `ringseal::driver::uring::idle` | poll failed while idle | `error` |
//! | warn | `ringseal::net::establish::socket_listener` | cannot accept; pausing until it works again | `error` |
//! | warn | `ringseal::net::thread::runtime` | a runtime was dropped inside an executor, or behind the thread-local variables of its thread; its ring is leaked | |
//! | warn | `ringseal::net::thread::shard` | operations outlive their runtime; their memory is leaked | `in_flight` |
//! | warn | `ringseal::server::accepting` | a thread of the server cannot accept yet; trying again | `error` |
//! | info | `ringseal::driver::unix_path` | removing a socket that nobody listens on | `path` |
//! | info span | `ringseal::connection` | connection | `peer`, `address`, `wire` |
//! | debug | `ringseal::driver::acceptor` | a client can't be reset | `error` |
//! | debug | `ringseal::driver::port` | a listening socket can't be shut down | `error` |
//! | debug | `ringseal::driver::probe` | the kernel lacks one of these; starting with fewer | `flags` |
//! | debug | `ringseal::driver::resolver` | no further thread for the resolver | `error` |
//! | debug | `ringseal::driver::socket` | a socket can't be reset | `error` |
//! | debug | `ringseal::driver::tokio_uring` | the arena stays locked until the ring is gone | `error` |
//! | debug | `ringseal::driver::uring::queue` | the arena stays locked until the ring is gone | `error` |
//! | debug | `ringseal::driver::uring::queue` | the kernel goes on signalling completions to a busy thread | |
//! | debug | `ringseal::memory::mapping` | the kernel ignores this advice for the arena | `advice`, `error` |
//! | debug | `ringseal::net::connection` | a connection is established | |
//! | debug | `ringseal::net::connection::link` | a connection is over | |
//! | debug | `ringseal::net::connection::outbox` | a record could not be sealed | `error` |
//! | debug | `ringseal::net::connection::outbox` | the sending direction failed | `error` |
//! | debug | `ringseal::net::establish::listener` | a client's address is not let in | `address` |
//! | debug | `ringseal::net::establish::listener` | a client's socket is unusable | `error` |
//! | debug | `ringseal::net::thread::time_limits` | a connection ends | `limit` |
//! | debug | `ringseal::server::serving` | a client did not become a connection | `error` |
//! | debug | `ringseal::wire` | established | `connection`, `peer`, `address`, `wire` |
//! | debug | `ringseal::wire` | received | `connection`, `kind`, `length` |
//! | debug | `ringseal::wire` | received | `connection`, `kind`, `length`, `event` |
//! | debug | `ringseal::wire` | refused | `connection`, `kind`, `length`, `error` |
//! | debug | `ringseal::wire` | sent | `connection`, `kind`, `length` |
//! | debug | `ringseal::wire` | sent | `peer`, `kind`, `length` |
//! | trace | `ringseal::driver::byte_stream` | shutdown of a stream that had ended | `error` |
//! | trace | `ringseal::driver::shutdown` | shutdown of a socket that had ended | `error` |
//!
//! The lines of `ringseal::wire` are of each record of the native wire that leaves or has come: many
//! where there is traffic, so that `ringseal=debug,ringseal::wire=off` has the others alone. The one by
//! which a listener accepts or refuses names the peer, as its connection has no number yet.
//! `ringseal::net`, `ringseal::driver` and the like are modules of the crate, and those of them may
//! change; a filter by `ringseal`, `ringseal::server`, `ringseal::connection` or `ringseal::wire` stays
//! good.
//!
//! With `tracing-subscriber` they go to standard error like this; its feature `env-filter` reads
//! the levels from `RUST_LOG`, as in `RUST_LOG=ringseal=debug`. A subscriber that blocks, as one
//! does that writes to a pipe which nobody reads, stops the ring thread that logs: have a thread of
//! its own write, as `tracing-appender` does. `ringseal --log-format json` writes an object a line, by
//! the feature `json` of that crate.
//!
//! ```
//! use std::error::Error;
//!
//! use ringseal::{Admission, Config, Identity, Listener, Runtime, dial};
//! use tracing::{Instrument, Level};
//!
//! /// An error with all of its causes, in one line.
//! fn chain(error: &dyn Error) -> String {
//!     let causes = std::iter::successors(Some(error), |error| (*error).source());
//!     causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
//! }
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! tracing_subscriber::fmt()
//!     .with_max_level(Level::INFO)
//!     .with_writer(std::io::stderr)
//!     .init();
//! let server = Config::new(Identity::from_seed(&[1; 32]), "guide");
//! let stranger = Config::new(Identity::from_seed(&[2; 32]), "guide");
//! Runtime::builder().build()?.block_on(async {
//!     let nobody = Admission::allow_list([]);
//!     let mut listener = Listener::bind("127.0.0.1:0", &server, nobody).await?;
//!     let address = listener.local_address();
//!     let later = address.clone();
//!     let key = server.public_key();
//!     let dialing = ringseal::spawn(async move {
//!         dial(address, key, &stranger).await
//!     });
//!     // What strangers do wrong is yours to log, and yours to limit: they choose how often.
//!     let error = listener.accept().await.expect_err("nobody is admitted");
//!     tracing::info!(client = %error.address, "{}", chain(&error.reason));
//!     assert!(dialing.await.is_err());
//!
//!     listener.set_admission(Admission::any());
//!     let client = Config::new(Identity::from_seed(&[3; 32]), "guide");
//!     let dialing = ringseal::spawn(async move { dial(later, key, &client).await });
//!     let connection = listener.accept().await?;
//!     let span = connection.span().clone();
//!     let session = async move {
//!         tracing::info!("serving"); // INFO connection{peer=... address=... wire=...}: serving
//!         connection.close().await
//!     };
//!     ringseal::spawn(session.instrument(span)).await?;
//!     dialing.await?;
//!     Ok(())
//! })
//! # }
//! ```
