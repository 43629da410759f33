//! How much one direction has sealed or opened, for those who watch.

/// Numbers that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordCounts {
    pub(crate) records: u64,
    /// How often keys were replaced.
    pub(crate) updates: u64,
}

impl RecordCounts {
    /// Returns what was added since `before`.
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            records: self.records - before.records,
            updates: self.updates - before.updates,
        }
    }
}
