//! What an end of a connection does: its part of the plan, message by message.

use core::future::Future;
use core::pin::pin;

use ringseal::protocol::layout::End;
use ringseal::protocol::native::record::{AbortReason, OpenError as NativeOpenError};
use ringseal::protocol::record::OpenError;
use ringseal::{Connection, Receiver, RecvError, SendError, Sender};

use super::checker::{Checker, Ending, Mistake};
use super::ledger::{Amount, Ledger, Plant};
use super::plan::{Ends, Flow, Plan, ReceiveBy, SendBy, Side};
use super::progress::Progress;

/// Messages of one call of `send_many`.
const BATCH: usize = 16;
/// Bytes of a message that is streamed that are written at a time.
const PIECE: usize = 64 * 1024;
/// Messages between two times that they are counted for all to see.
const COUNTED: u64 = 64;
/// The message where a mistake is made on purpose.
const PLANTED: u64 = 100;

/// Plays this side of `plan`, to the end of the connection.
pub(crate) async fn play(
    connection: Connection,
    plan: &Plan,
    side: Side,
    plant: Option<Plant>,
    ledger: &Ledger,
    progress: &Progress,
) -> Result<(), Mistake> {
    let (sender, receiver) = connection.split();
    let (outgoing, incoming) = match side {
        Side::Dialer => (plan.to_listener, plan.to_dialer),
        Side::Listener => (plan.to_dialer, plan.to_listener),
    };
    let receiving = receive(receiver, incoming, plan, ledger, progress);
    let sent = match plan.ends {
        Ends::Dropped(by) | Ends::Aborted(by) if by == side => {
            give_up(sender, outgoing, plan.ends, progress, receiving).await?
        }
        _ => {
            let sending = send_and_close(sender, outgoing, plant, progress);
            let (sent, received) = tokio::join!(sending, receiving);
            received?;
            sent
        }
    };
    match sent {
        Err(error) if !(plan.is_disturbed() && stops_sending(&error)) => {
            Err(Mistake::Other(format!("sending failed: {error}")))
        }
        _ => Ok(()),
    }
}

/// Sends everything and then ends both directions, wherever the other one is.
async fn give_up(
    mut sender: Sender,
    flow: Flow,
    ends: Ends,
    progress: &Progress,
    receiving: impl Future<Output = Result<(), Mistake>>,
) -> Result<Result<(), SendError>, Mistake> {
    let mut receiving = pin!(receiving);
    let sent = {
        let mut sending = pin!(send(&mut sender, flow, None, progress));
        tokio::select! {
            sent = &mut sending => sent,
            received = &mut receiving => {
                received?;
                sending.await
            }
        }
    };
    if matches!(ends, Ends::Aborted(_)) {
        sender.abort(AbortReason(AbortReason::FIRST_OF_APPLICATION));
    }
    Ok(sent)
}

async fn send_and_close(
    mut sender: Sender,
    flow: Flow,
    plant: Option<Plant>,
    progress: &Progress,
) -> Result<(), SendError> {
    send(&mut sender, flow, plant, progress).await?;
    sender.close().await
}

/// Which messages are sent, in which order: all of them, unless a mistake is to be made.
fn sequence(flow: Flow, plant: Option<Plant>) -> impl Iterator<Item = u64> {
    (0..flow.messages).flat_map(move |index| {
        let (one, other) = match plant {
            Some(Plant::Lost) if index == PLANTED => (None, None),
            Some(Plant::Doubled) if index == PLANTED => (Some(index), Some(index)),
            Some(Plant::Reordered) if index == PLANTED => (Some(index + 1), Some(index)),
            Some(Plant::Reordered) if index == PLANTED + 1 => (None, None),
            _ => (Some(index), None),
        };
        one.into_iter().chain(other)
    })
}

