//! The slots of one arena: who holds how many, who waits, and in which order they are served.
//!
//! `slab` is both the free list and the bookkeeping: a slot is out exactly while its index is
//! occupied, and the slab's own list of vacant keys says which slot is next.
//!
//! Slots are taken for one of two purposes, and neither may take the last ones of the other.
//! Without that, receivers that hold messages could stop the sends that would let the peer
//! drain, or the other way round, and both ends would wait for ever.

use core::cell::RefCell;
use core::fmt;
use core::ptr::NonNull;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::rc::Rc;

use slab::Slab;

use super::buffer::Buffer;
use super::mapping::Mapping;

/// What a slot is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Reads and the messages that came of them.
    Receive,
    /// Records being sealed or written.
    Send,
}

/// A handle on the slots. Clones share them.
#[derive(Clone)]
pub(crate) struct Pool {
    inner: Rc<Inner>,
}

struct Inner {
    mapping: Mapping,
    slot_size: usize,
    slots: usize,
    limits: Limits,
    state: RefCell<State>,
}

/// How many slots may be out for what.
///
/// Sends wait for the peer to read and parked reads for it to send, so both can hold their slots
/// for long. What keeps two ends from waiting for each other is that at least one slot is left to
/// be read into when both have all they may.
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
    taken: Slab<Slot>,
    receive_taken: usize,
    send_taken: usize,
    waiters: Slab<Waiter>,
    /// Keys of `waiters` in the order of arrival, one queue a class.
    receive_queue: VecDeque<usize>,
    send_queue: VecDeque<usize>,
    counters: PoolCounters,
}

struct Slot {
    holders: u32,
    class: Class,
}

enum Waiter {
    Waiting(Waker),
    Granted(Buffer),
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
    /// How often somebody had to wait for one.
    pub(crate) waits_total: u64,
}

impl State {
    fn taken_by(&mut self, class: Class) -> &mut usize {
        match class {
            Class::Receive => &mut self.receive_taken,
            Class::Send => &mut self.send_taken,
        }
    }

