//! `--mode print`: messages are printed as lines, and typed lines are sent.

use core::pin::pin;

use ringseal::Connection;

use super::client::Client;
use super::printer::Printer;
use super::typed_queue::TypedQueue;
use crate::failure::Failure;
use crate::halves;

/// Prints messages until the peer ends, and sends it what is typed.
pub(super) async fn print(connection: Connection, client: &Client) -> Result<(), Failure> {
    let (sender, receiver) = halves::split(connection);
    let (member, typed) = client.shared.typed.enter();
    let typed = TypedQueue::new(typed);
    let printer = Printer::new(&client.account, &client.shared);
    let result = async {
        let mut sending = pin!(typed.send(sender, &member, &client.session));
        let mut receiving = pin!(printer.print_all(client.account.counting(receiver)));
        tokio::select! {
            biased;
            failure = member.falls_behind() => return Err(failure),
            result = &mut receiving => result?,
            result = &mut sending => {
                // What the peer has said is taken, unless the connection had to be given up.
                let end = receiving.await;
                return result.and(end);
            }
        }
        tokio::select! {
            biased;
            result = &mut sending => return result,
            () = member.no_answer_for(client.shared.answer_timeout) => member.leave(),
        }
        sending.await
    };
    let result = result.await;
    client.account.closed();
    member.leave();
    printer.print_rest().await;
    result.map_err(|failure| member.with_unsent(failure))
}
