//! Exclusive and shared ranges of a block of memory, and blocks that are the kernel's for now.

#![expect(unsafe_code, reason = "this room turns pointers into slices")]

use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut, Range};
use core::ptr::NonNull;
use std::io;
use std::rc::Rc;

use super::heap::Grant;
use super::pool::Pool;
use super::raw_block::RawBlock;

/// A counted hold on one block of memory: a slot of the pool, or a heap block.
enum Block {
    /// A slot. The pool counts its holders.
    Slot { pool: Pool, index: usize },
    /// A block of its own, for a message larger than a slot or in the place of one.
    Heap(Rc<HeapBlock>),
}

/// A heap block and what it counts for.
struct HeapBlock {
    /// `None` only while this is dropped.
    memory: Option<RawBlock>,
    grant: Grant,
}

impl HeapBlock {
    fn new(grant: Grant) -> io::Result<Self> {
        let memory = match grant.take_spare() {
            Some(spare) => spare,
            None => RawBlock::zeroed(grant.bytes())?,
        };
        Ok(Self {
            memory: Some(memory),
            grant,
        })
    }

    fn memory(&self) -> &RawBlock {
        self.memory.as_ref().expect("there until the drop")
    }

    /// Gives back all behind the first `length` bytes, if the allocator does. The block may move.
    fn shrink(&mut self, length: usize) {
        // Nothing else holds the block: its one `Rc` is borrowed exclusively.
        let excess = self
            .memory
            .as_mut()
            .map_or(0, |memory| memory.shrink(length));
        drop(self.grant.split(excess));
    }
}

impl Drop for HeapBlock {
    fn drop(&mut self) {
        // Every holder is gone.
        if let Some(memory) = self.memory.take() {
            self.grant.keep_spare(memory);
        }
    }
}

impl Block {
    const fn is_slot(&self) -> bool {
        matches!(self, Self::Slot { .. })
    }

