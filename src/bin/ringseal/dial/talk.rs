//! `dial` without a measurement: lines of standard input go to the peer, and what comes back is
//! printed.
//!
//! It ends well when standard input has ended, everything is sent, and then the peer ends the
//! connection too. Everything else may have lost something and is an error.

use core::cell::Cell;
use core::pin::pin;
use core::time::Duration;

use ringseal::Received;
use tokio::sync::watch;

use super::advice::{announce, explain_recv, explain_send, leaving};
use super::patience::wait;
use crate::args::DialArgs;
use crate::failure::Failure;
use crate::halves::{WholeReceiver, WholeSender};
use crate::output::Lines;
use crate::standstill::still_for;
use crate::stdio::{self, Input};

/// What both directions know of each other.
#[derive(Debug, Default)]
struct Progress {
    /// Lines sent.
    sent: Cell<u64>,
    /// Messages received.
    received: Cell<u64>,
    /// Whether another one came in part.
    has_message_in_part: Cell<bool>,
    /// Whether standard input has ended and everything is sent.
    is_sent: watch::Sender<bool>,
    /// Why the peer wants to end, if it has said so.
    leaving: Cell<Option<u16>>,
    /// Whether the peer has ended, so that nobody waits for more lines.
    has_peer_ended: watch::Sender<bool>,
}

pub(super) async fn talk(
    args: &DialArgs,
    sender: WholeSender,
    receiver: WholeReceiver,
    lines: Lines,
) -> Result<(), Failure> {
    let input = stdio::input(args.end.max_message_size)?;
    tokio::select! {
        biased;
        result = converse(sender, receiver, input, &lines, wait(args)) => result,
        () = lines.closed() => Err(Failure::OutputClosed),
    }
}

async fn converse(
    sender: WholeSender,
    receiver: WholeReceiver,
    input: Input,
    lines: &Lines,
    limit: Option<Duration>,
) -> Result<(), Failure> {
    let progress = Progress::default();
    let result = both(sender, receiver, input, lines, limit, &progress).await;
    if !progress.has_message_in_part.get() {
        return result;
    }
    // It is an error of receiving, and so of both.
    result.map_err(|failure| {
        let whole = progress.received.get();
        failure.and(&format!(
            "{whole} messages came whole, and one only in part"
        ))
    })
}

/// Sends and prints until both directions have ended.
async fn both(
    sender: WholeSender,
    receiver: WholeReceiver,
    input: Input,
    lines: &Lines,
    limit: Option<Duration>,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut sending = pin!(send_lines(sender, input, progress));
    let mut printing = pin!(print_messages(receiver, lines, limit, progress));
    tokio::select! {
        biased;
        result = &mut sending => {
            progress.is_sent.send_replace(true);
            // What the peer has said is printed, unless the connection had to be given up.
            let end = printing.await;
            result.and(end)
        }
        result = &mut printing => {
            result?;
            progress.has_peer_ended.send_replace(true);
            tokio::select! {
                biased;
                result = sending => result?,
                () = still_for(limit) => {}
            }
            let why = match progress.leaving.get() {
                Some(reason) => format!("it {}", leaving(reason)),
                None => "if that was at once, compare --wire on both ends".to_owned(),
            };
            Err(Failure::new(format!(
                "the peer ended the connection before standard input ended; {} lines were sent, \
                 and whether it has read them is unknown; {why}",
                progress.sent.get()
            )))
        }
    }
}

/// Is done when a flag is set.
async fn set(flag: &watch::Sender<bool>) {
    // Fails only without the sender, which is borrowed here.
    let _ = flag.subscribe().wait_for(|is_set| *is_set).await;
}

/// Sends lines until there are no more, and then the end.
async fn send_lines(
    mut sender: WholeSender,
    mut input: Input,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut has_peer_ended = pin!(set(&progress.has_peer_ended));
    let mut is_closed = false;
    loop {
        let item = tokio::select! {
            biased;
            () = &mut has_peer_ended, if !is_closed => {
                // What has been read is sent, and nothing more is read.
                input.close();
                is_closed = true;
                continue;
            }
            item = input.recv() => item,
        };
        match item {
            Some(Ok(line)) => {
                sender.send(&line).await.map_err(explain_send)?;
                progress.sent.set(progress.sent.get() + 1);
            }
            // Without an end: the lines before it leave, and the peer is not to take them for all.
            Some(Err(error)) => return Err(error),
            None => break,
        }
    }
    sender.close().await.map_err(explain_send)
}

/// Prints messages until the peer ends. When everything is sent, and the peer then stands still
/// for too long, that is an error.
async fn print_messages(
    mut receiver: WholeReceiver,
    lines: &Lines,
    limit: Option<Duration>,
    progress: &Progress,
) -> Result<(), Failure> {
    let result = print_from(&mut receiver, lines, limit, progress).await;
    progress.has_message_in_part.set(receiver.is_mid_message());
    result
}

async fn print_from(
    receiver: &mut WholeReceiver,
    lines: &Lines,
    limit: Option<Duration>,
    progress: &Progress,
) -> Result<(), Failure> {
    loop {
        let received = tokio::select! {
            biased;
            received = receiver.recv_event() => received.map_err(explain_recv)?,
            () = overdue(limit, progress) => {
                return Err(Failure::new(format!(
                    "{} lines were sent, and then the peer neither sent anything nor ended the \
                     connection for {:?} (--wait sets the limit); whether it has read them is \
                     unknown",
                    progress.sent.get(),
                    limit.unwrap_or_default()
                )));
            }
        };
        let message = match received {
            Some(Received::Message(message)) => message,
            Some(Received::Leaving(reason)) => {
                if progress.leaving.replace(Some(reason)).is_none() {
                    announce(reason);
                }
                continue;
            }
            Some(_) => continue,
            None => return Ok(()),
        };
        progress.received.set(progress.received.get() + 1);
        let line = lines.line(&message);
        // No slot is held while standard output is waited for.
        drop(message);
        lines.print(line).await?;
    }
}

/// Is done when everything is sent and the peer then stands still for as long as `limit`.
async fn overdue(limit: Option<Duration>, progress: &Progress) {
    set(&progress.is_sent).await;
    still_for(limit).await;
}
