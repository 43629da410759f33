//! Numbers that follow from a seed, the same in every run and on every machine.

/// What the state moves on by. Odd, and as irregular as the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads the bits of a number (the finalizer of SplitMix64).
pub(crate) const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The number with this index among those that follow from `key`.
pub(crate) const fn at(key: u64, index: u64) -> u64 {
    mix(key.wrapping_add(index.wrapping_add(1).wrapping_mul(STEP)))
}

/// A sequence of such numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    key: u64,
    index: u64,
}

impl Random {
    pub(crate) const fn new(key: u64) -> Self {
        Self { key, index: 0 }
    }

    pub(crate) const fn next(&mut self) -> u64 {
        let number = at(self.key, self.index);
        self.index += 1;
        number
    }

    /// A number from `least` to `most`.
    pub(crate) const fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// Whether something happens that does once in `count` times.
    pub(crate) const fn once_in(&mut self, count: u64) -> bool {
        self.between(1, count) == 1
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = self.between(0, choices.len() as u64 - 1);
        // Below the length, and so within usize.
        choices[usize::try_from(index).unwrap_or(0)]
    }
}
