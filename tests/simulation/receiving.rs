//! What a receiver does: calls of every kind, each given up at any point, until the end.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;

use futures_util::StreamExt;
use ringseal::protocol::layout::End;
use ringseal::{Message, OpenError, Received, Receiver, RecvError};

use crate::forwarding::Forwarding;
use crate::half::Half;
use crate::limits::Watch;
use crate::model::Ledger;
use crate::patience::Patience;
use crate::random::Random;
use crate::scenario::Direction;
use crate::world::note;

/// The longest message that is held, in bytes: who holds long ones while it waits for others has to have
/// a budget for that.
const HELD: usize = 4000;

/// How a receiver has ended.
#[derive(Debug)]
pub(crate) enum ReceiverEnd {
    /// The peer's end was there.
    Ended(End),
    /// It was dropped early.
    Left,
    Failed(RecvError),
}

/// A receiver at work.
pub(crate) struct Receiving {
    pub(crate) name: String,
    pub(crate) receiver: Half<Receiver>,
    pub(crate) direction: Direction,
    pub(crate) ledger: Rc<RefCell<Ledger>>,
    pub(crate) watch: Watch,
    pub(crate) random: Random,
    /// After how many messages it reads no more until the sender is done.
    pub(crate) deaf_after: Option<u64>,
    pub(crate) is_sender_done: Rc<Cell<bool>>,
    /// Messages that are held, and what they were when they came.
    pub(crate) held: VecDeque<(Message, Vec<u8>)>,
    /// Where what this end's sender sends on is left.
    pub(crate) forwarding: Rc<Forwarding>,
    /// The longest message that it may send on, in bytes.
    pub(crate) sent_on: usize,
    pub(crate) pauses: u32,
}

/// What a call has brought.
enum Step {
    /// Go on.
    On,
    /// The peer's end.
    End,
    Failed(RecvError),
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Recv,
    Event,
    Batch,
    /// Through a stream of messages.
    Messages,
    /// A message in parts.
    Parts,
    Pause,
    Release,
}

impl Receiving {
    /// Does all of it.
    pub(crate) async fn run(mut self) -> ReceiverEnd {
        loop {
            if let Some(end) = self.leaves().await {
                note!(self.watch.world(), "{} leaves", self.name);
                return end;
            }
            let call = self.draw();
            match self.call(call).await {
                Step::On => {}
                Step::End => return self.ended().await,
                Step::Failed(error) => {
                    note!(self.watch.world(), "{} {call:?} failed: {error}", self.name);
                    self.failed(&error).await;
                    return ReceiverEnd::Failed(error);
                }
            }
        }
    }

    /// Turns away, if it is time for that.
    async fn leaves(&self) -> Option<ReceiverEnd> {
        let delivered = self.ledger.borrow().delivered();
        if self.deaf_after.is_some_and(|after| delivered >= after) {
            note!(self.watch.world(), "{} is deaf", self.name);
            while !self.is_sender_done.get() {
                ringseal::sleep(Duration::from_millis(100)).await;
            }
            return Some(ReceiverEnd::Left);
        }
        let leaves = self
            .direction
            .leaves_after
            .is_some_and(|after| delivered >= after);
        leaves.then_some(ReceiverEnd::Left)
    }

    fn draw(&mut self) -> Call {
        let (whole, streams) = if self.direction.is_streamed {
            (0, 100)
        } else {
            (1, 15)
        };
        self.random.weighted(&[
            (50 * whole, Call::Recv),
            (10 * whole, Call::Event),
            (15 * whole, Call::Batch),
            (10 * whole, Call::Messages),
            (streams, Call::Parts),
            (if self.pauses > 0 { 10 } else { 0 }, Call::Pause),
            (10, Call::Release),
        ])
    }

