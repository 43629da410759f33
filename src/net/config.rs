//! What both ends of a connection have to agree on, and the limits of this end.

use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::Arc;

use super::thread::time_limits::TimeLimits;
use crate::driver::KeepAlive;
use crate::protocol::Wire;
use crate::protocol::handshake::{Parameters, SakeVersion};
use crate::protocol::identity::{Identity, PublicKey, Verification};
use crate::protocol::native::handshake::ListenerSetup;
use crate::protocol::native::record::SealOptions;
use crate::protocol::native::{self, Libraries, Settings, Suites};
use crate::protocol::record::{CupsVersion, MAX_MESSAGE_SIZE};

/// How much longer a record of the native wire is than its body, in bytes.
const RECORD_OVERHEAD: usize = 20;

/// Identity, namespace, wire and limits. Clones share the identity; it can go to other threads.
///
/// Both peers must use the same namespace and wire. Nothing of that is negotiated. On the commonware
/// wire a difference shows as a bad signature, or, for the record version, when the first record
/// fails; on the native wire the listener closes, and its error says what to compare.
#[derive(Clone, Debug)]
pub struct Config {
    identity: Arc<Identity>,
    parameters: Parameters,
    /// The first one is what a dialer speaks.
    wires: Arc<[Wire]>,
    seal_options: SealOptions,
    libraries: Libraries,
    suites: Suites,
    awaits_accept: bool,
    max_message_size: u32,
    max_streamed_size: u64,
    handshake_deadline: Duration,
    first_message_timeout: Duration,
    max_handshakes: usize,
    time_limits: TimeLimits,
    keep_alive_within: Option<Duration>,
    host_timeout: Option<Duration>,
}

impl Config {
    /// The longest message by default: 1 MiB.
    pub const DEFAULT_MAX_MESSAGE_SIZE: u32 = 1024 * 1024;
    /// How long an attempt may take by default: 5 seconds.
    pub const DEFAULT_HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
    /// How long a listener waits for the first message of a client by default: 2 seconds, in which
    /// a lost packet is sent again.
    pub const DEFAULT_FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(2);
    /// How many handshakes a listener runs at a time by default.
    pub const DEFAULT_MAX_HANDSHAKES: usize = 256;
    /// How long what was begun may stand still by default: 60 seconds.
    pub const DEFAULT_PROGRESS_TIMEOUT: Duration = Duration::from_secs(60);
    /// How long the peer's host may be silent by default: 60 seconds.
    pub const DEFAULT_HOST_TIMEOUT: Duration = Duration::from_secs(60);

    /// Starts from the defaults: the native wire with the suite that this processor is fast at,
    /// messages up to 1 MiB, 5 seconds for a handshake; on the commonware wire clocks at most
    /// 5 seconds ahead, handshake messages at most 10 seconds old.
    pub fn new(identity: Identity, namespace: impl AsRef<[u8]>) -> Self {
        Self {
            identity: Arc::new(identity),
            parameters: Parameters::new(namespace.as_ref()),
            wires: Arc::from([Wire::default()]),
            seal_options: SealOptions::default(),
            libraries: Libraries::default(),
            suites: Suites::default(),
            awaits_accept: true,
            max_message_size: Self::DEFAULT_MAX_MESSAGE_SIZE,
            max_streamed_size: 0,
            handshake_deadline: Self::DEFAULT_HANDSHAKE_DEADLINE,
            first_message_timeout: Self::DEFAULT_FIRST_MESSAGE_TIMEOUT,
            max_handshakes: Self::DEFAULT_MAX_HANDSHAKES,
            time_limits: TimeLimits {
                idle: None,
                progress: Some(Self::DEFAULT_PROGRESS_TIMEOUT),
                lifetime: None,
            },
            keep_alive_within: None,
            host_timeout: Some(Self::DEFAULT_HOST_TIMEOUT),
        }
    }

