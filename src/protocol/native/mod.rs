//! The native wire: what two ends of this crate speak to each other (`tests/vectors/NATIVE.md`).
//!
//! Beside the commonware wire it gives: small messages packed into one record, so that the AEAD
//! is paid by the byte and not by the message; AES-256-GCM or ChaCha20-Poly1305, chosen at run
//! time; recorded traffic that stays secret while either X25519 or ML-KEM-768 holds; dialers
//! whose identity is shown to the listener alone; an end that is authenticated, keys that go
//! forward, and no clock. Both ends must be configured for it; nothing is negotiated but the
//! suite, which the dialer names.
//!
//! Rooms, each of which knows only those named after it:
//!
//! * [`handshake`]: [`Dialer`](handshake::Dialer) and [`Listener`](handshake::Listener), which end
//!   in a [`Session`](handshake::Session);
//! * [`record`]: [`Sealer`](record::Sealer) and [`Opener`](record::Opener), many messages per
//!   record or many records per message;
//! * private: the AEAD keys and the key derivation.
//!
//! Which library computes what, and who keeps it, stands at [`Library`].
//!
//! Secrets lie behind boxes that are wiped on drop, the stack below each step of a handshake is
//! overwritten once it is done, and nothing that holds a secret is `Clone` or shown. What the
//! libraries keep in registers is beyond reach.

mod aead;
mod derive;
mod exporter;
pub mod handshake;
mod library;
pub mod record;
mod settings;
mod suite;

pub use exporter::{ExportError, Exporter};
pub use library::{KemLibrary, Libraries, Library};
pub use settings::{Settings, SettingsError};
pub use suite::{Suite, Suites, UnknownSuite};
