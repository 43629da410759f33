//! Both ends of one direction, with a key that others may have as well: for tests and fuzzing.

use super::{CupsVersion, Opener, Sealer};
use crate::protocol::cipher::{Aead, DefaultAead};

/// The caller has checked the limit.
pub(crate) fn keyed_pair(
    key: &[u8; 32],
    version: CupsVersion,
    max_message_size: u32,
) -> (Sealer, Opener) {
    let cipher = || DefaultAead::new(key);
    (
        Sealer::new(cipher(), version, max_message_size),
        Opener::new(cipher(), version, max_message_size),
    )
}