    async fn call(&mut self, call: Call) -> Step {
        note!(self.watch.world(), "{} {call:?}", self.name);
        match call {
            Call::Recv => self.recv().await,
            Call::Event => self.event().await,
            Call::Batch => self.batch().await,
            Call::Messages => self.messages().await,
            Call::Parts => self.parts().await,
            Call::Pause => {
                self.pauses -= 1;
                let pause = self.random.between(1, 300);
                ringseal::sleep(Duration::from_millis(pause)).await;
                Step::On
            }
            Call::Release => {
                self.release();
                Step::On
            }
        }
    }

    fn patience(&mut self) -> Patience {
        let Direction {
            gives_up, leaks, ..
        } = self.direction;
        Patience::draw(&mut self.random, gives_up, leaks)
    }

    fn count(&self, what: &'static str) {
        self.watch.world().count(what);
    }

    fn came(&self, bytes: &[u8]) {
        note!(
            self.watch.world(),
            "{} gets {} bytes",
            self.name,
            bytes.len()
        );
        self.ledger.borrow_mut().message(bytes);
        self.count("a message arrives");
    }

    /// Takes a message, and now and then holds it or has it sent on.
    fn take(&mut self, message: Message) {
        self.came(&message);
        let is_short = message.len() <= HELD;
        if is_short && self.direction.holds > 0 && self.random.chance(50) {
            let is_sent_on = message.len() <= self.sent_on && self.random.chance(50);
            let kept = match is_sent_on {
                true => self.forwarding.put(message),
                false => Some(message),
            };
            if let Some(message) = kept {
                let copy = message.to_vec();
                self.held.push_back((message, copy));
            }
        }
        if self.held.len() + self.forwarding.waiting() > self.direction.holds {
            self.release();
        }
    }

    /// Lets go of the message that is held for longest.
    fn release(&mut self) {
        if let Some((message, copy)) = self.held.pop_front() {
            assert!(
                *message == copy[..],
                "{}: a message has changed while it was held",
                self.name
            );
        }
    }

    async fn recv(&mut self) -> Step {
        let patience = self.patience();
        match self.watch.give(patience, self.receiver.recv()).await {
            Some(Ok(Some(message))) => self.take(message),
            Some(Ok(None)) => return Step::End,
            Some(Err(error)) => return Step::Failed(error),
            None => self.count("a receive is given up"),
        }
        Step::On
    }

    async fn event(&mut self) -> Step {
        let patience = self.patience();
        match self.watch.give(patience, self.receiver.recv_event()).await {
            Some(Ok(Some(Received::Message(message)))) => self.take(message),
            Some(Ok(Some(Received::Leaving(reason)))) => {
                self.ledger.borrow().leaving(reason);
                self.count("the peer would like to leave");
            }
            Some(Ok(Some(other))) => panic!("{}: {other:?}", self.name),
            Some(Ok(None)) => return Step::End,
            Some(Err(error)) => return Step::Failed(error),
            None => self.count("a receive is given up"),
        }
        Step::On
    }

    async fn batch(&mut self) -> Step {
        let (patience, most) = (self.patience(), self.random.between(0, 20));
        let (ledger, world) = (Rc::clone(&self.ledger), Rc::clone(self.watch.world()));
        let mut batch = match self.watch.give(patience, self.receiver.recv_batch()).await {
            Some(Ok(Some(batch))) => batch,
            Some(Ok(None)) => return Step::End,
            Some(Err(error)) => return Step::Failed(error),
            None => return Step::On,
        };
        for _ in 0..most {
            match batch.next_message() {
                Ok(Some(message)) => {
                    note!(
                        world,
                        "{} gets {} bytes of a batch",
                        self.name,
                        message.len()
                    );
                    ledger.borrow_mut().message(message);
                    world.count("a message of a batch arrives");
                }
                Ok(None) => break,
                Err(error) => return Step::Failed(error),
            }
        }
        Step::On
    }

