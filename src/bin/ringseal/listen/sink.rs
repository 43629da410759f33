//! `--mode sink`: messages are counted, and the figures printed when the connection ends.

use core::pin::pin;

use ringseal::Connection;

use super::client::Client;
use super::figures::PrintedAtEnd;
use crate::failure::Failure;
use crate::halves;

/// Takes messages until the peer ends.
pub(super) async fn sink(connection: Connection, client: &Client) -> Result<(), Failure> {
    let _figures = PrintedAtEnd::new(connection.peer(), client);
    let (sender, receiver) = halves::split(connection);
    let mut receiver = client.account.counting(receiver);
    let mut receiving = pin!(receiver.recv_to_end());
    tokio::select! {
        biased;
        result = &mut receiving => {
            result?;
            sender.close().await?;
        }
        () = client.session.draining() => {
            // Nothing more comes from here. What the peer sends until it ends too is taken.
            let (closed, received) = tokio::join!(sender.close(), receiving);
            closed?;
            received?;
        }
    }
    Ok(())
}
