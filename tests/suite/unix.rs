//! What only Unix-domain sockets have.

use std::future::Future;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use ringseal::{
    Address, Admission, AttemptError, Backend, BindError, BindOptions, DialError, Listener,
    Runtime, UnixSocket, dial,
};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::peers::{config, key, run_with};

/// Runs `test` with a directory of its own, on each backend.
fn with_directory<F: Future<Output = ()>>(test: impl Fn(std::path::PathBuf) -> F) {
    for backend in [Backend::Uring, Backend::TokioUring, Backend::Epoll] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().to_owned();
        run_with(Runtime::builder().backend(backend), test(path));
    }
}

async fn bind(address: impl Into<Address>) -> Result<Listener, BindError> {
    Listener::bind(address, &config(2), Admission::any()).await
}

async fn bind_with(
    address: impl Into<Address>,
    options: BindOptions,
) -> Result<Listener, BindError> {
    Listener::bind_with(address, &options, &config(2), Admission::any()).await
}

fn assert_in_use(result: Result<Listener, BindError>) {
    match result {
        Err(BindError::Bind { source, .. }) => assert_eq!(source.kind(), ErrorKind::AddrInUse),
        other => panic!("{other:?}"),
    }
}

async fn exchange(listener: &mut Listener) {
    let address = listener.local_address();
    let configuration = config(1);
    let (dialed, accepted) =
        futures_util::join!(dial(&address, key(2), &configuration), listener.accept());
    let (mut dialed, mut accepted) = (dialed.expect("dial"), accepted.expect("accept"));
    dialed.send(&[7; 100_000]).await.expect("send");
    let message = accepted.recv().await.expect("recv").expect("one");
    assert_eq!(&*message, &[7; 100_000]);
    assert_eq!(*dialed.peer_address(), address);
    assert_eq!(*accepted.peer_address(), Address::Unnamed);
    for connection in [&dialed, &accepted] {
        let credentials = connection.peer_credentials().expect("a Unix socket");
        assert_eq!(credentials.process, std::process::id());
        assert_eq!(credentials.user, rustix::process::geteuid().as_raw());
        assert_eq!(credentials.group, rustix::process::getegid().as_raw());
    }
}

fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

#[test]
fn a_path_serves_and_its_file_goes_with_the_listener() {
    with_directory(async |directory| {
        let path = directory.join("socket");
        let mut listener = bind(&*path).await.expect("bind");
        assert!(is_socket(&path));
        assert_eq!(listener.local_address(), Address::from(&*path));
        exchange(&mut listener).await;
        drop(listener);
        ringseal::sleep(std::time::Duration::from_millis(1)).await;
        assert!(!path.exists());
        let error = dial(&*path, key(2), &config(1)).await.expect_err("nobody");
        assert!(matches!(error, DialError::Connect { .. }), "{error:?}");
    });
}

/// Returns a path in `directory` of as many bytes as there is place for in an address, which leaves none
/// for the zero byte behind it.
fn path_that_fills_an_address(directory: &Path) -> std::path::PathBuf {
    let name = "x".repeat(107 - directory.as_os_str().len());
    let path = directory.join(name);
    assert_eq!(path.as_os_str().len(), 108);
    path
}

#[test]
fn a_client_bound_to_a_path_that_fills_its_address_stops_nobody() {
    with_directory(async |directory| {
        let path = directory.join("socket");
        let mut listener = bind(&*path).await.expect("bind");
        let odd = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None);
        let odd = odd.expect("a socket");
        let own = SocketAddrUnix::new(path_that_fills_an_address(&directory)).expect("a path");
        rustix::net::bind(&odd, &own).expect("bind");
        let theirs = SocketAddrUnix::new(&path).expect("a path");
        rustix::net::connect(&odd, &theirs).expect("connect");
        drop(odd);
        let error = listener.accept().await.expect_err("it has said nothing");
        assert!(
            matches!(error.reason, AttemptError::ClosedUnused),
            "{error:?}"
        );
        exchange(&mut listener).await;
    });
}

