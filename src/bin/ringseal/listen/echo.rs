//! `--mode echo`: each message is sent back.

use core::time::Duration;

use ringseal::Connection;

use super::client::Client;
use super::echoes::Echoes;
use crate::failure::Failure;
use crate::halves;

/// How long a peer whose echoes were all sent may say nothing, once the server drains.
const QUIET: Duration = Duration::from_millis(500);

/// Sends everything back until the peer ends, or until it says nothing more when the server drains.
pub(super) async fn echo(connection: Connection, client: &Client) -> Result<(), Failure> {
    let (sender, receiver) = halves::split(connection);
    let mut echoes = Echoes::new(sender, &client.account);
    let mut receiver = client.account.counting(receiver);
    loop {
        let message = tokio::select! {
            biased;
            message = receiver.recv() => message?,
            result = echoes.flush(), if echoes.are_unflushed() => {
                result?;
                continue;
            }
            () = client.session.draining_for(QUIET) => match receiver.is_mid_message() {
                true => continue,
                false => break,
            },
        };
        match message {
            Some(message) => echoes.send(message).await?,
            None => return Ok(echoes.close().await?),
        }
    }
    echoes.close().await?;
    // A peer that was told of the end ends too. What it says until then comes too late.
    while receiver.recv().await?.is_some() {
        client.account.came_too_late();
    }
    Ok(())
}
