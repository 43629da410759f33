//! The protocol core: handshake and records as state machines over slices.
//!
//! Nothing here opens a socket, reads a clock, waits, or draws randomness of
//! its own. Bytes come in as slices and go out as slices; the time and the
//! random source are arguments. There are two wires: our own, in [`native`], and
//! that of `commonware-stream` 2026.10.0 with Ed25519 identities and
//! ChaCha20-Poly1305, whose handshake is called SAKE ([`handshake`]) and whose record layer
//! CUPS ([`record`]), each in two versions that both ends must be configured with, because
//! nothing is negotiated.
//!
//! Rooms:
//!
//! * [`Wire`]: which handshake and records (knows their versions and suites);
//! * [`native`]: handshake and records of the native wire (knows `layout`, `cipher`,
//!   `identity`, and the private ones);
//! * [`handshake`]: [`Dialer`](handshake::Dialer) and
//!   [`Listener`](handshake::Listener), which end in a
//!   [`Session`](handshake::Session) (knows all below);
//! * [`record`]: [`Sealer`](record::Sealer) and [`Opener`](record::Opener),
//!   one record per message (knows `layout`, `cipher` and the varint);
//! * [`layout`]: what every wire's records keep to (knows nothing);
//! * [`cipher`]: the AEAD, our own or a library's (knows nothing);
//! * [`identity`]: long-term keys and how they are written (knows nothing);
//! * private: keys drawn for one handshake, secrets in memory, the varint.
//!
//! Every error that a peer can cause is final for the machine that met it.

pub mod cipher;
pub mod identity;
pub mod layout;
pub mod native;

mod commonware;
mod ephemeral;
mod reasons;
mod record_counts;
mod role;
mod secret;
mod varint;
mod wire;

pub use commonware::{handshake, record};
pub use reasons::{AbortReason, RefuseReason};
pub(crate) use record_counts::RecordCounts;
pub use role::Role;

#[cfg(feature = "internals")]
pub(crate) use varint::{MAX_U64_LEN, decode_u32, encode_u64};
pub use wire::{Wire, WireError};

#[cfg(test)]
pub(crate) mod one_tag;
#[cfg(test)]
mod testing;
