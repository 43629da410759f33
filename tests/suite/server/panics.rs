//! A handler that panics ends its own connection and no other.

use ringseal::protocol::native::record::AbortReason;
use ringseal::{Connection, RecvError, Session};

use super::{answers, connect, echo, finish, server, wait_for};
use crate::peers::run;
use crate::setting::on_native;

async fn panic_or_echo(mut connection: Connection, session: Session) {
    let Ok(Some(message)) = connection.recv().await else {
        return;
    };
    let is_last = *message == *b"panic";
    drop(message);
    connection.send(b"half a story").await.expect("send");
    assert!(!is_last, "on purpose");
    echo(connection, session).await;
}

/// Panics before it gives a future.
fn panic_at_once(_connection: Connection, _session: Session) -> std::future::Ready<()> {
    panic!("on purpose");
}

fn a_handler_that_panics_ends_its_own_connection_and_is_counted() {
    run(async {
        let server = server().threads(1).start(panic_or_echo).expect("a server");
        let address = server.local_address();
        let mut other = connect(&address, 1).await;
        other.send(b"go on").await.expect("send");
        other.recv().await.expect("recv").expect("an answer");
        for count in 1..=2 {
            let mut connection = connect(&address, 1).await;
            connection.send(b"panic").await.expect("send");
            let error = loop {
                match connection.recv().await {
                    // What was sent before may arrive, but no end in order.
                    Ok(message) => assert!(message.is_some(), "an end in order"),
                    Err(error) => break error,
                }
            };
            let reason = AbortReason::UNSPECIFIED;
            assert!(
                !on_native() || matches!(error, RecvError::Aborted { reason: it } if it == reason),
                "{error:?}"
            );
            wait_for(&server, |it| it.handler_panics == count).await;
        }
        assert!(answers(&mut other).await);
        assert_eq!(server.handle().statistics().await.connections, 1);
        drop(other);
        finish(server).await;
    });
}

fn a_handler_that_panics_at_once_is_one_too() {
    run(async {
        let server = server().start(panic_at_once).expect("a server");
        let mut connection = connect(&server.local_address(), 1).await;
        connection.recv().await.expect_err("an end in order");
        wait_for(&server, |it| it.handler_panics == 1 && it.connections == 0).await;
        finish(server).await;
    });
}

crate::on_every_driver!(
    a_handler_that_panics_ends_its_own_connection_and_is_counted,
    a_handler_that_panics_at_once_is_one_too,
);

crate::on_setting!(
    commonware_uring_tcp,
    Commonware,
    Uring,
    Tcp,
    a_handler_that_panics_ends_its_own_connection_and_is_counted,
);
