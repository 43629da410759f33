//! End without losing what was sent.
//!
//! # A server
//!
//! [`ServerHandle::drain`](crate::ServerHandle::drain) ends a [`Server`](crate::Server) from any thread.
//! It stops accepting. Each peer is asked to begin nothing new and to end, where the wire has that: on
//! the native wire it finds this in [`Receiver::recv_event`](crate::Receiver::recv_event). Handlers go on
//! until they are done, and may look at [`Session::draining`](crate::Session::draining) to be done soon;
//! what they have sent, and behind it the end of the stream, arrives. What is left when the time is over
//! is cut, and counted. Clients that shake hands meanwhile have a moment to end that; who has not proved
//! its key then is dropped, and counted in [`HandshakeCounts::dropped`](crate::HandshakeCounts::dropped).
//! [`ServerHandle::shut_down`](crate::ServerHandle::shut_down) waits for nobody.
//!
//! A ring's thread has no reactor for signals. Catch them on another thread, with `tokio::signal` or the
//! crate `signal-hook`; [`ServerHandle::begin_drain`](crate::ServerHandle::begin_drain) needs no
//! executor, and [`Server::join`](crate::Server::join) neither.
//!
//! ```
//! use std::pin::pin;
//! use std::time::Duration;
//!
//! use ringseal::{Admission, Config, Connection, Identity, Runtime, ServerBuilder, Session, dial};
//!
//! /// Answers each message with its length, until the peer or the server ends.
//! async fn answer(connection: Connection, session: Session) {
//!     let (mut sender, mut receiver) = connection.split();
//!     let mut draining = pin!(session.draining());
//!     loop {
//!         let received = tokio::select! {
//!             received = receiver.recv() => received,
//!             () = &mut draining => break,
//!         };
//!         let Ok(Some(message)) = received else { break };
//!         let length = message.len().to_string();
//!         // A message holds its slot: give it back before waiting for anything.
//!         drop(message);
//!         if sender.send(length.as_bytes()).await.is_err() {
//!             break;
//!         }
//!     }
//!     if sender.close().await.is_ok() {
//!         // What the peer still sends is not answered any more, but it has to be read.
//!         while let Ok(Some(_)) = receiver.recv().await {}
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::new(Identity::from_seed(&[1; 32]), "guide");
//! let client = Config::new(Identity::from_seed(&[2; 32]), "guide");
//! let key = config.public_key();
//! let server = ServerBuilder::new(config, Admission::any()).bind("127.0.0.1:0").start(answer)?;
//!
//! let (handle, address) = (server.handle(), server.local_address());
//! let peer = std::thread::spawn(move || {
//!     let runtime = Runtime::builder().build().expect("a runtime");
//!     runtime.block_on(async {
//!         let connection = dial(address, key, &client).await.expect("it listens");
//!         let (mut sender, mut receiver) = connection.split();
//!         sender.send(b"before the end").await.expect("send");
//!         let answer = receiver.recv().await.expect("recv").expect("an answer");
//!         assert_eq!(&*answer, b"14");
//!         drop(answer);
//!         // As a thread that has caught SIGTERM would.
//!         handle.begin_drain(Duration::from_secs(10));
//!         assert!(receiver.recv().await.expect("recv").is_none(), "the server ends first");
//!         sender.close().await.expect("close");
//!     });
//! });
//! let drained = server.join()?;
//! assert_eq!(drained.cut, 0);
//! peer.join().expect("no panic");
//! # Ok(())
//! # }
//! ```
//!
//! # By hand
//!
//! What was sent on a connection that is dropped still goes out, but nobody is told whether it did,
//! and a dropped [`Runtime`](crate::Runtime) ends all of its connections at once. A program with a
//! [`Listener`](crate::Listener) of its own ends well when it does this:
//!
//! 1. It stops accepting. Dropping the [`Listener`](crate::Listener) closes the port and gives up
//!    handshakes that are not complete.
//! 2. It tells its sessions. Each may first ask its peer to begin nothing new and to end, by
//!    [`Sender::announce_leaving`](crate::Sender::announce_leaving) on the native wire, which the peer
//!    hears of in [`Receiver::recv_event`](crate::Receiver::recv_event). It finishes what it has begun
//!    and calls
//!    [`Sender::close`](crate::Sender::close), which returns when everything that was sent, and
//!    behind it the end of the stream, is with the kernel. Then it receives until the peer has
//!    ended too: a socket that is closed with unread data in it is reset, and the reset may
//!    overtake what was sent.
//! 3. It waits for the sessions, and after some time cuts off those that are left: a peer that does
//!    not read would hold it up. A [`TaskGroup`](crate::TaskGroup) does both.
//! 4. It leaves [`Runtime::block_on`](crate::Runtime::block_on) and drops the runtime, which ends
//!    what is left and waits, 5 seconds at most, until the kernel holds none of its memory.
//!
//! ```
//! use std::time::Duration;
//!
//! use ringseal::{Admission, Config, Connection, Identity, Listener, Runtime, TaskGroup, dial};
//! use tokio::sync::watch;
//!
//! /// Answers each message with its length, until the peer or the server ends.
//! async fn session(connection: Connection, mut stopping: watch::Receiver<bool>) {
//!     let (mut sender, mut receiver) = connection.split();
//!     loop {
//!         let received = tokio::select! {
//!             received = receiver.recv() => received,
//!             _ = stopping.wait_for(|stop| *stop) => break,
//!         };
//!         let Ok(Some(message)) = received else { break };
//!         let length = message.len().to_string();
//!         // A message holds its slot: give it back before waiting for anything.
//!         drop(message);
//!         if sender.send(length.as_bytes()).await.is_err() {
//!             break;
//!         }
//!     }
//!     if sender.close().await.is_ok() {
//!         // What the peer still sends is not answered any more, but it has to be read.
//!         while let Ok(Some(_)) = receiver.recv().await {}
//!     }
//! }
//!
//! async fn serve(mut listener: Listener, mut stopping: watch::Receiver<bool>) {
//!     let sessions = TaskGroup::new();
//!     loop {
//!         let accepted = tokio::select! {
//!             accepted = listener.accept() => accepted,
//!             _ = stopping.wait_for(|stop| *stop) => break,
//!         };
//!         // An error is one client's; the next may be better.
//!         let Ok(connection) = accepted else { continue };
//!         let session = session(connection, stopping.clone());
//!         sessions.spawn(session).expect("it is not drained yet");
//!     }
//!     drop(listener);
//!     let cut = sessions.drain_within(Duration::from_secs(10)).await;
//!     if cut > 0 {
//!         eprintln!("{cut} peers did not end in time; their connections are cut");
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Config::new(Identity::from_seed(&[1; 32]), "guide");
//! let client = Config::new(Identity::from_seed(&[2; 32]), "guide");
//! let runtime = Runtime::builder().build()?;
//! runtime.block_on(async {
//!     let listener = Listener::bind("127.0.0.1:0", &server, Admission::any()).await?;
//!     let address = listener.local_address();
//!     let (stop, stopping) = watch::channel(false);
//!     let serving = ringseal::spawn(serve(listener, stopping));
//!
//!     let (mut sender, mut receiver) = dial(address, server.public_key(), &client).await?.split();
//!     sender.send(b"before the end").await?;
//!     assert_eq!(&*receiver.recv().await?.expect("an answer"), b"14");
//!     // As a thread that has caught SIGTERM would.
//!     stop.send_replace(true);
//!     assert!(receiver.recv().await?.is_none(), "the server ends first");
//!     sender.close().await?;
//!     serving.await;
//!     Ok(())
//! })
//! # }
//! ```
//!
//! With [`RingThreads`](crate::RingThreads) it is the same from any thread: drop the
//! [`RemoteListener`](crate::RemoteListener), close each
//! [`RemoteSender`](crate::RemoteSender::close), and then await
//! [`RingThreads::shutdown`](crate::RingThreads::shutdown), which sends nothing that is still
//! queued.
