//! What a handshake leaves behind: the secret that keys the records (SPEC
//! section 5).

use super::Role;
use super::schedule::Outcome;
use crate::protocol::cipher::{Aead, DefaultAead};
use crate::protocol::commonware::modes;
use crate::protocol::record::{CupsVersion, LimitError, Opener, Sealer};
use crate::protocol::secret::on_wiped_stack;
use core::fmt;

/// A finished handshake, to be turned into records.
///
/// It holds the secret result and nothing else of the handshake, is not
/// `Clone`, and is wiped on drop.
pub struct Session {
    outcome: Outcome,
    role: Role,
}

impl Session {
    pub(super) const fn new(outcome: Outcome, role: Role) -> Self {
        Self { outcome, role }
    }

    /// Which end this is.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Both directions of the connection, with the default cipher.
    ///
    /// `max_message_size` counts plaintext bytes of one message, in both
    /// directions; it is not told to the peer.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if `max_message_size` is above
    /// [`MAX_MESSAGE_SIZE`](crate::protocol::record::MAX_MESSAGE_SIZE).
    pub fn records(
        self,
        version: CupsVersion,
        max_message_size: u32,
    ) -> Result<(Sealer, Opener), LimitError> {
        self.records_with::<DefaultAead>(version, max_message_size)
    }

    /// As [`records`](Self::records), with a cipher of choice.
    ///
    /// # Errors
    ///
    /// As [`records`](Self::records).
    pub fn records_with<A: Aead>(
        self,
        version: CupsVersion,
        max_message_size: u32,
    ) -> Result<(Sealer<A>, Opener<A>), LimitError> {
        LimitError::check(max_message_size)?;
        let (seals, opens) = on_wiped_stack(|| self.ciphers::<A>(version));
        Ok((
            Sealer::new(seals, version, max_message_size),
            Opener::new(opens, version, max_message_size),
        ))
    }

    /// The cipher that seals and the one that opens.
    fn ciphers<A: Aead>(self, version: CupsVersion) -> (A, A) {
        let result = self.outcome.0;
        let keyed = match version {
            CupsVersion::V0 => result,
            CupsVersion::V1 => {
                let mut transcript = result.fork(b"_COMMONWARE_STREAM_CUPS");
                if let Some(packet) = modes::packet(&[1]) {
                    transcript.commit(&packet);
                }
                transcript.summary()
            }
        };
        let by_listener = keyed.key(b"cipher_l2d");
        let by_dialer = keyed.key(b"cipher_d2l");
        let (seals, opens) = match self.role {
            Role::Dialer => (by_dialer, by_listener),
            Role::Listener => (by_listener, by_dialer),
        };
        (A::new(&seals), A::new(&opens))
    }

    #[cfg(test)]
    pub(in crate::protocol) fn summary(&self) -> [u8; 32] {
        *self.outcome.0.as_bytes()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
