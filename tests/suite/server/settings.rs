//! What a server is asked for that makes no sense is refused, with what to change.

use std::net::TcpListener;
use std::num::NonZero;
use std::sync::mpsc;

use ringseal::{
    Admission, BindError, Server, ServerBuilder, ServerError, ServerLimits, StartError,
};
use rustix::thread::{CpuSet, sched_getaffinity};

use super::{answers, connect, echo, finish, patient, server, server_with, start, wait_for};
use crate::peers::{builder, run};

fn refused(builder: ServerBuilder) -> ServerError {
    builder.start(echo).map(drop).expect_err("refused")
}

/// The cores that this process may run on.
fn cores() -> Vec<usize> {
    let allowed = sched_getaffinity(None).expect("ours");
    (0..CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .collect()
}

fn limits_of_zero_are_refused() {
    for (limits, name) in [
        (ServerLimits::new().connections(0), "connections is 0"),
        (
            ServerLimits::new().connections_per_peer(0),
            "connections_per_peer is 0",
        ),
        (
            ServerLimits::new().connections_per_source(0),
            "connections_per_source is 0",
        ),
        (
            ServerLimits::new().handshakes_per_second(0),
            "handshakes_per_second is 0",
        ),
    ] {
        let error = refused(server().limits(limits));
        assert!(matches!(error, ServerError::ZeroLimit { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains(name) && text.contains("set 1 at least"),
            "{text}"
        );
    }
    let error = refused(server_with(patient(2).max_handshakes(0), Admission::any()));
    assert!(matches!(error, ServerError::ZeroLimit { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("Config::max_handshakes is 0"), "{text}");
    let error = refused(server().threads(0));
    assert!(
        matches!(error, ServerError::Start(StartError::Configuration(_))),
        "{error:?}"
    );
}

fn cores_that_are_not_ours_are_refused() {
    let ours = cores();
    let beyond = CpuSet::MAX_CPU - 1;
    assert!(!ours.contains(&beyond), "a host of {beyond} cores");
    match refused(server().threads(1).pin([beyond])) {
        ServerError::CoreNotAllowed { core, allowed } => {
            assert_eq!(core, beyond);
            assert!(allowed.starts_with(&ours[0].to_string()), "{allowed}");
        }
        other => panic!("{other:?}"),
    }
    // Beyond what a set of cores holds.
    let error = refused(server().threads(1).pin([usize::MAX]));
    assert!(
        matches!(error, ServerError::CoreNotAllowed { .. }),
        "{error:?}"
    );
    let error = refused(server().threads(2).pin([ours[0], ours[0]]));
    assert!(
        matches!(error, ServerError::CoreNamedTwice { core } if core == ours[0]),
        "{error:?}"
    );
    let error = refused(server().threads(2).pin([ours[0]]));
    assert!(
        matches!(
            error,
            ServerError::TooFewCores {
                threads: 2,
                cores: 1
            }
        ),
        "{error:?}"
    );
}

/// Starts a server whose handlers tell on how many cores they may run.
fn telling(builder: ServerBuilder) -> (Server, mpsc::Receiver<Vec<usize>>) {
    let (tells, told) = mpsc::channel();
    let server = builder.start(move |connection, session| {
        let tells = tells.clone();
        async move {
            tells.send(cores()).expect("the test");
            echo(connection, session).await;
        }
    });
    (server.expect("a server"), told)
}

fn threads_stay_on_their_cores_only_where_they_are_told_to() {
    let ours = cores();
    run(async {
        let (server, told) = telling(
            ServerBuilder::new(patient(2), Admission::any())
                .bind("127.0.0.1:0")
                .runtime(builder())
                .pin([ours[0]]),
        );
        let mut connection = connect(&server.local_address(), 1).await;
        assert!(answers(&mut connection).await);
        assert_eq!(server.handle().statistics().await.threads.len(), 1);
        assert_eq!(told.recv().expect("it is served"), [ours[0]]);
        drop(connection);
        finish(server).await;
        let (server, told) = telling(self::server());
        let mut connection = connect(&server.local_address(), 1).await;
        assert!(answers(&mut connection).await);
        assert_eq!(told.recv().expect("it is served"), ours);
        drop(connection);
        finish(server).await;
    });
}

fn there_may_be_more_threads_than_cores() {
    run(async {
        let count = cores().len() + 1;
        let server = start(server().threads(count));
        let address = server.local_address();
        let mut connections = Vec::new();
        for _ in 0..count {
            connections.push(connect(&address, 1).await);
        }
        for connection in &mut connections {
            assert!(answers(connection).await);
        }
        let statistics = server.handle().statistics().await;
        assert_eq!(statistics.threads.len(), count);
        assert!(
            statistics
                .threads
                .iter()
                .all(|thread| thread.connections == 1)
        );
        drop(connections);
        finish(server).await;
    });
}

fn by_default_there_is_a_thread_for_each_processor() {
    run(async {
        let server = ServerBuilder::new(patient(2), Admission::any())
            .bind("127.0.0.1:0")
            .runtime(builder());
        let server = start(server);
        let available = std::thread::available_parallelism().map_or(1, NonZero::get);
        wait_for(&server, |statistics| statistics.threads.len() == available).await;
        finish(server).await;
    });
}

fn somewhere_to_listen_is_needed_and_has_to_be_free() {
    let nowhere = ServerBuilder::new(patient(2), Admission::any()).runtime(builder());
    let error = refused(nowhere);
    assert!(matches!(error, ServerError::NoAddress), "{error:?}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("bound");
    let error = refused(server().bind(address));
    assert!(
        matches!(error, ServerError::Bind(BindError::Bind { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

crate::on_every_driver!(
    limits_of_zero_are_refused,
    cores_that_are_not_ours_are_refused,
    threads_stay_on_their_cores_only_where_they_are_told_to,
    there_may_be_more_threads_than_cores,
    by_default_there_is_a_thread_for_each_processor,
    somewhere_to_listen_is_needed_and_has_to_be_free,
);
