//! Exclusive and shared ranges of a block of memory, and blocks that are the kernel's for now.

#![expect(unsafe_code, reason = "this room turns pointers into slices")]

use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut, Range};
use core::ptr::NonNull;
use std::alloc::{self, Layout};
use std::io;
use std::rc::Rc;

use super::pool::Pool;

/// A counted hold on one block of memory: a slot of the pool, or a heap block.
enum Block {
    /// A slot. The pool counts its holders.
    Slot { pool: Pool, index: usize },
    /// A block of its own, for a message larger than a slot.
    Heap(Rc<HeapBlock>),
}

/// Zeroed heap memory, addressed by pointer so that moving the owner invalidates nothing.
struct HeapBlock {
    base: NonNull<u8>,
    layout: Layout,
}

impl HeapBlock {
    fn new(length: usize) -> io::Result<Self> {
        let layout = Layout::array::<u8>(length.max(1))
            .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        // SAFETY: the layout is not of size zero.
        let base = unsafe { alloc::alloc_zeroed(layout) };
        let base = NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, layout })
    }
}

impl Drop for HeapBlock {
    fn drop(&mut self) {
        // SAFETY: `base` came from this allocator with this layout, and every holder is gone.
        unsafe { alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}

impl Block {
    fn base(&self) -> NonNull<u8> {
        match self {
            Self::Slot { pool, index } => pool.slot_base(*index),
            Self::Heap(block) => block.base,
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::Slot { pool, .. } => pool.slot_size(),
            Self::Heap(block) => block.layout.size(),
        }
    }

    fn is_sole_holder(&self) -> bool {
        match self {
            Self::Slot { pool, index } => pool.holders(*index) == 1,
            Self::Heap(block) => Rc::strong_count(block) == 1,
        }
    }
}

impl Clone for Block {
    fn clone(&self) -> Self {
        match self {
            Self::Slot { pool, index } => {
                pool.add_holder(*index);
                Self::Slot {
                    pool: pool.clone(),
                    index: *index,
                }
            }
            Self::Heap(block) => Self::Heap(Rc::clone(block)),
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Self::Slot { pool, index } = self {
            pool.remove_holder(*index);
        }
    }
}

/// The only way to the bytes of one range of a block.
///
/// Invariant: no other [`Buffer`] or [`View`] covers any byte of `base[..length]`, and the kernel
/// has no operation on the block. [`Pool`] upholds it by handing out each slot once,
/// [`Buffer::split_to`] by giving away disjoint ranges, [`Buffer::start`] by demanding the whole.
pub(crate) struct Buffer {
    block: Block,
    /// First byte of the range.
    base: NonNull<u8>,
    length: usize,
}

impl Buffer {
    /// Takes over a slot that the pool has just marked as held once.
    pub(super) fn from_slot(pool: Pool, index: usize) -> Self {
        Self::whole(Block::Slot { pool, index })
    }

    /// Allocates a zeroed block of `length` bytes outside the pool.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::OutOfMemory`].
    pub(crate) fn heap(length: usize) -> io::Result<Self> {
        Ok(Self::whole(Block::Heap(Rc::new(HeapBlock::new(length)?))))
    }

    fn whole(block: Block) -> Self {
        Self {
            base: block.base(),
            length: block.capacity(),
            block,
        }
    }

    /// Whether the bytes lie in the arena that is registered with the ring.
    pub(crate) fn is_slot(&self) -> bool {
        matches!(self.block, Block::Slot { .. })
    }

    /// Splits off the first `at` bytes; `self` keeps the rest.
    ///
    /// # Panics
    ///
    /// If `at` is beyond the end.
    pub(crate) fn split_to(&mut self, at: usize) -> Self {
        assert!(at <= self.length, "split beyond the end of a buffer");
        let head = Self {
            block: self.block.clone(),
            base: self.base,
            length: at,
        };
        // SAFETY: `at` is within the range, checked above.
        self.base = unsafe { self.base.add(at) };
        self.length -= at;
        head
    }

    /// Makes the range read-only and shareable.
    pub(crate) fn freeze(self) -> View {
        View {
            block: self.block,
            base: self.base,
            length: self.length,
        }
    }

    /// Whether nothing else holds a part of the block.
    pub(crate) fn is_sole_holder(&self) -> bool {
        self.block.is_sole_holder()
    }

    /// Returns how many bytes of the block lie before this range.
    pub(crate) fn offset(&self) -> usize {
        self.base.as_ptr().addr() - self.block.base().as_ptr().addr()
    }

    /// Moves the first `length` bytes of the range to the start of the block and widens the range
    /// to the whole of it.
    ///
    /// # Panics
    ///
    /// If something else holds a part of the block, or `length` is beyond the end.
    pub(crate) fn reclaim(&mut self, length: usize) {
        assert!(self.is_sole_holder(), "reclaimed a block that is shared");
        assert!(length <= self.length, "kept more than the buffer holds");
        let offset = self.offset();
        self.base = self.block.base();
        self.length = self.block.capacity();
        if offset > 0 && length > 0 {
            self.copy_within(offset..offset + length, 0);
        }
    }

    /// Hands the block to the kernel.
    ///
    /// # Panics
    ///
    /// If something else holds a part of the block.
    pub(crate) fn start(self) -> InFlight {
        assert!(self.is_sole_holder(), "a shared block cannot go in flight");
        InFlight {
            buffer: ManuallyDrop::new(self),
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the range lies in a block that `self.block` keeps alive, all of it was zeroed
        // when it was made, and by the type's invariant nobody else writes it.
        unsafe { core::slice::from_raw_parts(self.base.as_ptr(), self.length) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `deref`; and by the type's invariant nobody else reads it either.
        unsafe { core::slice::from_raw_parts_mut(self.base.as_ptr(), self.length) }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Bytes stay out: they may be plaintext.
        formatter
            .debug_struct("Buffer")
            .field("is_slot", &self.is_slot())
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// A block that the kernel may read or write until [`finish`](Self::finish).
///
/// Dropping it without a completion leaks the block, on purpose: the kernel may still be at it.
#[derive(Debug)]
pub(crate) struct InFlight {
    buffer: ManuallyDrop<Buffer>,
}

impl InFlight {
    /// Returns the address of `range` for the kernel, and its length.
    ///
    /// # Panics
    ///
    /// If the range is not within the buffer.
    pub(crate) fn address(&self, range: Range<usize>) -> (NonNull<u8>, usize) {
        assert!(
            range.start <= range.end && range.end <= self.buffer.length,
            "an operation beyond its buffer"
        );
        // SAFETY: within the range, checked above.
        let base = unsafe { self.buffer.base.add(range.start) };
        (base, range.end - range.start)
    }

    /// Takes the block back from the kernel. Call this only when its operation has completed.
    pub(crate) fn finish(self) -> Buffer {
        ManuallyDrop::into_inner(self.buffer)
    }
}

/// A shared, read-only range of a block. The block is free when its last holder is dropped.
#[derive(Clone)]
pub(crate) struct View {
    block: Block,
    base: NonNull<u8>,
    length: usize,
}

impl View {
    /// Narrows the view to `range`.
    ///
    /// # Panics
    ///
    /// If the range is not within the view.
    pub(crate) fn narrow(mut self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.length,
            "narrowed beyond the view"
        );
        // SAFETY: within the range, checked above.
        self.base = unsafe { self.base.add(range.start) };
        self.length = range.end - range.start;
        self
    }
}

impl Deref for View {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the range came from a Buffer that was consumed, so nobody can write it before
        // every view is gone; `self.block` keeps it alive; all of it is initialized.
        unsafe { core::slice::from_raw_parts(self.base.as_ptr(), self.length) }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = &self.block;
        formatter
            .debug_struct("View")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
