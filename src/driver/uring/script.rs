//! A kernel that answers as it may and hardly ever does, for tests: completions come late and in
//! another order, operations are interrupted, done in part, or fail. A seed decides.

use core::cell::RefCell;

use rustix::io::Errno;

thread_local! {
    static SCRIPT: RefCell<Option<Script>> = const { RefCell::new(None) };
}

/// What an operation is ended by that may be tried again.
const PASSING: [Errno; 3] = [Errno::INTR, Errno::AGAIN, Errno::CANCELED];
/// What it is ended by for good (HAZARDS B5).
const FINAL: [Errno; 7] = [
    Errno::NOBUFS,
    Errno::FAULT,
    Errno::BADF,
    Errno::NOMEM,
    Errno::IO,
    Errno::CONNRESET,
    Errno::TIMEDOUT,
];

/// How often what happens, in a thousand operations or completions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// An operation is ended by what passes, before the kernel has begun it.
    pub(crate) interrupted: u64,
    /// An operation fails for good, before the kernel has begun it.
    pub(crate) failed: u64,
    /// A transfer moves only a part.
    pub(crate) short: u64,
    /// A completion is held back when the queue is looked through.
    pub(crate) late: u64,
}

/// What a script has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Played {
    pub(crate) interrupted: u64,
    pub(crate) failed: u64,
    pub(crate) short: u64,
    pub(crate) late: u64,
}

struct Script {
    /// SplitMix64.
    state: u64,
    rates: Rates,
    /// Completions that are held back, by key.
    held: Vec<(u64, i32)>,
    played: Played,
}

/// Has the rings of this thread play a script for as long as it is held.
#[derive(Debug)]
pub(crate) struct Playing(());

impl Playing {
    pub(crate) fn new(seed: u64, rates: Rates) -> Self {
        let script = Script {
            state: seed,
            rates,
            held: Vec::new(),
            played: Played::default(),
        };
        let previous = SCRIPT.replace(Some(script));
        assert!(previous.is_none(), "one script at a time");
        Self(())
    }

    /// Has other things happen, or more or less of them, from now on.
    pub(crate) fn set_rates(&self, rates: Rates) {
        with(|script| script.rates = rates);
    }

    pub(crate) fn played(&self) -> Played {
        with(|script| script.played).unwrap_or_default()
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        SCRIPT.set(None);
    }
}

fn with<T>(work: impl FnOnce(&mut Script) -> T) -> Option<T> {
    SCRIPT.with_borrow_mut(|script| script.as_mut().map(work))
}

impl Script {
    fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let end = end as u64;
        usize::try_from(self.number() % end).expect("below a length")
    }

    fn happens(&mut self, rate: u64) -> bool {
        self.number() % 1000 < rate
    }

    fn ending(&mut self) -> Option<Errno> {
        if self.happens(self.rates.interrupted) {
            self.played.interrupted += 1;
            let index = self.below(PASSING.len());
            return Some(PASSING[index]);
        }
        self.happens(self.rates.failed).then(|| {
            self.played.failed += 1;
            let index = self.below(FINAL.len());
            FINAL[index]
        })
    }
}

/// Whether the operation of `key` is to be ended here, and is not for the kernel.
pub(super) fn ends(key: u64) -> bool {
    let ended = with(|script| {
        let errno = script.ending()?;
        script.held.push((key, -errno.raw_os_error()));
        Some(())
    });
    ended.flatten().is_some()
}

/// Returns how many bytes of `length` a transfer is to move at most.
pub(crate) fn shorten(length: u32) -> u32 {
    let shortened = with(|script| {
        if length < 2 || !script.happens(script.rates.short) {
            return length;
        }
        script.played.short += 1;
        let most = usize::try_from(length - 1).expect("a length");
        1 + u32::try_from(script.below(most)).expect("less than the length")
    });
    shortened.unwrap_or(length)
}

/// Whether the completion of `key` is held back.
pub(super) fn holds(key: u64, result: i32) -> bool {
    with(|script| script.held.push((key, result))).is_some()
}

/// Returns the completions that are due now, in any order.
pub(super) fn due() -> Vec<(u64, i32)> {
    let due = with(|script| {
        let mut due = Vec::new();
        let mut late = Vec::new();
        for completion in core::mem::take(&mut script.held) {
            if script.happens(script.rates.late) {
                script.played.late += 1;
                late.push(completion);
            } else {
                let place = script.below(due.len() + 1);
                due.insert(place, completion);
            }
        }
        script.held = late;
        due
    });
    due.unwrap_or_default()
}

/// Whether completions are held back, so that nobody may wait for the kernel.
pub(super) fn has_held() -> bool {
    with(|script| !script.held.is_empty()).unwrap_or(false)
}
