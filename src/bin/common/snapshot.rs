//! What one end of a measurement has counted at one moment, and how that crosses to the other end.

/// Counters of one end, each since some moment of its own: only differences mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Nanoseconds since some moment of the end.
    pub at_ns: u64,
    /// Nanoseconds that its thread has run.
    pub thread_cpu_ns: u64,
    /// Nanoseconds that all threads of its process have run.
    pub process_cpu_ns: u64,
    /// Blocks that its thread has allocated.
    pub heap_allocations: u64,
    /// Bytes in them.
    pub heap_bytes: u64,
    /// Messages that came.
    pub messages: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Reads of sockets.
    pub reads: u64,
    /// Writes to sockets.
    pub writes: u64,
    /// Bytes of incomplete records that were moved.
    pub moved_bytes: u64,
    /// How often a slot was waited for.
    pub slot_waits: u64,
    /// Heap blocks for what no slot holds.
    pub large_blocks: u64,
}

const FIELDS: usize = 12;

/// Fields in their order, each as eight bytes. Not JSON, since that would allocate within the time
/// that is measured.
pub type Encoded = [u8; FIELDS * 8];

impl Snapshot {
    /// What came since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let (now, then) = (self.fields(), earlier.fields());
        Self::from_fields(core::array::from_fn(|index| {
            now[index].saturating_sub(then[index])
        }))
    }

    /// Writes it for the other end.
    pub fn encode(&self) -> Encoded {
        let mut encoded = [0; FIELDS * 8];
        for (bytes, field) in encoded.as_chunks_mut().0.iter_mut().zip(self.fields()) {
            *bytes = field.to_le_bytes();
        }
        encoded
    }

    /// Reads what [`encode`](Self::encode) has written; `None` if it is anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let encoded: &Encoded = bytes.try_into().ok()?;
        let chunks = encoded.as_chunks().0;
        Some(Self::from_fields(core::array::from_fn(|index| {
            u64::from_le_bytes(chunks[index])
        })))
    }

    fn fields(&self) -> [u64; FIELDS] {
        [
            self.at_ns,
            self.thread_cpu_ns,
            self.process_cpu_ns,
            self.heap_allocations,
            self.heap_bytes,
            self.messages,
            self.bytes,
            self.reads,
            self.writes,
            self.moved_bytes,
            self.slot_waits,
            self.large_blocks,
        ]
    }

    fn from_fields(fields: [u64; FIELDS]) -> Self {
        let [
            at_ns,
            thread_cpu_ns,
            process_cpu_ns,
            heap_allocations,
            heap_bytes,
            messages,
            bytes,
            reads,
            writes,
            moved_bytes,
            slot_waits,
            large_blocks,
        ] = fields;
        Self {
            at_ns,
            thread_cpu_ns,
            process_cpu_ns,
            heap_allocations,
            heap_bytes,
            messages,
            bytes,
            reads,
            writes,
            moved_bytes,
            slot_waits,
            large_blocks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_comes_back_and_anything_else_is_refused() {
        let snapshot = Snapshot::from_fields(core::array::from_fn(|index| index as u64 * 1000));
        let encoded = snapshot.encode();
        assert_eq!(Snapshot::decode(&encoded), Some(snapshot));
        assert_eq!(Snapshot::decode(&encoded[1..]), None);
        assert_eq!(snapshot.since(&snapshot), Snapshot::default());
    }
}