    /// Sets the wire, [`Wire::native`] by default.
    #[must_use]
    pub fn wire(self, wire: Wire) -> Self {
        self.wires([wire])
    }

    /// Sets the wires that a listener takes on one port, told apart by the first byte that a client
    /// sends; at most one of each kind. A dialer speaks the first one.
    ///
    /// # Panics
    ///
    /// If there is none, or two of a kind: nothing tells those apart.
    #[must_use]
    pub fn wires(mut self, wires: impl IntoIterator<Item = Wire>) -> Self {
        self.wires = wires.into_iter().collect();
        let natives = self.wires.iter().filter(|wire| wire.is_native()).count();
        let others = self.wires.len() - natives;
        assert!(
            natives <= 1 && others <= 1 && natives + others > 0,
            "a listener takes one wire of a kind: one native, one commonware, or both"
        );
        self
    }

    /// Sets whether [`dial`](crate::dial) returns only when the listener has accepted, as it does by
    /// default. If not, it returns half a round trip earlier, what is sent may be for nobody, and a
    /// refusal is the error of the next receive, and then of the next send
    /// ([`SendError::Refused`](crate::SendError::Refused)): who only sends sees that the connection has
    /// ended, and not why. The handshake deadline does not count on from there. Of
    /// the native wire only: the other one has no acceptance.
    #[must_use]
    pub fn await_accept(mut self, awaits: bool) -> Self {
        self.awaits_accept = awaits;
        self
    }

    /// Hides how long messages are, on the native wire: every record becomes a multiple of so many
    /// bytes long, where the peer takes that; `None`, the default, hides nothing. Every message is
    /// then copied before it is sealed.
    #[must_use]
    pub fn padding(mut self, step: impl Into<Option<NonZeroU32>>) -> Self {
        self.seal_options.padding = step.into();
        self
    }

    /// Sets which suites a listener takes on the native wire, all by default, whatever
    /// [`wire`](Self::wire) names: that is what a dialer speaks.
    #[must_use]
    pub fn suites(mut self, suites: Suites) -> Self {
        self.suites = suites;
        self
    }

    /// Sets which library computes what on the native wire; the fastest for this processor by
    /// default.
    #[must_use]
    pub fn libraries(mut self, libraries: Libraries) -> Self {
        self.libraries = libraries;
        self
    }

    /// Sets the longest message in bytes, at most [`MAX_MESSAGE_SIZE`]. On the native wire the peer is
    /// told, and each end keeps to what the other takes; on the commonware wire it is not, and the
    /// limit is one for both directions of this end.
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

    /// Sets the longest message in bytes that [`Receiver::recv_stream`](crate::Receiver::recv_stream)
    /// takes on the native wire, where that is more than [`max_message_size`](Self::max_message_size).
    /// The peer is told the greater of both. [`Receiver::recv`](crate::Receiver::recv) still puts no
    /// longer ones together; what comes whole in one record it gives whatever its length.
    #[must_use]
    pub fn max_streamed_size(mut self, bytes: u64) -> Self {
        self.max_streamed_size = bytes;
        self
    }

    /// Sets how long an attempt may take from connect or accept to the end of the handshake, the
    /// admission check included.
    #[must_use]
    pub fn handshake_deadline(mut self, deadline: Duration) -> Self {
        self.handshake_deadline = deadline;
        self
    }

    /// Sets how long a listener waits for the first message of a client, which a dialer sends as
    /// soon as it is connected. The handshake deadline counts from the same moment.
    #[must_use]
    pub fn first_message_timeout(mut self, limit: Duration) -> Self {
        self.first_message_timeout = limit;
        self
    }

