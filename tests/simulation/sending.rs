//! What a sender does: calls of every kind, each given up at any point, then an end.

use core::cell::RefCell;
use core::future::poll_fn;
use core::time::Duration;
use std::rc::Rc;

use futures_util::SinkExt;
use ringseal::protocol::native::record::AbortReason;
use ringseal::{MessageSink, SendError, Sender};

use crate::forwarding::Forwarding;
use crate::half::Half;
use crate::limits::Watch;
use crate::model::Ledger;
use crate::patience::Patience;
use crate::random::Random;
use crate::scenario::{Direction, Ending};
use crate::world::note;

/// Messages that are alike, so that their records would be where a nonce is used again.
const ALIKE: [u8; 32] = [0x5a; 32];

/// How a sender has ended.
#[derive(Debug)]
pub(crate) enum SenderEnd {
    /// The close was done.
    Closed,
    /// It was dropped, as itself or with the close.
    Dropped,
    Aborted,
    Failed(SendError),
}

/// A sender at work.
pub(crate) struct Sending {
    pub(crate) name: String,
    pub(crate) sender: Half<Sender>,
    pub(crate) direction: Direction,
    pub(crate) is_native: bool,
    pub(crate) ledger: Rc<RefCell<Ledger>>,
    pub(crate) watch: Watch,
    pub(crate) random: Random,
    /// What this end has received for it.
    pub(crate) forwarding: Rc<Forwarding>,
    /// Bytes that were written before the first message.
    pub(crate) written_before: u64,
    /// Whether a reservation was leaked: what was sent waits for the next call.
    pub(crate) has_leaked: bool,
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Send,
    TrySend,
    SendMany,
    Reserve,
    /// Through a sink.
    Sink,
    /// A message in parts.
    Parts,
    /// A message that was received.
    Forward,
    Alike,
    TooLarge,
    Flush,
    Update,
    Announce,
    Pause,
}

impl Sending {
    /// Does all of it.
    pub(crate) async fn run(mut self) -> SenderEnd {
        let result = self.make_calls().await;
        self.forwarding.close();
        match result {
            Ok(()) => self.end().await,
            Err(error) => SenderEnd::Failed(error),
        }
    }

    /// Makes calls, up to the first that fails.
    async fn make_calls(&mut self) -> Result<(), SendError> {
        for _ in 0..self.direction.calls {
            let call = self.draw();
            if let Err(error) = self.call(call).await {
                note!(self.watch.world(), "{} {call:?} failed: {error}", self.name);
                self.failed(&error).await;
                return Err(error);
            }
            let mut ledger = self.ledger.borrow_mut();
            ledger.says(self.sender.progress(), false);
        }
        Ok(())
    }

    fn draw(&mut self) -> Call {
        let forwarded = u32::try_from(self.forwarding.waiting()).expect("one at most");
        let (random, is_streamed) = (&mut self.random, self.direction.is_streamed);
        let streams = if is_streamed { 60 } else { 8 };
        random.weighted(&[
            (40, Call::Send),
            (10, Call::TrySend),
            (10, Call::SendMany),
            (12, Call::Reserve),
            (8, Call::Sink),
            (if self.is_native { streams } else { 0 }, Call::Parts),
            (15 * forwarded, Call::Forward),
            (4, Call::Alike),
            (2, Call::TooLarge),
            (10, Call::Flush),
            (4, Call::Update),
            (3, Call::Announce),
            (12, Call::Pause),
        ])
    }

    async fn call(&mut self, call: Call) -> Result<(), SendError> {
        note!(self.watch.world(), "{} {call:?}", self.name);
        let leaked = core::mem::take(&mut self.has_leaked);
        match call {
            Call::Send => self.send().await,
            Call::TrySend => self.try_send(),
            Call::SendMany => self.send_many().await,
            Call::Reserve => self.reserve().await,
            Call::Sink => self.sink().await,
            Call::Parts => self.parts().await,
            Call::Forward => self.forward().await,
            Call::Alike => self.alike().await,
            Call::TooLarge => self.too_large().await,
            Call::Flush => self.flush().await,
            Call::Update => self.update(),
            Call::Announce => self.announce(),
            Call::Pause => {
                self.pause(leaked).await;
                Ok(())
            }
        }
    }

