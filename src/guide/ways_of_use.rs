//! Bound to a thread or from any thread, over sockets or streams of your own, in tests; with a
//! ring or without.
//!
//! # Bound to a thread
//!
//! [`Runtime`](crate::Runtime), [`dial`](crate::dial), [`Listener`](crate::Listener),
//! [`Sender`](crate::Sender) and [`Receiver`](crate::Receiver) belong to one thread and copy
//! nothing, but for small messages on the native wire, once each, into the record that they share.
//! [`Sender::send`](crate::Sender::send) returns when the message is sealed: it leaves
//! when its buffer is full or the thread has nothing else to run, so a stream of small messages
//! leaves in few writes by itself, and a single one is not delayed.
//! [`Sender::reserve`](crate::Sender::reserve) lets you write the plaintext into the slot yourself.
//! A [`Message`](crate::Message) derefs to its bytes, holds its slot while it lives, and copies
//! itself out with [`to_bytes`](crate::Message::to_bytes). The timers are
//! [`sleep`](crate::sleep) and [`timeout`](crate::timeout). tokio's channels work as they are. On
//! [`Backend::Uring`](crate::Backend::Uring) its sockets and timers work only inside a
//! `tokio::runtime::Handle` whose reactor runs elsewhere.
//!
//! [`Sender::into_sink`](crate::Sender::into_sink) and
//! [`Receiver::into_stream`](crate::Receiver::into_stream) are adapters for the futures crates:
//!
//! ```
//! use futures_util::{SinkExt, StreamExt};
//! use ringseal::{Admission, Config, Identity, Listener, Runtime, dial};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = Config::new(Identity::from_seed(&[1; 32]), "guide");
//! # let client = Config::new(Identity::from_seed(&[2; 32]), "guide");
//! # Runtime::builder().build()?.block_on(async {
//! # let mut listener = Listener::bind("127.0.0.1:0", &server, Admission::any()).await?;
//! # let address = listener.local_address();
//! # let accepting = ringseal::spawn(async move { listener.accept().await });
//! let (sender, _receiver) = dial(address, server.public_key(), &client).await?.split();
//! let mut sink = sender.into_sink();
//! sink.send("hello").await?;
//! sink.close().await?;
//! # let (_sender, receiver) = accepting.await?.split();
//! let lengths = receiver.into_stream().map(|message| message.map(|message| message.len()));
//! assert_eq!(lengths.map(Result::unwrap).collect::<Vec<_>>().await, [5]);
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # From any thread
//!
//! [`RingThreads`](crate::RingThreads) is for programs on an executor of their own: connections
//! live on threads of ringseal's, the handles are `Send`, and messages cross as `Bytes`: what is
//! received is copied once, what is sent is not.
//! [`RemoteSender`](crate::RemoteSender) and [`RemoteReceiver`](crate::RemoteReceiver) are a `Sink`
//! and a `Stream` as they are. `benches/README.md` says what this costs beside the first way. [`many_cores`](super::many_cores) has an example.
//!
//! # Addresses
//!
//! An [`Address`](crate::Address) is `host:port`, `unix:/path`, or `unix:@name` in Linux' abstract
//! namespace. [`BindOptions`](crate::BindOptions) sets what a listener binds with: how many clients
//! may queue, whether the port is shared, the permission bits of a Unix-domain socket's file, and
//! whether a dead socket at the path may be removed;
//! [`Connection::peer_credentials`](crate::Connection::peer_credentials) tells process, user and
//! group at the other end.
//!
//! # Streams of your own
//!
//! [`dial_over`](crate::dial_over) and [`accept_over`](crate::accept_over) do the same over any
//! `tokio::io::AsyncRead + AsyncWrite`: a TLS stream, a child's pipes, a pipe in memory.
//!
//! # Tunnels
//!
//! A [`PlainSocket`](crate::PlainSocket) is a TCP or Unix-domain socket on the same ring whose bytes
//! nobody seals. Its reads fill [reservations](crate::Sender::reserve), its writes take received
//! [messages](crate::Message) from where they lie, so that nothing is copied between the two sides;
//! its documentation has both loops of a tunnel.
//!
//! # Tests
//!
//! The feature `testing` has `testing::duplex` in memory, with latency,
//! chunks, stalls and cuts under control, and time that can be paused:
//!
//! ```
//! use std::time::Duration;
//!
//! use ringseal::testing::{Conditions, duplex};
//! use ringseal::{Admission, Backend, Config, Identity, Runtime, accept_over, dial_over};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Config::new(Identity::from_seed(&[1; 32]), "guide");
//! let client = Config::new(Identity::from_seed(&[2; 32]), "guide");
//! let runtime = Runtime::builder().backend(Backend::Epoll).paused_time().build()?;
//! runtime.block_on(async {
//!     let slow = Conditions::default().latency(Duration::from_secs(1)).chunk(7);
//!     let (near, far) = duplex(slow, slow);
//!     let anybody = Admission::any();
//!     let (dialed, accepted) = futures_util::join!(
//!         dial_over(near, server.public_key(), &client),
//!         accept_over(far, &server, &anybody),
//!     );
//!     let (mut dialed, mut accepted) = (dialed?, accepted?);
//!     dialed.send(b"hello").await?;
//!     assert_eq!(&*accepted.recv().await?.expect("a message"), b"hello");
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # With a ring or without
//!
//! [`Backend::Auto`](crate::Backend::Auto), the default, takes io_uring where the host gives it and
//! epoll elsewhere, with one warning that says why;
//! [`Runtime::fallback_reason`](crate::Runtime::fallback_reason) says it too. Everything above is
//! the same on each: [`Backend::Uring`](crate::Backend::Uring), a loop of our own on the io-uring
//! crate, [`Backend::TokioUring`](crate::Backend::TokioUring), and
//! [`Backend::Epoll`](crate::Backend::Epoll), without a ring, with the same slots unregistered. A
//! backend that is asked for by name fails with the reason instead.
//! A thread of [`Backend::Uring`](crate::Backend::Uring) looks for work for some microseconds before it
//! sleeps, while that finds any; [`busy_poll`](crate::RuntimeBuilder::busy_poll) has it look before
//! every sleep, for as long as you say, for a core that rests less.
