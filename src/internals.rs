//! What benches measure and tests try from within: no part of the interface, behind the feature
//! of the same name, and free to change at any time.

use std::io;

use crate::memory::{Buffer, Class, Mapping, Pool};
use crate::net::{Shard, machines};
#[cfg(all(feature = "avx512", target_arch = "x86_64"))]
use crate::protocol::cipher::Avx512;
use crate::protocol::handshake::HandshakeError;
use crate::protocol::native::record::SealOptions;
use crate::protocol::native::{Settings, Suite};
use crate::protocol::record::{self, CupsVersion, Opener, Sealer};
use crate::protocol::{MAX_U64_LEN, decode_u32, encode_u64};

/// Our own cipher with a one-time key of choice for nonce 0, where the processor can run it.
#[cfg(all(feature = "avx512", target_arch = "x86_64"))]
#[must_use]
pub fn with_one_time_key(key: &[u8; 32], one_time_key: &[u8; 32]) -> Avx512 {
    Avx512::with_one_time_key(key, one_time_key)
}

/// Messages of the native wire's handshake, of a peer that does not keep to it.
pub mod native_forge {
    pub use crate::protocol::native::handshake::forge::{
        CLAIMS_LEN, answer, authenticate, proof, settings_from, settings_to,
    };
}

/// Records of the native wire, of a peer that does not keep to it.
pub mod native_raw {
    pub use crate::protocol::native::record::raw::{RawSealer, pair, raw_pair};
}

/// Messages of SAKE, of a peer that does not keep to it.
pub mod sake_forge {
    pub use crate::protocol::handshake::forge::{Parties, syn, syn_ack};
}

/// Returns both ends of a direction of CUPS.
#[must_use]
pub fn cups_pair(key: &[u8; 32], version: CupsVersion, limit: u32) -> (Sealer, Opener) {
    record::keyed_pair(key, version, limit)
}

/// Reads the varint at the start of `bytes`: its value and length; `None` if it goes on after the end.
///
/// # Errors
///
/// [`HandshakeError::BadVarint`].
pub fn decode_varint(bytes: &[u8]) -> Result<Option<(u32, usize)>, HandshakeError> {
    Ok(decode_u32(bytes)?)
}

/// Writes a varint.
#[must_use]
pub fn encode_varint(value: u64) -> Vec<u8> {
    let mut bytes = [0; MAX_U64_LEN];
    let length = encode_u64(value, &mut bytes);
    bytes[..length].to_vec()
}

/// Sends messages by the sending machine of a connection and receives them by the receiving ones, over
/// CUPS. In each step one call is made at one end: the first number says which, the second one how.
///
/// # Panics
///
/// If anything comes out that was not sent, anything that was written does not, or the end is another.
pub fn check_machines_on_commonware(
    version: CupsVersion,
    messages: &[Vec<u8>],
    steps: &[(u8, usize)],
) {
    machines::check_commonware(cups_pair(&[7; 32], version, 1000), messages, steps);
}

/// As [`check_machines_on_commonware`], over the native wire, which updates keys and pads meanwhile.
///
/// # Panics
///
/// As there.
pub fn check_machines_on_native(
    suite: Suite,
    options: &SealOptions,
    messages: &[Vec<u8>],
    steps: &[(u8, usize)],
) {
    let limit = Settings::MIN_RECORD_LIMIT;
    let settings = Settings::new(limit, 1 << 20).expect("in range");
    machines::check_native(native_raw::pair(suite, &settings, options), messages, steps);
}

/// Returns how many connections and plain sockets the runtime of this thread knows, those included that
/// only a task of it still has.
#[must_use]
pub fn connections() -> Option<usize> {
    Shard::current().map(|shard| shard.member_count())
}

/// The slots of a runtime, without the runtime.
#[derive(Debug)]
pub struct Slots {
    pool: Pool,
}

impl Slots {
    /// Maps `count` slots of `size` bytes, which are whole pages.
    ///
    /// # Errors
    ///
    /// What the kernel says to the mapping.
    ///
    /// # Panics
    ///
    /// If there are fewer slots than one connection needs.
    pub fn new(count: usize, size: usize) -> io::Result<Self> {
        let length = count.checked_mul(size).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self {
            pool: Pool::new(Mapping::new(length)?, count, size, 0),
        })
    }

    /// Takes a slot for sending, if one is free. Dropping it returns it.
    pub fn take(&self) -> Option<Slot> {
        self.pool.try_acquire(Class::Send).map(Slot)
    }
}

/// A slot that was taken.
#[derive(Debug)]
pub struct Slot(Buffer);

impl Slot {
    /// Returns its bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
