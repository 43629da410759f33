//! What an implementation of the cipher gives: a key that seals and opens.

/// Length of the tag, in bytes.
pub const TAG_LEN: usize = 16;

/// The operation failed: on opening, the bytes are not what was sealed.
///
/// It says nothing more on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealing or opening failed")]
pub struct AeadError;

/// A ChaCha20-Poly1305 key that seals and opens.
pub trait Aead: Send + Sync + 'static {
    /// The implementation, for logs and benchmarks.
    fn name() -> &'static str;

    /// Takes a key.
    fn new(key: &[u8; 32]) -> Self;

    /// Seals `plaintext` into `sealed`, which must be [`TAG_LEN`] longer.
    ///
    /// # Errors
    ///
    /// [`AeadError`] if the lengths do not fit or the cipher cannot take that
    /// many bytes. What `sealed` then holds must not be sent.
    fn seal(
        &mut self,
        nonce: &[u8; 12],
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError>;

    /// Seals all of `sealed` but its last [`TAG_LEN`] bytes, which receive the
    /// tag.
    ///
    /// # Errors
    ///
    /// As [`seal`](Self::seal).
    fn seal_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError>;

    /// Opens `sealed`, whose last [`TAG_LEN`] bytes are the tag and stay as
    /// they are.
    ///
    /// # Errors
    ///
    /// [`AeadError`] if `sealed` is shorter than a tag or was not sealed with
    /// this key and nonce. Nothing in the buffer may then be used.
    fn open_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError>;
}

/// Ciphertext and tag of a buffer.
#[inline]
pub(super) fn split(sealed: &mut [u8]) -> Result<(&mut [u8], &mut [u8; TAG_LEN]), AeadError> {
    sealed.split_last_chunk_mut().ok_or(AeadError)
}
