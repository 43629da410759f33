//! Copies messages out of the slots of a ring thread.

use bytes::{Bytes, BytesMut};

/// Copies short messages into blocks that several of them share, so that a read of many allocates
/// little. A block goes when the last message in it is dropped, so whoever keeps one short
/// message keeps its block. One that comes alone has its own memory, and no more than it needs.
#[derive(Debug, Default)]
pub(super) struct Copier {
    block: BytesMut,
    /// Whether a message was copied since the last [`rest`](Self::rest).
    has_copied: bool,
}

impl Copier {
    /// Bytes of a shared block.
    const BLOCK: usize = 16 * 1024;
    /// The longest message that shares one.
    const SHORT: usize = Self::BLOCK / 8;

    pub(super) fn copy(&mut self, message: &[u8]) -> Bytes {
        if message.is_empty() {
            // Holds no block.
            return Bytes::new();
        }
        if message.len() > Self::SHORT || !core::mem::replace(&mut self.has_copied, true) {
            return Bytes::copy_from_slice(message);
        }
        if self.block.capacity() < message.len() {
            // Not grown: `reserve` might take the old block back and double it.
            self.block = BytesMut::with_capacity(Self::BLOCK);
        }
        self.block.extend_from_slice(message);
        self.block.split().freeze()
    }

    /// Lets go of what is left of a block, while no message waits: connections without any are many.
    pub(super) fn rest(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_messages_share_blocks_and_keep_their_bytes() {
        let mut copier = Copier::default();
        let lengths = [0, 1, 64, 700, Copier::SHORT, Copier::SHORT + 1, 100_000];
        let originals: Vec<Vec<u8>> = (0..200_u8)
            .map(|index| vec![index; lengths[usize::from(index) % lengths.len()]])
            .collect();
        let copies: Vec<Bytes> = originals.iter().map(|bytes| copier.copy(bytes)).collect();
        assert!(copies.iter().eq(originals.iter()));
        let first = copier.copy(&[1; 64]);
        let second = copier.copy(&[2; 64]);
        assert_eq!(second.as_ptr().addr() - first.as_ptr().addr(), 64);
        copier.rest();
        assert_eq!(copier.block.capacity(), 0);
        assert_eq!(copier.copy(&[3; 64])[..], [3; 64]);
        assert_eq!(copier.block.capacity(), 0, "it came alone");
    }
}
