//! One connection, whatever is done with its messages.

use ringseal::{Connection, Session};

use super::account::Account;
use super::shared::Shared;
use crate::failure::Failure;
use crate::log;

/// Has `handler` serve a connection, and says who has come, whose connection has failed, and what is
/// lost if the server cuts it off.
pub(super) async fn serve(
    connection: Connection,
    session: Session,
    shared: Shared,
    handler: impl AsyncFnOnce(Connection, Session, &Account, &Shared) -> Result<(), Failure>,
) {
    let (peer, address) = (connection.peer(), connection.peer_address().clone());
    log::connected(&format!("{peer} connected from {address}"));
    let account = Account::new(&shared.losses, &session);
    let result = tokio::select! {
        biased;
        result = handler(connection, session, &account, &shared) => result,
        never = account.watch() => match never {},
    };
    account.handled();
    if let Err(Failure::Failed(mut text)) = result {
        if let Some(missing) = account.text_of_part() {
            text.push_str("; ");
            text.push_str(&missing);
        }
        log::line_about_peer(&format!(
            "the connection with {peer} at {address} failed: {text}"
        ));
    }
}
