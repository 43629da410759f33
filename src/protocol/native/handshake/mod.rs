//! The handshake of the native wire (NATIVE sections 1 and 2).
//!
//! ```text
//! Dialer                                        Listener
//!   hello  | suite, X, encapsulation key, mac ---->
//!          <---- Y, ciphertext, sealed: settings, signature, finished | answer
//!   proof  | sealed: identity, settings, signature, finished ---->   admit this key?
//!          <---- Accept or Refuse, the first record
//! ```
//!
//! [`Dialer`] and [`Listener`] take slices of what arrived and say how much of it they consumed:
//! never a byte past their last message, for the next one belongs to the records. Any way of
//! cutting the input into pieces gives the same result. Call in this order: `wanted` (how much
//! may be read at most), `receive`, send what was appended to `output`, and so on until a
//! [`Session`] comes out. The end of the stream is the caller's to notice; so is every deadline,
//! and so is a bound on the handshakes under way: a listener spends one HMAC on who does not know
//! its key and the namespace, and an exchange and a signature on who does or repeats a hello.
//!
//! What it gives: each end knows that the other holds its identity key and the same namespace,
//! suite and settings; both share secrets that are fresh, and safe while either X25519 or
//! ML-KEM-768 is; the dialer's identity is shown to the listener alone; and only proved keys are
//! asked about.

mod dialer;
mod error;
#[cfg(feature = "internals")]
pub(crate) mod forge;
mod kem;
mod listener;
mod message;
mod schedule;
mod session;

#[cfg(test)]
mod tests;

pub use dialer::Dialer;
pub use error::HandshakeError;
pub use listener::{Listener, ListenerEvent, ListenerSetup};
pub use session::Session;

use super::record::SealOptions;
use super::{Libraries, Settings};
use alloc::sync::Arc;
use error::Refusal;

/// What every hello begins with, before the suite. The other wire's first byte is `20`, so one
/// port can serve both.
pub const MAGIC: [u8; 4] = *b"RSL1";

/// Length of a hello, in bytes.
pub const HELLO_LEN: usize = MAC_START + MAC_LEN;
/// Length of an answer, in bytes.
pub const ANSWER_LEN: usize = 32 + kem::CIPHERTEXT_LEN + schedule::LISTENER_PART_LEN;
/// Length of a proof, in bytes.
pub const PROOF_LEN: usize = schedule::DIALER_PART_LEN;

/// Whether a hello can begin with this byte. Those of the other wire can't.
#[must_use]
pub const fn can_begin_with(first: u8) -> bool {
    first == MAGIC[0]
}

const MAC_START: usize = MAGIC.len() + 1 + 32 + kem::KEY_LEN;
const MAC_LEN: usize = 16;

const _: () = assert!(HELLO_LEN == 1_237 && ANSWER_LEN == 1_252 && PROOF_LEN == 164);

/// What both roles are configured with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parameters {
    /// Name of the application protocol and its version; both ends must use the same bytes.
    pub namespace: Arc<[u8]>,
    /// What this end tells the other about itself.
    pub settings: Settings,
    /// How this end makes records of its messages.
    pub seal_options: SealOptions,
    /// Whether a peer with this end's own identity is accepted.
    pub allow_self: bool,
    /// Which library computes what.
    pub libraries: Libraries,
}

impl Parameters {
    /// The default options, the fastest libraries, and no connection to oneself.
    #[must_use]
    pub fn new(namespace: &[u8], settings: Settings) -> Self {
        Self {
            namespace: namespace.into(),
            settings,
            seal_options: SealOptions::default(),
            allow_self: false,
            libraries: Libraries::default(),
        }
    }
}
