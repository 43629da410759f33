//! What is sealed, as every library is given it.

use crate::protocol::cipher::{AeadError, TAG_LEN};

/// A nonce of either suite.
pub(in crate::protocol::native) type Nonce = [u8; 12];

/// Ciphertext and tag, apart.
pub(super) type Sealed<'a> = (&'a [u8], &'a [u8; TAG_LEN]);

/// Ciphertext and tag of a buffer.
#[inline]
pub(super) fn split(sealed: &mut [u8]) -> Result<(&mut [u8], &mut [u8; TAG_LEN]), AeadError> {
    sealed.split_last_chunk_mut().ok_or(AeadError)
}
