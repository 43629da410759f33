//! Memory beside the slots: how much of it may be in use, and in which order it is given.
//!
//! Each direction of a connection has an [`Account`] of the heap blocks that it holds, messages
//! given out included. The first [`Account::ALLOWANCE`] bytes are its own: nobody waits for them,
//! and nobody can take them. What an account holds beyond them is charged to the budget of the
//! runtime, and whoever finds that used up waits in line.
//!
//! That is what keeps peers from stopping others. What a peer can have held for long is a slot, a
//! block, or a message whose holder waits for a peer that does not read. Nobody ever waits for a
//! slot: without one, a record goes into a heap block. Records within the allowance never wait for
//! anything but their own connection. Longer ones share the budget, and this is why they get on:
//!
//! * Receiving leaves a quarter of the budget to sending, and the other way round, so that holding
//!   what was received never stops the sends that it is held for.
//! * Whoever waits asks for all that its record needs, and never has to wait again for the same
//!   record. If all that is charged belongs to beginnings of records that wait, the first in line
//!   gets what it needs, over the budget: so one record is always under way. Its peer sends the
//!   rest, or is cut off by [`Config::progress_timeout`](crate::Config::progress_timeout). If it
//!   belongs to messages in parts as well, whose next records wait, one of those goes first.
//! * What holds memory may itself wait for somebody in line, by way of its holder or of its peer: a
//!   message waits for a send, that for a peer to read, and that peer for memory to read into. No
//!   budget that is shared can rule that out. So when nothing has come or gone for a while, the first
//!   in line gets its memory over the budget, up to twice of it ([`Heap::relieve`]).
//!
//! So the blocks of a runtime never exceed twice the budget, the allowances of its connections, and
//! a few records; and the budget only where everything stands still. Beside them a block of each class
//! may be kept for a second or two, which is in nobody's use and does not count.
//!
//! Memory is taken when somebody is polled, never given in advance: a wake-up says that it is
//! somebody's turn. Whoever does not come loses the turn, not the place, as soon as the tasks that
//! were ready have run; [`Heap::poll_pass_on`] sees to that.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::ops::RangeInclusive;
use core::task::{Context, Poll, Waker};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::class::Class;
use super::raw_block::RawBlock;

/// How many records of the longest that was asked for may be over twice the budget: enough for any
/// budget to let one through in both directions.
const RELIEF_RECORDS: usize = 4;

/// How long memory is that is kept for the next block of its class, in bytes, and given out as it is.
/// To ask for it anew, and to zero it, took a fifth of the time of messages of 1 MiB (benches/README.md).
const SPARE: RangeInclusive<usize> = 64 << 10..=4 << 20;

/// Both classes: sends are served first, since they drain by themselves.
const CLASSES: [Class; 2] = [Class::Send, Class::Receive];

/// A handle on the heap memory of a runtime. Clones share it.
#[derive(Clone)]
pub(crate) struct Heap {
    inner: Rc<Inner>,
}

struct Inner {
    /// Bytes that may be charged.
    budget: usize,
    state: RefCell<State>,
    /// How many wait, in both lines.
    waiting: Cell<usize>,
    /// Wakes the task that polls [`Heap::poll_pass_on`].
    attendant: RefCell<Option<Waker>>,
    attention: Cell<Attention>,
}

/// What the attendant has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attention {
    None,
    /// Let those run who were woken.
    Later,
    /// Pass over those who did not come.
    Now,
}

struct State {
    receive: Share,
    send: Share,
    /// Bytes of the longest block that anybody has asked for.
    longest: usize,
    /// The place in line of the next who waits.
    next_ticket: u64,
    counters: HeapCounters,
}

/// What one class has of the budget.
#[derive(Default)]
struct Share {
    /// Bytes that accounts hold beyond their allowances.
    charged: usize,
    /// How often that has changed.
    moves: u64,
    /// Those who wait, in the order of arrival.
    line: BTreeMap<u64, Waiter>,
    /// Whether a slot has come back since somebody found none.
    may_have_slot: bool,
    /// Memory of the long block that went last.
    spare: Option<RawBlock>,
    /// Whether such memory was used since somebody looked.
    uses_spare: bool,
}

struct Waiter {
    turn: Turn,
    /// Whether it may take its memory over the budget.
    is_relieved: bool,
    account: Rc<Balance>,
    request: Request,
}

enum Turn {
    /// Not yet.
    Waits(Waker),
    /// It was told that there may be memory.
    Comes,
    /// It was told and did not come. Those behind it need not wait for it.
    Passed,
}

/// What the heap has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeapCounters {
    /// Bytes of the blocks that there are now, allowances included.
    pub(crate) in_use: usize,
    /// How often somebody had to wait for memory.
    pub(crate) waits_total: u64,
}

/// How often memory has come and gone until some time, for each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moves([u64; 2]);

/// What somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Bytes of the block.
    pub(crate) bytes: usize,
    /// Bytes of the block whose contents move to the new one, which then goes.
    pub(crate) replaces: usize,
    /// Bytes of the block with the beginning of the message that this is for, which stays.
    pub(crate) begun: usize,
    /// Whether a slot would do.
    pub(crate) fits_slot: bool,
    /// The slot that would do if its other holders went.
    pub(crate) shared_slot: Option<usize>,
}

impl Request {
    /// Asks for a block for something new.
    pub(crate) fn new(bytes: usize, fits_slot: bool) -> Self {
        Self {
            bytes,
            replaces: 0,
            begun: 0,
            fits_slot,
            shared_slot: None,
        }
    }
}

/// The bytes of one account.
struct Balance {
    heap: Heap,
    class: Class,
    in_use: Cell<usize>,
    /// The account's place in line. It has one at most.
    ticket: Cell<Option<u64>>,
}

impl Balance {
    /// Returns how much of `in_use` bytes is charged to the budget.
    fn charged(in_use: usize) -> usize {
        in_use.saturating_sub(Account::ALLOWANCE)
    }

    /// Returns how much more is charged once `request` is granted, if any.
    fn growth(&self, request: Request) -> usize {
        let before = self.in_use.get();
        let after = (before + request.bytes).saturating_sub(request.replaces);
        Self::charged(after).saturating_sub(Self::charged(before))
    }