#[test]
fn a_listening_socket_with_such_a_path_is_an_error_that_says_so() {
    with_directory(async |directory| {
        let path = path_that_fills_an_address(&directory);
        let error = bind(&*path).await.expect_err("too long").to_string();
        assert!(error.contains("at most 107 bytes"), "{error}");
        let error = dial(&*path, key(2), &config(1)).await;
        let error = error.expect_err("too long").to_string();
        assert!(error.contains("at most 107 bytes"), "{error}");
        let handed = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None);
        let handed = handed.expect("a socket");
        let own = SocketAddrUnix::new(&path).expect("a path");
        rustix::net::bind(&handed, &own).expect("bind");
        rustix::net::listen(&handed, 1).expect("listen");
        let (configuration, anybody) = (config(2), Admission::any());
        let error = Listener::from_std(UnixListener::from(handed), &configuration, anybody);
        let error = error.expect_err("it has no address").to_string();
        assert!(error.contains("a path that fills all of it"), "{error}");
    });
}

#[test]
fn an_abstract_name_serves_and_is_never_shared() {
    with_directory(async |directory| {
        // The directory's name is nobody else's.
        let name = format!("unix:@{}", directory.display());
        let mut listener = bind(&name).await.expect("bind");
        assert_eq!(listener.local_address().to_string(), name);
        exchange(&mut listener).await;
        assert_in_use(bind(&name).await);
    });
}

#[test]
fn tcp_has_no_credentials() {
    with_directory(async |_| {
        let mut listener = bind("127.0.0.1:0").await.expect("bind");
        let task = ringseal::spawn({
            let address = listener.local_address();
            async move { dial(address, key(2), &config(1)).await }
        });
        let accepted = listener.accept().await.expect("accept");
        assert_eq!(accepted.peer_credentials(), None);
        assert_eq!(task.await.expect("dial").peer_credentials(), None);
    });
}

#[test]
fn a_path_that_exists_is_refused_unless_it_is_a_dead_socket_and_we_may() {
    with_directory(async |directory| {
        let path = directory.join("socket");
        let replacing = BindOptions::new().replace_dead(true);
        // What std leaves behind is a dead socket.
        drop(UnixListener::bind(&path).expect("bind"));
        assert_in_use(bind(&*path).await);
        assert!(is_socket(&path), "a refusal touches nothing");
        let mut listener = bind_with(&*path, replacing).await.expect("replaced");
        exchange(&mut listener).await;
        // A living one is never replaced; the look at it was a client that said nothing.
        assert_in_use(bind_with(&*path, replacing).await);
        let look = listener.accept().await.expect_err("no handshake");
        assert!(matches!(look.reason, AttemptError::ClosedUnused));
        exchange(&mut listener).await;
        drop(listener);
        ringseal::sleep(std::time::Duration::from_millis(1)).await;
        // Nor is what is no socket, also behind a link.
        std::fs::write(&path, b"precious").expect("write");
        assert_in_use(bind_with(&*path, replacing).await);
        assert_eq!(std::fs::read(&path).expect("read"), b"precious");
        let link = directory.join("link");
        std::os::unix::fs::symlink(&path, &link).expect("link");
        assert_in_use(bind_with(&*link, replacing).await);
        assert!(link.is_symlink());
    });
}

#[test]
fn a_file_that_took_the_sockets_place_is_left_alone() {
    with_directory(async |directory| {
        let path = directory.join("socket");
        let listener = bind(&*path).await.expect("bind");
        std::fs::remove_file(&path).expect("remove");
        std::fs::write(&path, b"another").expect("write");
        drop(listener);
        ringseal::sleep(std::time::Duration::from_millis(1)).await;
        assert_eq!(std::fs::read(&path).expect("read"), b"another");
    });
}

#[test]
fn the_mode_is_what_was_asked_for() {
    with_directory(async |directory| {
        for mode in [0o600, 0o660, 0o777] {
            let path = directory.join(format!("{mode:o}"));
            let _listener = bind_with(&*path, BindOptions::new().mode(mode))
                .await
                .expect("bind");
            let metadata = std::fs::metadata(&path).expect("metadata");
            assert_eq!(metadata.permissions().mode() & 0o777, mode);
        }
    });
}

#[test]
fn names_that_no_socket_can_have_are_errors() {
    with_directory(async |directory| {
        let long = directory.join("x".repeat(200));
        for address in [
            Address::from(&*long),
            UnixSocket::abstract_name([b'x'; 108]).into(),
            Address::from(&*directory.join("missing/socket")),
            Address::Unnamed,
        ] {
            let error = bind(&address).await.expect_err("no such name");
            assert!(matches!(error, BindError::Bind { .. }), "{error:?}");
            let error = dial(&address, key(2), &config(1)).await;
            assert!(matches!(error, Err(DialError::Connect { .. })), "{error:?}");
        }
    });
}