    /// Sets how many handshakes a listener runs at a time. When there are as many, one makes way
    /// for the next client: the one that has sent nothing for the longest time, or else has
    /// proved no key yet and keeps us waiting. One address may have more than half of them only
    /// while nobody else wants in: an IPv4 address, an IPv6 network of 64 bits, a user of
    /// Unix-domain sockets. Clients beyond that wait unaccepted. With 0 no listener and no server starts.
    #[must_use]
    pub fn max_handshakes(mut self, count: usize) -> Self {
        self.max_handshakes = count;
        self
    }

    /// Sets how long a connection may bring nothing while its receiver waits; `None`, the default,
    /// no limit. On the native wire the peer is told, and says in time that it is there, at most ten
    /// times a second: so from 300 milliseconds on. There is no keep-alive on the commonware wire: where
    /// silence is normal, have the peer send something within this time.
    ///
    /// A limit is overrun by up to a quarter of the shortest limit on the thread, half a second at
    /// most, and never undercut. Time that this process does not have, because it is stopped or the
    /// machine is busy, is not counted.
    #[must_use]
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.time_limits.idle = limit.into();
        self
    }

    /// Sets within which time the peer is to hear of this end, on the native wire: when nothing was sent
    /// for a third of it, a record says that this end is there, at most ten times a second. `None`, the
    /// default, leaves that to the [`idle_timeout`](Self::idle_timeout) of the peer, which counts as well
    /// where it is shorter. For what is between two hosts and forgets connections that are quiet, such as
    /// address translation and firewalls. The commonware wire has no such record.
    #[must_use]
    pub fn keep_alive(mut self, within: impl Into<Option<Duration>>) -> Self {
        self.keep_alive_within = within.into();
        self
    }

    /// Sets how long what was begun may stand still, 60 seconds by default; `None` for no limit. That
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

    /// Sets how long a connection may last, whatever it does; `None`, the default, for no limit. Both
    /// halves then say [`TimeLimit::Lifetime`](crate::TimeLimit::Lifetime), and the socket is closed. On
    /// the native wire the peer is asked to end, with the reason 0, when seven eighths of the time are
    /// over (see [`Receiver::leaving`](crate::Receiver::leaving)); what it sends until the end of the
    /// time is still received.
    ///
    /// As precise as [`idle_timeout`](Self::idle_timeout).
    #[must_use]
    pub fn max_lifetime(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.time_limits.lifetime = limit.into();
        self
    }

    /// Sets how long the peer's host may not answer, 60 seconds by default; `None` for what the
    /// system does by itself, which is hours. A host that was switched off or cut off says nothing
    /// of it, and without this nobody notices while nothing is sent, or while what was sent waits
    /// in the kernel.
    ///
    /// It is the kernel that asks: TCP sends a keep-alive probe when nothing has come for half of
    /// this time, two more each a sixth of it later, and gives up at the end of it; times are
    /// rounded up to whole seconds. What was sent may go unacknowledged for as long
    /// (`TCP_USER_TIMEOUT`), or for [`progress_timeout`](Self::progress_timeout) where that is
    /// longer; then probes are given up that late too, and without a progress timeout only they
    /// count. A process that is stopped, or does not read, answers probes all the same: that is
    /// what the other limits are for. Nothing of this goes for Unix-domain sockets, which have no
    /// other host, and for streams that are no sockets.
    #[must_use]
    pub fn host_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.host_timeout = limit.into();
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

    /// Sets which signatures are accepted on the commonware wire. The native wire is always strict.
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

    /// Returns what a dialer speaks.
    pub(crate) fn first_wire(&self) -> Wire {
        self.wires[0]
    }

    /// Whether a listener takes the native wire, and with which versions the other one.
    pub(crate) fn kinds(&self) -> (bool, Option<(SakeVersion, CupsVersion)>) {
        let versions = self.wires.iter().find_map(|wire| match wire {
            Wire::Commonware { sake, cups } => Some((*sake, *cups)),
            Wire::Native { .. } => None,
        });
        (self.wires.iter().any(Wire::is_native), versions)
    }

    /// Returns what SAKE of this version is configured with.
    pub(crate) fn sake(&self, version: SakeVersion) -> Parameters {
        let mut parameters = self.parameters.clone();
        parameters.version = version;
        parameters
    }

    /// Returns what the native wire is configured with, where a slot has `slot_size` bytes.
    pub(crate) fn native(&self, slot_size: usize) -> native::handshake::Parameters {
        // What a slot holds comes in few records, and opens where it was read to.
        let fitting = slot_size.saturating_sub(RECORD_OVERHEAD);
        let record_limit = u32::try_from(fitting)
            .unwrap_or(u32::MAX)
            .clamp(Settings::MIN_RECORD_LIMIT, Settings::MAX_RECORD_LIMIT);
        let message_limit = self.max_streamed_size.max(self.max_message_size.into());
        let mut settings =
            Settings::new(record_limit, message_limit).expect("within the limits, see above");
        if let Some(idle) = self.time_limits.idle {
            settings = settings.idle(idle);
        }
        let mut parameters =
            native::handshake::Parameters::new(&self.parameters.namespace, settings);
        parameters.seal_options = self.seal_options;
        parameters.allow_self = self.parameters.allow_self;
        parameters.libraries = self.libraries;
        parameters
    }

    /// Returns what a listener of the native wire computes once for all handshakes.
    pub(crate) fn native_setup(&self, slot_size: usize) -> Arc<ListenerSetup> {
        let parameters = self.native(slot_size);
        Arc::new(ListenerSetup::new(
            Arc::clone(&self.identity),
            parameters,
            self.suites,
        ))
    }

    pub(crate) fn awaits_accept(&self) -> bool {
        self.awaits_accept
    }

    pub(crate) fn message_limit(&self) -> u32 {
        self.max_message_size
    }

    pub(crate) fn time_limits(&self) -> TimeLimits {
        self.time_limits
    }

    pub(crate) fn keep_alive_within(&self) -> Option<Duration> {
        self.keep_alive_within
    }

    /// Returns what the kernel does for the peer's host.
    pub(crate) fn host_probes(&self) -> Option<KeepAlive> {
        let silent = self.host_timeout?;
        // A peer that does not read acknowledges nothing new either.
        let unacknowledged = self.time_limits.progress.map(|limit| limit.max(silent));
        Some(KeepAlive {
            silent,
            unacknowledged,
        })
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.handshake_deadline
    }

    pub(crate) fn first_message(&self) -> Duration {
        self.first_message_timeout
    }

    pub(crate) fn handshakes(&self) -> usize {
        self.max_handshakes
    }

    /// Returns the name of the limit of a listener that lets nobody in, if there is one.
    pub(crate) fn zero_limit(&self) -> Option<&'static str> {
        (self.max_handshakes == 0).then_some("Config::max_handshakes")
    }

    /// Returns the same for the thread of this index among `count` that share the handshakes. Each has
    /// one at least.
    pub(crate) fn share_handshakes(&self, index: usize, count: usize) -> Self {
        let mut share = self.clone();
        share.max_handshakes = ((self.max_handshakes + count - 1 - index) / count).max(1);
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::native::{KemLibrary, Library};

    // Which library it was shows nowhere else: the bytes are the same.
    #[test]
    fn the_handshake_computes_with_the_libraries_that_were_set() {
        let settings = Config::new(Identity::from_seed(&[1; 32]), "test");
        assert_eq!(settings.native(1 << 16).libraries, Libraries::default());
        for &aes_256_gcm in Library::BUILT {
            for &chacha20_poly1305 in Library::BUILT {
                for &ml_kem_768 in KemLibrary::BUILT {
                    let libraries = Libraries {
                        aes_256_gcm,
                        chacha20_poly1305,
                        ml_kem_768,
                    };
                    let settings = settings.clone().libraries(libraries);
                    assert_eq!(settings.native(1 << 16).libraries, libraries);
                }
            }
        }
    }
}
