//! `--mode echo`: each message is sent back.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use ringseal::{Connection, Message, SendError, Sender, Session};

use super::account::Account;
use super::shared::Shared;
use crate::failure::Failure;
use crate::standstill::elapsed;

/// How long a peer whose echoes were all sent may say nothing, once the server drains.
const QUIET: Duration = Duration::from_millis(500);
/// Bytes of echoes of which it may be unknown whether the kernel has them.
const MAX_UNFLUSHED: usize = 1024 * 1024;

/// Sends everything back until the peer ends, or until it says nothing more when the server drains.
pub(super) async fn echo(
    connection: Connection,
    session: Session,
    account: &Account,
    _shared: &Shared,
) -> Result<(), Failure> {
    let (mut sender, receiver) = connection.split();
    let mut receiver = account.counting(receiver);
    let mut draining = pin!(session.draining());
    let mut unflushed = 0;
    loop {
        let message = tokio::select! {
            biased;
            message = receiver.recv() => message?,
            result = sender.flush(), if account.has_unflushed() => {
                result?;
                account.flushed();
                unflushed = 0;
                continue;
            }
            () = &mut draining, if !session.is_draining() => continue,
            () = elapsed(QUIET), if session.is_draining() => break,
        };
        let Some(message) = message else {
            return Ok(sender.close().await?);
        };
        account.owes_echo();
        unflushed += message.len();
        send_back(&mut sender, message).await?;
        // Or nobody would know how many are lost when they get stuck.
        if unflushed >= MAX_UNFLUSHED {
            sender.flush().await?;
            account.flushed();
            unflushed = 0;
        }
    }
    sender.close().await?;
    account.flushed();
    // A peer that was told of the end ends too. What it says until then comes too late.
    while receiver.recv().await?.is_some() {
        account.came_too_late();
    }
    Ok(())
}

/// Sends a message from the slot that it came in, or a copy if it has to wait: whoever waits for a
/// peer that does not read holds no slot.
async fn send_back(sender: &mut Sender, message: Message) -> Result<(), SendError> {
    let sent = {
        let mut sending = pin!(sender.send(&message));
        poll_fn(|context| Poll::Ready(sending.as_mut().poll(context))).await
    };
    match sent {
        Poll::Ready(result) => result,
        Poll::Pending => {
            let copy = message.to_vec();
            drop(message);
            sender.send(&copy).await
        }
    }
}
