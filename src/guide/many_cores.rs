//! More than one thread that serves.
//!
//! One [`Runtime`](crate::Runtime) is one thread, one ring, one pool of slots. Connections never
//! move: what one is made on serves it until it ends, without a lock and without an atomic. So a
//! program that is to use several cores has several ring threads, each with connections of its
//! own. [`RingThreads`](crate::RingThreads) starts them, [`RingHandle`](crate::RingHandle) gives
//! them work, to one after the other in turn:
//!
//! * [`RingHandle::dial`](crate::RingHandle::dial) spreads connections that are dialled.
//! * A listener and all that it accepts live on one thread. To have every thread accept at the same
//!   port, have a listener on each and let them share it, by
//!   [`BindOptions::share_port`](crate::BindOptions::share_port): the kernel spreads the clients by
//!   their addresses, which is even where there are many.
//! * Where there are few, where you know better which thread has room, or at a Unix-domain socket,
//!   have one [`SocketListener`](crate::SocketListener). It gives out an
//!   [`Incoming`](crate::Incoming) for each client, which shows where the client comes from before
//!   any work was spent on it, and can be refused or sent to any thread to shake hands there:
//!   by [`Incoming::handshake`](crate::Incoming::handshake) in a runtime,
//!   by [`RingHandle::handshake`](crate::RingHandle::handshake) on a ring thread.
//! * [`RingHandle::run`](crate::RingHandle::run) runs a whole server on a ring thread. Its
//!   messages are views of slots and never copied, as they are with a
//!   [`Runtime`](crate::Runtime) of your own.
//!
//! The threads are called `ringseal-0`, `ringseal-1` and so on; to pin one to a core, do it from
//! within [`run`](crate::RingHandle::run).
//!
//! ```
//! use ringseal::{
//!     Address, Admission, BindError, BindOptions, Config, Identity, Listener, RingThreads, Runtime,
//! };
//! use tokio::sync::oneshot;
//!
//! /// Listens, and answers each message with its length, on the thread that runs it.
//! async fn serve(
//!     config: Config,
//!     address: Address,
//!     ready: oneshot::Sender<Address>,
//! ) -> Result<(), BindError> {
//!     let shared = BindOptions::new().share_port(true);
//!     let mut listener = Listener::bind_with(address, &shared, &config, Admission::any()).await?;
//!     // Fails when nobody wants to know.
//!     let _ = ready.send(listener.local_address());
//!     loop {
//!         // An error is one client's; the next may be better.
//!         let Ok(connection) = listener.accept().await else { continue };
//!         drop(ringseal::spawn(async move {
//!             let (mut sender, mut receiver) = connection.split();
//!             while let Ok(Some(message)) = receiver.recv().await {
//!                 let length = message.len().to_string();
//!                 drop(message);
//!                 if sender.send(length.as_bytes()).await.is_err() {
//!                     break;
//!                 }
//!             }
//!         }));
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cores = 2;
//! let server = Config::new(Identity::from_seed(&[1; 32]), "guide");
//! let client = Config::new(Identity::from_seed(&[2; 32]), "guide");
//! let threads = RingThreads::start(Runtime::builder(), cores)?;
//! // The first takes a free port, and the others the same.
//! let mut address = Address::from("127.0.0.1:0");
//! for _ in 0..cores {
//!     let (handle, config, shared) = (threads.handle(), server.clone(), address.clone());
//!     let (ready, listening) = oneshot::channel();
//!     // The listener lives as long as this future, which only ends with the thread.
//!     tokio::spawn(async move { handle.run(move || serve(config, shared, ready)).await });
//!     address = listening.await?;
//! }
//!
//! // The clients, here on a thread of theirs, all dial one address.
//! let clients = RingThreads::start(Runtime::builder(), 1)?;
//! for _ in 0..4 {
//!     let handle = clients.handle();
//!     let mut connection = handle.dial(&address, server.public_key(), &client).await?;
//!     connection.send("hello").await?;
//!     assert_eq!(connection.recv().await?.as_deref(), Some(&b"5"[..]));
//!     connection.close().await?;
//! }
//! threads.shutdown().await?;
//! clients.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Each thread locks the memory of its slots and of its ring, 2.7 MiB by default, and they share
//! the limit of their user (`ulimit -l`); see [`limits`](super::limits).
