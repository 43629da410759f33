//! Who dials several addresses reaches whichever answers; who listens on several has all of them.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::time::Duration;

use ringseal::{
    Address, Admission, AttemptError, BindError, DialError, Listener, Phase, UnixSocket, dial,
    spawn,
};
use rustix::net::{self, SocketAddrUnix};

use super::black_hole::BlackHole;
use super::peers::{config, key, run};
use super::setting;
use super::skipped::skipped;

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Another address of this host.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

async fn bind(address: impl Into<Address>) -> Result<Listener, BindError> {
    Listener::bind(address, &config(2), Admission::any()).await
}

fn tcp(listener: &Listener) -> SocketAddr {
    listener.local_address().socket_address().expect("TCP")
}

/// An address of this host where nobody listens.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((LOCALHOST, 0)).expect("bind");
    listener.local_addr().expect("bound")
}

/// Whether a connection of this host to `address` is being attempted.
fn is_attempted(address: SocketAddr) -> bool {
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("connections");
    let port = format!(":{:04X}", address.port());
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(2);
        let (remote, state) = (fields.next(), fields.next());
        remote.is_some_and(|remote| remote.ends_with(&port)) && state == Some("02")
    })
}

/// Dials `address` and has `listener` accept; returns where the dialer has arrived.
async fn exchange(listener: &mut Listener, address: impl Into<Address>) -> Address {
    let address = address.into();
    let task = spawn(async move { dial(address, key(2), &config(1)).await });
    let mut accepted = loop {
        // A stranger that only looked is no reason to stop.
        if let Ok(accepted) = listener.accept().await {
            break accepted;
        }
    };
    let mut dialed = task.await.expect("dial");
    dialed.send(b"hello").await.expect("send");
    let message = accepted.recv().await.expect("recv").expect("one");
    assert_eq!(&*message, b"hello");
    dialed.peer_address().clone()
}

// HAZARDS F11.
fn an_address_that_never_answers_costs_a_moment_and_not_the_deadline() {
    run(async {
        let mut listener = bind((LOCALHOST, 0)).await.expect("bind");
        let address = tcp(&listener);
        let mut hole = BlackHole::at(LOCALHOST, 0);
        let reached = exchange(&mut listener, [hole.address(), address]).await;
        assert_eq!(reached, Address::from(address));
        // What was begun with the other one is given up, not left to the kernel for minutes.
        hole.close_fillers();
        while is_attempted(hole.address()) {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
    });
}

// HAZARDS F11: the phase is part of the error.
fn a_deadline_while_connecting_says_so() {
    run(async {
        let hole = BlackHole::at(LOCALHOST, 0);
        let settings = config(1).handshake_deadline(Duration::from_millis(400));
        let error = dial(hole.address(), key(2), &settings).await;
        let error = error.expect_err("no answer");
        assert!(
            matches!(
                error,
                DialError::Attempt(AttemptError::Deadline {
                    phase: Phase::Connecting
                })
            ),
            "{error:?}"
        );
    });
}

fn an_address_that_refuses_costs_nothing_and_all_of_them_are_named() {
    run(async {
        let mut listener = bind((LOCALHOST, 0)).await.expect("bind");
        let address = tcp(&listener);
        // So many that a stagger for each would take longer than the deadline.
        let dead = nobody();
        let mut many: Vec<SocketAddr> = (1..100)
            .map(|host| (Ipv4Addr::new(127, 0, 1, host), dead.port()).into())
            .collect();
        many.push(address);
        assert_eq!(exchange(&mut listener, many).await, Address::from(address));
        let both = [dead, (ELSEWHERE, dead.port()).into()];
        match dial(both, key(2), &config(1)).await.expect_err("nobody") {
            DialError::Connect { source, .. } => {
                assert_eq!(source.kind(), ErrorKind::ConnectionRefused);
                for address in both {
                    assert!(
                        source.to_string().contains(&address.to_string()),
                        "{source}"
                    );
                }
            }
            error => panic!("{error:?}"),
        }
        let none = Address::from(Vec::<SocketAddr>::new());
        let error = dial(&none, key(2), &config(1)).await;
        assert!(matches!(error, Err(DialError::Connect { .. })), "{error:?}");
        assert!(matches!(bind(&none).await, Err(BindError::Bind { .. })));
    });
}

// HAZARDS F11.
fn a_listener_on_several_addresses_has_all_of_them_or_none() {
    run(async {
        let both: [SocketAddr; 2] = [(LOCALHOST, 0).into(), (ELSEWHERE, 0).into()];
        let mut listener = bind(both).await.expect("bind");
        let port = tcp(&listener).port();
        let bound = both.map(|address| SocketAddr::new(address.ip(), port));
        assert_eq!(listener.local_addresses(), bound.map(Address::from));
        for address in bound {
            assert_eq!(
                exchange(&mut listener, address).await,
                Address::from(address)
            );
        }
        let again = bind(bound).await.expect_err("taken");
        assert!(again.to_string().contains(&bound[0].to_string()), "{again}");
        drop(listener);
        // The second one is taken, so the first stays free.
        let other = TcpListener::bind((ELSEWHERE, 0)).expect("bind");
        let port = other.local_addr().expect("bound").port();
        let bound = both.map(|address| SocketAddr::new(address.ip(), port));
        match bind(bound).await.expect_err("taken") {
            BindError::Bind { address, source } => {
                assert_eq!(source.kind(), ErrorKind::AddrInUse);
                assert!(address.ends_with(&format!("({})", bound[1])), "{address}");
            }
            error => panic!("{error:?}"),
        }
        drop(TcpListener::bind(bound[0]).expect("it is free"));
        // The same one twice is one.
        let twice = bind([(LOCALHOST, port).into(); 2]).await.expect("bind");
        assert_eq!(twice.local_addresses().len(), 1);
    });
}

fn the_wildcards_of_both_families_are_two_sockets_with_one_port() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        skipped(format_args!(
            "this host has no ::1; NOBODY HAS SEEN BOTH FAMILIES ON ONE PORT"
        ));
        return;
    }
    run(async {
        let all: [SocketAddr; 2] = [
            (Ipv6Addr::UNSPECIFIED, 0).into(),
            (Ipv4Addr::UNSPECIFIED, 0).into(),
        ];
        let mut listener = bind(all).await.expect("bind");
        let port = tcp(&listener).port();
        for host in ["[::1]", "127.0.0.1"] {
            let address = format!("{host}:{port}");
            assert_eq!(
                exchange(&mut listener, &address).await,
                Address::from(&address)
            );
        }
        // One socket of both families sees IPv4 peers in the clothes of IPv6.
        let mut listener = bind((Ipv6Addr::UNSPECIFIED, 0)).await.expect("bind");
        let address = SocketAddr::from((LOCALHOST, tcp(&listener).port()));
        let task = spawn(async move { dial(address, key(2), &config(1)).await });
        let accepted = listener.accept().await.expect("accept");
        let peer = accepted.peer_address().socket_address().expect("TCP");
        assert_eq!(peer.ip(), LOCALHOST);
        assert!(
            accepted
                .peer_address()
                .to_string()
                .starts_with("127.0.0.1:")
        );
        drop(task.await);
    });
}

