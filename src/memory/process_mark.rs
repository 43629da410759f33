//! Which process made something. A forked child finds out by reading one word.

#![cfg_attr(
    all(target_os = "linux", not(miri)),
    expect(unsafe_code, reason = "this room maps memory")
)]

use core::sync::atomic::{AtomicU32, Ordering};
#[cfg(all(target_os = "linux", not(miri)))]
use std::sync::OnceLock;

/// The process that made a value: what a child inherits by `fork(2)` can be told from what it made
/// itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessMark {
    /// A word that the kernel makes zero in a child; `None` where it can't.
    word: Option<&'static AtomicU32>,
    /// What the word held, or the process id without it.
    value: u32,
}

impl ProcessMark {
    /// Returns the mark of this process.
    pub(crate) fn current() -> Self {
        let word = word();
        Self {
            word,
            value: word.map_or_else(std::process::id, generation),
        }
    }

    /// Whether this process is a child that was forked from the one which made the mark.
    #[inline]
    pub(crate) fn is_inherited(self) -> bool {
        match self.word {
            Some(word) => word.load(Ordering::Relaxed) != self.value,
            None => std::process::id() != self.value,
        }
    }
}

/// Returns what `word` holds in this process, other than in all that it was forked from.
fn generation(word: &AtomicU32) -> u32 {
    static GENERATIONS: AtomicU32 = AtomicU32::new(0);
    let held = word.load(Ordering::Relaxed);
    if held != 0 {
        return held;
    }
    // A child inherits the count, so its number is a new one.
    let next = GENERATIONS.fetch_add(1, Ordering::Relaxed) + 1;
    match word.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => next,
        Err(held) => held,
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
fn word() -> Option<&'static AtomicU32> {
    static WORD: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();
    *WORD.get_or_init(|| map_word().ok())
}

// Miri does not fork.
#[cfg(any(not(target_os = "linux"), miri))]
fn word() -> Option<&'static AtomicU32> {
    None
}

/// Maps the word on a page of its own, which is never unmapped.
#[cfg(all(target_os = "linux", not(miri)))]
fn map_word() -> rustix::io::Result<&'static AtomicU32> {
    use core::ptr;

    use rustix::mm::{Advice, MapFlags, ProtFlags};

    let length = rustix::param::page_size();
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice overlaps no memory
    // that Rust knows of.
    let page = unsafe {
        rustix::mm::mmap_anonymous(
            ptr::null_mut(),
            length,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    }?;
    // SAFETY: the range is exactly that mapping, and nobody has a reference into it yet.
    let advised = unsafe { rustix::mm::madvise(page, length, Advice::LinuxWipeOnFork) };
    if let Err(error) = advised {
        // SAFETY: as above.
        let unmapped = unsafe { rustix::mm::munmap(page, length) };
        debug_assert!(unmapped.is_ok(), "munmap of our own mapping");
        return Err(error);
    }
    // SAFETY: the page is aligned, zeroed, of sufficient size, and stays mapped; it is only ever
    // reached as this atomic.
    Ok(unsafe { AtomicU32::from_ptr(page.cast()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_this_process_own() {
        let mark = ProcessMark::current();
        assert!(!mark.is_inherited());
        assert_eq!(ProcessMark::current().value, mark.value);
    }

    // What the kernel does to the word in a child.
    #[test]
    fn a_word_that_was_wiped_tells_old_marks_from_new_ones() {
        static WORD: AtomicU32 = AtomicU32::new(0);
        let mark = |value| ProcessMark {
            word: Some(&WORD),
            value,
        };
        let parents = mark(generation(&WORD));
        assert!(!parents.is_inherited());
        WORD.store(0, Ordering::Relaxed);
        assert!(parents.is_inherited());
        let childs = mark(generation(&WORD));
        assert!(parents.is_inherited() && !childs.is_inherited());
    }

    #[test]
    fn without_a_word_the_process_id_tells() {
        let mark = |value| ProcessMark { word: None, value };
        assert!(!mark(std::process::id()).is_inherited());
        assert!(mark(std::process::id() + 1).is_inherited());
    }
}
