//! What both ends of `scale` are set up with.

use core::time::Duration;

use ringseal::{Config, Identity, Registration, RuntimeBuilder, Wire};
use ringseal_cli::args::RingArgs;

/// Slots of a thread, however many connections it has, and bytes in each.
pub(crate) const SLOTS: usize = 64;
pub(crate) const SLOT_SIZE: usize = 64 * 1024;
/// Which application this is, for the handshake.
const NAMESPACE: &str = "ringseal-bench scale";
/// Many handshakes at once take long on few cores.
const HANDSHAKE: Duration = Duration::from_secs(60);

/// The settings of either end.
pub(crate) fn config(identity: Identity, wire: Wire, size: u32) -> Config {
    Config::new(identity, NAMESPACE)
        .wire(wire)
        .max_message_size(size.max(Config::DEFAULT_MAX_MESSAGE_SIZE))
        .handshake_deadline(HANDSHAKE)
        .max_handshake_age(HANDSHAKE)
        .first_message_timeout(HANDSHAKE)
}

/// The runtime of each thread of either end.
pub(crate) fn runtime(ring: &RingArgs) -> RuntimeBuilder {
    ring.builder()
        .slots(SLOTS)
        .slot_size(SLOT_SIZE)
        .registration(Registration::Preferred)
}
