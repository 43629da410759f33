//! A handler that panics ends its own connection and no other.

use ringseal::protocol::native::record::AbortReason;
use ringseal::{Admission, Connection, RecvError, Session};

use super::{
    answers, connect, connect_many, echo, finish, nothing_is_left, patient, server, server_with,
    start, try_connect, wait_for,
};
use crate::peers::{key, run};
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

/// What a message asks a handler to panic in.
#[derive(Clone, Copy, Debug)]
enum PanicIn {
    Handler,
    /// With a part of a message that is to be sent.
    Reservation,
    /// A task that the handler has started, and that has its connection.
    Task,
    /// The drop of what the handler holds, when it has ended.
    Drop,
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "on purpose");
    }
}

/// Echoes until a message asks for a panic, which it holds then.
async fn panic_as_asked(mut connection: Connection, _session: Session) {
    loop {
        let Ok(Some(message)) = connection.recv().await else {
            return;
        };
        let panic = match &*message {
            [0] => PanicIn::Handler,
            [1] => PanicIn::Reservation,
            [2] => PanicIn::Task,
            [3] => PanicIn::Drop,
            _ => {
                let copy = message.to_vec();
                drop(message);
                connection.send(&copy).await.expect("send");
                continue;
            }
        };
        match panic {
            PanicIn::Handler => panic!("on purpose"),
            PanicIn::Reservation => {
                let (mut sender, _receiver) = connection.split();
                let _reserved = sender.reserve(5_000).await.expect("reserve");
                panic!("on purpose");
            }
            PanicIn::Task => {
                let task = ringseal::spawn(async move {
                    let _held = (connection, message);
                    panic!("on purpose");
                });
                // With the panic of the task.
                return task.await;
            }
            PanicIn::Drop => {
                let _last = PanicsWhenDropped;
                return;
            }
        }
    }
}

fn panics_in_the_midst_of_others_leave_nothing() {
    run(async {
        let server = server().start(panic_as_asked).expect("a server");
        let address = server.local_address();
        let mut others = connect_many(&address, 1, 4).await;
        for round in 0..5 {
            for panic in 0..4 {
                let mut connection = connect(&address, 1).await;
                assert!(answers(&mut connection).await);
                connection.send(&[panic]).await.expect("send");
                connection.flush().await.expect("flush");
                let ended = connection.recv().await;
                assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
                for other in &mut others {
                    assert!(answers(other).await);
                }
            }
            let count = 4 * (round + 1);
            wait_for(&server, |it| it.handler_panics == count).await;
        }
        drop(others);
        nothing_is_left(&server).await;
        finish(server).await;
    });
}

fn an_admission_that_panics_keeps_out_the_one_it_was_asked_about() {
    run(async {
        let admission = Admission::check(|asked| {
            assert!(asked != key(3), "on purpose");
            true
        });
        let server = start(server_with(patient(2), admission));
        let address = server.local_address();
        for count in 1..=8 {
            try_connect(&address, 3).await.expect_err("refused");
            wait_for(&server, |it| it.handshakes.invalid == count).await;
            assert!(answers(&mut connect(&address, 1).await).await);
        }
        nothing_is_left(&server).await;
        server
            .handle()
            .set_admission(Admission::any().filter(|_, _| panic!("on purpose")));
        for count in 1..=4 {
            try_connect(&address, 1).await.expect_err("refused");
            wait_for(&server, |it| it.refusals.by_filter == count).await;
        }
        server.handle().set_admission(Admission::any());
        drop(connect(&address, 1).await);
        nothing_is_left(&server).await;
        finish(server).await;
    });
}

crate::on_every_driver!(
    panics_in_the_midst_of_others_leave_nothing,
    an_admission_that_panics_keeps_out_the_one_it_was_asked_about,
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
