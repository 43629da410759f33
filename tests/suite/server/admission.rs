//! Who may connect is replaced on all threads at once, and those who may no longer can be dropped.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ringseal::protocol::native::record::RefuseReason;
use ringseal::{Address, Admission, RecvError};
use tokio::sync::{mpsc, watch};

use super::{
    answers, connect, connect_many, finish, nothing_is_left, patient, refused, server, server_with,
    start, told, try_connect, wait_for,
};
use crate::peers::{key, run};

fn a_new_admission_holds_on_all_threads_and_drops_only_on_demand() {
    run(async {
        let server = start(server());
        let (handle, address) = (server.handle(), server.local_address());
        let mut leaving = connect_many(&address, 1, 4).await;
        let mut staying = connect_many(&address, 3, 2).await;
        handle.set_admission(Admission::allow_list([key(3)]));
        for count in 1..=4 {
            let refused = told(try_connect(&address, 1).await);
            assert_eq!(refused, RefuseReason::NOT_ADMITTED);
            wait_for(&server, |it| it.refusals.not_admitted == count).await;
        }
        // Those who are there go on until they are dropped.
        for connection in leaving.iter_mut().chain(&mut staying) {
            assert!(answers(connection).await);
        }
        assert_eq!(handle.drop_unadmitted().await, 4);
        for connection in &mut leaving {
            let error = connection.recv().await.expect_err("dropped");
            assert!(!matches!(error, RecvError::Closed), "{error:?}");
        }
        for connection in &mut staying {
            assert!(answers(connection).await);
        }
        wait_for(&server, |statistics| statistics.connections == 2).await;
        assert_eq!(handle.drop_unadmitted().await, 0);
        drop(staying);
        finish(server).await;
    });
}

fn a_filter_drops_as_well() {
    run(async {
        let server = start(server());
        let handle = server.handle();
        let mut connection = connect(&server.local_address(), 1).await;
        // Who is not served yet is looked at when that begins, and not counted.
        assert!(answers(&mut connection).await);
        handle.set_admission(Admission::any().filter(|_, _| false));
        assert_eq!(handle.drop_unadmitted().await, 1);
        drop(connection);
        finish(server).await;
    });
}

fn a_handshake_that_began_before_is_asked_about_again() {
    run(async {
        let (asks, mut asked) = mpsc::unbounded_channel::<()>();
        let (says, said) = watch::channel(false);
        let admission = Admission::check_async(move |_| {
            asks.send(()).expect("the test");
            let mut said = said.clone();
            async move { said.wait_for(|yes| *yes).await.is_ok() }
        });
        let server = start(server_with(patient(2), admission));
        let (handle, address) = (server.handle(), server.local_address());
        let dialed = ringseal::spawn(async move { try_connect(&address, 1).await });
        asked.recv().await.expect("it is asked");
        handle.set_admission(Admission::allow_list([key(3)]));
        says.send_replace(true);
        // It may have been told that it is in.
        if let Ok(mut connection) = dialed.await {
            assert!(!answers(&mut connection).await);
        }
        wait_for(&server, |it| {
            it.connections == 0 && it.refusals.not_admitted == 1
        })
        .await;
        finish(server).await;
    });
}

/// What the admission goes by changes, as a key file does, while it has said yes to a client already.
fn who_was_let_in_by_what_no_longer_holds_is_dropped_as_well() {
    run(async {
        let (asks, mut asked) = mpsc::unbounded_channel::<()>();
        let (says, said) = watch::channel(false);
        let (lets_in, is_let_in) = watch::channel(true);
        let admission = Admission::check_async(move |_| {
            let answer = *is_let_in.borrow();
            // Whoever is dropped may be gone.
            let _ = asks.send(());
            let mut said = said.clone();
            async move { said.wait_for(|yes| *yes).await.is_ok() && answer }
        });
        let server = start(server_with(patient(2), admission));
        let (handle, address) = (server.handle(), server.local_address());
        let dialed = ringseal::spawn(async move { try_connect(&address, 1).await });
        asked.recv().await.expect("it is asked");
        lets_in.send_replace(false);
        assert_eq!(handle.drop_unadmitted().await, 0);
        says.send_replace(true);
        // It may have been told that it is in.
        if let Ok(mut connection) = dialed.await {
            assert!(!answers(&mut connection).await);
        }
        wait_for(&server, |it| it.connections == 0).await;
        finish(server).await;
    });
}

