//! Memory from the allocator, without anybody who holds a part of it.

#![expect(unsafe_code, reason = "this room asks the allocator for memory")]

use core::ptr::NonNull;
use std::alloc::{self, Layout};
use std::io;

/// Heap memory that is initialized, addressed by pointer so that moving the owner invalidates nothing.
#[derive(Debug)]
pub(super) struct RawBlock {
    base: NonNull<u8>,
    /// Never of size zero.
    layout: Layout,
}

impl RawBlock {
    /// Allocates `length` zeroed bytes, at least one.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::OutOfMemory`].
    pub(super) fn zeroed(length: usize) -> io::Result<Self> {
        let layout = Layout::array::<u8>(length.max(1))
            .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        // SAFETY: the layout is not of size zero.
        let base = unsafe { alloc::alloc_zeroed(layout) };
        let base = NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, layout })
    }

    /// Gives back all behind the first `length` bytes, if the allocator does: what is left may lie
    /// elsewhere then. Returns how many bytes that were.
    pub(super) fn shrink(&mut self, length: usize) -> usize {
        let length = length.max(1);
        let Some(excess) = self.len().checked_sub(length) else {
            return 0;
        };
        let Ok(layout) = Layout::array::<u8>(length) else {
            return 0;
        };
        // SAFETY: `base` came from this allocator with this layout, which has the same alignment;
        // `length` is not zero and no longer than before. Who borrows the block exclusively sees to it
        // that nobody uses its old place.
        let base = unsafe { alloc::realloc(self.base.as_ptr(), self.layout, length) };
        let Some(base) = NonNull::new(base) else {
            return 0;
        };
        self.base = base;
        self.layout = layout;
        excess
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(super) fn len(&self) -> usize {
        self.layout.size()
    }
}

impl Drop for RawBlock {
    fn drop(&mut self) {
        // SAFETY: `base` came from this allocator with this layout. Whoever hands out its bytes drops it
        // behind the last who has them.
        unsafe { alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}
