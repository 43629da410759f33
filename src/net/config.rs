//! What both ends of a connection have to agree on, and the limits of this end.

use core::time::Duration;
use std::sync::Arc;

use super::time_limits::TimeLimits;
use crate::protocol::handshake::{Parameters, SakeVersion};
use crate::protocol::identity::{Identity, PublicKey, Verification};
use crate::protocol::record::{CupsVersion, MAX_MESSAGE_SIZE};

/// Identity, namespace, wire and limits. Clones share the identity; it can go to other threads.
///
/// Both peers must use the same namespace and wire versions. Nothing of that is negotiated: a
/// difference shows as a bad signature, or, for the record version, when the first record fails.
#[derive(Clone, Debug)]
pub struct Config {
    identity: Arc<Identity>,
    parameters: Parameters,
    cups: CupsVersion,
    max_message_size: u32,
    handshake_deadline: Duration,
    max_handshakes: usize,
    time_limits: TimeLimits,
}

impl Config {
    /// The longest message by default: 1 MiB.
    pub const DEFAULT_MAX_MESSAGE_SIZE: u32 = 1024 * 1024;
    /// How long an attempt may take by default: 5 seconds.
    pub const DEFAULT_HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
    /// How many handshakes a listener runs at a time by default.
    pub const DEFAULT_MAX_HANDSHAKES: usize = 256;
    /// How long what was begun may stand still by default: 60 seconds.
    pub const DEFAULT_PROGRESS_TIMEOUT: Duration = Duration::from_secs(60);

    /// Starts from the defaults: SAKE V1, CUPS V1, messages up to 1 MiB, 5 seconds for a
    /// handshake, clocks at most 5 seconds ahead, handshake messages at most 10 seconds old.
    pub fn new(identity: Identity, namespace: impl AsRef<[u8]>) -> Self {
        Self {
            identity: Arc::new(identity),
            parameters: Parameters::new(namespace.as_ref()),
            cups: CupsVersion::default(),
            max_message_size: Self::DEFAULT_MAX_MESSAGE_SIZE,
            handshake_deadline: Self::DEFAULT_HANDSHAKE_DEADLINE,
            max_handshakes: Self::DEFAULT_MAX_HANDSHAKES,
            time_limits: TimeLimits {
                idle: None,
                progress: Some(Self::DEFAULT_PROGRESS_TIMEOUT),
            },
        }
    }

    /// Sets the version of the key exchange.
    #[must_use]
    pub fn sake(mut self, version: SakeVersion) -> Self {
        self.parameters.version = version;
        self
    }

    /// Sets the version of the records.
    #[must_use]
    pub fn cups(mut self, version: CupsVersion) -> Self {
        self.cups = version;
        self
    }

    /// Sets the longest message in bytes, for both directions of this end. At most
    /// [`MAX_MESSAGE_SIZE`]. It is not told to the peer.
    ///
    /// # Panics
    ///
    /// If it exceeds what the wire can carry.
    #[must_use]
    pub fn max_message_size(mut self, bytes: u32) -> Self {
        assert!(
            bytes <= MAX_MESSAGE_SIZE,
            "the wire carries messages of at most {MAX_MESSAGE_SIZE} bytes"
        );
        self.max_message_size = bytes;
        self
    }

    /// Sets how long an attempt may take from connect or accept to the end of the handshake, the
    /// admission check included.
    #[must_use]
    pub fn handshake_deadline(mut self, deadline: Duration) -> Self {
        self.handshake_deadline = deadline;
        self
    }

    /// Sets how many handshakes a listener runs at a time. Further clients wait unaccepted.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    pub fn max_handshakes(mut self, count: usize) -> Self {
        assert!(count > 0, "a listener without handshakes accepts nobody");
        self.max_handshakes = count;
        self
    }

    /// Sets how long a connection may bring nothing while its receiver waits; `None`, the default,
    /// for ever. There is no keep-alive on this wire: where silence is normal, have the peer send
    /// something within this time.
    ///
    /// A limit is overrun by up to a quarter of the shortest limit on the thread, half a second at
    /// most, and never undercut.
    #[must_use]
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.time_limits.idle = limit.into();
        self
    }

    /// Sets how long what was begun may stand still, 60 seconds by default; `None` for ever. That
    /// is: a record of which a part has come brings no further byte, or the peer's host does not
    /// take the rest of a submission buffer (one slot at most). A peer that stops reading for
    /// longer than this is cut off.
    ///
    /// As precise as [`idle_timeout`](Self::idle_timeout).
    #[must_use]
    pub fn progress_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.time_limits.progress = limit.into();
        self
    }

    /// Sets how far ahead of ours the peer's clock may be, the delay of the network included.
    #[must_use]
    pub fn synchrony_bound(mut self, bound: Duration) -> Self {
        self.parameters.synchrony_bound = bound;
        self
    }

    /// Sets how old the peer's handshake message may be.
    #[must_use]
    pub fn max_handshake_age(mut self, age: Duration) -> Self {
        self.parameters.max_handshake_age = age;
        self
    }

    /// Sets which signatures are accepted.
    #[must_use]
    pub fn verification(mut self, rule: Verification) -> Self {
        self.parameters.verification = rule;
        self
    }

    /// Sets whether a peer with our own identity is accepted.
    #[must_use]
    pub fn allow_self(mut self, allow: bool) -> Self {
        self.parameters.allow_self = allow;
        self
    }

    /// Returns our own public key.
    pub fn public_key(&self) -> PublicKey {
        self.identity.public_key()
    }

    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(crate) fn records(&self) -> (CupsVersion, u32) {
        (self.cups, self.max_message_size)
    }

    pub(crate) fn time_limits(&self) -> TimeLimits {
        self.time_limits
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.handshake_deadline
    }

    pub(crate) fn handshakes(&self) -> usize {
        self.max_handshakes
    }
}