/// A Unix-domain socket that listens with the shortest queue there is, and one that fills it.
fn full_unix_socket() -> (OwnedFd, OwnedFd, Address) {
    let socket = || net::socket(net::AddressFamily::UNIX, net::SocketType::STREAM, None);
    let (listener, filler) = (socket().expect("a socket"), socket().expect("a socket"));
    // The kernel chooses a name.
    net::bind(&listener, &SocketAddrUnix::new_unnamed()).expect("bind");
    net::listen(&listener, 0).expect("listen");
    let bound = net::getsockname(&listener).expect("bound");
    let bound = SocketAddrUnix::try_from(bound).expect("a Unix-domain socket");
    net::connect(&filler, &bound).expect("one has room");
    let name = bound.abstract_name().expect("a name");
    (listener, filler, UnixSocket::abstract_name(name).into())
}

// HAZARDS F11, the same kind: a full queue of a Unix-domain listener is something to wait for.
fn a_full_queue_of_a_unix_socket_is_waited_for() {
    run(async {
        let (listener, filler, address) = full_unix_socket();
        let settings = config(1).handshake_deadline(Duration::from_millis(300));
        let error = dial(&address, key(2), &settings).await.expect_err("full");
        assert!(
            matches!(
                error,
                DialError::Attempt(AttemptError::Deadline {
                    phase: Phase::Connecting
                })
            ),
            "{error:?}"
        );
        let task = spawn(async move { dial(&address, key(2), &config(1)).await });
        let thread = setting::spawn(move || {
            // There is room when the first one is taken. The second one is the dialer.
            drop((net::accept(&listener).expect("accept"), filler));
            drop(net::accept(&listener).expect("accept"));
        });
        let error = task.await.expect_err("closed at once");
        assert!(
            matches!(error, DialError::Attempt(AttemptError::UnexpectedEnd)),
            "{error:?}"
        );
        thread.join().expect("both were taken");
    });
}

macro_rules! on_tcp {
    ($($setting:ident, $backend:ident;)+) => {$(
        crate::on_setting!(
            $setting,
            Native,
            $backend,
            Tcp,
            an_address_that_never_answers_costs_a_moment_and_not_the_deadline,
            a_deadline_while_connecting_says_so,
            an_address_that_refuses_costs_nothing_and_all_of_them_are_named,
            a_listener_on_several_addresses_has_all_of_them_or_none,
            the_wildcards_of_both_families_are_two_sockets_with_one_port,
            a_full_queue_of_a_unix_socket_is_waited_for,
        );
    )+};
}

// The addresses are of TCP, whatever the transport.
on_tcp! {
    uring_tcp, Uring;
    tokio_uring_tcp, TokioUring;
    epoll_tcp, Epoll;
}
