//! The system's allocator, which counts for each thread what it was asked for.
//!
//! Counts of threads and not of the process: a shared counter would be a cache line that two
//! cores fight for, and threads that only print would be counted as well. What C code allocates
//! is not seen.

#![expect(unsafe_code, reason = "a global allocator is unsafe to write")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNTED: Cell<Allocations> = const { Cell::new(Allocations { count: 0, bytes: 0 }) };
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What a thread has asked the allocator for since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allocations {
    /// New blocks, and blocks that changed their size.
    pub(crate) count: u64,
    /// The sizes of those blocks together.
    pub(crate) bytes: u64,
}

impl Allocations {
    /// Those of the calling thread.
    pub(crate) fn of_this_thread() -> Self {
        COUNTED.get()
    }
}

/// Passes everything on to the system's allocator.
#[derive(Debug)]
struct CountingAllocator;

impl CountingAllocator {
    #[inline]
    fn count(bytes: usize) {
        // Fails only while the thread is torn down, when nobody asks for its figures any more.
        let _ = COUNTED.try_with(|counted| {
            let before = counted.get();
            counted.set(Allocations {
                count: before.count.wrapping_add(1),
                bytes: before.bytes.wrapping_add(bytes as u64),
            });
        });
    }
}

// SAFETY: every call is passed on to the system's allocator as it came, and its answer is given
// back as it is. Counting allocates nothing and cannot panic: the thread-local is made at compile
// time and has no destructor.
unsafe impl GlobalAlloc for CountingAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size);
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.realloc(pointer, layout, size) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn blocks_of_this_thread_are_counted_and_those_of_others_are_not() {
        use super::Allocations;

        let before = Allocations::of_this_thread();
        let mut block: Vec<u8> = Vec::with_capacity(100);
        block.reserve_exact(300);
        let zeroed = vec![0_u8; 50];
        let after = Allocations::of_this_thread();
        assert_eq!(after.count - before.count, 3);
        assert_eq!(after.bytes - before.bytes, 450);
        drop((block, zeroed));
        assert_eq!(Allocations::of_this_thread(), after);
        let other = std::thread::spawn(|| drop(core::hint::black_box(vec![0_u8; 1 << 20])));
        other.join().expect("it ends well");
        let now = Allocations::of_this_thread();
        assert!(now.bytes - after.bytes < 1 << 20);
    }
}
