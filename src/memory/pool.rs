//! The slots of one arena: who holds how many.
//!
//! `slab` is both the free list and the bookkeeping: a slot is out exactly while its index is
//! occupied, and the slab's own list of vacant keys says which slot is next.
//!
//! Nobody waits for a slot. Whoever finds none takes a block of the [`heap`](super::heap), where it
//! is written why that always goes on: so whatever peers or holders of messages do with slots, it
//! costs the others speed and nothing else.
//!
//! To keep that cost low slots are for what moves. Neither receiving nor sending may take the last
//! ones of the other; a read that may have to wait for its peer holds one only while few are out.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::ptr::NonNull;
use std::rc::Rc;

use slab::Slab;

use super::buffer::Buffer;
use super::class::Class;
use super::heap::{Account, Heap};
use super::mapping::Mapping;

/// A handle on the slots and the heap of a runtime. Clones share them.
#[derive(Clone)]
pub(crate) struct Pool {
    inner: Rc<Inner>,
}

struct Inner {
    mapping: Mapping,
    slot_size: usize,
    slots: usize,
    limits: Limits,
    /// How many hold each slot. Here and not in the slab, because every message is a holder.
    holders: Box<[Cell<u32>]>,
    state: RefCell<State>,
    heap: Heap,
}

/// How many slots may be out for what.
struct Limits {
    receive: usize,
    send: usize,
    /// Slots out for receiving below which a read may hold one while it waits.
    parked: usize,
}

impl Limits {
    fn of(&self, class: Class) -> usize {
        match class {
            Class::Receive => self.receive,
            Class::Send => self.send,
        }
    }
}

struct State {
    /// Slots that are out, by index. Never grows past `slots`, so keys are slot indices.
    taken: Slab<Class>,
    receive_taken: usize,
    send_taken: usize,
    counters: PoolCounters,
}

/// What the pool has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolCounters {
    /// Slots in the pool now.
    pub(crate) free: usize,
    /// Slots in all.
    pub(crate) slots: usize,
    /// How often a slot was taken.
    pub(crate) taken_total: u64,
    /// How often there was none for somebody who wanted one.
    pub(crate) missed_total: u64,
}

impl State {
    fn taken_by(&mut self, class: Class) -> &mut usize {
        match class {
            Class::Receive => &mut self.receive_taken,
            Class::Send => &mut self.send_taken,
        }
    }
}

impl Pool {
    /// What one sender holds at most: a slot that it fills and a slot in flight.
    pub(crate) const SENDER_SLOTS: usize = 1 + 1;
    /// What one receiver needs to move: a slot that is read into, and one that the messages it
    /// has given out are views of.
    pub(crate) const RECEIVER_SLOTS: usize = 1 + 1;
    /// The fewest slots that let one connection move in both directions.
    pub(crate) const MIN_SLOTS: usize = Self::SENDER_SLOTS + Self::RECEIVER_SLOTS;

    /// Carves `slots` slots of `slot_size` bytes from `mapping`. Heap blocks keep to
    /// `heap_budget` bytes.
    ///
    /// # Panics
    ///
    /// If the mapping is too short or there are fewer slots than [`Self::MIN_SLOTS`].
    pub(crate) fn new(
        mapping: Mapping,
        slots: usize,
        slot_size: usize,
        heap_budget: usize,
    ) -> Self {
        assert!(
            slots >= Self::MIN_SLOTS,
            "a pool too small for one connection"
        );
        let needed = slots.checked_mul(slot_size);
        assert!(
            needed.is_some_and(|needed| slot_size > 0 && needed <= mapping.length()),
            "slots beyond the mapping"
        );
        let left_to_send = (slots / 4).max(Self::SENDER_SLOTS);
        let left_to_receive = (slots * 2 / 5).max(Self::RECEIVER_SLOTS);
        Self {
            inner: Rc::new(Inner {
                mapping,
                slot_size,
                slots,
                limits: Limits {
                    receive: slots - left_to_send,
                    send: slots - left_to_receive,
                    parked: left_to_receive - 1,
                },
                holders: (0..slots).map(|_| Cell::new(0)).collect(),
                state: RefCell::new(State {
                    taken: Slab::with_capacity(slots),
                    receive_taken: 0,
                    send_taken: 0,
                    counters: PoolCounters::default(),
                }),
                heap: Heap::new(heap_budget),
            }),
        }
    }

    /// Returns the bytes in a slot.
    pub(crate) fn slot_size(&self) -> usize {
        self.inner.slot_size
    }

    /// Returns the first byte of the arena and the length of all slots, for registration.
    pub(crate) fn arena(&self) -> (NonNull<u8>, usize) {
        (
            self.inner.mapping.base(),
            self.inner.slots * self.inner.slot_size,
        )
    }

