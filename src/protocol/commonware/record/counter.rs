//! The nonce of each direction: how many AEAD operations came before, as a
//! 96-bit little-endian number (SPEC section 5).
//!
//! It counts operations, not records; V1 uses two per record. Each value is
//! given out once, and after the last one none is: the counter never wraps.

/// Gives out each nonce once.
#[derive(Debug)]
pub(super) struct Counter(u128);

impl Counter {
    /// First value past the last nonce.
    const END: u128 = 1 << 96;

    /// Begins with 0.
    pub(super) const fn new() -> Self {
        Self(0)
    }

    #[cfg(test)]
    pub(super) const fn starting_at(value: u128) -> Self {
        Self(value)
    }

    /// How many were given out.
    pub(super) const fn given(&self) -> u128 {
        self.0
    }

    /// The next nonce, or `None` if all were used.
    #[inline]
    pub(super) fn take(&mut self) -> Option<[u8; 12]> {
        if self.0 >= Self::END {
            return None;
        }
        let [nonce @ .., _, _, _, _] = self.0.to_le_bytes();
        self.0 += 1;
        Some(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // HAZARDS R12
    #[test]
    fn last_nonce_is_given_once_and_nothing_wraps() {
        let mut counter = Counter::starting_at(Counter::END - 2);
        let mut last = [0xff; 12];
        last[0] = 0xfe;
        assert_eq!(counter.take(), Some(last));
        assert_eq!(counter.take(), Some([0xff; 12]));
        for _ in 0..3 {
            assert_eq!(counter.take(), None);
        }
    }

    #[test]
    fn nonces_are_little_endian_from_zero() {
        let mut counter = Counter::new();
        assert_eq!(counter.take(), Some([0; 12]));
        let mut carried = Counter::starting_at(0x0100);
        assert_eq!(carried.take(), Some([0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    }
}
