//! More than one thread that serves.
//!
//! One [`Runtime`](crate::Runtime) is one thread, one ring, one pool of slots. Connections never
//! move: what one is made on serves it until it ends, without a lock and without an atomic. So a
//! program that is to use several cores has several ring threads, each with connections of its own.
//!
//! # A server
//!
//! [`ServerBuilder`](crate::ServerBuilder) starts a [`Server`](crate::Server): a ring thread for each
//! processor that the process may use, or as many as you say, each on a core of its own if you name
//! those. One of them accepts, and each client goes to the thread that has the fewest connections,
//! where its handshake runs and then its handler, a future that need not be `Send`. So the numbers of
//! two threads differ by one at most, also when all clients come from one address, or few stay for
//! long. A handler that keeps its thread busy without waiting delays the others there, and all new
//! clients if that thread is the one that accepts.
//! The server listens on any number of addresses, on Unix-domain sockets, and on sockets that a service
//! manager has opened.
//!
//! ```
//! use std::time::Duration;
//!
//! use ringseal::{
//!     Admission, Config, Connection, Identity, Runtime, ServerBuilder, ServerLimits, Session, dial,
//! };
//!
//! /// Answers each message with its length. The messages are views of slots, and are never copied.
//! async fn answer(connection: Connection, _session: Session) {
//!     let (mut sender, mut receiver) = connection.split();
//!     while let Ok(Some(message)) = receiver.recv().await {
//!         let length = message.len().to_string();
//!         drop(message);
//!         if sender.send(length.as_bytes()).await.is_err() {
//!             break;
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::new(Identity::from_seed(&[1; 32]), "guide");
//! let client = Config::new(Identity::from_seed(&[2; 32]), "guide");
//! let key = config.public_key();
//! let server = ServerBuilder::new(config, Admission::any())
//!     .bind("127.0.0.1:0")
//!     .threads(2)
//!     .limits(ServerLimits::new().connections(10_000).handshakes_per_second(2_000))
//!     .start(answer)?;
//!
//! let (handle, address) = (server.handle(), server.local_address());
//! Runtime::builder().build()?.block_on(async {
//!     let mut connections = Vec::new();
//!     for _ in 0..4 {
//!         let mut connection = dial(&address, key, &client).await?;
//!         connection.send(b"hello").await?;
//!         assert_eq!(&*connection.recv().await?.expect("an answer"), b"5");
//!         connections.push(connection);
//!     }
//!     let statistics = handle.statistics().await;
//!     assert!(statistics.threads.iter().all(|thread| thread.connections == 2));
//!     drop(connections);
//!     handle.drain(Duration::from_secs(10)).await?;
//!     Ok::<_, Box<dyn std::error::Error>>(())
//! })?;
//! server.join()?;
//! # Ok(())
//! # }
//! ```
//!
//! [`ServerLimits`](crate::ServerLimits) says how many it takes and what a refused client is told,
//! [`ServerHandle`](crate::ServerHandle) changes who may connect while it runs, and
//! [`shutdown`](super::shutdown) shows how it ends.
//!
//! # From another executor
//!
//! A program in tokio, or in any other executor, that wants its connections there has
//! [`RingThreads`](crate::RingThreads). [`RingHandle::dial`](crate::RingHandle::dial) spreads what is
//! dialled over them, and [`RingHandle::listen`](crate::RingHandle::listen) what is accepted: each
//! [`RemoteConnection`](crate::RemoteConnection) lives on the ring thread that has the fewest of that
//! listener. [`RingHandle::run`](crate::RingHandle::run) runs on a ring thread what is not to leave it.
//!
//! ```
//! use ringseal::{Admission, Config, Identity, RemoteError, RingThreads, Runtime};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Config::new(Identity::from_seed(&[1; 32]), "guide");
//! let client = Config::new(Identity::from_seed(&[2; 32]), "guide");
//! let threads = RingThreads::start(Runtime::builder(), 2)?;
//! let mut listener = threads.handle().listen("127.0.0.1:0", &server, Admission::any()).await?;
//! let address = listener.local_address();
//! tokio::spawn(async move {
//!     loop {
//!         let mut connection = match listener.accept().await {
//!             Ok(connection) => connection,
//!             // One client's; the next may be better.
//!             Err(RemoteError::Call(_)) => continue,
//!             // The threads have ended.
//!             Err(_) => return,
//!         };
//!         tokio::spawn(async move {
//!             while let Ok(Some(message)) = connection.recv().await {
//!                 if connection.send(message).await.is_err() {
//!                     break;
//!                 }
//!             }
//!         });
//!     }
//! });
//!
//! // The clients, here on a thread of theirs.
//! let clients = RingThreads::start(Runtime::builder(), 1)?;
//! for _ in 0..4 {
//!     let mut connection = clients.handle().dial(&address, server.public_key(), &client).await?;
//!     connection.send("hello").await?;
//!     assert_eq!(connection.recv().await?.as_deref(), Some(&b"hello"[..]));
//!     connection.close().await?;
//! }
//! let received: Vec<_> = (threads.statistics().await.into_iter().flatten())
//!     .map(|statistics| statistics.messages_received)
//!     .collect();
//! assert_eq!(received.iter().sum::<u64>(), 4);
//! threads.shutdown().await?;
//! clients.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # By hand
//!
//! Where you know better which thread has room, have one [`SocketListener`](crate::SocketListener). It
//! gives out an [`Incoming`](crate::Incoming) for each client, which shows where the client comes from
//! before any work was spent on it, and can be refused or sent to any thread to shake hands there: by
//! [`Incoming::handshake`](crate::Incoming::handshake) in a runtime, by
//! [`RingHandle::handshake`](crate::RingHandle::handshake) on a ring thread. Several
//! [`Listener`](crate::Listener)s may share a port
//! ([`BindOptions::share_port`](crate::BindOptions::share_port)); the kernel spreads the clients over
//! them by their addresses, which is even where there are many.
//!
//! Each thread locks the memory of its slots and of its ring, 2.7 MiB by default, and they share
//! the limit of their user (`ulimit -l`); see [`limits`](super::limits).
