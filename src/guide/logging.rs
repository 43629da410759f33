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
//! | level | what |
//! |---|---|
//! | error | a ring that no longer completes operations; a task that panicked |
//! | warn | no io_uring, so epoll; slots that are not registered; descriptors that ran out while accepting; memory that the kernel still held when a runtime ended, or a runtime dropped where it cannot wait for it; a socket's file that stays behind |
//! | info | a dead socket's file that was removed on request |
//! | debug | a connection that is established, or over; one that a time limit or a failed socket ended; optional features that the kernel lacks |
//! | trace | the shutdown of a socket that had ended already; with the target `ringseal::wire`, each record of the native wire that leaves or has come: its connection, direction, kind and length |
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