    /// Gives up the account's place in line.
    fn leave_line(&self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let inner = &self.heap.inner;
        inner.waiting.set(inner.waiting.get() - 1);
        let waiter = (inner.state.borrow_mut())
            .share(self.class)
            .line
            .remove(&ticket);
        drop(waiter);
    }

    /// Returns how much of what is charged now `request` would give back, with what belongs to the
    /// beginning of its message if `with_begun`.
    fn held_for(&self, request: Request, with_begun: bool) -> usize {
        let begun = if with_begun { request.begun } else { 0 };
        Self::charged(self.in_use.get()).min(request.replaces + begun)
    }
}

impl Share {
    fn charge(&mut self, bytes: usize) {
        self.charged += bytes;
        self.moves += u64::from(bytes > 0);
    }

    fn refund(&mut self, bytes: usize) {
        self.charged -= bytes;
        self.moves += u64::from(bytes > 0);
    }

    /// Returns whoever is next, unless everybody was passed over.
    fn next(&mut self) -> Option<&mut Waiter> {
        self.line
            .values_mut()
            .find(|waiter| !matches!(waiter.turn, Turn::Passed))
    }

    /// Passes over those who were told that it is their turn and have not come: whoever is next, and who
    /// can use a slot, wherever that stands. Returns whether there were any.
    fn pass_over(&mut self) -> bool {
        let (mut is_next, mut any) = (true, false);
        for waiter in self.line.values_mut() {
            match waiter.turn {
                Turn::Passed => continue,
                Turn::Comes if is_next || waiter.request.fits_slot => {
                    waiter.turn = Turn::Passed;
                    any = true;
                }
                Turn::Comes | Turn::Waits(_) => {}
            }
            is_next = false;
        }
        any
    }

    /// Returns whoever is the first that can use a slot, but for those who were passed over.
    fn first_for_slot(&self) -> Option<&Waiter> {
        self.line
            .values()
            .find(|waiter| waiter.request.fits_slot && !matches!(waiter.turn, Turn::Passed))
    }

    /// Whether nobody is before `ticket`, or before a newcomer.
    fn is_turn(&self, ticket: Option<u64>) -> bool {
        self.line
            .range(..ticket.unwrap_or(u64::MAX))
            .all(|(_, waiter)| matches!(waiter.turn, Turn::Passed))
    }

    /// Whether all that is charged belongs to beginnings of records that wait, `request` with them; if
    /// `with_begun`, or of messages whose next record waits.
    fn is_stuck(
        &self,
        ticket: Option<u64>,
        account: &Balance,
        request: Request,
        with_begun: bool,
    ) -> bool {
        let others: usize = (self.line.iter())
            .filter(|(other, _)| Some(**other) != ticket)
            .map(|(_, waiter)| waiter.account.held_for(waiter.request, with_begun))
            .sum();
        self.charged == others + account.held_for(request, with_begun)
    }

    /// Whether `request` is for the next record of a message that has begun, and nobody would ever give
    /// memory back for it. Such a one goes before the line: what it gets then belongs to nobody who
    /// waits, so that there is one of them at a time.
    fn goes_first(&self, ticket: Option<u64>, account: &Balance, request: Request) -> bool {
        request.begun > 0 && self.is_stuck(ticket, account, request, true)
    }
}

impl State {
    fn share(&mut self, class: Class) -> &mut Share {
        match class {
            Class::Receive => &mut self.receive,
            Class::Send => &mut self.send,
        }
    }

    /// Whether `request` is within the budget.
    fn fits(&mut self, budget: usize, account: &Balance, request: Request) -> bool {
        let growth = account.growth(request);
        let total = self.receive.charged + self.send.charged;
        let share = self.share(account.class);
        share.charged + growth <= budget - budget / 4 && total + growth <= budget
    }

    /// Whether the budget has room for `request`, or must make room.
    fn has_room(
        &mut self,
        budget: usize,
        ticket: Option<u64>,
        account: &Balance,
        request: Request,
    ) -> bool {
        self.fits(budget, account, request)
            || self
                .share(account.class)
                .is_stuck(ticket, account, request, false)
    }

    /// Whether `account` may have what it asks for now.
    fn may_take(
        &mut self,
        budget: usize,
        ticket: Option<u64>,
        account: &Balance,
        request: Request,
    ) -> bool {
        let share = self.share(account.class);
        let waiter = ticket.and_then(|ticket| share.line.get(&ticket));
        account.growth(request) == 0
            || waiter.is_some_and(|waiter| waiter.is_relieved)
            || share.goes_first(ticket, account, request)
            || (share.is_turn(ticket) && self.has_room(budget, ticket, account, request))
    }

    /// Tells whoever is next in line for `class` that it may have its memory over the budget.
    fn relieve_next(&mut self, budget: usize, class: Class) -> Option<Waker> {
        let total = self.receive.charged + self.send.charged;
        let longest = self.longest;
        let waiter = self.share(class).next()?;
        let growth = waiter.account.growth(waiter.request);
        let limit = 2 * budget + RELIEF_RECORDS * longest;
        if !matches!(waiter.turn, Turn::Waits(_)) || total + growth > limit {
            return None;
        }
        waiter.is_relieved = true;
        let account = Rc::clone(&waiter.account);
        self.call(&account)
    }

    /// Tells whoever is next in line for `class` that there is memory for it, if there is; or whoever
    /// goes before the line.
    fn call_next(&mut self, budget: usize, class: Class) -> Option<Waker> {
        let waiter = self.share(class).next()?;
        if !matches!(waiter.turn, Turn::Waits(_)) {
            return None;
        }
        let (account, request) = (Rc::clone(&waiter.account), waiter.request);
        if self.has_room(budget, account.ticket.get(), &account, request) {
            return self.call(&account);
        }
        let share = self.share(class);
        let first = share.line.iter().find_map(|(ticket, waiter)| {
            let Waiter {
                account, request, ..
            } = waiter;
            let is_called = matches!(waiter.turn, Turn::Waits(_))
                && share.goes_first(Some(*ticket), account, *request);
            is_called.then(|| Rc::clone(account))
        });
        first.and_then(|account| self.call(&account))
    }

    /// Tells the first in line for `class` that can use a slot that there may be one, unless somebody who
    /// can was told of something already: when that one has come, this is asked again. Nobody waits for
    /// its turn for a slot.
    fn call_for_slot(&mut self, class: Class) -> Option<Waker> {
        let share = self.share(class);
        if !share.may_have_slot {
            return None;
        }
        let first = share.first_for_slot()?;
        let account = Rc::clone(&first.account);
        self.call(&account)
    }

