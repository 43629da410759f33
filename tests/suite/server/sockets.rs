//! Where a server listens: Unix-domain sockets, several addresses, sockets that others have opened.

use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};

use ringseal::{
    Address, Admission, BindError, BindOptions, Listener, ServerBuilder, ServerError,
    SocketListener, UnixSocket, UnsuitableSocket, dial,
};
use rustix::net::{AddressFamily, SocketType, socket};

use super::{answers, connect, connect_many, echo, finish, patient, start};
use crate::peers::{builder, config, key, run};

fn nowhere() -> ServerBuilder {
    ServerBuilder::new(patient(2), Admission::any())
        .threads(2)
        .runtime(builder())
}

fn a_unix_socket_is_served_by_all_threads_and_its_file_goes_at_the_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    run(async {
        let options = BindOptions::new().mode(0o600);
        let server = start(nowhere().bind_with(UnixSocket::path(&path), options));
        let metadata = std::fs::metadata(&path).expect("a file");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        let mut connections = connect_many(&server.local_address(), 1, 4).await;
        for connection in &mut connections {
            assert!(answers(connection).await);
        }
        let threads = server.handle().statistics().await.threads;
        assert!(threads.iter().all(|thread| thread.connections == 2));
        drop(connections);
        finish(server).await;
    });
    assert!(!path.exists());
}

fn one_server_listens_at_several_addresses() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    run(async {
        let handed_in = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = handed_in.local_addr().expect("bound");
        let server = start(
            nowhere()
                .bind("127.0.0.1:0,127.0.0.2:0")
                .bind(UnixSocket::path(&path))
                .listen_on(handed_in),
        );
        let addresses = server.local_addresses().to_vec();
        assert_eq!(addresses.len(), 4);
        assert_eq!(addresses[3], Address::from(port));
        let mut connections = Vec::new();
        for address in &addresses {
            connections.push(connect(address, 1).await);
        }
        for connection in &mut connections {
            assert!(answers(connection).await);
        }
        drop(connections);
        finish(server).await;
        assert!(TcpStream::connect(port).is_err(), "the port is closed");
    });
}

fn a_unix_socket_that_was_handed_in_keeps_its_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let handed_in = UnixListener::bind(&path).expect("bind");
    run(async {
        let server = start(nowhere().listen_on(handed_in));
        let address = server.local_address();
        assert_eq!(address, Address::from(UnixSocket::path(&path)));
        let mut connection = connect(&address, 1).await;
        assert!(answers(&mut connection).await);
        drop(connection);
        finish(server).await;
    });
    assert!(path.exists());
}

fn a_listener_takes_a_socket_that_listens() {
    run(async {
        let handed_in = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = Address::from(handed_in.local_addr().expect("bound"));
        let listener = Listener::from_std(handed_in, &config(2), Admission::any());
        let mut listener = listener.expect("it listens");
        assert_eq!(listener.local_address(), address);
        let dialed = ringseal::spawn(async move { dial(address, key(2), &config(1)).await });
        listener.accept().await.expect("accept");
        dialed.await.expect("dial");
    });
}

fn a_socket_that_others_have_as_well_listens_on_for_them() {
    let handed_in = TcpListener::bind("127.0.0.1:0").expect("bind");
    let others = handed_in.try_clone().expect("a descriptor");
    let port = handed_in.local_addr().expect("bound");
    run(async {
        let server = start(nowhere().listen_on(handed_in));
        drop(connect(&Address::from(port), 1).await);
        finish(server).await;
    });
    let client = TcpStream::connect(port).expect("it listens");
    let (_, address) = others.accept().expect("accept");
    assert_eq!(Ok(address), client.local_addr().map_err(drop));
}

/// A descriptor that can't be accepted on, whether a reason is the right one, and what is to be advised.
type Wrong = (OwnedFd, fn(&UnsuitableSocket) -> bool, &'static str);

fn wrong() -> Vec<Wrong> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("connect");
    let fresh = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let file = File::open("/dev/null").expect("a file");
    vec![
        (
            file.into(),
            |it| matches!(it, UnsuitableSocket::NoSocket),
            "check which descriptor",
        ),
        (
            datagrams.into(),
            |it| matches!(it, UnsuitableSocket::NoStream),
            "SOCK_STREAM",
        ),
        (
            UnixDatagram::unbound().expect("a socket").into(),
            |it| matches!(it, UnsuitableSocket::NoStream),
            "SOCK_STREAM",
        ),
        (
            stream.into(),
            |it| matches!(it, UnsuitableSocket::NotListening),
            "call listen",
        ),
        (
            fresh,
            |it| matches!(it, UnsuitableSocket::NotListening),
            "call listen",
        ),
    ]
}

fn a_descriptor_that_does_not_listen_is_refused_with_what_to_do() {
    run(async {
        for (descriptor, is_right, advice) in wrong() {
            let error = SocketListener::from_std(descriptor).expect_err("refused");
            assert!(error.to_string().contains(advice), "{error}");
            let BindError::Unsuitable { reason } = error else {
                panic!("{error:?}");
            };
            assert!(is_right(&reason), "{reason:?}");
        }
    });
    for (descriptor, is_right, _) in wrong() {
        let error = nowhere().listen_on(descriptor).start(echo);
        match error.map(drop).expect_err("refused") {
            ServerError::Bind(BindError::Unsuitable { reason }) => {
                assert!(is_right(&reason), "{reason:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let outcome = SocketListener::from_std(listener);
    assert!(matches!(outcome, Err(BindError::OutsideRuntime)));
}

crate::on_every_driver!(
    a_unix_socket_is_served_by_all_threads_and_its_file_goes_at_the_end,
    one_server_listens_at_several_addresses,
    a_unix_socket_that_was_handed_in_keeps_its_file,
    a_socket_that_others_have_as_well_listens_on_for_them,
    a_listener_takes_a_socket_that_listens,
    a_descriptor_that_does_not_listen_is_refused_with_what_to_do,
);
