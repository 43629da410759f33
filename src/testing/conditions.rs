//! How a direction of a wire behaves.

use core::time::Duration;

/// How a direction ends that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// What is under way arrives, then the end, as by a closed socket; writing fails.
    End,
    /// Both ends fail at once, as by a reset; what is under way is lost.
    Reset,
    /// What is under way arrives, and nothing after it, and nobody is told, as by a pulled cable.
    /// What is written is taken until the wire is full.
    Silence,
}

/// What one direction of a wire does to the bytes on it.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    pub(super) latency: Duration,
    pub(super) chunk: usize,
    pub(super) capacity: usize,
    pub(super) cut_after: Option<(u64, Cut)>,
}

impl Conditions {
    /// Sets how long bytes are under way. Zero by default.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Sets how many bytes one write or read moves at most. No limit by default.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    pub fn chunk(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "chunks of nothing never arrive");
        self.chunk = bytes;
        self
    }

    /// Sets how many bytes may be under way or unread; further writes wait. 64 KiB by default.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    pub fn capacity(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "a wire without room takes nothing");
        self.capacity = bytes;
        self
    }

    /// Cuts the direction when this many bytes have been written to it.
    #[must_use]
    pub fn cut_after(mut self, bytes: u64, cut: Cut) -> Self {
        self.cut_after = Some((bytes, cut));
        self
    }
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            chunk: usize::MAX,
            capacity: 64 * 1024,
            cut_after: None,
        }
    }
}