    /// Takes messages through a stream, each look at it given up at any point.
    async fn messages(&mut self) -> Step {
        let mut messages = self.receiver.take().into_stream();
        let mut step = Step::On;
        for _ in 0..self.random.between(0, 4) {
            let patience = self.patience();
            match self.watch.give(patience, messages.next()).await {
                Some(Some(Ok(message))) => {
                    self.take(message);
                    self.count("a message comes through a stream");
                    continue;
                }
                Some(Some(Err(error))) => step = Step::Failed(error),
                Some(None) => step = Step::End,
                None => continue,
            }
            let again = messages.next().await;
            assert!(again.is_none(), "{}: behind the end: {again:?}", self.name);
            break;
        }
        self.receiver.put(messages.into_receiver());
        step
    }

    /// Takes a message in parts, and turns away from it now and then.
    async fn parts(&mut self) -> Step {
        let (patience, turns_away) = (self.patience(), self.random.chance(10));
        let mut patiences: Vec<Patience> = (0..6).map(|_| self.patience()).collect();
        let (ledger, world) = (Rc::clone(&self.ledger), Rc::clone(self.watch.world()));
        let (name, leaks) = (self.name.clone(), self.direction.leaks);
        let mut reader = match self.watch.give(patience, self.receiver.recv_stream()).await {
            Some(Ok(Some(reader))) => reader,
            Some(Ok(None)) => return Step::End,
            Some(Err(error)) => return Step::Failed(error),
            None => return Step::On,
        };
        let mut bytes = Vec::new();
        loop {
            if turns_away && patiences.len() < 5 {
                note!(world, "{name} turns away after {} bytes", bytes.len());
                world.count("a receiver turns away from a message");
                ledger.borrow_mut().abandoned(&bytes);
                // With the first part in it a slot would be leaked.
                if leaks && !bytes.is_empty() {
                    core::mem::forget(reader);
                }
                return Step::On;
            }
            let patience = patiences.pop().unwrap_or(Patience::Endless);
            match self.watch.give(patience, reader.next_part()).await {
                Some(Ok(Some(part))) => bytes.extend_from_slice(&part),
                Some(Ok(None)) => break,
                Some(Err(RecvError::MessageGivenUp)) => {
                    note!(world, "{name}: given up after {} bytes", bytes.len());
                    world.count("the peer gives a message up");
                    ledger.borrow_mut().given_up(&bytes);
                    return Step::On;
                }
                Some(Err(error)) => {
                    ledger.borrow_mut().abandoned(&bytes);
                    return Step::Failed(error);
                }
                None => {}
            }
        }
        drop(reader);
        self.came(&bytes);
        self.count("a message is taken in parts");
        Step::On
    }

    async fn ended(mut self) -> ReceiverEnd {
        let end = self.receiver.end().expect("what the end proves");
        note!(self.watch.world(), "{} is at the end: {end:?}", self.name);
        self.watch.was_not_forgotten();
        assert!(
            !self.receiver.is_mid_message(),
            "{}: at the end within a message",
            self.name
        );
        let again = self.receiver.recv().await;
        assert!(
            matches!(again, Ok(None)),
            "{}: behind the end: {again:?}",
            self.name
        );
        if end == End::Authenticated {
            self.ledger.borrow().complete();
            self.ledger.borrow().left_for(self.receiver.leaving());
        }
        ReceiverEnd::Ended(end)
    }

    /// A failure is told once.
    async fn failed(&mut self, error: &RecvError) {
        self.watch.was_not_forgotten();
        match error {
            RecvError::TimedOut { limit } => self.watch.timed_out_receiving(*limit),
            RecvError::Record(OpenError::Truncated) => assert!(
                self.receiver.is_mid_message(),
                "{}: within a record that is no message",
                self.name
            ),
            _ => {}
        }
        let again = self.receiver.recv().await;
        assert!(
            matches!(again, Err(RecvError::Closed)),
            "{}: behind {error}: {again:?}",
            self.name
        );
    }
}

impl Drop for Receiving {
    /// What is held outlives the receiver's work, and is as it was.
    fn drop(&mut self) {
        while !self.held.is_empty() && !std::thread::panicking() {
            self.release();
        }
    }
}
