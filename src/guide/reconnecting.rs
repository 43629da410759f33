//! Dial again what was lost, and know what to say again.
//!
//! A [`Redialer`](crate::Redialer) gives connections to one listener, one after the other. It dials as
//! often as it takes, with pauses that grow and are left to chance, resolves the name each time, and
//! tells a callback what it is at. [`RemoteRedialer`](crate::RemoteRedialer) does the same from any
//! thread and executor.
//!
//! | what | default | where |
//! |---|---|---|
//! | first pause, at most | 100 ms | [`Backoff::new`](crate::Backoff::new) |
//! | longest pause | 30 s | [`Backoff::new`](crate::Backoff::new) |
//! | one attempt | 5 s | [`Config::handshake_deadline`](crate::Config::handshake_deadline) |
//! | errors that end it | [`RetryOutlook::Hopeless`](crate::RetryOutlook::Hopeless) | [`Redialer::give_up_when`](crate::Redialer::give_up_when) |
//!
//! It ends by itself only for what this end knows, or what the listener has said under its key, such as
//! that this end's key is not admitted. An answer from somebody with another key is called
//! [`Doubtful`](crate::RetryOutlook::Doubtful) and not final: whoever gets between the two for a moment
//! could end it for good otherwise.
//!
//! # What arrived?
//!
//! Nothing is sent twice unless the caller does it. When a connection is lost,
//! [`Sender::progress`](crate::Sender::progress) still says how many messages were sent on it, and how
//! many of these a flush has confirmed. Confirmed means that this host's kernel had them, not that the
//! peer has: only an answer proves that. So there are two ways:
//!
//! * messages that do no harm when they arrive twice, because they carry a number: the peer drops what
//!   it has, as below; what was not answered is sent again;
//! * messages of which some may be lost: what was not flushed is sent again.
//!
//! ```
//! use std::time::Duration;
//!
//! use ringseal::{
//!     Admission, Backoff, Config, Connection, Identity, Listener, Redialer, Runtime,
//! };
//!
//! /// Takes numbered messages, says of each that it is there, and cuts the first connection.
//! async fn take_all(mut listener: Listener, count: u32) -> Vec<u32> {
//!     let mut taken = Vec::new();
//!     let mut connections = 0;
//!     while taken.len() < count as usize {
//!         let Ok(mut connection) = listener.accept().await else { continue };
//!         connections += 1;
//!         while let Ok(Some(message)) = connection.recv().await {
//!             let number = u32::from_be_bytes(message[..4].try_into().expect("a number"));
//!             if connections == 1 && number == 2 {
//!                 break; // as if the network were gone
//!             }
//!             // One that was here already came a second time.
//!             if !taken.contains(&number) {
//!                 taken.push(number);
//!             }
//!             if connection.send(&message[..4]).await.is_err() || taken.len() == count as usize {
//!                 break;
//!             }
//!         }
//!         let _ = connection.close().await;
//!     }
//!     taken
//! }
//!
//! /// Sends what was not answered yet; returns how much was, when that is all or the connection is lost.
//! async fn send_rest(connection: &mut Connection, answered: u32, count: u32) -> u32 {
//!     for number in answered..count {
//!         if connection.send(&number.to_be_bytes()).await.is_err() {
//!             break;
//!         }
//!     }
//!     let mut answered = answered;
//!     while answered < count && matches!(connection.recv().await, Ok(Some(_))) {
//!         answered += 1;
//!     }
//!     answered
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (ours, theirs) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
//! let (ours, theirs) = (Config::new(ours, "guide"), Config::new(theirs, "guide"));
//! Runtime::builder().build()?.block_on(async {
//!     let listener = Listener::bind("127.0.0.1:0", &theirs, Admission::any()).await?;
//!     let address = listener.local_address();
//!     let taking = ringseal::spawn(take_all(listener, 5));
//!     let backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
//!     let mut redialer = Redialer::new(address, theirs.public_key(), ours)
//!         .backoff(backoff)
//!         .watch(|state| eprintln!("{state:?}"));
//!     let mut answered = 0;
//!     while answered < 5 {
//!         let mut connection = redialer.connect().await?;
//!         answered = send_rest(&mut connection, answered, 5).await;
//!     }
//!     assert_eq!(taking.await, [0, 1, 2, 3, 4]);
//!     Ok(())
//! })
//! # }
//! ```
