//! One connection, whatever is done with its messages.

use core::future::Future;

use ringseal::{Connection, Session};
use tracing::Instrument;

use super::account::Account;
use super::shared::Shared;
use crate::failure::Failure;
use crate::log;
use crate::peer_fields::PeerFields;

/// What a handler has beside its connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) session: Session,
    pub(super) account: Account,
    pub(super) shared: Shared,
}

/// Has `handler` serve a connection, within its span, and says who has come, whose connection has
/// failed, and what is lost if the server cuts it off.
pub(super) fn serve(
    connection: Connection,
    session: Session,
    shared: Shared,
    handler: impl AsyncFnOnce(Connection, &Client) -> Result<(), Failure>,
) -> impl Future<Output = ()> {
    let span = connection.span().clone();
    serve_within(connection, session, shared, handler).instrument(span)
}

async fn serve_within(
    connection: Connection,
    session: Session,
    shared: Shared,
    handler: impl AsyncFnOnce(Connection, &Client) -> Result<(), Failure>,
) {
    let peer = connection.peer();
    let fields = PeerFields {
        peer: Some(peer),
        address: connection.peer_address().clone(),
    };
    let address = &fields.address;
    log::connected(&format!("{peer} connected from {address}"), Some(&fields));
    let client = Client {
        account: Account::new(&shared.losses, &session),
        session,
        shared,
    };
    let result = tokio::select! {
        biased;
        result = handler(connection, &client) => result,
        never = client.account.watch() => match never {},
    };
    client.account.handled();
    if let Err(Failure::Failed(cause)) = result {
        let required = client.shared.required.as_ref();
        let removed_from = required.filter(|keys| !keys.list().contains(&peer));
        let mut text = match removed_from {
            Some(keys) => format!(
                "the connection with {peer} at {address} was cut, because {} does not list its key any \
                 more (--drop-removed): {cause}",
                keys.path().display()
            ),
            None => format!("the connection with {peer} at {address} failed: {cause}"),
        };
        if let Some(missing) = client.account.text_of_part() {
            text.push_str("; ");
            text.push_str(&missing);
        }
        log::line_about_peer(&text, Some(&fields));
    }
}
