//! Handshake messages as they come: each has one size, so that there is nothing to announce.

/// Collects a message of `N` bytes from pieces of any size.
#[derive(Debug)]
pub(super) struct Collector<const N: usize> {
    bytes: [u8; N],
    /// At most `N`.
    filled: usize,
}

impl<const N: usize> Collector<N> {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; N],
            filled: 0,
        }
    }

    /// The most bytes that can be read without passing the end of the message.
    pub(super) const fn wanted(&self) -> usize {
        N - self.filled
    }

    /// Takes from the front of `input` what belongs to the message and says how much that was,
    /// and whether the message is complete.
    pub(super) fn receive(&mut self, input: &[u8]) -> (usize, bool) {
        let free = self.bytes.iter_mut().skip(self.filled);
        let taken = free
            .zip(input)
            .map(|(target, source)| *target = *source)
            .count();
        self.filled += taken;
        (taken, self.wanted() == 0)
    }

    /// What has come so far.
    pub(super) fn received(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// The message, once it is complete.
    pub(super) const fn message(&self) -> &[u8; N] {
        &self.bytes
    }
}

/// Takes a part of `N` bytes from the front of `bytes`.
pub(super) fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> &'a [u8; N] {
    let (part, rest) = bytes
        .split_first_chunk()
        .expect("the parts of a message add up to its length");
    *bytes = rest;
    part
}