    /// Takes the waker of `account`'s waiter, to have it poll again, if it waits.
    fn call(&mut self, account: &Balance) -> Option<Waker> {
        let ticket = account.ticket.get()?;
        let waiter = self.share(account.class).line.get_mut(&ticket)?;
        if !matches!(waiter.turn, Turn::Waits(_)) {
            return None;
        }
        match core::mem::replace(&mut waiter.turn, Turn::Comes) {
            Turn::Waits(waker) => Some(waker),
            Turn::Comes | Turn::Passed => None,
        }
    }
}

/// Wakers to be called when nothing is borrowed any more: they may run anything.
#[derive(Default)]
struct Called {
    /// For memory, of each class.
    memory: [Option<Waker>; 2],
    /// For a slot, of each class.
    slots: [Option<Waker>; 2],
}

impl Called {
    /// Calls those who are next of each class, for memory within `budget` and for slots.
    fn call_next(&mut self, state: &mut State, budget: usize) {
        for (place, class) in self.memory.iter_mut().zip(CLASSES) {
            *place = state.call_next(budget, class);
        }
        self.call_for_slots(state);
    }

    fn call_for_slots(&mut self, state: &mut State) {
        for (place, class) in self.slots.iter_mut().zip(CLASSES) {
            *place = state.call_for_slot(class);
        }
    }

    fn is_anybody(&self) -> bool {
        self.memory.iter().chain(&self.slots).any(Option::is_some)
    }

    fn wake(self) {
        for waker in self.memory.into_iter().chain(self.slots).flatten() {
            waker.wake();
        }
    }
}

impl Heap {
    /// Makes one that keeps to `budget` bytes.
    pub(super) fn new(budget: usize) -> Self {
        Self {
            inner: Rc::new(Inner {
                budget,
                state: RefCell::new(State {
                    receive: Share::default(),
                    send: Share::default(),
                    longest: 0,
                    next_ticket: 0,
                    counters: HeapCounters::default(),
                }),
                waiting: Cell::new(0),
                attendant: RefCell::default(),
                attention: Cell::new(Attention::None),
            }),
        }
    }

    /// Returns how many bytes it keeps to.
    pub(crate) fn budget(&self) -> usize {
        self.inner.budget
    }

    /// Returns a snapshot of the counters.
    pub(crate) fn counters(&self) -> HeapCounters {
        self.inner.state.borrow().counters
    }

    /// Whether somebody waits. The attendant is woken when that begins.
    #[inline]
    pub(crate) fn has_waiters(&self) -> bool {
        self.inner.waiting.get() > 0
    }

    /// Tells whoever is the first that can use a slot that there is one.
    pub(super) fn slot_is_free(&self) {
        let mut called = Called::default();
        let mut state = self.inner.state.borrow_mut();
        for class in CLASSES {
            state.share(class).may_have_slot = true;
        }
        called.call_for_slots(&mut state);
        drop(state);
        called.wake();
        self.call_attendant();
    }

    /// Notes that somebody has found no slot for `class`.
    pub(super) fn slots_are_gone(&self, class: Class) {
        self.inner.state.borrow_mut().share(class).may_have_slot = false;
    }

    /// Tells whoever waits because this slot had other holders that it has none any more.
    pub(super) fn slot_is_unshared(&self, index: usize) {
        let mut state = self.inner.state.borrow_mut();
        let line = &state.receive.line;
        // Of a call that was leaked there may be another.
        let waits_for_it = |waiter: &&Waiter| {
            waiter.request.shared_slot == Some(index) && matches!(waiter.turn, Turn::Waits(_))
        };
        let account = line.values().find(waits_for_it);
        let account = account.map(|waiter| Rc::clone(&waiter.account));
        let waker = account.and_then(|account| state.call(&account));
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns what somebody waits for that is there, without having been told: memory within the budget,
    /// a slot, if `has_slot` says that there is one, or its own slot, if `is_sole` says that nobody else
    /// has it any more. Always nothing, or a wake-up was left out.
    #[cfg(feature = "internals")]
    pub(super) fn overlooked(
        &self,
        has_slot: impl Fn(Class) -> bool,
        is_sole: impl Fn(usize) -> bool,
    ) -> Option<&'static str> {
        let waits = |waiter: &Waiter| matches!(waiter.turn, Turn::Waits(_));
        let mut state = self.inner.state.borrow_mut();
        let owns_its_slot = |waiter: &Waiter| waiter.request.shared_slot.is_some_and(&is_sole);
        if (state.receive.line.values()).any(|waiter| waits(waiter) && owns_its_slot(waiter)) {
            return Some("its own slot");
        }
        CLASSES.into_iter().find_map(|class| {
            if state.share(class).first_for_slot().is_some_and(waits) && has_slot(class) {
                return Some("a slot");
            }
            let next = state.share(class).next();
            let waiter = next.filter(|waiter| waits(waiter))?;
            let (account, request) = (Rc::clone(&waiter.account), waiter.request);
            let ticket = account.ticket.get();
            let has_room = state.has_room(self.inner.budget, ticket, &account, request);
            has_room.then_some("memory within the budget")
        })
    }

    /// Whether memory is kept for the next block. The attendant is woken when that begins.
    pub(crate) fn has_spares(&self) -> bool {
        let mut state = self.inner.state.borrow_mut();
        CLASSES
            .iter()
            .any(|class| state.share(*class).spare.is_some())
    }

    /// Lets go of the memory that was kept and not used since this was called last.
    pub(crate) fn drop_unused_spares(&self) {
        let mut state = self.inner.state.borrow_mut();
        for class in CLASSES {
            let share = state.share(class);
            if !core::mem::take(&mut share.uses_spare) {
                share.spare = None;
            }
        }
    }

    /// Returns how often memory has come and gone.
    pub(crate) fn moves(&self) -> Moves {
        let mut state = self.inner.state.borrow_mut();
        Moves(CLASSES.map(|class| state.share(class).moves))
    }

