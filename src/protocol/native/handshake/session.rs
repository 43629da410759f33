//! What a handshake leaves behind: both directions of the connection, and what the application
//! can bind to it (NATIVE section 3).

use super::Parameters;
use super::schedule::Exchange;
use crate::protocol::Role;
use crate::protocol::identity::PublicKey;
use crate::protocol::layout::Draft;
use crate::protocol::native::derive::{self, Hash};
use crate::protocol::native::record::{Answer, Direction, Opener, Sealer};
use crate::protocol::native::{Exporter, Settings, Suite};
use alloc::vec::Vec;
use core::fmt;

/// A finished handshake, to be turned into records.
///
/// It holds the keys of the records and nothing else of the handshake, is not `Clone`, and is
/// wiped on drop.
pub struct Session {
    role: Role,
    suite: Suite,
    peer: PublicKey,
    peer_settings: Settings,
    sealer: Sealer,
    opener: Opener,
    exporter: Exporter,
}

/// The longest answer of a listener as a record.
const ANSWER_ROOM: usize = 4 + 3 + 16;

impl Session {
    /// `transcript`: `h4`.
    pub(super) fn new(
        exchange: &Exchange,
        transcript: &Hash,
        parameters: &Parameters,
        role: Role,
        (peer, theirs): (PublicKey, Settings),
    ) -> Self {
        let (suite, library) = (exchange.suite(), exchange.library());
        let master = derive::secret(exchange.secret(), "master", transcript);
        let direction = |name| Direction::new(suite, library, derive::secret(&master, name, &[]));
        let by_dialer = direction("dialer to listener");
        let by_listener = direction("listener to dialer");
        let (seals, opens) = match role {
            Role::Dialer => (by_dialer, by_listener),
            Role::Listener => (by_listener, by_dialer),
        };
        Self {
            role,
            suite,
            peer,
            peer_settings: theirs,
            sealer: Sealer::new(seals, &theirs, &parameters.seal_options),
            opener: Opener::new(opens, &parameters.settings, role == Role::Dialer),
            exporter: Exporter::new(derive::secret(&master, "exporter", &[])),
        }
    }

    /// Which end this is.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// What the records are sealed with.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The other end, which has proved this key.
    #[must_use]
    pub const fn peer(&self) -> PublicKey {
        self.peer
    }

    /// What the other end told about itself.
    #[must_use]
    pub const fn peer_settings(&self) -> &Settings {
        &self.peer_settings
    }

    /// Both directions of the connection, and what the application can bind to it.
    #[must_use]
    pub fn split(self) -> (Sealer, Opener, Exporter) {
        (self.sealer, self.opener, self.exporter)
    }

    /// Appends the listener's first record to `output`.
    pub(super) fn answer(&mut self, answer: Answer, output: &mut Vec<u8>) {
        let mut room = [0; ANSWER_ROOM];
        let mut draft = Draft::new(&mut room[..]);
        self.sealer
            .answer(&mut draft, answer)
            .expect("the first record always seals");
        output.extend_from_slice(draft.sealed());
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("role", &self.role)
            .field("suite", &self.suite)
            .field("peer", &self.peer)
            .field("peer_settings", &self.peer_settings)
            .finish_non_exhaustive()
    }
}