async fn send(
    sender: &mut Sender,
    flow: Flow,
    plant: Option<Plant>,
    progress: &Progress,
) -> Result<(), SendError> {
    let mut message = Vec::new();
    let mut batch: Vec<Vec<u8>> = Vec::new();
    for (count, index) in (1..).zip(sequence(flow, plant)) {
        let (content, length) = flow.message(index);
        if flow.send == SendBy::Stream {
            stream(sender, flow, index, progress).await?;
        } else {
            message.resize(length, 0);
            content.fill(0, &mut message);
            if plant == Some(Plant::Altered) && index >= PLANTED && length > 0 {
                message[length / 2] ^= 1;
            }
        }
        match flow.send {
            SendBy::Stream => {}
            SendBy::Send => sender.send(&message).await?,
            SendBy::TrySend => {
                if !sender.try_send(&message)? {
                    sender.send(&message).await?;
                }
            }
            SendBy::Reserve => reserve(sender, &message).await?,
            SendBy::SendMany => {
                batch.push(message.clone());
                if batch.len() == BATCH {
                    sender.send_many(&batch).await?;
                    batch.clear();
                }
            }
        }
        progress.step();
        if flow.update_every > 0 && count % flow.update_every == 0 {
            // The commonware wire has none.
            let _ = sender.update_keys();
        }
    }
    sender.send_many(&batch).await
}

/// Sends it in place, if it fits a record.
async fn reserve(sender: &mut Sender, message: &[u8]) -> Result<(), SendError> {
    match sender.reserve(message.len()).await {
        Ok(mut reservation) => {
            reservation.copy_from_slice(message);
            return reservation.send();
        }
        Err(SendError::TooLongInPlace { .. }) => {}
        Err(error) => return Err(error),
    }
    sender.send(message).await
}

async fn stream(
    sender: &mut Sender,
    flow: Flow,
    index: u64,
    progress: &Progress,
) -> Result<(), SendError> {
    let (content, length) = flow.message(index);
    let mut writer = sender.send_stream()?;
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    while offset < length {
        let piece = &mut piece[..PIECE.min(length - offset)];
        content.fill(offset, piece);
        writer.write(piece).await?;
        progress.step();
        offset += piece.len();
    }
    writer.finish().await
}

/// Why a direction brings nothing more before its end.
enum Stop {
    Mistake(Mistake),
    Failed(RecvError),
}

impl From<Mistake> for Stop {
    fn from(mistake: Mistake) -> Self {
        Self::Mistake(mistake)
    }
}

impl From<RecvError> for Stop {
    fn from(error: RecvError) -> Self {
        Self::Failed(error)
    }
}

/// Whether a sender may see this where the connection is cut or given up, without a fault of ours.
pub(crate) fn stops_sending(error: &SendError) -> bool {
    matches!(
        error,
        SendError::Transport(_) | SendError::Closed | SendError::TimedOut { .. }
    )
}

/// Whether a receiver may see this where the connection is cut or given up. Nobody alters a byte, so
/// that a record which does not open is a fault of ours even there.
fn stops_receiving(error: &RecvError) -> bool {
    matches!(
        error,
        RecvError::Transport(_)
            | RecvError::Aborted { .. }
            | RecvError::MessageGivenUp
            | RecvError::NativeRecord(NativeOpenError::Truncated)
            | RecvError::Record(OpenError::Truncated)
    )
}

/// Takes one direction to its end and checks it.
async fn receive(
    mut receiver: Receiver,
    flow: Flow,
    plan: &Plan,
    ledger: &Ledger,
    progress: &Progress,
) -> Result<(), Mistake> {
    let is_disturbed = plan.is_disturbed();
    let mut intake = Intake {
        checker: Checker::new(flow),
        flow,
        uncounted: Amount::default(),
        ledger,
        progress,
    };
    let stopped = intake.take_all(&mut receiver).await;
    intake.count();
    let ending = match stopped {
        Ok(()) if receiver.end() == Some(End::Authenticated) => Ending::Authenticated,
        Ok(()) if plan.wire.is_native() => {
            let text = "the native wire ended without saying so: its end is not authenticated";
            return Err(Mistake::Other(text.to_owned()));
        }
        Ok(()) => Ending::Unauthenticated,
        Err(Stop::Mistake(mistake)) => return Err(mistake),
        Err(Stop::Failed(error)) if is_disturbed && stops_receiving(&error) => Ending::Failed,
        Err(Stop::Failed(error)) => {
            let count = intake.checker.count();
            let sent = flow.messages;
            return Err(Mistake::Other(format!(
                "receiving failed after {count} of {sent} messages: {error}"
            )));
        }
    };
    intake.checker.end(ending, is_disturbed)
}