    fn length(&mut self) -> usize {
        let longest = self.direction.longest;
        let length = match self.random.between(0, 9) {
            0 => 0,
            1..=3 => self.random.length(1, 64),
            4..=6 => self.random.length(1, 3000),
            7 => self.random.length(3900, 4200),
            8 => self.random.length(8000, 20_000),
            _ => self.random.length(1, longest),
        };
        length.min(longest)
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

    /// Says what became of a message that was begun.
    fn settle(
        &self,
        place: usize,
        outcome: Option<Result<bool, SendError>>,
    ) -> Result<(), SendError> {
        note!(
            self.watch.world(),
            "{}: message {place}: {outcome:?}",
            self.name
        );
        match outcome {
            Some(Ok(true)) => {
                self.ledger.borrow_mut().sent(place);
                self.count("a message is sent");
                Ok(())
            }
            Some(Ok(false)) | None => {
                self.ledger.borrow_mut().not_sent(place);
                self.count("a send is given up");
                Ok(())
            }
            Some(Err(error)) => Err(error),
        }
    }

    async fn send(&mut self) -> Result<(), SendError> {
        let length = self.length();
        let place = self.ledger.borrow_mut().begin(length);
        let message = self.ledger.borrow().content(place, length);
        let patience = self.patience();
        let outcome = self.watch.give(patience, self.sender.send(&message)).await;
        let outcome = outcome.map(|sent| sent.map(|()| true));
        self.settle(place, outcome)
    }

    fn try_send(&mut self) -> Result<(), SendError> {
        let length = self.length();
        let place = self.ledger.borrow_mut().begin(length);
        let message = self.ledger.borrow().content(place, length);
        let outcome = self.sender.try_send(&message);
        self.settle(place, Some(outcome))
    }

    async fn send_many(&mut self) -> Result<(), SendError> {
        let count = self.random.length(1, 6);
        // Long enough to tell one that did not leave from what comes next.
        let lengths: Vec<usize> = (0..count).map(|_| self.length().max(8)).collect();
        let places = self.ledger.borrow_mut().begin_batch(&lengths);
        let messages: Vec<Vec<u8>> = (places.clone().zip(&lengths))
            .map(|(place, length)| self.ledger.borrow().content(place, *length))
            .collect();
        let patience = self.patience();
        match self
            .watch
            .give(patience, self.sender.send_many(&messages))
            .await
        {
            Some(sent) => {
                sent?;
                for place in places.clone() {
                    self.ledger.borrow_mut().sent(place);
                }
                self.count("a batch is sent");
            }
            None => {
                let progress = self.sender.progress();
                self.ledger.borrow_mut().sent_in_part(places, progress);
                self.count("a batch is given up");
            }
        }
        Ok(())
    }

    async fn reserve(&mut self) -> Result<(), SendError> {
        let length = self.length();
        let place = self.ledger.borrow_mut().begin(length);
        let content = self.ledger.borrow().content(place, length);
        let (patience, fate) = (self.patience(), self.random.between(0, 9));
        let (hold, shorter) = (self.random.between(0, 4), self.random.length(0, length));
        let leaks = self.direction.leaks;
        let mut reservation = match self.watch.give(patience, self.sender.reserve(length)).await {
            Some(Ok(reservation)) => reservation,
            other => {
                return match other.and_then(Result::err) {
                    // What is too long for that is no failure.
                    None | Some(SendError::TooLongInPlace { .. }) => self.settle(place, None),
                    Some(error) => Err(error),
                };
            }
        };
        assert!(reservation.iter().all(|byte| *byte == 0), "not zeroed");
        reservation.copy_from_slice(&content);
        if fate < 2 {
            ringseal::sleep(Duration::from_millis(hold)).await;
        }
        match fate {
            8 => drop(reservation),
            9 if leaks => {
                core::mem::forget(reservation);
                self.has_leaked = true;
                self.count("a reservation is leaked");
            }
            _ => {
                let length = if fate > 5 { shorter } else { length };
                reservation.truncate(length);
                reservation.send()?;
                self.ledger.borrow_mut().sent_shortened(place, length);
                self.count("a reservation is sent");
                return Ok(());
            }
        }
        self.settle(place, None)
    }

    /// Sends a message in parts, and gives it up now and then.
    async fn parts(&mut self) -> Result<(), SendError> {
        let most = if self.direction.is_streamed {
            300_000
        } else {
            self.direction.longest
        };
        let total = self
            .random
            .length(0, most)
            .min(self.length().max(most / 8) * 2);
        let place = self.ledger.borrow_mut().begin_parts();
        let content = self.ledger.borrow().content(place, total);
        let (fate, leaks) = (self.random.between(0, 9), self.direction.leaks);
        let stops_at = if fate > 7 { total / 2 } else { total };
        let mut patiences: Vec<Patience> = (0..8).map(|_| self.patience()).collect();
        let mut pieces: Vec<usize> = (0..8).map(|_| self.random.length(1, 60_000)).collect();
        let last_patience = self.patience();
        let mut writer = self.sender.send_stream()?;
        loop {
            let written = usize::try_from(writer.written()).expect("a length");
            let piece = pieces
                .pop()
                .unwrap_or(60_000)
                .min(stops_at.saturating_sub(written));
            if piece == 0 {
                break;
            }
            self.ledger.borrow_mut().grow(place, written + piece);
            let patience = patiences.pop().unwrap_or(Patience::Endless);
            let write = writer.write(&content[written..written + piece]);
            if let Some(result) = self.watch.give(patience, write).await {
                result?;
            }
        }
        let written = usize::try_from(writer.written()).expect("a length");
        self.ledger.borrow_mut().grow(place, written);
        match fate {
            8 => drop(writer),
            9 if leaks => core::mem::forget(writer),
            _ => match self.watch.give(last_patience, writer.finish()).await {
                Some(finished) => {
                    finished?;
                    self.ledger.borrow_mut().sent(place);
                    self.count("a message in parts is sent");
                    return Ok(());
                }
                None => self.count("the end of a message in parts is given up"),
            },
        }
        self.count("a message in parts is given up");
        Ok(())
    }

    /// Sends a message on that was received.
    async fn forward(&mut self) -> Result<(), SendError> {
        let Some(message) = self.forwarding.take() else {
            return Ok(());
        };
        let place = self.ledger.borrow_mut().begin_given(&message);
        let patience = self.patience().without_leak();
        let forward = self.sender.forward(message);
        let outcome = self.watch.give(patience, forward).await;
        self.count("a message is sent on");
        self.settle(place, outcome.map(|sent| sent.map(|()| true)))
    }

    /// Sends the same message twice, each in a record of its own.
    async fn alike(&mut self) -> Result<(), SendError> {
        for _ in 0..2 {
            let place = self.ledger.borrow_mut().begin_given(&ALIKE);
            self.sender.send(&ALIKE).await?;
            self.ledger.borrow_mut().sent(place);
            self.sender.flush().await?;
        }
        Ok(())
    }

    async fn too_large(&mut self) -> Result<(), SendError> {
        let Ok(limit) = usize::try_from(self.sender.max_message_size()) else {
            return Ok(());
        };
        match self.sender.send(&vec![0; limit + 1]).await {
            Err(SendError::TooLarge { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => panic!("a message above the limit was sent"),
        }
    }

    async fn flush(&mut self) -> Result<(), SendError> {
        let patience = self.patience();
        if let Some(flushed) = self.watch.give(patience, self.sender.flush()).await {
            flushed?;
            self.has_flushed();
        }
        Ok(())
    }

    fn has_flushed(&self) {
        self.check_written("a flush was done");
        let progress = self.sender.progress();
        self.ledger.borrow_mut().says(progress, true);
        self.count("a flush is done");
    }

    /// Sends messages through a sink, each step of it given up at any point.
    async fn sink(&mut self) -> Result<(), SendError> {
        let mut sink = self.sender.take().into_sink();
        let mut kept = None;
        let mut outcome = Ok(false);
        for _ in 0..self.random.between(1, 4) {
            outcome = self.feed(&mut sink, &mut kept).await;
            if outcome.is_err() {
                break;
            }
        }
        let patience = self.patience();
        if outcome.is_ok()
            && let Some(flushed) = self.watch.give(patience, sink.flush()).await
        {
            outcome = flushed.map(|()| true);
        }
        let (sender, message) = sink.into_sender();
        self.sender.put(sender);
        let has_flushed = outcome?;
        if let Some(place) = kept {
            self.settle(place, Some(Ok(message.is_none())))?;
        }
        if has_flushed {
            assert!(message.is_none(), "{}: flushed, and not sent", self.name);
            self.has_flushed();
        }
        Ok(())
    }

    /// Gives a sink a message if it is ready for one. `kept` is the last one, which may still be there.
    async fn feed(
        &mut self,
        sink: &mut MessageSink<Vec<u8>>,
        kept: &mut Option<usize>,
    ) -> Result<bool, SendError> {
        let patience = self.patience();
        let ready = poll_fn(|context| sink.poll_ready_unpin(context));
        match self.watch.give(patience, ready).await {
            Some(ready) => ready?,
            None => return Ok(false),
        }
        if let Some(place) = kept.take() {
            self.settle(place, Some(Ok(true)))?;
            self.count("a message is sent through a sink");
        }
        let length = self.length();
        let place = self.ledger.borrow_mut().begin(length);
        let message = self.ledger.borrow().content(place, length);
        sink.start_send_unpin(message)?;
        *kept = Some(place);
        Ok(false)
    }

    /// What was sent has to be with the network now, and takes more there than it has itself.
    fn check_written(&self, when: &str) {
        let written = self.watch.written() - self.written_before;
        let sent = self.ledger.borrow().sent_bytes();
        assert!(
            written >= sent,
            "{}: {when} with {written} bytes written of messages of {sent} bytes",
            self.name
        );
    }

    fn update(&mut self) -> Result<(), SendError> {
        assert_eq!(self.sender.update_keys(), self.is_native);
        Ok(())
    }

    fn announce(&mut self) -> Result<(), SendError> {
        let reason = self.random.one_of(&[1, 2, 300]);
        let announced = self.sender.announce_leaving(reason);
        assert_eq!(announced, self.is_native);
        if announced {
            self.ledger.borrow_mut().announce(reason);
        }
        Ok(())
    }

    async fn pause(&mut self, has_leaked: bool) {
        // What waits for a leaked reservation must not wait for long.
        self.has_leaked = has_leaked;
        let most = if has_leaked {
            0
        } else {
            self.direction.sender_pause
        };
        let pause = self.random.between(0, most);
        let start = self.watch.world().now();
        ringseal::sleep(Duration::from_millis(pause)).await;
        if pause > 0 && !has_leaked && self.watch.is_at_ease(start) {
            self.check_written("everybody waited");
        }
    }

    /// A failure is told once, and nothing works behind it.
    async fn failed(&mut self, error: &SendError) {
        if let SendError::TimedOut { limit } = error {
            self.watch.timed_out_sending(*limit);
        }
        let again = self.sender.send(b"behind a failure").await;
        assert!(again.is_err(), "{}: sent behind a failure", self.name);
        let progress = self.sender.progress();
        self.ledger.borrow_mut().says_at_last(progress);
    }

    async fn end(mut self) -> SenderEnd {
        let (world, name) = (Rc::clone(self.watch.world()), &self.name);
        note!(world, "{name} ends: {:?}", self.direction.ending);
        match self.direction.ending {
            Ending::Close => {
                let result = self.sender.take().close().await;
                note!(world, "{name} closed: {result:?}");
                match result {
                    Ok(()) => {
                        assert!(self.watch.is_ended(), "{name}: closed without an end");
                        SenderEnd::Closed
                    }
                    Err(error) => {
                        if let SendError::TimedOut { limit } = error {
                            self.watch.timed_out_sending(limit);
                        }
                        SenderEnd::Failed(error)
                    }
                }
            }
            Ending::CloseDropped(patience) => {
                let close = self.sender.take().close();
                match self.watch.give(patience, close).await {
                    Some(Ok(())) => SenderEnd::Closed,
                    Some(Err(error)) => SenderEnd::Failed(error),
                    None => {
                        self.count("a close is given up");
                        SenderEnd::Dropped
                    }
                }
            }
            Ending::Drop => SenderEnd::Dropped,
            Ending::Abort(reason) => {
                self.sender.take().abort(AbortReason(reason));
                SenderEnd::Aborted
            }
        }
    }
}