    fn base(&self) -> NonNull<u8> {
        match self {
            Self::Slot { pool, index } => pool.slot_base(*index),
            Self::Heap(block) => block.memory().base(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::Slot { pool, .. } => pool.slot_size(),
            Self::Heap(block) => block.memory().len(),
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
    #[inline]
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
    #[inline]
    fn drop(&mut self) {
        match self {
            Self::Slot { pool, index } => pool.remove_holder(*index),
            // Of two holders one goes, and the other, which may wait for that, looks later.
            Self::Heap(block) if Rc::strong_count(block) == 2 => block.grant.block_is_unshared(),
            Self::Heap(_) => {}
        }
    }
}

/// The only way to the bytes of one range of a block.
///
/// Invariant: no other [`Buffer`] or [`View`] covers any byte of `base[..length]`, and no operation
/// of the kernel does. [`Pool`] upholds it by handing out each slot once,
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

    /// Makes a block outside the pool, with zeros in it or what was in another before.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::OutOfMemory`].
    pub(crate) fn heap(grant: Grant) -> io::Result<Self> {
        Ok(Self::whole(Block::Heap(Rc::new(HeapBlock::new(grant)?))))
    }

    /// Makes a short one of a heap of its own.
    #[cfg(test)]
    pub(crate) fn for_test(length: usize) -> Self {
        use super::class::Class;
        use super::heap::{Account, Heap};

        let account = Account::new(Heap::new(0), Class::Send);
        Self::heap(account.take_short(length)).expect("memory")
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
        self.block.is_slot()
    }

    /// Returns the index of the slot, if it is one.
    pub(crate) fn slot(&self) -> Option<usize> {
        match self.block {
            Block::Slot { index, .. } => Some(index),
            Block::Heap(_) => None,
        }
    }

    /// Returns the bytes of the heap block that go with this, if it is one and has no other holder.
    pub(crate) fn heap_bytes_if_sole(&self) -> usize {
        match &self.block {
            Block::Heap(block) if Rc::strong_count(block) == 1 => block.memory().len(),
            Block::Slot { .. } | Block::Heap(_) => 0,
        }
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

    /// Cuts the block, which begins here, down to its first `length` bytes, and gives back the memory of
    /// the rest where it is a heap block with no other holder.
    ///
    /// # Panics
    ///
    /// If bytes of the block were cut off in front, or `length` is beyond the end.
    pub(crate) fn shrink(mut self, length: usize) -> Self {
        assert!(length <= self.length, "kept more than the buffer holds");
        assert!(self.offset() == 0, "the block begins before the buffer");
        if let Block::Heap(block) = &mut self.block
            && let Some(block) = Rc::get_mut(block)
        {
            block.shrink(length);
            self.base = block.memory().base();
        }
        self.length = length;
        self
    }

    /// Hands the block to the kernel.
    ///
    /// # Panics
    ///
    /// If something else holds a part of the block.
    pub(crate) fn start(self) -> InFlight {
        assert!(self.is_sole_holder(), "a shared block cannot go in flight");
        InFlight::new(Lent::Buffer(self))
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the range lies in a block that `self.block` keeps alive, all of it was initialized
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

/// Memory that is lent to the kernel for one operation.
#[derive(Debug)]
pub(crate) enum Lent {
    /// A whole block, which the kernel may read or write.
    Buffer(Buffer),
    /// A range that the kernel only reads, as others who hold views of it may meanwhile.
    View(View),
}

impl Lent {
    /// Hands it to the kernel, which may write to it only if it is a buffer.
    ///
    /// # Panics
    ///
    /// If it is a buffer, and something else holds a part of its block.
    pub(crate) fn start(self) -> InFlight {
        match self {
            Self::Buffer(buffer) => buffer.start(),
            Self::View(view) => InFlight::new(Self::View(view)),
        }
    }

    /// Returns the buffer, if it is one.
    pub(crate) fn into_buffer(self) -> Option<Buffer> {
        match self {
            Self::Buffer(buffer) => Some(buffer),
            Self::View(_) => None,
        }
    }

    /// Returns the view, if it is one.
    pub(crate) fn into_view(self) -> Option<View> {
        match self {
            Self::View(view) => Some(view),
            Self::Buffer(_) => None,
        }
    }

    fn base(&self) -> NonNull<u8> {
        match self {
            Self::Buffer(buffer) => buffer.base,
            Self::View(view) => view.base,
        }
    }
}

impl Deref for Lent {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Buffer(buffer) => buffer,
            Self::View(view) => view,
        }
    }
}

/// Memory that the kernel may use until [`finish`](Self::finish).
///
/// Dropping it without a completion leaks it, on purpose: the kernel may still be at it. A leaked
/// view is one holder more for good, so that its block is neither reclaimed nor given out again.
#[derive(Debug)]
pub(crate) struct InFlight {
    lent: ManuallyDrop<Lent>,
}

impl InFlight {
    fn new(lent: Lent) -> Self {
        Self {
            lent: ManuallyDrop::new(lent),
        }
    }

    /// Returns the address of `range` for the kernel, and its length. The kernel may write there
    /// only if this was made of a [`Buffer`].
    ///
    /// # Panics
    ///
    /// If the range is not within what was lent.
    pub(crate) fn address(&self, range: Range<usize>) -> (NonNull<u8>, usize) {
        assert!(
            range.start <= range.end && range.end <= self.lent.len(),
            "an operation beyond its memory"
        );
        // SAFETY: within the range, checked above.
        let base = unsafe { self.lent.base().add(range.start) };
        (base, range.end - range.start)
    }

    /// Takes the memory back from the kernel. Call this only when its operation has completed.
    pub(crate) fn finish(self) -> Lent {
        ManuallyDrop::into_inner(self.lent)
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
    /// Whether the bytes lie in the arena that is registered with the ring.
    pub(crate) fn is_slot(&self) -> bool {
        self.block.is_slot()
    }

    /// Returns a view of `range` of it.
    ///
    /// # Panics
    ///
    /// If the range is not within the view.
    #[inline]
    pub(crate) fn within(&self, range: Range<usize>) -> Self {
        let (base, length) = self.place_of(range);
        Self {
            block: self.block.clone(),
            base,
            length,
        }
    }

    /// Narrows the view to `range`.
    ///
    /// # Panics
    ///
    /// If the range is not within the view.
    #[inline]
    pub(crate) fn narrow(mut self, range: Range<usize>) -> Self {
        (self.base, self.length) = self.place_of(range);
        self
    }

    /// Returns where `range` begins, and its length.
    ///
    /// # Panics
    ///
    /// If the range is not within the view.
    #[inline]
    fn place_of(&self, range: Range<usize>) -> (NonNull<u8>, usize) {
        assert!(
            range.start <= range.end && range.end <= self.length,
            "narrowed beyond the view"
        );
        // SAFETY: within the range, checked above.
        let base = unsafe { self.base.add(range.start) };
        (base, range.end - range.start)
    }
}

impl Deref for View {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the range came from a Buffer that was consumed, so nobody can write it before
        // every view is gone, those included that the kernel reads from; `self.block` keeps it
        // alive; all of it is initialized.
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
