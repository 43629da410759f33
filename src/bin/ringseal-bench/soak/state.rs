//! What a run holds at one moment, and whether it has grown.

use ringseal_cli::failure::Failure;
use serde_json::{Value, json};

use super::ledger::Amount;
use super::rig::Held;
use crate::{heap, process};

/// By how much the heap may grow from the first rest to the last: tables keep the room that they
/// once had, and the allocator of each thread some freed blocks.
const HEAP_GROWTH: usize = 3 << 20;
/// By how much it may grow from the rest after a third of the time to the last: in an hour a single
/// block that each connection leaves behind is more.
const SETTLED_HEAP_GROWTH: usize = 2 << 20;
/// By how much resident memory may grow beside a half of what there was: the allocator keeps freed
/// blocks of mebibytes, for each thread apart. What is leaked shows in the heap long before.
const RESIDENT_GROWTH: usize = 256 << 20;

/// One moment of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) seconds: f64,
    /// Whether all connections had ended.
    pub(crate) is_rest: bool,
    pub(crate) resident: usize,
    pub(crate) heap: Option<usize>,
    pub(crate) descriptors: usize,
    /// Ends of connections that are played.
    pub(crate) tasks: usize,
    pub(crate) held: Held,
    pub(crate) amount: Amount,
    pub(crate) episodes: u64,
}

impl State {
    /// What is allowed, in words.
    pub(crate) const ALLOWED: &str = "no descriptor, 3 MiB of heap, of which 2 MiB after a third \
         of the time, 50 % and 256 MiB of resident memory";

    /// By how much what there was at the first rest may grow.
    pub(crate) fn allowed_growth(first: &Self) -> Value {
        json!({
            "descriptors": 0,
            "heap_bytes": HEAP_GROWTH,
            "settled_heap_bytes": SETTLED_HEAP_GROWTH,
            "resident_bytes": first.resident / 2 + RESIDENT_GROWTH,
        })
    }

    /// Adds what the process has to what its connections have.
    pub(crate) fn of_process(self) -> Result<Self, Failure> {
        Ok(Self {
            resident: process::resident_bytes()?,
            heap: heap::in_use(),
            descriptors: process::descriptors()?,
            ..self
        })
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "kind": if self.is_rest { "rest" } else { "state" },
            "seconds": self.seconds,
            "resident_bytes": self.resident,
            "heap_bytes": self.heap,
            "descriptors": self.descriptors,
            "tasks": self.tasks,
            "slots": self.held.slots,
            "slots_in_use": self.held.slots_in_use,
            "connections": self.held.connections,
            "operations": self.held.operations,
            "key_updates": self.held.key_updates,
            "messages": self.amount.messages,
            "bytes": self.amount.bytes,
            "connections_ended": self.episodes,
        })
    }

    pub(crate) fn text(&self) -> String {
        let mebibytes = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        let heap = self.heap.map_or_else(
            || "unknown".to_owned(),
            |bytes| format!("{:.1} MiB", mebibytes(bytes)),
        );
        format!(
            "{:7.1} s {} resident {:.1} MiB, heap {heap}, {} descriptors, {} of {} slots, {} tasks; \
             {} connections ended, {:.1} M messages, {:.2} GB",
            self.seconds,
            if self.is_rest { "at rest:" } else { "        " },
            mebibytes(self.resident),
            self.descriptors,
            self.held.slots_in_use,
            self.held.slots,
            self.tasks,
            self.episodes,
            self.amount.messages as f64 / 1e6,
            self.amount.bytes as f64 / 1e9,
        )
    }

    /// Says what has grown since the first rest, this being one as well.
    pub(crate) fn growth_since(&self, earlier: &Self) -> Option<String> {
        let mut grown = Vec::new();
        if self.descriptors > earlier.descriptors {
            let (before, now) = (earlier.descriptors, self.descriptors);
            grown.push(format!("{now} descriptors instead of {before}"));
        }
        grown.extend(self.heap_growth_since(earlier, HEAP_GROWTH));
        let (now, before) = (self.resident, earlier.resident);
        if now > before + before / 2 + RESIDENT_GROWTH {
            grown.push(format!("{now} resident bytes instead of {before}"));
        }
        (!grown.is_empty()).then(|| grown.join(", "))
    }

    /// As [`growth_since`](Self::growth_since), since the rest after a third of the time.
    pub(crate) fn growth_since_settled(&self, settled: &Self) -> Option<String> {
        self.heap_growth_since(settled, SETTLED_HEAP_GROWTH)
    }

    fn heap_growth_since(&self, earlier: &Self, allowed: usize) -> Option<String> {
        let (now, before) = (self.heap?, earlier.heap?);
        (now > before + allowed).then(|| format!("{now} bytes of heap instead of {before}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            seconds: 1.0,
            is_rest: true,
            resident: 50 << 20,
            heap: Some(10 << 20),
            descriptors: 40,
            tasks: 0,
            held: Held::default(),
            amount: Amount::default(),
            episodes: 0,
        }
    }

    #[test]
    fn a_descriptor_and_a_few_mebibytes_of_growth_are_noticed() {
        let first = state();
        assert_eq!(state().growth_since(&first), None);
        let grown = |change: &dyn Fn(&mut State)| {
            let mut later = state();
            change(&mut later);
            later.growth_since(&first).expect("it has grown")
        };
        assert!(grown(&|state| state.descriptors = 41).contains("41 descriptors instead of 40"));
        assert!(grown(&|state| state.heap = Some(14 << 20)).contains("heap"));
        // Of which two thirds of the time may have less.
        let later = |heap| State {
            heap: Some(heap),
            ..state()
        };
        assert_eq!(later(12 << 20).growth_since_settled(&first), None);
        let grown_late = later((12 << 20) + 1).growth_since_settled(&first);
        assert!(grown_late.expect("it has grown").contains("heap"));
        assert!(grown(&|state| state.resident = 400 << 20).contains("resident"));
    }

    #[test]
    fn what_is_allowed_is_what_is_told() {
        let mebibytes = |bytes: usize| format!("{} MiB", bytes >> 20);
        for bytes in [HEAP_GROWTH, SETTLED_HEAP_GROWTH, RESIDENT_GROWTH] {
            assert!(State::ALLOWED.contains(&mebibytes(bytes)));
        }
        let allowed = State::allowed_growth(&state());
        assert_eq!(allowed["resident_bytes"], (25 << 20) + RESIDENT_GROWTH);
    }

    #[test]
    fn what_belongs_to_a_connection_is_not_nothing() {
        assert!(Held::default().is_nothing());
        for held in [
            Held {
                slots_in_use: 1,
                ..Held::default()
            },
            Held {
                connections: 1,
                ..Held::default()
            },
            Held {
                operations: 1,
                ..Held::default()
            },
            Held {
                heap_bytes: 1,
                ..Held::default()
            },
        ] {
            assert!(!held.is_nothing());
        }
    }
}
