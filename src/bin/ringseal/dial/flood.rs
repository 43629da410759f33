//! `dial --flood`: messages as fast as the peer takes them.

use core::cell::Cell;
use core::time::Duration;
use std::time::Instant;

use ringseal::{RecvError, SendError, spawn};

use super::advice::{GONE, explain_recv, explain_send, leaving};
use super::patience::wait;
use crate::args::DialArgs;
use crate::failure::Failure;
use crate::figures::Figures;
use crate::halves::{WholeReceiver, WholeSender};
use crate::standstill::still_for;

/// The clock is looked at once in so many messages or bytes, whichever comes first.
const CLOCK_MESSAGES: u64 = 64;
const CLOCK_BYTES: u64 = 1024 * 1024;

/// Sends for as long as it was asked to, and waits until the peer has ended too: then it has read
/// everything.
pub(super) async fn flood(
    args: &DialArgs,
    mut sender: WholeSender,
    mut receiver: WholeReceiver,
) -> Result<Figures, Failure> {
    let limit = wait(args);
    let sent = Cell::new(0);
    // What the peer sends has to go somewhere, or both ends come to a halt.
    let mut drained = spawn(async move {
        while receiver.recv().await?.is_some() {}
        Ok::<_, RecvError>(receiver.leaving())
    });
    let gave_up = |what: &str| {
        Failure::new(format!(
            "{} messages were sent, and then the peer {what} for {:?} (--wait sets the limit); \
             whether it has read them is unknown",
            sent.get(),
            limit.unwrap_or_default()
        ))
    };
    let start = Instant::now();
    tokio::select! {
        biased;
        result = send_for(args, &mut sender, &sent) => result?,
        end = &mut drained => {
            let why = end.map_err(explain_recv)?.map_or_else(
                || GONE.to_owned(),
                |reason| format!("it {}", leaving(reason)),
            );
            // It has ended in order, and is told the same.
            let _ = close_within(limit, sender).await;
            return Err(Failure::new(format!(
                "the peer ended the connection after {} messages were sent; whether it has read \
                 them is unknown; {why}",
                sent.get()
            )));
        }
        () = still_for(limit) => return Err(gave_up("read nothing")),
    }
    let elapsed = start.elapsed();
    match close_within(limit, sender).await {
        Some(result) => result.map_err(explain_send)?,
        None => return Err(gave_up("read nothing")),
    }
    tokio::select! {
        biased;
        end = drained => drop(end.map_err(explain_recv)?),
        () = still_for(limit) => return Err(gave_up("did not end the connection")),
    }
    Ok(Figures {
        messages: sent.get(),
        bytes: sent.get() * u64::from(args.size),
        elapsed,
    })
}

/// Tells the peer the end; `None` if it takes nothing for as long as `limit`.
async fn close_within(
    limit: Option<Duration>,
    sender: WholeSender,
) -> Option<Result<(), SendError>> {
    tokio::select! {
        biased;
        result = sender.close() => Some(result),
        () = still_for(limit) => None,
    }
}

/// Is done when the kernel has taken all.
async fn send_for(
    args: &DialArgs,
    sender: &mut WholeSender,
    sent: &Cell<u64>,
) -> Result<(), Failure> {
    let message = vec![0x5a; args.size as usize];
    let chunk = (CLOCK_BYTES / u64::from(args.size).max(1)).clamp(1, CLOCK_MESSAGES);
    let start = Instant::now();
    while start.elapsed() < args.seconds {
        for _ in 0..chunk {
            sender.send(&message).await.map_err(explain_send)?;
        }
        sent.set(sent.get() + chunk);
    }
    sender.flush().await.map_err(explain_send)
}