    /// Lets the first of each line in which nothing has moved since `before` have its memory over
    /// the budget.
    pub(crate) fn relieve(&self, before: Moves) {
        let mut called = Called::default();
        let mut state = self.inner.state.borrow_mut();
        for ((place, class), before) in called.memory.iter_mut().zip(CLASSES).zip(before.0) {
            if state.share(class).moves == before {
                *place = state.relieve_next(self.inner.budget, class);
            }
        }
        drop(state);
        called.wake();
        self.call_attendant();
    }

    /// Has the turn pass on from those who were told of memory and did not come. For a task that
    /// runs behind theirs: it is woken by what `context` has.
    pub(crate) fn poll_pass_on(&self, context: &mut Context<'_>) {
        let waker = context.waker().clone();
        drop(self.inner.attendant.replace(Some(waker)));
        match self.inner.attention.get() {
            Attention::None => {}
            Attention::Later => {
                self.inner.attention.set(Attention::Now);
                context.waker().wake_by_ref();
            }
            Attention::Now => {
                self.inner.attention.set(Attention::None);
                self.pass_on();
            }
        }
    }

    fn pass_on(&self) {
        let mut called = Called::default();
        let mut passed = false;
        let mut state = self.inner.state.borrow_mut();
        for class in CLASSES {
            passed |= state.share(class).pass_over();
        }
        called.call_next(&mut state, self.inner.budget);
        drop(state);
        let any = passed || called.is_anybody();
        called.wake();
        if any {
            self.call_attendant();
        }
    }

    /// Has the attendant look whether those come who were told to, while anybody waits.
    fn call_attendant(&self) {
        if !self.has_waiters() || self.inner.attention.get() != Attention::None {
            return;
        }
        self.inner.attention.set(Attention::Later);
        self.wake_attendant();
    }

    fn wake_attendant(&self) {
        let attendant = self.inner.attendant.take();
        if let Some(attendant) = attendant {
            attendant.wake();
        }
    }

    /// Tells those who are next that there may be memory for them.
    fn call_all(&self) {
        if !self.has_waiters() {
            return;
        }
        let mut called = Called::default();
        let mut state = self.inner.state.borrow_mut();
        called.call_next(&mut state, self.inner.budget);
        drop(state);
        called.wake();
        self.call_attendant();
    }
}

impl fmt::Debug for Heap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Heap")
            .field("budget", &self.inner.budget)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

/// The heap memory that one direction of a connection holds.
pub(crate) struct Account {
    balance: Rc<Balance>,
}

impl Account {
    /// Bytes that an account always gets: a block that is used and one that messages given out are
    /// views of, or one that fills and one that is written.
    pub(crate) const ALLOWANCE: usize = 2 * Self::BLOCK;
    /// Bytes in a block that takes the place of a slot.
    pub(crate) const BLOCK: usize = 16 * 1024;

    pub(super) fn new(heap: Heap, class: Class) -> Self {
        Self {
            balance: Rc::new(Balance {
                heap,
                class,
                in_use: Cell::new(0),
                ticket: Cell::new(None),
            }),
        }
    }

    /// Returns leave for a block if there is memory for it and it is nobody else's turn.
    pub(crate) fn try_take(&self, request: Request) -> Option<Grant> {
        self.try_take_as(None, request)
    }

    /// Returns leave for a block as [`try_take`](Self::try_take) does, but only within the budget.
    pub(crate) fn try_take_within(&self, request: Request) -> Option<Grant> {
        let (inner, growth) = (&self.balance.heap.inner, self.balance.growth(request));
        let mut state = inner.state.borrow_mut();
        let is_within = growth == 0 || state.fits(inner.budget, &self.balance, request);
        drop(state);
        if is_within {
            self.try_take(request)
        } else {
            None
        }
    }

    /// Returns leave for a short block, which has to be within the allowance, without asking.
    pub(crate) fn take_short(&self, bytes: usize) -> Grant {
        debug_assert!(bytes <= Self::BLOCK, "not a short block");
        Grant::new(&self.balance, bytes)
    }

    fn try_take_as(&self, ticket: Option<u64>, request: Request) -> Option<Grant> {
        let balance = &self.balance;
        let inner = &balance.heap.inner;
        let mut state = inner.state.borrow_mut();
        if !state.may_take(inner.budget, ticket, balance, request) {
            return None;
        }
        drop(state);
        let grant = Grant::new(balance, request.bytes);
        if ticket.is_some() {
            balance.leave_line();
        }
        // What is left may be enough for whoever is next.
        balance.heap.call_all();
        Some(grant)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Account")
            .field("class", &self.balance.class)
            .field("in_use", &self.balance.in_use.get())
            .finish_non_exhaustive()
    }
}

/// Leave to have a block. It counts from its making until it is dropped with the block.
pub(crate) struct Grant {
    balance: Rc<Balance>,
    bytes: usize,
}

impl Grant {
    fn new(balance: &Rc<Balance>, bytes: usize) -> Self {
        let mut state = balance.heap.inner.state.borrow_mut();
        let before = balance.in_use.get();
        balance.in_use.set(before + bytes);
        let added = Balance::charged(before + bytes) - Balance::charged(before);
        state.share(balance.class).charge(added);
        // Also where nobody had to wait for it: whoever does next may have to have both.
        state.longest = state.longest.max(bytes);
        state.counters.in_use += bytes;
        Self {
            balance: Rc::clone(balance),
            bytes,
        }
    }

    /// Returns how many bytes the block may have.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the memory that was kept for the next such block, if that is as long.
    pub(super) fn take_spare(&self) -> Option<RawBlock> {
        let balance = &self.balance;
        let mut state = balance.heap.inner.state.borrow_mut();
        let share = state.share(balance.class);
        let spare = share.spare.take_if(|spare| spare.len() == self.bytes);
        share.uses_spare |= spare.is_some();
        spare
    }

    /// Keeps the memory of this block for the next one, if its length is one of [`SPARE`] and within the
    /// budget.
    pub(super) fn keep_spare(&self, memory: RawBlock) {
        let balance = &self.balance;
        let inner = &balance.heap.inner;
        if !SPARE.contains(&memory.len()) || memory.len() > inner.budget {
            return;
        }
        let mut state = inner.state.borrow_mut();
        let previous = state.share(balance.class).spare.replace(memory);
        drop(state);
        if previous.is_none() {
            balance.heap.wake_attendant();
        }
    }

