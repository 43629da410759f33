//! What both ends of a measurement are set up with, and the one place that sets up a runtime.

use core::time::Duration;

use ringseal::protocol::record::MAX_OVERHEAD;
use ringseal::{Config, Identity, Registration, Runtime, RuntimeBuilder, Wire};
use ringseal_cli::args::RingArgs;
use ringseal_cli::descriptors;
use ringseal_cli::failure::Failure;
use ringseal_cli::start::start;

/// The most connections of one run.
pub(crate) const MAX_CONNECTIONS: u32 = 1000;
/// What the kernel registers at most.
pub(crate) const MAX_ARENA: usize = 1 << 30;
/// What one connection holds when it moves data both ways; see [`RuntimeBuilder`].
const SLOTS_OF_A_CONNECTION: usize = 4;
/// The connection that carries commands is idle, but it has to move before and after.
const SLOTS_OF_THE_CONTROL: usize = 2;
/// What many connections may take as well before slots shrink: twice that is below the common
/// limit of 8 MiB of locked memory.
const ARENA: usize = RuntimeBuilder::DEFAULT_SLOTS * RuntimeBuilder::DEFAULT_SLOT_SIZE;
/// Descriptors beside those of data connections, rounded up a good deal.
const SPARE_DESCRIPTORS: u64 = 64;
/// Which application this is, for the handshake.
const NAMESPACE: &str = "ringseal-bench";
/// Domain separation of the two keys that come from one seed.
const DIALER_KEY: &str = "ringseal-bench 0.1 dialer's identity";
const LISTENER_KEY: &str = "ringseal-bench 0.1 listener's identity";

/// Sizes and versions, none of them secret. Both ends have the same, except across hosts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) size: u32,
    pub(crate) connections: u32,
    pub(crate) wire: Wire,
    pub(crate) slots: usize,
    pub(crate) slot_size: usize,
    pub(crate) ring_entries: u32,
    pub(crate) ring: RingArgs,
    pub(crate) time_limit: Option<Duration>,
}

impl Settings {
    /// How many slots would do, where there are fewer.
    pub(crate) fn slots_wanted(&self) -> Option<usize> {
        Some(needed_slots(self.connections as usize)).filter(|&needed| self.slots < needed)
    }

    /// The settings of a runtime.
    fn builder(&self) -> RuntimeBuilder {
        self.ring
            .builder()
            .ring_entries(self.ring_entries)
            .slots(self.slots)
            .slot_size(self.slot_size)
            // Hundreds of connections need more slots than most hosts let anybody lock. The
            // report says when they are not registered.
            .registration(Registration::Preferred)
    }

    /// Sets up the runtime of this thread.
    pub(crate) fn runtime(&self) -> Result<Runtime, Failure> {
        start(self.builder())
    }

    /// The settings of an end, which takes messages of `size` bytes and those of the control.
    pub(crate) fn config(&self, identity: Identity, size: u32) -> Config {
        Config::new(identity, NAMESPACE)
            .wire(self.wire)
            .max_message_size(size.max(Config::DEFAULT_MAX_MESSAGE_SIZE))
            .idle_timeout(self.time_limit)
            .progress_timeout(self.time_limit)
    }
}

/// With fewer, connections that move data both ways can wait for each other without end.
fn needed_slots(connections: usize) -> usize {
    SLOTS_OF_A_CONNECTION * connections + SLOTS_OF_THE_CONTROL
}

/// As many slots as so many connections need.
pub(crate) fn slots_for(connections: usize) -> usize {
    needed_slots(connections).max(RuntimeBuilder::DEFAULT_SLOTS)
}

/// The default, or what is left of the arena for each of many slots; but room for one message in
/// any case where the default has it.
pub(crate) fn slot_size_for(slots: usize, size: usize) -> usize {
    let page = rustix::param::page_size();
    let share = ARENA / slots / page * page;
    let record = size.saturating_add(MAX_OVERHEAD);
    let wanted = if record <= RuntimeBuilder::DEFAULT_SLOT_SIZE {
        record.next_multiple_of(page)
    } else {
        0
    };
    let most = MAX_ARENA / slots / page * page;
    let least = wanted.min(most).max(RuntimeBuilder::MIN_SLOT_SIZE);
    share.clamp(least, RuntimeBuilder::DEFAULT_SLOT_SIZE)
}

/// The identities of dialer and listener.
#[derive(Debug)]
pub(crate) struct Identities {
    pub(crate) dialer: Identity,
    pub(crate) listener: Identity,
}

impl Identities {
    /// Both come from `seed`, so whoever has it can be either.
    pub(crate) fn from_seed(seed: &[u8]) -> Self {
        let identity = |context| Identity::from_seed(&blake3::derive_key(context, seed));
        Self {
            dialer: identity(DIALER_KEY),
            listener: identity(LISTENER_KEY),
        }
    }
}

/// A seed that nobody else has.
pub(crate) fn fresh_seed() -> Result<String, Failure> {
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::new(format!("the kernel has no randomness: {error}")))?;
    Ok(seed.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Makes sure that this process may open `ends` connections' ends.
pub(crate) fn allow_descriptors(ends: u32) -> Result<(), Failure> {
    let needed = u64::from(ends) + SPARE_DESCRIPTORS;
    let advice = "lower --connections or raise the limit (ulimit -Hn)";
    descriptors::allow(Some(needed), advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connection_runs_with_the_defaults_of_the_library() {
        assert_eq!(slots_for(1), RuntimeBuilder::DEFAULT_SLOTS);
        for size in [0, 64, 16_384, 1 << 20, u32::MAX as usize] {
            assert_eq!(slot_size_for(10, size), RuntimeBuilder::DEFAULT_SLOT_SIZE);
        }
    }

    #[test]
    fn many_connections_have_their_slots_within_what_the_kernel_registers() {
        for connections in [2, 10, 100, MAX_CONNECTIONS as usize] {
            let slots = slots_for(connections);
            assert!(slots >= 4 * connections);
            for size in [0, 64, 16_384, 200_000, 1 << 20] {
                let slot_size = slot_size_for(slots, size);
                assert!(slot_size >= RuntimeBuilder::MIN_SLOT_SIZE);
                assert!(slots * slot_size <= MAX_ARENA, "{connections} {size}");
                let fits = size + MAX_OVERHEAD <= slot_size;
                assert!(fits || size > 16_384, "{connections} {size}");
            }
        }
    }

    #[test]
    fn a_seed_gives_two_identities_and_always_the_same() {
        let (one, two) = (Identities::from_seed(b"x"), Identities::from_seed(b"x"));
        assert_eq!(one.dialer.public_key(), two.dialer.public_key());
        assert_eq!(one.listener.public_key(), two.listener.public_key());
        assert_ne!(one.dialer.public_key(), one.listener.public_key());
    }
}