/// Takes messages in and checks them.
struct Intake<'a> {
    checker: Checker,
    flow: Flow,
    uncounted: Amount,
    ledger: &'a Ledger,
    progress: &'a Progress,
}

impl Intake<'_> {
    async fn take_all(&mut self, receiver: &mut Receiver) -> Result<(), Stop> {
        loop {
            let stall = self
                .flow
                .stall
                .filter(|stall| stall.at == self.checker.count());
            if let Some(stall) = stall {
                ringseal::sleep(stall.length).await;
            }
            let is_more = match self.flow.receive {
                ReceiveBy::Recv => self.take_one(receiver, stall.is_some()).await?,
                ReceiveBy::RecvBatch => self.take_batch(receiver).await?,
                ReceiveBy::RecvStream => self.take_parts(receiver).await?,
            };
            if !is_more {
                return Ok(());
            }
        }
    }

    async fn take_one(&mut self, receiver: &mut Receiver, holds: bool) -> Result<bool, Stop> {
        let Some(message) = receiver.recv().await? else {
            return Ok(false);
        };
        self.take(&message)?;
        // A slot that is held while nothing is read.
        if let Some(stall) = self.flow.stall.filter(|_| holds) {
            ringseal::sleep(stall.length / 4).await;
        }
        Ok(true)
    }

    async fn take_batch(&mut self, receiver: &mut Receiver) -> Result<bool, Stop> {
        let Some(mut batch) = receiver.recv_batch().await? else {
            return Ok(false);
        };
        while let Some(message) = batch.next_message()? {
            self.take(message)?;
        }
        Ok(true)
    }

    async fn take_parts(&mut self, receiver: &mut Receiver) -> Result<bool, Stop> {
        let Some(mut message) = receiver.recv_stream().await? else {
            return Ok(false);
        };
        while let Some(part) = message.next_part().await? {
            self.checker.part(&part)?;
            self.progress.step();
            self.uncounted.bytes += part.len() as u64;
        }
        self.checker.complete()?;
        self.uncounted.messages += 1;
        self.count();
        Ok(true)
    }

    fn take(&mut self, message: &[u8]) -> Result<(), Mistake> {
        self.checker.message(message)?;
        self.progress.step();
        self.uncounted.messages += 1;
        self.uncounted.bytes += message.len() as u64;
        if self.uncounted.messages >= COUNTED {
            self.count();
        }
        Ok(())
    }

    fn count(&mut self) {
        self.ledger.add(core::mem::take(&mut self.uncounted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_excuses_a_short_stream_and_no_altered_one() {
        for error in [
            RecvError::Transport(std::io::ErrorKind::ConnectionReset.into()),
            RecvError::NativeRecord(NativeOpenError::Truncated),
            RecvError::Record(OpenError::Truncated),
        ] {
            assert!(stops_receiving(&error), "{error}");
        }
        for error in [
            RecvError::NativeRecord(NativeOpenError::Tag),
            RecvError::NativeRecord(NativeOpenError::EndWithinMessage),
            RecvError::Record(OpenError::Failed),
            RecvError::OutOfMemory { length: 1 },
        ] {
            assert!(!stops_receiving(&error), "{error}");
        }
    }

    #[test]
    fn a_planted_mistake_changes_what_is_sent_where_it_should() {
        let flow = Flow {
            messages: 104,
            ..Flow::quiet(1)
        };
        let tail = |plant| sequence(flow, plant).skip(99).collect::<Vec<_>>();
        assert_eq!(tail(None), [99, 100, 101, 102, 103]);
        assert_eq!(tail(Some(Plant::Lost)), [99, 101, 102, 103]);
        assert_eq!(tail(Some(Plant::Doubled)), [99, 100, 100, 101, 102, 103]);
        assert_eq!(tail(Some(Plant::Reordered)), [99, 101, 100, 102, 103]);
    }
}
