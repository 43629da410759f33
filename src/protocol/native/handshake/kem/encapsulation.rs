//! What goes between the two ends, and the secret that comes of it.

use crate::protocol::native::derive::Secret;

/// Length of an encapsulation key, in bytes.
pub(in crate::protocol::native) const KEY_LEN: usize = 1_184;
/// Length of a ciphertext, in bytes.
pub(in crate::protocol::native) const CIPHERTEXT_LEN: usize = 1_088;

/// What the listener encapsulates for.
pub(super) type EncapsulationKey = [u8; KEY_LEN];
/// What carries the secret to the dialer.
pub(super) type Ciphertext = [u8; CIPHERTEXT_LEN];

/// Takes the secret from where a library has it.
pub(super) fn kept(shared: &[u8]) -> Secret {
    let mut kept = Secret::default();
    kept.copy_from_slice(shared);
    kept
}
