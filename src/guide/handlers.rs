//! The handlers of a server, by three examples.
//!
//! [`ServerBuilder::start`](crate::ServerBuilder::start) takes a handler: an async function that has a
//! [`Connection`](crate::Connection) and the [`Session`](crate::Session) of its server, and runs on the
//! thread of the connection. It ends when its peer has ended, or soon when the server drains: what it
//! owes is sent, then its end, and then it reads to the peer's end, so that nothing is reset on the way
//! (see [`shutdown`](super::shutdown)). Who is slow stops nobody else, but a handler that holds many
//! [`Message`](crate::Message)s costs others speed.
//!
//! A sender that is dropped tells the peer an end in order. A handler that fails before it has sent all
//! calls [`Sender::abort`](crate::Sender::abort), or its peer takes what has come for all there is.
//!
//! These are the modes `echo`, `sink` and `print` of `ringseal listen`, whose own handlers also count what
//! is lost when time is over.
//!
//! ```
//! use std::cell::Cell;
//! use std::error::Error;
//! use std::pin::pin;
//! use std::time::Duration;
//!
//! use ringseal::{
//!     Admission, Config, Connection, Identity, PublicKey, Runtime, ServerBuilder, Session, dial,
//! };
//! use tokio::sync::mpsc;
//! use tracing::Instrument;
//!
//! type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;
//!
//! /// Sends each message back.
//! async fn echo(connection: Connection, session: Session) -> Result {
//!     let (mut sender, mut receiver) = connection.split();
//!     loop {
//!         let message = tokio::select! {
//!             biased; // Messages first: what has come before the drain is sent back.
//!             message = receiver.recv() => message?,
//!             // A peer may wait for its last echo before it ends: say the end first, once it is quiet.
//!             () = session.draining_for(Duration::from_millis(500)) => match receiver.is_mid_message() {
//!                 true => continue,
//!                 false => break,
//!             },
//!         };
//!         let Some(message) = message else { break };
//!         // From where it lies, or a copy where it would keep a slot while it waits.
//!         sender.forward(message).await?;
//!     }
//!     sender.close().await?;
//!     while receiver.recv().await?.is_some() {}
//!     Ok(())
//! }
//!
//! /// Takes messages and counts them.
//! async fn sink(connection: Connection, session: Session) -> Result<u64> {
//!     let (sender, mut receiver) = connection.split();
//!     let count = Cell::new(0);
//!     let counting = async {
//!         while receiver.recv().await?.is_some() {
//!             count.set(count.get() + 1);
//!         }
//!         Ok::<_, Box<dyn Error>>(())
//!     };
//!     let mut counting = pin!(counting);
//!     tokio::select! {
//!         biased;
//!         counted = &mut counting => {
//!             counted?;
//!             sender.close().await?;
//!         }
//!         () = session.draining() => {
//!             // The end tells the peer to end too; what it still sends counts.
//!             let (closed, counted) = tokio::join!(sender.close(), counting);
//!             closed?;
//!             counted?;
//!         }
//!     }
//!     Ok(count.get())
//! }
//!
//! /// Gives messages to whoever prints them, on a thread of its own, and sends what is typed.
//! async fn print(
//!     connection: Connection,
//!     session: Session,
//!     lines: mpsc::Sender<(PublicKey, Vec<u8>)>,
//!     mut typed: mpsc::Receiver<Vec<u8>>,
//! ) -> Result {
//!     let peer = connection.peer();
//!     let (mut sender, mut receiver) = connection.split();
//!     let receiving = async {
//!         while let Some(message) = receiver.recv().await? {
//!             let line = message.to_vec();
//!             // No slot is held while the printer is waited for.
//!             drop(message);
//!             lines.send((peer, line)).await?;
//!         }
//!         Ok::<_, Box<dyn Error>>(())
//!     };
//!     let sending = async {
//!         let mut draining = pin!(session.draining());
//!         while let Some(line) = tokio::select! {
//!             line = typed.recv() => line,
//!             () = &mut draining => None,
//!         } {
//!             sender.send(&line).await?;
//!         }
//!         Ok::<_, Box<dyn Error>>(sender.close().await?)
//!     };
//!     tokio::try_join!(receiving, sending)?;
//!     Ok(())
//! }
//!
//! # fn main() -> Result {
//! let client = Config::new(Identity::from_seed(&[2; 32]), "guide");
//! let listening = |seed| {
//!     let config = Config::new(Identity::from_seed(&[seed; 32]), "guide");
//!     let key = config.public_key();
//!     (ServerBuilder::new(config, Admission::any()).bind("127.0.0.1:0").threads(1), key)
//! };
//!
//! let (builder, echo_key) = listening(1);
//! let echoing = builder.start(|connection, session| {
//!     // What is logged in there names the connection.
//!     let span = connection.span().clone();
//!     let handling = async move {
//!         if let Err(error) = echo(connection, session).await {
//!             tracing::warn!(%error, "a connection has failed");
//!         }
//!     };
//!     handling.instrument(span)
//! })?;
//!
//! let (counted, counts) = std::sync::mpsc::channel();
//! let (builder, sink_key) = listening(3);
//! let sinking = builder.start(move |connection, session| {
//!     let counted = counted.clone();
//!     async move {
//!         let _ = counted.send(sink(connection, session).await.ok());
//!     }
//! })?;
//!
//! let (lines, mut printed) = mpsc::channel(16);
//! let (builder, print_key) = listening(4);
//! let printing = builder.start(move |connection, session| {
//!     let lines = lines.clone();
//!     let (keyboard, typed) = mpsc::channel(16);
//!     keyboard.try_send(b"welcome".to_vec()).expect("there is room");
//!     drop(keyboard);
//!     async move {
//!         let _ = print(connection, session, lines, typed).await;
//!     }
//! })?;
//!
//! Runtime::builder().build()?.block_on(async {
//!     let mut connection = dial(echoing.local_address(), echo_key, &client).await?;
//!     connection.send(b"hello").await?;
//!     assert_eq!(&*connection.recv().await?.expect("an echo"), b"hello");
//!     connection.close().await?;
//!
//!     let mut connection = dial(sinking.local_address(), sink_key, &client).await?;
//!     connection.send(b"one").await?;
//!     connection.send(b"two").await?;
//!     connection.close().await?;
//!
//!     let mut connection = dial(printing.local_address(), print_key, &client).await?;
//!     connection.send(b"a line").await?;
//!     assert_eq!(&*connection.recv().await?.expect("a line"), b"welcome");
//!     connection.close().await?;
//!     Ok::<_, Box<dyn Error>>(())
//! })?;
//! assert_eq!(counts.recv()?, Some(2));
//! let (peer, line) = printed.blocking_recv().expect("a line");
//! assert_eq!((peer, &*line), (client.public_key(), &b"a line"[..]));
//! for server in [echoing, sinking, printing] {
//!     server.handle().begin_drain(Duration::from_secs(10));
//!     assert_eq!(server.join()?.cut, 0);
//! }
//! # Ok(())
//! # }
//! ```
