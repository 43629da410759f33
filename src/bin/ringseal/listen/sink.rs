//! `--mode sink`: messages are counted, and the figures printed when the connection ends.

use core::pin::pin;

use ringseal::{Connection, PublicKey, Session};

use super::account::Account;
use super::shared::Shared;
use crate::failure::Failure;
use crate::output::Lines;

/// Takes messages until the peer ends.
pub(super) async fn sink(
    connection: Connection,
    session: Session,
    account: &Account,
    shared: &Shared,
) -> Result<(), Failure> {
    let _printed_at_end = PrintedAtEnd {
        account,
        peer: connection.peer(),
        lines: &shared.lines,
    };
    let (sender, receiver) = connection.split();
    let mut receiver = account.counting(receiver);
    let mut receiving = pin!(async {
        while receiver.recv().await?.is_some() {}
        Ok::<(), Failure>(())
    });
    tokio::select! {
        biased;
        result = &mut receiving => {
            result?;
            sender.close().await?;
        }
        () = session.draining() => {
            // Nothing more comes from here. What the peer sends until it ends too is taken.
            let (closed, received) = tokio::join!(sender.close(), receiving);
            closed?;
            received?;
        }
    }
    Ok(())
}

/// Prints the figures when it is dropped, behind the connection: nothing of that waits for who reads
/// standard output. So they are there as well when the server cuts the connection off.
struct PrintedAtEnd<'a> {
    account: &'a Account,
    peer: PublicKey,
    lines: &'a Lines,
}

impl Drop for PrintedAtEnd<'_> {
    fn drop(&mut self) {
        let figures = self.account.figures().json_with_peer(self.peer);
        let line = self.lines.line(figures.to_string().as_bytes());
        self.lines.print_or_count(line);
    }
}
