//! What has happened in a run: a hash of all of it, and its text if somebody reads along.

use core::fmt::{self, Write};

/// The hash of a run's lines, by FNV-1a.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    is_shown: bool,
    /// Whether the rest depends on more than the seed.
    is_sealed: bool,
}

impl Trace {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;

    /// Begins; with `is_shown` the lines are printed as well.
    pub(crate) const fn new(is_shown: bool) -> Self {
        Self {
            hash: Self::OFFSET,
            is_shown,
            is_sealed: false,
        }
    }

    pub(crate) fn note(&mut self, now: u64, text: fmt::Arguments<'_>) {
        if self.is_shown {
            println!("{now:>8} ms  {text}");
        }
        if !self.is_sealed {
            let written = writeln!(self, "{now} {text}");
            written.expect("hashing takes everything");
        }
    }

    /// Leaves out of the hash what follows.
    pub(crate) const fn seal(&mut self) {
        self.is_sealed = true;
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(Self::PRIME);
        }
        Ok(())
    }
}