    fn queue(&mut self, class: Class) -> &mut VecDeque<usize> {
        match class {
            Class::Receive => &mut self.receive_queue,
            Class::Send => &mut self.send_queue,
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

    /// Carves `slots` slots of `slot_size` bytes from `mapping`.
    ///
    /// # Panics
    ///
    /// If the mapping is too short or there are fewer slots than [`Self::MIN_SLOTS`].
    pub(crate) fn new(mapping: Mapping, slots: usize, slot_size: usize) -> Self {
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
                state: RefCell::new(State {
                    taken: Slab::with_capacity(slots),
                    receive_taken: 0,
                    send_taken: 0,
                    waiters: Slab::new(),
                    receive_queue: VecDeque::new(),
                    send_queue: VecDeque::new(),
                    counters: PoolCounters::default(),
                }),
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

    /// Takes a slot if one is free for `class` and nobody of that class waits.
    pub(crate) fn try_acquire(&self, class: Class) -> Option<Buffer> {
        let mut state = self.inner.state.borrow_mut();
        if !state.queue(class).is_empty() {
            return None;
        }
        let index = self.take(&mut state, class)?;
        drop(state);
        Some(Buffer::from_slot(self.clone(), index))
    }

    /// Whether so few slots are out that a read may hold one while it waits for a silent peer.
    pub(crate) fn may_park_with_slot(&self) -> bool {
        let state = self.inner.state.borrow();
        state.receive_taken < self.inner.limits.parked
    }

    fn take(&self, state: &mut State, class: Class) -> Option<usize> {
        if state.taken.len() >= self.inner.slots
            || *state.taken_by(class) >= self.inner.limits.of(class)
        {
            return None;
        }
        let index = state.taken.insert(Slot { holders: 1, class });
        assert!(index < self.inner.slots, "slab keys are slot indices");
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
        self.inner.state.borrow().taken[index].holders
    }

    pub(super) fn add_holder(&self, index: usize) {
        let mut state = self.inner.state.borrow_mut();
        let holders = &mut state.taken[index].holders;
        *holders = holders.checked_add(1).expect("fewer than 2^32 views");
    }

    pub(super) fn remove_holder(&self, index: usize) {
        let mut state = self.inner.state.borrow_mut();
        let slot = &mut state.taken[index];
        slot.holders -= 1;
        match (slot.holders, slot.class) {
            (0, _) => {}
            // A receiver that waits for another slot may go on with this one now.
            (1, Class::Receive) if !state.receive_queue.is_empty() => {
                drop(state);
                self.wake_receivers();
                return;
            }
            _ => return,
        }
        let class = state.taken.remove(index).class;
        *state.taken_by(class) -= 1;
        drop(state);
        self.serve_waiters();
    }

    /// Has those who wait for a slot to receive into look again.
    fn wake_receivers(&self) {
        let state = self.inner.state.borrow();
        let wakers: Vec<Waker> = state
            .receive_queue
            .iter()
            .filter_map(|&key| match &state.waiters[key] {
                Waiter::Waiting(waker) => Some(waker.clone()),
                Waiter::Granted(_) => None,
            })
            .collect();
        drop(state);
        for waker in wakers {
            waker.wake();
        }
    }

    /// Gives free slots to those who wait: sends first, since they drain by themselves.
    fn serve_waiters(&self) {
        for class in [Class::Send, Class::Receive] {
            loop {
                let mut state = self.inner.state.borrow_mut();
                let Some(&key) = state.queue(class).front() else {
                    break;
                };
                let Some(index) = self.take(&mut state, class) else {
                    break;
                };
                state.queue(class).pop_front();
                let buffer = Buffer::from_slot(self.clone(), index);
                let previous = core::mem::replace(&mut state.waiters[key], Waiter::Granted(buffer));
                // A waker may run anything, so nothing is borrowed while it does.
                drop(state);
                if let Waiter::Waiting(waker) = previous {
                    waker.wake();
                }
            }
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

/// A place in the queue for a slot. Dropping it gives the place, or the slot, to the next.
#[derive(Debug)]
pub(crate) struct Acquire {
    pool: Pool,
    class: Class,
    key: Option<usize>,
}

impl Acquire {
    pub(crate) fn new(pool: Pool, class: Class) -> Self {
        Self {
            pool,
            class,
            key: None,
        }
    }

    /// Returns a slot, now or when it is this one's turn.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Buffer> {
        let Some(key) = self.key else {
            if let Some(buffer) = self.pool.try_acquire(self.class) {
                return Poll::Ready(buffer);
            }
            let mut state = self.pool.inner.state.borrow_mut();
            let key = state
                .waiters
                .insert(Waiter::Waiting(context.waker().clone()));
            state.queue(self.class).push_back(key);
            state.counters.waits_total += 1;
            self.key = Some(key);
            return Poll::Pending;
        };
        let mut state = self.pool.inner.state.borrow_mut();
        if let Waiter::Waiting(waker) = &mut state.waiters[key] {
            waker.clone_from(context.waker());
            return Poll::Pending;
        }
        self.key = None;
        match state.waiters.remove(key) {
            Waiter::Granted(buffer) => Poll::Ready(buffer),
            Waiter::Waiting(_) => unreachable!("looked at just above"),
        }
    }

    /// Gives up the place in the queue.
    pub(crate) fn cancel(&mut self) {
        let Some(key) = self.key.take() else { return };
        let mut state = self.pool.inner.state.borrow_mut();
        let waiter = state.waiters.remove(key);
        if matches!(waiter, Waiter::Waiting(_)) {
            state.queue(self.class).retain(|&waiting| waiting != key);
        }
        // Dropping a granted buffer serves the next waiter, which borrows the state again.
        drop(state);
        drop(waiter);
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        self.cancel();
    }
}

#[cfg(test)]
mod tests {
    use core::task::{Context, Poll, Waker};

    use super::*;

    fn pool(slots: usize) -> Pool {
        let slot_size = 4096;
        Pool::new(
            Mapping::new(slots * slot_size).expect("map"),
            slots,
            slot_size,
        )
    }

    fn poll(acquire: &mut Acquire) -> Poll<Buffer> {
        acquire.poll(&mut Context::from_waker(Waker::noop()))
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

    // HAZARDS B8.
    #[test]
    fn waiters_are_served_in_order_and_a_dropped_one_passes_its_turn_on() {
        let pool = pool(4);
        let mut held: Vec<_> = core::iter::from_fn(|| pool.try_acquire(Class::Send)).collect();
        let mut waiting: Vec<_> = (0..3)
            .map(|_| Acquire::new(pool.clone(), Class::Send))
            .collect();
        for acquire in &mut waiting {
            assert!(poll(acquire).is_pending());
        }
        held.pop();
        // The grant belongs to the first; nobody overtakes it.
        assert!(pool.try_acquire(Class::Send).is_none());
        assert!(poll(&mut waiting[1]).is_pending());
        drop(waiting.remove(0));
        let Poll::Ready(buffer) = poll(&mut waiting[0]) else {
            panic!("the turn was not passed on");
        };
        assert!(poll(&mut waiting[1]).is_pending());
        drop(buffer);
        assert!(poll(&mut waiting[1]).is_ready());
        assert_eq!(pool.counters().waits_total, 3);
    }

    #[test]
    fn a_read_may_not_park_with_a_slot_when_many_are_out() {
        let pool = pool(8);
        let mut held = Vec::new();
        while pool.may_park_with_slot() {
            held.push(pool.try_acquire(Class::Receive).expect("below the limit"));
        }
        assert_eq!(held.len(), 2);
    }

    #[test]
    fn a_slot_for_receiving_is_left_when_sends_and_parked_reads_have_theirs() {
        for slots in Pool::MIN_SLOTS..40 {
            let pool = pool(slots);
            let mut held = Vec::new();
            while pool.may_park_with_slot() {
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
