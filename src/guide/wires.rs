//! Which of the two wires to take, and what each gives.
//!
//! | | [`Wire::Native`], the default | [`Wire::COMMONWARE`] |
//! |---|---|---|
//! | the other end may be | this crate | this crate, or `commonware-stream` 2026.10.0 |
//! | small messages | share a record and its tag | one or two tags each |
//! | cipher | AES-256-GCM or ChaCha20-Poly1305 | ChaCha20-Poly1305 |
//! | recorded traffic stays secret while | X25519 or ML-KEM-768 holds | X25519 holds |
//! | a dialer's identity is shown to | the listener that it dials | everybody on the way |
//! | the end of a stream | is authenticated: a cut is an error | is not: mark your own |
//! | a refusal | is told, with its reason | looks like a lost connection |
//! | keys | are updated, by themselves once a gigabyte | never change |
//! | a silent connection | is kept alive for a peer with an idle timeout, or as you ask ([`Config::keep_alive`]) | is closed by such a peer |
//! | lengths of messages | can be hidden ([`Config::padding`]) | V1 encrypts them, V0 shows them |
//! | a message of any length | can be [streamed](#messages-of-any-length) | no |
//! | a server that wants to end | can [say so](crate::Sender::announce_leaving) | no |
//! | clocks | do not matter | have to agree within seconds |
//!
//! Keep to the native wire where both ends are this crate. It is specified, with vectors, in
//! `tests/vectors/NATIVE.md`; [`protocol::native`](crate::protocol::native) says what computes it
//! and who keeps that. A listener may take both wires on one port, as when peers are moved from one
//! to the other; a dialer speaks one, and no failure makes it try the other.
//!
//! A small message is copied once, into the record that it shares, unless [`Sender::reserve`] has it
//! written there. Messages of more than 4096 bytes are sealed straight from where they are, unless they
//! are padded or ring seals them: then they are copied once as well.
//!
//! # Messages of any length
//!
//! [`Sender::send_stream`] sends a message while it is written, in parts, and [`Receiver::recv_stream`]
//! takes one as its parts come: a file, say, in the memory of a few slots at each end. Each direction
//! has one message on its way at a time. The receiver limits how long such a message may get, with
//! [`Config::max_streamed_size`]. From other threads, [`RemoteSender::send_stream`] and
//! [`RemoteReceiver::recv_stream`] do the same through queues.
//!
//! # What the native wire does not give
//!
//! * It hides neither that two hosts talk, nor when, nor how much, nor which records are Control and which
//!   hold one message; padding hides the last.
//! * No resumption and no early data: each connection pays a handshake.
//! * Whoever knows the listener's public key and the namespace learns that it listens there, and can
//!   have it compute an answer; nobody else gets a byte, but for who has recorded a hello.
//! * A recorded hello can be played again: it gets an answer that is of no use without the dialer's
//!   keys. And it confirms a guess of the listener's public key and namespace.
//! * A listener's identity that leaks lets others pose as the listener from then on. What was recorded
//!   before stays closed.
//! * Identities are ed25519: a quantum computer that exists while peers shake hands can pose as one.
//!   ML-KEM-768 is there for what is recorded now and opened later.
//! * Key updates go forward only: who has the keys of a connection has those that follow.
//!
//! # A listener that takes both
//!
//! ```
//! use ringseal::protocol::layout::End;
//! use ringseal::{Admission, Config, Identity, Listener, Runtime, Wire, dial};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let alice = Config::new(Identity::from_seed(&[1; 32]), "guide");
//! let bob = Config::new(Identity::from_seed(&[2; 32]), "guide")
//!     .wires([Wire::native(), Wire::COMMONWARE]);
//! Runtime::builder().build()?.block_on(async {
//!     let only_alice = Admission::allow_list([alice.public_key()]);
//!     let mut listener = Listener::bind("127.0.0.1:0", &bob, only_alice).await?;
//!     let address = listener.local_address();
//!     let serving = ringseal::spawn(async move {
//!         let connection = listener.accept().await.expect("alice is let in");
//!         assert!(connection.wire().is_native());
//!         let (_sender, mut receiver) = connection.split();
//!         while let Some(message) = receiver.recv().await.expect("no cut") {
//!             assert_eq!(&*message, b"hello");
//!         }
//!         receiver.end()
//!     });
//!     let mut connection = dial(address, bob.public_key(), &alice).await?;
//!     connection.send(b"hello").await?;
//!     connection.close().await?;
//!     assert_eq!(serving.await, Some(End::Authenticated));
//!     Ok(())
//! })
//! # }
//! ```
//!
//! [`Config::keep_alive`]: crate::Config::keep_alive
//! [`Config::max_streamed_size`]: crate::Config::max_streamed_size
//! [`Config::padding`]: crate::Config::padding
//! [`Receiver::recv_stream`]: crate::Receiver::recv_stream
//! [`RemoteReceiver::recv_stream`]: crate::RemoteReceiver::recv_stream
//! [`RemoteSender::send_stream`]: crate::RemoteSender::send_stream
//! [`Sender::reserve`]: crate::Sender::reserve
//! [`Sender::send_stream`]: crate::Sender::send_stream
//! [`Wire::COMMONWARE`]: crate::Wire::COMMONWARE
//! [`Wire::Native`]: crate::Wire::Native