/// Connects again and again until it is told to stop, and has each message come back.
async fn come_and_go(address: Address, is_over: Rc<Cell<bool>>) -> usize {
    let mut count = 0;
    while !is_over.get() {
        let mut connection = connect(&address, 1).await;
        for _ in 0..3 {
            assert!(answers(&mut connection).await, "connection {count}");
        }
        connection.close().await.expect("close");
        count += 1;
    }
    count
}

/// Tries to, and is cut or refused now and then.
async fn try_to_come(address: Address, is_over: Rc<Cell<bool>>) {
    while !is_over.get() {
        if let Ok(mut connection) = try_connect(&address, 3).await {
            while answers(&mut connection).await {}
        }
    }
}

fn reloads_under_load_disturb_nobody_who_stays() {
    run(async {
        let server = start(server());
        let (handle, address) = (server.handle(), server.local_address());
        let is_over = Rc::new(Cell::new(false));
        let staying: Vec<_> = (0..4)
            .map(|_| ringseal::spawn(come_and_go(address.clone(), Rc::clone(&is_over))))
            .collect();
        let going: Vec<_> = (0..2)
            .map(|_| ringseal::spawn(try_to_come(address.clone(), Rc::clone(&is_over))))
            .collect();
        let mut long = connect(&address, 1).await;
        let (both, one) = ([key(1), key(3)], [key(1)]);
        for round in 0..100 {
            handle.set_admission(Admission::allow_list(both));
            ringseal::sleep(Duration::from_millis(1)).await;
            handle.set_admission(Admission::allow_list(one));
            if round % 5 == 0 {
                handle.drop_unadmitted().await;
            }
            assert!(answers(&mut long).await, "round {round}");
        }
        // Nobody is there any more who was let in before, and nobody comes.
        handle.drop_unadmitted().await;
        is_over.set(true);
        for task in going {
            task.await;
        }
        for task in staying {
            assert!(task.await > 0, "it came and went");
        }
        refused(try_connect(&address, 3).await, RefuseReason::NOT_ADMITTED);
        drop(long);
        nothing_is_left(&server).await;
        let statistics = server.handle().statistics().await;
        assert_eq!(statistics.handler_panics, 0);
        finish(server).await;
    });
}

fn who_did_not_become_a_connection_is_reported_on_demand() {
    run(async {
        let (report, mut reported) = mpsc::unbounded_channel();
        let only_three = Admission::allow_list([key(3)]);
        let builder = server_with(patient(2), only_three).on_accept_error(move |error| {
            report.send(error.to_string()).expect("a test that waits");
            panic!("on purpose");
        });
        let server = start(builder);
        let address = server.local_address();
        for _ in 0..2 {
            let refused = told(try_connect(&address, 1).await);
            assert_eq!(refused, RefuseReason::NOT_ADMITTED);
            let line = reported.recv().await.expect("a report");
            let is_named = line.contains(&key(1).to_string()) && line.contains("not admitted");
            assert!(is_named, "{line}");
        }
        let mut connection = connect(&address, 3).await;
        assert!(answers(&mut connection).await);
        assert!(reported.try_recv().is_err(), "there was no failure");
        drop(connection);
        finish(server).await;
    });
}

crate::on_setting!(
    commonware_uring_tcp,
    Commonware,
    Uring,
    Tcp,
    reloads_under_load_disturb_nobody_who_stays,
);

crate::on_every_driver!(
    reloads_under_load_disturb_nobody_who_stays,
    a_new_admission_holds_on_all_threads_and_drops_only_on_demand,
    a_filter_drops_as_well,
    a_handshake_that_began_before_is_asked_about_again,
    who_was_let_in_by_what_no_longer_holds_is_dropped_as_well,
    who_did_not_become_a_connection_is_reported_on_demand,
);
