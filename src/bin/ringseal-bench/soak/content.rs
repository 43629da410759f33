//! What the bytes of a message are: they follow from a key, so that whoever receives them can tell.

use super::random;

/// Bytes that follow from one number.
const WORD: usize = 8;
/// Bytes that are compared at a time.
const BLOCK: usize = 512;

/// The bytes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    key: u64,
}

impl Content {
    /// That of the message `index` of the direction that `key` stands for.
    pub(crate) const fn of(key: u64, index: u64) -> Self {
        Self {
            key: random::at(key, index),
        }
    }

    /// A number that follows from the message and is not among its bytes.
    pub(crate) const fn number(self) -> u64 {
        random::mix(self.key)
    }

    /// Writes the bytes of the message from `offset` on.
    pub(crate) fn fill(self, offset: usize, bytes: &mut [u8]) {
        // Up to the next whole word, whole words, and what is left of one.
        let head = (WORD - offset % WORD) % WORD;
        let (first, rest) = bytes.split_at_mut(head.min(bytes.len()));
        let mut word = offset / WORD;
        if !first.is_empty() {
            let within = offset % WORD;
            first.copy_from_slice(&self.word(word)[within..within + first.len()]);
            word += 1;
        }
        let (words, last) = rest.as_chunks_mut::<WORD>();
        for bytes in words {
            *bytes = self.word(word);
            word += 1;
        }
        last.copy_from_slice(&self.word(word)[..last.len()]);
    }

    /// Where `bytes`, which begin at `offset` of the message, are the first time not what they should be.
    pub(crate) fn first_difference(self, offset: usize, bytes: &[u8]) -> Option<usize> {
        let mut expected = [0; BLOCK];
        let mut at = offset;
        for block in bytes.chunks(BLOCK) {
            let expected = &mut expected[..block.len()];
            self.fill(at, expected);
            if expected != block {
                let same = expected
                    .iter()
                    .zip(block)
                    .take_while(|(one, other)| one == other);
                return Some(at + same.count());
            }
            at += block.len();
        }
        None
    }

    const fn word(self, index: usize) -> [u8; WORD] {
        random::at(self.key, index as u64).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_same_however_they_are_asked_for() {
        let content = Content::of(1, 2);
        let mut whole = [0; 1300];
        content.fill(0, &mut whole);
        for offset in 0..40 {
            for length in [0, 1, 3, 7, 8, 9, 16, 600, 1200] {
                let mut piece = vec![0; length];
                content.fill(offset, &mut piece);
                assert_eq!(piece, whole[offset..offset + length], "{offset} {length}");
                assert_eq!(content.first_difference(offset, &piece), None);
            }
        }
    }

    #[test]
    fn every_altered_byte_is_found_where_it_is() {
        let content = Content::of(3, 4);
        let mut bytes = [0; 1100];
        content.fill(5, &mut bytes);
        for at in [0, 1, 511, 512, 1099] {
            bytes[at] ^= 1;
            assert_eq!(content.first_difference(5, &bytes), Some(5 + at));
            bytes[at] ^= 1;
        }
    }
}
