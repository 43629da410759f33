//! What tests of programs that use ringseal need: a byte stream in memory whose faults are under
//! control,
//! and time that stands still.
//!
//! [`duplex`] gives two ends for [`dial_over`](crate::dial_over) and
//! [`accept_over`](crate::accept_over). With [`RuntimeBuilder::paused_time`](crate::RuntimeBuilder::paused_time)
//! the clock only moves when every task waits, and then at once to the next thing that is due: a
//! test of an hour takes no time, and the same on every machine. The peers' calendar clock, which
//! the handshake compares, goes on as usual.
//!
//! # Example
//!
//! A peer falls silent, and the idle limit of a minute ends the connection:
//!
//! ```
//! use core::time::Duration;
//! use ringseal::testing::{Conditions, Cut, duplex};
//! use ringseal::{Admission, Config, Identity, RecvError, Runtime, accept_over, dial_over};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let alice = Config::new(Identity::from_seed(&[1; 32]), "example")
//!     .idle_timeout(Duration::from_secs(60));
//! let bob = Config::new(Identity::from_seed(&[2; 32]), "example");
//! Runtime::builder().paused_time().build()?.block_on(async {
//!     let slow = Conditions::default().latency(Duration::from_millis(80));
//!     let (ours, theirs) = duplex(slow, slow);
//!     let silence = theirs.outgoing();
//!     let anybody = Admission::any();
//!     let (dialed, accepted) = futures_util::join!(
//!         dial_over(ours, bob.public_key(), &alice),
//!         accept_over(theirs, &bob, &anybody),
//!     );
//!     let (mut dialed, _accepted) = (dialed?, accepted?);
//!     silence.cut(Cut::Silence);
//!     let error = dialed.recv().await.expect_err("nothing comes");
//!     assert!(matches!(error, RecvError::TimedOut { .. }));
//!     Ok(())
//! })
//! # }
//! ```

mod conditions;
mod direction;
mod duplex;

pub use conditions::{Conditions, Cut};
pub use direction::DirectionControl;
pub use duplex::{WireEnd, duplex};
