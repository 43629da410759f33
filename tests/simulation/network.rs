//! The network between the peers: all directions, and what happens on them next.
//!
//! Everything that wakes somebody is an event, and events of the same millisecond come in an order
//! that the seed decides: so operations complete in any order, and long after they could have.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::channel::{Channel, Conditions, Cut, Event, Later};
use crate::patience::give_others_a_turn;
use crate::random::Random;
use crate::world::{World, note};

/// Number of a direction. The two of a wire are neighbours.
pub(crate) type Number = usize;

pub(crate) struct Network {
    pub(crate) world: Rc<World>,
    channels: RefCell<Vec<Channel>>,
    events: RefCell<BTreeMap<When, (Number, Event)>>,
    random: RefCell<Random>,
    pump: RefCell<Option<Waker>>,
    next: Cell<u64>,
    /// Ends that are not dropped.
    ends: Cell<usize>,
}

/// When an event happens: the millisecond, its place among those of the same, and a number that makes
/// it different from all others.
type When = (u64, u64, u64);

impl Network {
    pub(crate) fn new(world: &Rc<World>, random: Random) -> Rc<Self> {
        Rc::new(Self {
            world: Rc::clone(world),
            channels: RefCell::default(),
            events: RefCell::default(),
            random: RefCell::new(random),
            pump: RefCell::default(),
            next: Cell::new(0),
            ends: Cell::new(0),
        })
    }

    /// Makes a wire. The first end writes to the direction with the number that is returned, and the
    /// second one to the next.
    pub(crate) fn wire(self: &Rc<Self>, conditions: [Conditions; 2]) -> (Number, WireEnd, WireEnd) {
        let now = self.world.now();
        let mut channels = self.channels.borrow_mut();
        let number = channels.len();
        for conditions in conditions {
            let random = self.random.borrow_mut().fork();
            channels.push(Channel::new(conditions, random, now));
        }
        drop(channels);
        let (first, second) = (self.end(number + 1, number), self.end(number, number + 1));
        (number, first, second)
    }

    fn end(self: &Rc<Self>, incoming: Number, outgoing: Number) -> WireEnd {
        self.ends.set(self.ends.get() + 1);
        WireEnd {
            network: Rc::clone(self),
            incoming,
            outgoing,
        }
    }

    /// How many ends there are that nobody has dropped.
    pub(crate) fn ends(&self) -> usize {
        self.ends.get()
    }

    /// Looks at a direction, or changes it.
    pub(crate) fn with<T>(&self, number: Number, work: impl FnOnce(&mut Channel) -> T) -> T {
        work(&mut self.channels.borrow_mut()[number])
    }

    /// Has something happen to a direction after so many milliseconds.
    pub(crate) fn schedule(&self, number: Number, Later(after, event): Later<Event>) {
        let serial = self.next.replace(self.next.get() + 1);
        let order = self.random.borrow_mut().number();
        let when = (self.world.now() + after, order, serial);
        let mut events = self.events.borrow_mut();
        let first = events.first_key_value().map(|(when, _)| when.0);
        events.insert(when, (number, event));
        drop(events);
        // Whoever waits for the first one waits too long now.
        if first.is_none_or(|first| when.0 < first)
            && let Some(pump) = self.pump.take()
        {
            pump.wake();
        }
    }

    fn schedule_all(&self, number: Number, all: Vec<Later<Event>>) {
        for later in all {
            self.schedule(number, later);
        }
    }

    /// Has everything happen in its time, until it is aborted.
    pub(crate) async fn pump(self: Rc<Self>) {
        loop {
            match self.next_due() {
                Some((number, event)) => {
                    self.apply(number, event);
                    let lets_others_run = self.random.borrow_mut().chance(40);
                    if lets_others_run {
                        give_others_a_turn().await;
                    }
                }
                None => self.wait().await,
            }
        }
    }

    fn next_due(&self) -> Option<(Number, Event)> {
        let now = self.world.now();
        let mut events = self.events.borrow_mut();
        let first = events.first_entry().filter(|first| first.key().0 <= now);
        first.map(|first| first.remove())
    }

    fn apply(&self, number: Number, event: Event) {
        if matches!(event, Event::Cut(_) | Event::Stall | Event::Resume) {
            note!(self.world, "direction {number}: {event:?}");
        }
        // A reset is one of both directions.
        let also = (event == Event::Cut(Cut::Reset)).then_some(number ^ 1);
        for number in [Some(number), also].into_iter().flatten() {
            let woken = self.with(number, |channel| channel.apply(event));
            for waker in woken.into_iter().flatten() {
                waker.wake();
            }
        }
    }

    /// Waits until something is due.
    async fn wait(&self) {
        let first = || {
            self.events
                .borrow()
                .first_key_value()
                .map(|(when, _)| when.0)
        };
        let awaited = first();
        let until = awaited.map(|first| first.saturating_sub(self.world.now()));
        let sleep = |until| ringseal::sleep(Duration::from_millis(until)).boxed_local();
        let mut sleep = until.map(sleep);
        poll_fn(|context| {
            self.pump.replace(Some(context.waker().clone()));
            if first() != awaited {
                return Poll::Ready(());
            }
            match &mut sleep {
                Some(sleep) => sleep.as_mut().poll(context),
                None => Poll::Pending,
            }
        })
        .await;
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Network")
            .field("ends", &self.ends)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

/// One end of a wire, which a connection is made over.
#[derive(Debug)]
pub(crate) struct WireEnd {
    network: Rc<Network>,
    incoming: Number,
    outgoing: Number,
}

impl AsyncRead for WireEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (network, number) = (&self.network, self.incoming);
        let (now, mut later) = (network.world.now(), Vec::new());
        let bytes = buffer.initialize_unfilled();
        let poll = network.with(number, |channel| {
            channel.poll_read(context, now, bytes, &mut later)
        });
        network.schedule_all(number, later);
        poll.map_ok(|count| buffer.advance(count))
    }
}

impl AsyncWrite for WireEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let (network, number) = (&self.network, self.outgoing);
        let (now, mut later) = (network.world.now(), Vec::new());
        let poll = network.with(number, |channel| {
            channel.poll_write(context, now, bytes, &mut later)
        });
        network.schedule_all(number, later);
        poll
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.network.with(self.outgoing, Channel::flush);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut later = Vec::new();
        self.network
            .with(self.outgoing, |channel| channel.end(&mut later));
        self.network.schedule_all(self.outgoing, later);
        Poll::Ready(Ok(()))
    }
}

impl Drop for WireEnd {
    fn drop(&mut self) {
        let network = &self.network;
        network.ends.set(network.ends.get() - 1);
        let mut later = Vec::new();
        network.with(self.outgoing, |channel| channel.end(&mut later));
        network.schedule_all(self.outgoing, core::mem::take(&mut later));
        let now = network.world.now();
        network.with(self.incoming, |channel| channel.abandon(now, &mut later));
        network.schedule_all(self.incoming, later);
    }
}