    /// Returns a snapshot of the counters.
    pub(crate) fn counters(&self) -> PoolCounters {
        let state = self.inner.state.borrow();
        PoolCounters {
            free: self.inner.slots - state.taken.len(),
            slots: self.inner.slots,
            ..state.counters
        }
    }

    /// Returns the memory beside the slots.
    pub(crate) fn heap(&self) -> &Heap {
        &self.inner.heap
    }

    /// Makes an account of heap memory.
    pub(crate) fn account(&self, class: Class) -> Account {
        Account::new(self.inner.heap.clone(), class)
    }

    /// Takes a slot if one is free for `class`.
    pub(crate) fn try_acquire(&self, class: Class) -> Option<Buffer> {
        let mut state = self.inner.state.borrow_mut();
        let index = self.take(&mut state, class);
        drop(state);
        index.map(|index| Buffer::from_slot(self.clone(), index))
    }

    /// Whether so few slots are out that a read may hold one while it waits for a silent peer.
    pub(crate) fn may_wait_holding_slot(&self) -> bool {
        let state = self.inner.state.borrow();
        state.receive_taken < self.inner.limits.parked
    }

    /// Returns which memory somebody waits for that is there: always none.
    #[cfg(feature = "internals")]
    pub(crate) fn overlooked(&self) -> Option<&'static str> {
        let has_slot = |class| self.has_slot(&mut self.inner.state.borrow_mut(), class);
        (self.inner.heap).overlooked(has_slot, |index| self.holders(index) == 1)
    }

    fn has_slot(&self, state: &mut State, class: Class) -> bool {
        state.taken.len() < self.inner.slots && *state.taken_by(class) < self.inner.limits.of(class)
    }

    fn take(&self, state: &mut State, class: Class) -> Option<usize> {
        if !self.has_slot(state, class) {
            self.inner.heap.slots_are_gone(class);
            state.counters.missed_total += 1;
            return None;
        }
        let index = state.taken.insert(class);
        assert!(index < self.inner.slots, "slab keys are slot indices");
        self.inner.holders[index].set(1);
        *state.taken_by(class) += 1;
        state.counters.taken_total += 1;
        Some(index)
    }

    pub(super) fn slot_base(&self, index: usize) -> NonNull<u8> {
        assert!(index < self.inner.slots, "no such slot");
        let offset = index * self.inner.slot_size;
        // In bounds, since `new` checked slots times slot size against the mapping; a wrapping
        // add needs no `unsafe` and is the same here.
        let pointer = self.inner.mapping.base().as_ptr().wrapping_add(offset);
        NonNull::new(pointer).expect("an address within a mapping is not null")
    }

    pub(super) fn holders(&self, index: usize) -> u32 {
        self.inner.holders[index].get()
    }

    #[inline]
    pub(super) fn add_holder(&self, index: usize) {
        let holders = &self.inner.holders[index];
        let more = holders.get().checked_add(1);
        holders.set(more.expect("fewer than 2^32 views"));
    }

    #[inline]
    pub(super) fn remove_holder(&self, index: usize) {
        let holders = &self.inner.holders[index];
        let left = holders.get().checked_sub(1);
        let left = left.expect("whoever holds it was counted");
        holders.set(left);
        if left <= 1 {
            self.has_lost_holder(index, left);
        }
    }

    /// A slot has one holder left, or none.
    fn has_lost_holder(&self, index: usize, left: u32) {
        if left == 0 {
            let mut state = self.inner.state.borrow_mut();
            let class = state.taken.remove(index);
            *state.taken_by(class) -= 1;
        }
        // Somebody who waits for heap memory may go on with a slot.
        if self.inner.heap.has_waiters() {
            self.tell_of_slot(index, left);
        }
    }

    #[cold]
    fn tell_of_slot(&self, index: usize, holders: u32) {
        if holders == 0 {
            self.inner.heap.slot_is_free();
        } else {
            self.inner.heap.slot_is_unshared(index);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pool")
            .field("slot_size", &self.inner.slot_size)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Lent;

    fn pool(slots: usize) -> Pool {
        let slot_size = 4096;
        Pool::new(
            Mapping::new(slots * slot_size).expect("map"),
            slots,
            slot_size,
            1 << 20,
        )
    }

    #[test]
    fn a_slot_returns_with_its_last_view() {
        let pool = pool(4);
        let mut buffer = pool.try_acquire(Class::Receive).expect("free");
        buffer[..3].copy_from_slice(b"abc");
        let head = buffer.split_to(2);
        let first = head.freeze();
        let second = first.clone().narrow(1..2);
        drop(buffer);
        drop(first);
        assert_eq!(&*second, b"b");
        assert_eq!(pool.counters().free, 3);
        drop(second);
        assert_eq!(pool.counters().free, 4);
    }

    #[test]
    fn neither_class_takes_the_last_slots_of_the_other() {
        let pool = pool(8);
        let mut held = Vec::new();
        while let Some(buffer) = pool.try_acquire(Class::Receive) {
            held.push(buffer);
        }
        assert_eq!(held.len(), 6);
        held.push(pool.try_acquire(Class::Send).expect("kept for sends"));
        held.push(pool.try_acquire(Class::Send).expect("kept for sends"));
        assert!(pool.try_acquire(Class::Send).is_none());
    }

    #[test]
    fn a_read_may_not_park_with_a_slot_when_many_are_out() {
        let pool = pool(8);
        let mut held = Vec::new();
        while pool.may_wait_holding_slot() {
            held.push(pool.try_acquire(Class::Receive).expect("below the limit"));
        }
        assert_eq!(held.len(), 2);
    }

    #[test]
    fn a_slot_for_receiving_is_left_when_sends_and_parked_reads_have_theirs() {
        for slots in Pool::MIN_SLOTS..40 {
            let pool = pool(slots);
            let mut held = Vec::new();
            while pool.may_wait_holding_slot() {
                held.push(pool.try_acquire(Class::Receive).expect("below the limit"));
            }
            assert!(!held.is_empty(), "a lone connection parks with its slot");
            while let Some(buffer) = pool.try_acquire(Class::Send) {
                held.push(buffer);
            }
            pool.try_acquire(Class::Receive)
                .expect("the one that goes round");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads what the kernel has mapped")]
    #[inline(never)]
    fn an_operation_without_completion_leaks_its_slot_and_the_mapping() {
        let pool = pool(4);
        let base = pool.slot_base(0);
        {
            let _never_completed = pool.try_acquire(Class::Receive).expect("free").start();
        }
        assert_eq!(pool.counters().free, 3);
        drop(pool);
        // The mapping must still be there: asking for the same address again without force
        // would give another one; mincore-style probing needs unsafe, so look it up instead.
        let maps = std::fs::read_to_string("/proc/self/maps").expect("procfs");
        let address = base.as_ptr().addr();
        assert!(maps.lines().any(|line| {
            let Some((range, _)) = line.split_once(' ') else {
                return false;
            };
            let Some((start, end)) = range.split_once('-') else {
                return false;
            };
            let parse = |text| usize::from_str_radix(text, 16).expect("hexadecimal");
            (parse(start)..parse(end)).contains(&address)
        }));
    }

    #[test]
    #[inline(never)]
    fn a_view_in_flight_holds_its_slot_as_any_other() {
        let pool = pool(4);
        let mut buffer = pool.try_acquire(Class::Receive).expect("free");
        buffer[..3].copy_from_slice(b"abc");
        let view = buffer.split_to(3).freeze();
        let in_flight = Lent::View(view.clone()).start();
        let (address, length) = in_flight.address(1..3);
        assert_eq!(
            (address.as_ptr().addr(), length),
            (view.as_ptr().addr() + 1, 2)
        );
        drop(view);
        assert!(!buffer.is_sole_holder(), "the rest can't go in flight");
        drop(buffer);
        assert_eq!(pool.counters().free, 3);
        let view = in_flight.finish().into_view().expect("a view");
        assert_eq!(&*view, b"abc");
        drop(view);
        assert_eq!(pool.counters().free, 4);
        // Without a completion it is held for good.
        let buffer = pool.try_acquire(Class::Receive).expect("free");
        {
            let _never_completed = Lent::View(buffer.freeze()).start();
        }
        assert_eq!(pool.counters().free, 3);
    }

    #[test]
    fn reclaiming_moves_the_rest_to_the_front() {
        let pool = pool(4);
        let mut buffer = pool.try_acquire(Class::Receive).expect("free");
        buffer[..6].copy_from_slice(b"headXY");
        drop(buffer.split_to(4));
        assert_eq!(buffer.offset(), 4);
        buffer.reclaim(2);
        assert_eq!(buffer.offset(), 0);
        assert_eq!(buffer.len(), 4096);
        assert_eq!(&buffer[..2], b"XY");
    }

    #[test]
    #[should_panic(expected = "shared block")]
    fn a_slot_with_views_cannot_go_in_flight() {
        let pool = pool(4);
        let mut buffer = pool.try_acquire(Class::Receive).expect("free");
        let _view = buffer.split_to(4).freeze();
        let _ = buffer.start();
    }
}
