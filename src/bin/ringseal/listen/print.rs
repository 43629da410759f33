//! `--mode print`: messages are printed as lines, and typed lines are sent.

use core::pin::pin;

use ringseal::{Connection, Sender, Session};
use tokio::sync::mpsc;

use super::account::{Account, CountingReceiver};
use super::printer::Printer;
use super::shared::Shared;
use super::typed_lines::{Line, Member};
use crate::failure::Failure;

/// Bytes of typed lines that are handed to the kernel before the next are.
const FLUSH_SIZE: usize = 64 * 1024;

/// Prints messages until the peer ends, and sends it what is typed.
pub(super) async fn print(
    connection: Connection,
    session: Session,
    account: &Account,
    shared: &Shared,
) -> Result<(), Failure> {
    let (sender, receiver) = connection.split();
    let (member, queue) = shared.typed.enter();
    let printer = Printer::new(account, shared);
    let result = async {
        let mut sending = pin!(send_typed(sender, queue, &member, &session));
        let mut receiving = pin!(receive(account.counting(receiver), &printer));
        tokio::select! {
            biased;
            () = member.has_fallen_behind() => {
                return Err(Failure::new("it reads too slowly what is typed for all"));
            }
            result = &mut receiving => result?,
            result = &mut sending => {
                // What the peer has said is taken, whatever became of our lines.
                let end = receiving.await;
                return result.and(end);
            }
        }
        tokio::select! {
            biased;
            result = &mut sending => result,
            () = member.no_answer_for(shared.answer_timeout) => {
                member.leave();
                sending.await
            }
        }
    }
    .await;
    account.closed();
    member.leave();
    printer.print_rest().await;
    result.map_err(|failure| match member.unsent() {
        0 => failure,
        count => failure.and(&format!("{count} typed lines were not sent to it")),
    })
}

/// Takes messages until the peer ends. While there is no room to print one, a few more are taken, to
/// find the end: a peer that has gone needs no open connection for its last lines to wait.
async fn receive(mut receiver: CountingReceiver<'_>, printer: &Printer<'_>) -> Result<(), Failure> {
    loop {
        let has_room = printer.has_room();
        let _counted = (!has_room).then(|| printer.stuck()).transpose()?;
        let message = tokio::select! {
            biased;
            result = printer.print_first(), if printer.is_waiting() => {
                result?;
                continue;
            }
            message = receiver.recv(), if has_room => message?,
        };
        let Some(message) = message else {
            printer.print_what_has_room();
            return Ok(());
        };
        let line = printer.line(&message);
        // No slot is held while standard output is waited for.
        drop(message);
        printer.print(line)?;
    }
}

/// Sends typed lines until no more come, and then the end.
async fn send_typed(
    mut sender: Sender,
    mut queue: mpsc::UnboundedReceiver<Line>,
    member: &Member,
    session: &Session,
) -> Result<(), Failure> {
    let (mut lines, mut bytes) = (0, 0);
    while let Some(line) = queue.recv().await {
        sender.send(&line).await?;
        lines += 1;
        bytes += line.len();
        // Lines count as sent when the kernel has them.
        if queue.is_empty() || bytes >= FLUSH_SIZE {
            sender.flush().await?;
            member.sent(lines, bytes);
            (lines, bytes) = (0, 0);
        }
    }
    if member.is_over() {
        // The server says that it shuts down before this says the end.
        session.draining().await;
    }
    Ok(sender.close().await?)
}
