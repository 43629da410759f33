//! The wire of `commonware-stream` 2026.10.0, so that either end may be that crate
//! (`tests/vectors/SPEC.md`): a handshake called SAKE and a record layer called CUPS, each in two
//! versions that both ends must be configured with, because nothing is negotiated.
//!
//! Rooms, each of which knows only those named after it:
//!
//! * [`handshake`]: [`Dialer`](handshake::Dialer) and [`Listener`](handshake::Listener), which end
//!   in a [`Session`](handshake::Session);
//! * [`record`]: [`Sealer`](record::Sealer) and [`Opener`](record::Opener), one record per message;
//! * private: the hashed transcript, the mode packet.

pub mod handshake;
pub mod record;

mod modes;
mod transcript;