    /// Takes `bytes` out of it, which then count for themselves.
    pub(super) fn split(&mut self, bytes: usize) -> Self {
        debug_assert!(bytes <= self.bytes, "it has as much");
        self.bytes -= bytes;
        Self {
            balance: Rc::clone(&self.balance),
            bytes,
        }
    }

    /// Tells whoever may wait for it that the block has one holder only.
    pub(super) fn block_is_unshared(&self) {
        if self.balance.ticket.get().is_none() {
            return;
        }
        let heap = &self.balance.heap;
        let waker = heap.inner.state.borrow_mut().call(&self.balance);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let balance = &self.balance;
        let mut state = balance.heap.inner.state.borrow_mut();
        let before = balance.in_use.get();
        balance.in_use.set(before - self.bytes);
        let freed = Balance::charged(before) - Balance::charged(before - self.bytes);
        state.share(balance.class).refund(freed);
        state.counters.in_use -= self.bytes;
        // Its own direction may go on within its allowance, whoever is next.
        let own = state.call(balance);
        drop(state);
        if let Some(own) = own {
            own.wake();
        }
        balance.heap.call_all();
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Grant")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A place in line for memory. Dropping it gives the place up.
pub(crate) struct Claim {
    balance: Rc<Balance>,
}

impl Claim {
    pub(crate) fn new(account: &Account) -> Self {
        Self {
            balance: Rc::clone(&account.balance),
        }
    }

    /// Returns leave for a block, now or when it is this one's turn.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, request: Request) -> Poll<Grant> {
        let account = Account {
            balance: Rc::clone(&self.balance),
        };
        if let Some(grant) = account.try_take_as(self.balance.ticket.get(), request) {
            return Poll::Ready(grant);
        }
        self.wait(context.waker().clone(), request);
        // The waker's own code may have changed everything.
        match account.try_take_as(self.balance.ticket.get(), request) {
            Some(grant) => Poll::Ready(grant),
            None => Poll::Pending,
        }
    }

    /// Takes a place in line, or stays at the one that it has.
    fn wait(&self, waker: Waker, request: Request) {
        let balance = &self.balance;
        let inner = &balance.heap.inner;
        let mut state = inner.state.borrow_mut();
        state.longest = state.longest.max(request.bytes);
        let ticket = balance.ticket.get().unwrap_or_else(|| {
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.counters.waits_total += 1;
            inner.waiting.set(inner.waiting.get() + 1);
            balance.ticket.set(Some(ticket));
            ticket
        });
        let waiter = Waiter {
            turn: Turn::Waits(waker),
            is_relieved: false,
            account: Rc::clone(balance),
            request,
        };
        let previous = state.share(balance.class).line.insert(ticket, waiter);
        drop(state);
        drop(previous);
        // With this one all may wait, and then the first need not.
        balance.heap.call_all();
        balance.heap.wake_attendant();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.balance.ticket.get().is_some() {
            self.balance.leave_line();
            self.balance.heap.call_all();
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Claim")
            .field("is_waiting", &self.balance.ticket.get().is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;
    use std::task::Wake;

    use proptest::prelude::*;

    use super::*;
    use crate::memory::Buffer;

    const BUDGET: usize = 1 << 20;
    /// What one class may have of it.
    const SHARE: usize = BUDGET - BUDGET / 4;

    /// Counts how often it is called.
    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection's direction that asks for memory.
    struct Asker {
        account: Account,
        claim: Option<Claim>,
        calls: Arc<Calls>,
        blocks: Vec<Buffer>,
    }

    impl Asker {
        fn new(heap: &Heap, class: Class) -> Self {
            Self {
                account: Account::new(heap.clone(), class),
                claim: None,
                calls: Arc::default(),
                blocks: Vec::new(),
            }
        }

        /// Asks for a block; whether it was there.
        fn ask(&mut self, request: Request) -> bool {
            let waker = Waker::from(Arc::clone(&self.calls));
            let claim = self.claim.get_or_insert_with(|| Claim::new(&self.account));
            let poll = claim.poll(&mut Context::from_waker(&waker), request);
            let Poll::Ready(grant) = poll else {
                return false;
            };
            self.claim = None;
            self.blocks.push(Buffer::heap(grant).expect("memory"));
            true
        }

        fn ask_for(&mut self, bytes: usize) -> bool {
            self.ask(Request::new(bytes, false))
        }

        /// Moves its only block to one of `bytes`.
        fn grow_to(&mut self, bytes: usize) -> bool {
            let replaces = self.blocks.last().map_or(0, |block| block.len());
            let granted = self.ask(Request {
                replaces,
                ..Request::new(bytes, false)
            });
            if granted {
                self.blocks.swap_remove(0);
            }
            granted
        }

        fn calls(&self) -> usize {
            self.calls.0.load(Ordering::Relaxed)
        }
    }

    fn askers<const N: usize>(heap: &Heap, class: Class) -> [Asker; N] {
        core::array::from_fn(|_| Asker::new(heap, class))
    }

    /// Has the attendant do all that it has to do.
    fn attend(heap: &Heap) {
        let mut context = Context::from_waker(Waker::noop());
        heap.poll_pass_on(&mut context);
        while heap.inner.attention.get() != Attention::None {
            heap.poll_pass_on(&mut context);
        }
    }

    // HAZARDS F3.
    #[test]
    fn the_allowance_is_there_whatever_others_hold_and_wait_for() {
        let heap = Heap::new(BUDGET);
        let [mut full, mut waiting, mut small] = askers(&heap, Class::Receive);
        assert!(full.ask_for(SHARE + Account::ALLOWANCE));
        assert!(!waiting.ask_for(100_000));
        assert!(small.ask_for(Account::BLOCK));
        assert!(small.ask_for(Account::BLOCK));
        assert!(!small.ask_for(1));
        // Its own are enough for it to go on, and nothing for whoever is next.
        small.blocks.pop();
        assert_eq!((small.calls(), waiting.calls()), (1, 0));
        assert!(small.ask_for(Account::BLOCK));
        assert_eq!(heap.counters().waits_total, 2);
        let expected = SHARE + 2 * Account::ALLOWANCE;
        assert_eq!(heap.counters().in_use, expected);
    }

    // HAZARDS B8.
    #[test]
    fn whoever_waits_is_served_in_order_and_a_dropped_one_passes_its_turn_on() {
        let heap = Heap::new(BUDGET);
        let [mut full, mut first, mut second, mut third] = askers(&heap, Class::Receive);
        let size = SHARE + Account::ALLOWANCE;
        assert!(full.ask_for(size));
        for asker in [&mut first, &mut second, &mut third] {
            assert!(!asker.ask_for(size));
        }
        full.blocks.clear();
        assert_eq!((first.calls(), second.calls()), (1, 0));
        // Nobody overtakes the first, which was told.
        assert!(!full.ask_for(size));
        assert!(!second.ask_for(size));
        first.claim = None;
        assert_eq!((second.calls(), third.calls()), (1, 0));
        assert!(!third.ask_for(size));
        assert!(second.ask_for(size));
        second.blocks.clear();
        assert!(third.ask_for(size));
        third.blocks.clear();
        assert!(full.ask_for(size));
        assert_eq!(heap.counters().waits_total, 4);
    }

    // HAZARDS F13.
    #[test]
    fn whoever_does_not_come_holds_up_nobody_and_keeps_its_place() {
        let heap = Heap::new(BUDGET);
        let [mut full, mut alone, mut second, mut third] = askers(&heap, Class::Receive);
        let size = SHARE + Account::ALLOWANCE;
        assert!(full.ask_for(size));
        for asker in [&mut alone, &mut second, &mut third] {
            assert!(!asker.ask_for(size));
        }
        full.blocks.clear();
        assert_eq!((alone.calls(), second.calls()), (1, 0));
        attend(&heap);
        // Nobody came, so all were told.
        assert_eq!((second.calls(), third.calls()), (1, 1));
        assert!(second.ask_for(size));
        second.blocks.clear();
        // The one that was left alone is first again when it is polled.
        assert!(alone.ask_for(size));
        assert!(!third.ask_for(size));
        alone.blocks.clear();
        assert!(third.ask_for(size));
    }

    // HAZARDS F13.
    #[test]
    fn a_newcomer_need_not_wait_for_those_who_do_not_come() {
        let heap = Heap::new(BUDGET);
        let [mut full, mut alone, mut newcomer] = askers(&heap, Class::Send);
        let size = SHARE + Account::ALLOWANCE;
        assert!(full.ask_for(size));
        assert!(!alone.ask_for(size));
        full.blocks.clear();
        assert!(!newcomer.ask_for(size), "it is the other's turn");
        attend(&heap);
        assert_eq!(newcomer.calls(), 1);
        assert!(newcomer.ask_for(size));
    }

    #[test]
    fn neither_class_takes_the_last_of_the_other() {
        for (one, other) in [(Class::Send, Class::Receive), (Class::Receive, Class::Send)] {
            let heap = Heap::new(BUDGET);
            let [mut greedy, mut more] = askers(&heap, one);
            let mut late = Asker::new(&heap, other);
            assert!(greedy.ask_for(SHARE + Account::ALLOWANCE));
            assert!(!more.ask_for(Account::ALLOWANCE + 1));
            assert!(late.ask_for(BUDGET / 4 + Account::ALLOWANCE));
        }
    }

    // HAZARDS F6: a long message that nobody had to wait for, and a record of it that finds no memory.
    #[test]
    fn relief_goes_by_the_longest_block_whether_it_was_waited_for_or_not() {
        let heap = Heap::new(0);
        let [mut asker] = askers(&heap, Class::Receive);
        assert!(asker.ask_for(8 * Account::BLOCK));
        assert!(!asker.ask_for(Account::BLOCK));
        heap.relieve(heap.moves());
        assert!(asker.ask_for(Account::BLOCK));
    }

    // HAZARDS F3, F6: what is held may wait for somebody in line.
    #[test]
    fn where_nothing_moves_the_first_is_served_over_the_budget_within_a_bound() {
        let heap = Heap::new(BUDGET);
        let mut askers: [Asker; 9] = askers(&heap, Class::Receive);
        let size = SHARE + Account::ALLOWANCE;
        assert!(askers[0].ask_for(size));
        for asker in &mut askers[1..] {
            assert!(!asker.ask_for(size));
        }
        let before = heap.moves();
        askers[0].blocks.clear();
        heap.relieve(before);
        assert!(askers[1].ask_for(size), "there was memory again");
        assert_eq!(askers[2].calls(), 0, "something has moved");
        let mut served = 1;
        for asker in &mut askers[2..] {
            heap.relieve(heap.moves());
            if asker.calls() == 0 {
                break;
            }
            assert!(asker.ask_for(size));
            served += 1;
        }
        let limit = 2 * BUDGET + RELIEF_RECORDS * size;
        assert_eq!(served, limit / SHARE, "as many as the bound allows");
        // Whoever was let off and does not come is passed over like others.
        askers[1].blocks.clear();
        heap.relieve(heap.moves());
        let (alone, behind) = (served + 1, served + 2);
        assert_eq!((askers[alone].calls(), askers[behind].calls()), (1, 0));
        attend(&heap);
        heap.relieve(heap.moves());
        assert_eq!(askers[behind].calls(), 1);
    }

    // HAZARDS F6: records that have begun must not wait for each other.
    #[test]
    fn of_beginnings_that_all_wait_the_first_is_completed_over_the_budget() {
        let heap = Heap::new(BUDGET);
        let mut askers: [Asker; 4] = askers(&heap, Class::Receive);
        let beginning = SHARE / 4 + Account::ALLOWANCE;
        for asker in &mut askers {
            assert!(asker.ask_for(beginning));
        }
        let whole = BUDGET;
        let [first, second, third, fourth] = &mut askers;
        assert!(!first.grow_to(whole));
        assert!(!second.grow_to(whole));
        assert!(!third.grow_to(whole));
        assert_eq!(first.calls(), 0, "the fourth may go on and end");
        assert!(!fourth.grow_to(whole));
        assert_eq!(first.calls(), 1);
        assert!(!second.grow_to(whole), "not over the budget twice");
        assert!(first.grow_to(whole));
        assert!(!second.grow_to(whole));
        // What is held is not a beginning: it is waited for.
        first.claim = None;
        assert!(!first.ask_for(whole));
        assert_eq!(second.calls(), 0);
        first.blocks.clear();
        assert_eq!(second.calls(), 1);
        assert!(second.grow_to(whole));
    }

    #[test]
    fn a_record_longer_than_the_budget_is_taken_alone() {
        for class in [Class::Receive, Class::Send] {
            let heap = Heap::new(0);
            let [mut first, mut second] = askers(&heap, class);
            assert!(first.ask_for(BUDGET));
            assert!(first.grow_to(2 * BUDGET));
            assert!(!first.ask_for(BUDGET), "one at a time");
            first.claim = None;
            assert!(!second.ask_for(BUDGET));
            first.blocks.clear();
            assert_eq!(second.calls(), 1);
            assert!(second.ask_for(BUDGET));
        }
    }

    // HAZARDS F13.
    #[test]
    fn of_messages_that_all_wait_for_their_next_records_one_goes_before_the_line() {
        let heap = Heap::new(0);
        let [mut first, mut newcomer, mut second] = askers(&heap, Class::Receive);
        let next = Request {
            begun: BUDGET,
            ..Request::new(2 * Account::ALLOWANCE, true)
        };
        assert!(first.ask_for(BUDGET));
        assert!(first.ask(next), "all that is charged is its own beginning");
        assert!(!newcomer.ask_for(BUDGET));
        assert!(!first.ask(next), "and now there is more");
        first.blocks.pop();
        assert!(first.ask(next), "before the line");
        first.blocks.pop();
        // Another one, by relief.
        heap.relieve(heap.moves());
        assert!(newcomer.ask_for(BUDGET));
        assert!(!first.ask(next), "the other may go on and end");
        assert_eq!(first.calls(), 1, "when its block went");
        assert!(newcomer.ask(next), "now both wait");
        assert!(!first.ask(next), "one of them at a time");
        newcomer.blocks.pop();
        // However often they take turns, who has not begun gets nothing by it.
        assert!(!second.ask_for(BUDGET));
        let mut granted = 0;
        for _ in 0..10 {
            for asker in [&mut first, &mut newcomer] {
                if asker.ask(next) {
                    granted += 1;
                    assert!(!second.ask_for(BUDGET));
                    asker.blocks.pop();
                }
            }
            assert!(!second.ask_for(BUDGET));
            assert!(heap.counters().in_use <= 2 * (BUDGET + next.bytes));
        }
        assert!(granted >= 10, "{granted}");
    }

    // HAZARDS F6: what is held without a wait may be longer than all that is waited for.
    #[test]
    fn relief_goes_by_the_blocks_that_nobody_waited_for_as_well() {
        let heap = Heap::new(0);
        let [mut long, mut short] = askers(&heap, Class::Receive);
        assert!(long.ask_for(BUDGET));
        let short_length = BUDGET / (2 * RELIEF_RECORDS);
        assert!(!short.ask_for(short_length));
        heap.relieve(heap.moves());
        assert_eq!(short.calls(), 1);
        assert!(short.ask_for(short_length));
    }

    #[test]
    fn a_guess_takes_nothing_over_the_budget() {
        let heap = Heap::new(BUDGET);
        let account = Account::new(heap.clone(), Class::Receive);
        let guess = Request::new(2 * BUDGET, false);
        assert!(account.try_take_within(guess).is_none());
        assert!(
            account
                .try_take_within(Request::new(SHARE, false))
                .is_some()
        );
        assert!(account.try_take(guess).is_some(), "alone, as it is needed");
    }

    #[test]
    fn a_slot_that_comes_back_is_told_to_the_first_that_can_use_it() {
        let heap = Heap::new(0);
        let [mut full, mut long, mut short] = askers(&heap, Class::Send);
        assert!(full.ask_for(BUDGET));
        assert!(!short.ask(Request::new(100_000, true)));
        assert!(!long.ask_for(BUDGET));
        heap.slot_is_free();
        assert_eq!((short.calls(), long.calls()), (1, 0));
        let shared = Request {
            shared_slot: Some(3),
            ..Request::new(100_000, true)
        };
        let mut receiver = Asker::new(&heap, Class::Receive);
        let mut full = Asker::new(&heap, Class::Receive);
        assert!(full.ask_for(BUDGET));
        heap.slots_are_gone(Class::Receive);
        assert!(!receiver.ask(shared));
        heap.slot_is_unshared(2);
        assert_eq!(receiver.calls(), 0);
        heap.slot_is_unshared(3);
        assert_eq!(receiver.calls(), 1);
    }

    /// A request that a slot would do for.
    fn fits() -> Request {
        Request::new(100_000, true)
    }

    /// Returns one who has all memory, and two who wait and could use a slot.
    fn two_in_line_for_slots(heap: &Heap) -> [Asker; 3] {
        let [mut full, mut first, mut second] = askers(heap, Class::Send);
        assert!(full.ask_for(BUDGET));
        heap.slots_are_gone(Class::Send);
        assert!(!first.ask(fits()) && !second.ask(fits()));
        [full, first, second]
    }

    #[test]
    fn slots_that_come_back_together_are_told_to_one_after_the_other() {
        let heap = Heap::new(0);
        let [_full, mut first, mut second] = two_in_line_for_slots(&heap);
        heap.slot_is_free();
        heap.slot_is_free();
        assert_eq!((first.calls(), second.calls()), (1, 0));
        // It has taken one.
        first.claim = None;
        assert_eq!(second.calls(), 1);
        // And this one has found none.
        heap.slots_are_gone(Class::Send);
        assert!(!second.ask(fits()));
        assert_eq!(second.calls(), 1);
    }

    #[test]
    fn a_slot_is_told_to_the_next_if_the_first_does_not_come() {
        let heap = Heap::new(0);
        let [_full, first, second] = two_in_line_for_slots(&heap);
        heap.slot_is_free();
        assert_eq!((first.calls(), second.calls()), (1, 0));
        heap.pass_on();
        assert_eq!((first.calls(), second.calls()), (1, 1));
    }

    #[test]
    fn who_can_use_a_slot_need_not_be_next() {
        let heap = Heap::new(0);
        let [mut full, mut long, mut short] = askers(&heap, Class::Send);
        assert!(full.ask_for(BUDGET));
        heap.slots_are_gone(Class::Send);
        assert!(!long.ask_for(BUDGET));
        assert!(!short.ask(fits()));
        heap.slot_is_free();
        assert_eq!((long.calls(), short.calls()), (0, 1));
    }

    #[test]
    fn the_last_view_but_one_of_a_block_is_told_to_its_account() {
        let heap = Heap::new(0);
        let mut asker = Asker::new(&heap, Class::Receive);
        assert!(asker.ask_for(BUDGET));
        let mut block = asker.blocks.pop().expect("granted");
        let view = block.split_to(10).freeze();
        let other = view.clone();
        assert!(!asker.ask_for(BUDGET));
        drop(view);
        assert_eq!(asker.calls(), 0);
        drop(other);
        assert_eq!(asker.calls(), 1);
        drop(block);
        assert_eq!(heap.counters().in_use, 0);
    }

    #[test]
    fn the_memory_of_a_long_block_is_that_of_the_next_of_its_length_and_class() {
        let length = *SPARE.start();
        let is_fresh = |heap: &Heap, class, bytes| {
            let grant = Grant::new(&Account::new(heap.clone(), class).balance, bytes);
            let mut block = Buffer::heap(grant).expect("memory");
            let is_fresh = block.iter().all(|byte| *byte == 0);
            block.fill(7);
            is_fresh
        };
        let heap = Heap::new(BUDGET);
        assert!(is_fresh(&heap, Class::Receive, length));
        assert!(is_fresh(&heap, Class::Receive, length - 1), "too short");
        assert!(is_fresh(&heap, Class::Send, length), "of another class");
        assert!(!is_fresh(&heap, Class::Receive, length));
        assert!(!is_fresh(&heap, Class::Send, length));
        heap.drop_unused_spares();
        assert!(heap.has_spares(), "both were used");
        assert!(!is_fresh(&heap, Class::Send, length));
        heap.drop_unused_spares();
        heap.drop_unused_spares();
        assert!(!heap.has_spares());
        assert!(is_fresh(&heap, Class::Send, length));
        assert!(is_fresh(&heap, Class::Send, length + 1), "too long");
        let small = Heap::new(length - 1);
        assert!(is_fresh(&small, Class::Send, length));
        assert!(is_fresh(&small, Class::Send, length), "beyond the budget");
    }

    thread_local! {
        static OWNED: RefCell<Vec<Buffer>> = const { RefCell::new(Vec::new()) };
    }

    /// Frees memory when it is dropped.
    struct Frees;

    impl Wake for Frees {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Frees {
        fn drop(&mut self) {
            drop(OWNED.take());
        }
    }

    // HAZARDS F17.
    #[test]
    fn a_waker_may_free_memory_when_it_is_dropped() {
        let heap = Heap::new(0);
        let [mut full, mut waiting, mut behind] = askers(&heap, Class::Receive);
        for ways in 0..3 {
            assert!(full.ask_for(BUDGET));
            let waker = Waker::from(Arc::new(Frees));
            OWNED.with_borrow_mut(|owned| owned.append(&mut full.blocks));
            let mut claim = Claim::new(&waiting.account);
            let mut context = Context::from_waker(&waker);
            assert!(
                claim
                    .poll(&mut context, Request::new(BUDGET, false))
                    .is_pending()
            );
            drop(waker);
            assert!(!behind.ask_for(BUDGET));
            match ways {
                // Another waker in its place: what it frees is there at once.
                0 => {
                    assert!(waiting.ask_for(BUDGET));
                    assert!(waiting.claim.is_none());
                }
                1 => drop(claim),
                // Nothing is dropped before the line knows.
                _ => {
                    heap.slot_is_free();
                    drop(claim);
                }
            }
            waiting.blocks.clear();
            assert!(behind.ask_for(BUDGET), "way {ways}");
            behind.blocks.clear();
        }
    }

    /// What happens to one of several askers.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Ask(usize, usize),
        Free(usize),
        GiveUp(usize),
        LeaveAlone(usize),
        Attend,
    }

    fn step() -> impl Strategy<Value = Step> {
        let asker = 0..6_usize;
        prop_oneof![
            4 => (asker.clone(), 1..2 * BUDGET).prop_map(|(who, size)| Step::Ask(who, size)),
            3 => asker.clone().prop_map(Step::Free),
            1 => asker.clone().prop_map(Step::GiveUp),
            1 => asker.prop_map(Step::LeaveAlone),
            1 => Just(Step::Attend),
        ]
    }

    proptest! {
        // HAZARDS F13: whatever happened, memory that comes back reaches all who still ask.
        #[test]
        fn nobody_who_is_polled_when_called_waits_for_ever(
            steps in prop::collection::vec(step(), 1..80)
        ) {
            let heap = Heap::new(BUDGET);
            let class = |who| if who < 3 { Class::Receive } else { Class::Send };
            let mut askers: Vec<Asker> = (0..6).map(|who| Asker::new(&heap, class(who))).collect();
            let mut waiting: [Option<(usize, usize)>; 6] = [None; 6];
            for step in steps {
                match step {
                    Step::Ask(who, size) => {
                        let (size, _) = waiting[who].unwrap_or((size, 0));
                        let granted = askers[who].ask_for(size);
                        waiting[who] = (!granted).then(|| (size, askers[who].calls()));
                    }
                    Step::Free(who) => drop(askers[who].blocks.pop()),
                    Step::GiveUp(who) => {
                        askers[who].claim = None;
                        waiting[who] = None;
                    }
                    // Keeps its place, and is never polled again unless it asks.
                    Step::LeaveAlone(who) => waiting[who] = None,
                    Step::Attend => attend(&heap),
                }
                let in_use: usize = (askers.iter())
                    .flat_map(|asker| &asker.blocks)
                    .map(|block| block.len())
                    .sum();
                prop_assert_eq!(heap.counters().in_use, in_use);
            }
            // Everything comes back, one block after the other; whoever is called asks.
            while waiting.iter().any(Option::is_some) {
                let mut moved = false;
                attend(&heap);
                for who in 0..askers.len() {
                    if let Some((size, seen)) = waiting[who]
                        && askers[who].calls() > seen
                    {
                        moved = true;
                        let granted = askers[who].ask_for(size);
                        waiting[who] = (!granted).then(|| (size, askers[who].calls()));
                    }
                }
                let holder = askers.iter_mut().find(|asker| !asker.blocks.is_empty());
                if let Some(holder) = holder {
                    holder.blocks.pop();
                    moved = true;
                }
                prop_assert!(moved, "{waiting:?} wait without end");
            }
        }
    }
}
