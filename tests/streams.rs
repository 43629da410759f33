//! Connections over streams that are no sockets of ours: TLS, a child's pipes, an in-memory pipe.

mod slowness;

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::join;
use ringseal::protocol::native::Suite;
use ringseal::protocol::native::record::OpenError;
use ringseal::{
    Admission, AttemptError, Backend, Config, Connection, DialError, Identity, Phase, RecvError,
    Runtime, SendError, TimeLimit, Wire, accept_over, dial_over,
};
use slowness::slowed;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// Where tokio's reactor is; in-memory streams work on all of them.
const WITH_REACTOR: [Backend; 2] = [Backend::Epoll, Backend::TokioUring];
const ALL: [Backend; 3] = [Backend::Uring, Backend::TokioUring, Backend::Epoll];

fn config(seed: u8) -> Config {
    Config::new(Identity::from_seed(&[seed; 32]), "ringseal tests")
}

fn pattern(length: usize, salt: usize) -> Vec<u8> {
    (0..length)
        .map(|index| (index.wrapping_mul(31) + index / 251 + salt).to_le_bytes()[0])
        .collect()
}

fn on(backends: &[Backend], test: impl AsyncFn()) {
    for &backend in backends {
        // Few slots, so that waits without one happen too.
        let builder = Runtime::builder().backend(backend).slots(6);
        let runtime = builder.build().expect("a runtime");
        runtime.block_on(async {
            let done = ringseal::timeout(slowed(Duration::from_secs(30)), test()).await;
            done.expect("took too long");
        });
    }
}

async fn pair_over(
    ours: impl AsyncRead + AsyncWrite + 'static,
    theirs: impl AsyncRead + AsyncWrite + 'static,
) -> (Connection, Connection) {
    pair_with(config(1), config(2), ours, theirs).await
}

async fn pair_with(
    dialer: Config,
    listener: Config,
    ours: impl AsyncRead + AsyncWrite + 'static,
    theirs: impl AsyncRead + AsyncWrite + 'static,
) -> (Connection, Connection) {
    let admission = Admission::allow_list([dialer.public_key()]);
    let (dialed, accepted) = join!(
        dial_over(ours, listener.public_key(), &dialer),
        accept_over(theirs, &listener, &admission)
    );
    (dialed.expect("dial"), accepted.expect("accept"))
}

/// Both directions at once, all sizes, then an end on each side, if the stream can say one.
async fn exchange(ours: Connection, theirs: Connection, says_end: bool) {
    const SIZES: [usize; 7] = [0, 1, 64, 5_000, 16_384, 300_000, 1 << 20];
    assert_eq!(theirs.peer(), config(1).public_key());
    assert_eq!(ours.peer_credentials(), None);
    let (mut sending, mut receiving) = (Vec::new(), Vec::new());
    for connection in [ours, theirs] {
        let (mut sender, mut receiver) = connection.split();
        sending.push(ringseal::spawn(async move {
            for (salt, size) in SIZES.into_iter().enumerate() {
                sender.send(&pattern(size, salt)).await.expect("send");
            }
            sender.close().await.expect("close");
        }));
        receiving.push(ringseal::spawn(async move {
            for (salt, size) in SIZES.into_iter().enumerate() {
                let message = receiver.recv().await.expect("recv").expect("a message");
                assert!(*message == *pattern(size, salt), "{size} bytes");
            }
            if says_end {
                assert!(receiver.recv().await.expect("the end").is_none());
            }
            receiver
        }));
    }
    for task in sending {
        task.await;
    }
    let mut receivers = Vec::new();
    for task in receiving {
        receivers.push(task.await);
    }
}

#[test]
fn messages_cross_an_in_memory_pipe_of_any_capacity() {
    on(&ALL, async || {
        for capacity in [7, 100, 4096, 1 << 20] {
            let (ours, theirs) = duplex(capacity);
            let (dialed, accepted) = pair_over(ours, theirs).await;
            exchange(dialed, accepted, true).await;
        }
    });
}

#[test]
fn messages_cross_tls() {
    use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a key");
    let certificate = issued.cert.der().clone();
    let secret = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).expect("a key");
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], secret)
        .expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(server));
    let connector = TlsConnector::from(std::sync::Arc::new(client));
    on(&WITH_REACTOR, async || {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("bind");
        let address = listener.local_addr().expect("bound");
        let name = ServerName::try_from("localhost").expect("a name");
        let (ours, theirs) = join!(
            async {
                let stream = tokio::net::TcpStream::connect(address)
                    .await
                    .expect("connect");
                connector.connect(name, stream).await.expect("TLS")
            },
            async {
                let (stream, _) = listener.accept().await.expect("accept");
                acceptor.accept(stream).await.expect("TLS")
            }
        );
        let (dialed, accepted) = pair_over(ours, theirs).await;
        exchange(dialed, accepted, true).await;
    });
}

#[test]
fn messages_cross_the_pipes_of_a_child() {
    on(&WITH_REACTOR, async || {
        // Each `cat` is a pipe from one end to the other.
        let mut children = Vec::new();
        let mut cat = || {
            let mut child = tokio::process::Command::new("cat")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .expect("cat");
            let ends = (child.stdin.take(), child.stdout.take());
            children.push(child);
            (ends.0.expect("piped"), ends.1.expect("piped"))
        };
        let ((forth_in, forth_out), (back_in, back_out)) = (cat(), cat());
        let ours = tokio::io::join(back_out, forth_in);
        let theirs = tokio::io::join(forth_out, back_in);
        let (dialed, accepted) = pair_over(ours, theirs).await;
        exchange(dialed, accepted, false).await;
        // What is left to say is said by letting go.
        for mut child in children {
            assert!(child.wait().await.expect("cat ends").success());
        }
    });
}

const NATIVE: Wire = Wire::Native {
    suite: Suite::ChaCha20Poly1305,
};

// HAZARDS R6: a stream that is cut within a record, and between two.
#[test]
fn a_cut_is_an_end_only_between_records_of_the_commonware_wire() {
    const CASES: [(Wire, u64, u64, bool); 5] = [
        (Wire::COMMONWARE, 171, 0, true),
        (Wire::COMMONWARE, 171, 1, false),
        (Wire::COMMONWARE, 171, 100, false),
        (NATIVE, 1401, 4, false),
        (NATIVE, 1401, 100, false),
    ];
    on(&ALL, async || {
        for (wire, handshake, cut, whole) in CASES {
            let (ours, middle_ours) = duplex(1 << 16);
            let (middle_theirs, theirs) = duplex(1 << 16);
            // The handshake goes through, then `cut` bytes of the first record.
            let (mut forth, mut forth_end) = tokio::io::split(middle_ours);
            let (mut back, mut back_end) = tokio::io::split(middle_theirs);
            let relay = ringseal::spawn(async move {
                let limit = handshake + cut;
                let mut part = (&mut forth).take(limit);
                let passing = tokio::io::copy(&mut part, &mut back_end);
                let answers = tokio::io::copy(&mut back, &mut forth_end);
                tokio::select! {
                    passed = passing => assert_eq!(passed.expect("pass"), limit),
                    _ = answers => panic!("the listener ended first"),
                }
            });
            let (dialer, listener) = (config(1).wire(wire), config(2).wire(wire));
            let (mut dialed, mut accepted) = pair_with(dialer, listener, ours, theirs).await;
            dialed.send(&[1; 1000]).await.expect("send");
            let _ = dialed.flush().await;
            relay.await;
            let result = accepted.recv().await;
            match result {
                Ok(None) => assert!(whole, "{cut} bytes"),
                Err(RecvError::Record(_) | RecvError::NativeRecord(OpenError::Truncated)) => {
                    assert!(!whole, "{cut} bytes");
                }
                other => panic!("{cut} bytes: {other:?}"),
            }
            // The stream is gone for the sender as well.
            let sent = loop {
                if let Err(error) = dialed.send(&[1; 1000]).await {
                    break error;
                }
                ringseal::sleep(Duration::from_millis(1)).await;
            };
            assert!(
                matches!(sent, SendError::Transport(_) | SendError::Closed),
                "{sent:?}"
            );
        }
    });
}

// HAZARDS H1: a stream that says nothing.
#[test]
fn a_silent_stream_ends_at_the_deadline() {
    on(&ALL, async || {
        let settings = config(1).handshake_deadline(Duration::from_millis(50));
        let (ours, theirs) = duplex(100);
        let error = dial_over(ours, config(2).public_key(), &settings).await;
        assert!(
            matches!(
                error,
                Err(DialError::Attempt(AttemptError::Deadline {
                    phase: Phase::Handshake
                }))
            ),
            "{error:?}"
        );
        drop(theirs);
        let (ours, theirs) = duplex(100);
        let error = accept_over(ours, &settings, &Admission::any()).await;
        assert!(
            matches!(
                error,
                Err(DialError::Attempt(AttemptError::Deadline {
                    phase: Phase::Handshake
                }))
            ),
            "{error:?}"
        );
        drop(theirs);
    });
}

// HAZARDS R10, B3: a peer that never reads is cut off, and dropping lets go of the stream.
#[test]
fn a_stream_that_takes_nothing_is_cut_off_and_let_go() {
    on(&ALL, async || {
        let (ours, theirs) = duplex(1 << 12);
        let limit = Duration::from_millis(100);
        let (dialer, listener) = (config(1).progress_timeout(limit), config(2));
        let anybody = Admission::any();
        let (dialed, accepted) = join!(
            dial_over(ours, listener.public_key(), &dialer),
            accept_over(theirs, &listener, &anybody)
        );
        let (mut dialed, mut accepted) = (dialed.expect("dial"), accepted.expect("accept"));
        let error = loop {
            if let Err(error) = dialed.send(&[1; 50_000]).await {
                break error;
            }
        };
        assert!(matches!(error, SendError::TimedOut { .. }), "{error:?}");
        drop(dialed);
        let error = loop {
            match accepted.recv().await {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        // Whole records may have got through; the one that was under way has not.
        assert!(
            matches!(error, Some(RecvError::NativeRecord(OpenError::Truncated))),
            "{error:?}"
        );
    });
}

/// A pipe that panics when it is read from some time on.
struct Faulty {
    pipe: DuplexStream,
    panics: Rc<Cell<bool>>,
}

impl AsyncRead for Faulty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        assert!(!self.panics.get(), "on purpose");
        Pin::new(&mut self.pipe).poll_read(context, buffer)
    }
}

impl AsyncWrite for Faulty {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}

// HAZARDS B9: the thread's limits are kept whatever one stream does.
#[test]
fn a_stream_that_panics_when_it_is_looked_at_ends_alone() {
    on(&ALL, async || {
        let limit = Duration::from_millis(60);
        let panics = Rc::new(Cell::new(false));
        let (pipe, theirs) = duplex(1 << 12);
        let faulty = Faulty {
            pipe,
            panics: Rc::clone(&panics),
        };
        let (dialer, listener, anybody) =
            (config(1).idle_timeout(limit), config(2), Admission::any());
        let (first, _held) = join!(
            dial_over(faulty, listener.public_key(), &dialer),
            accept_over(theirs, &listener, &anybody)
        );
        let (ours, theirs) = duplex(1 << 12);
        let (second, _held) = join!(
            dial_over(ours, listener.public_key(), &dialer),
            accept_over(theirs, &listener, &anybody)
        );
        let (mut first, mut second) = (first.expect("dial"), second.expect("dial"));
        // In a task of its own, which is polled when it is woken and at no other time: when the
        // limit is over, and then the stream is not asked any more.
        let faulty = ringseal::spawn(async move { first.recv().await });
        ringseal::sleep(Duration::from_millis(5)).await;
        panics.set(true);
        for ended in [second.recv().await, faulty.await] {
            assert!(
                matches!(
                    ended,
                    Err(RecvError::TimedOut {
                        limit: TimeLimit::Idle
                    })
                ),
                "{ended:?}"
            );
        }
    });
}

/// What a stream does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// It reads into memory of its own and says that this is what it was given.
    SwapsTheBuffer,
    /// It says that it has read more than it was given room for.
    ReadsTooMuch,
    /// It says that it has written more than it was given.
    WritesTooMuch,
    /// It says "again" by an error, without end.
    IsInterrupted,
}

/// A pipe that does something wrong from some time on.
struct Misbehaving {
    pipe: DuplexStream,
    wrong: Rc<Cell<Option<Wrong>>>,
}

impl AsyncRead for Misbehaving {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.wrong.get() {
            Some(wrong @ (Wrong::SwapsTheBuffer | Wrong::ReadsTooMuch)) => {
                let extra = usize::from(wrong == Wrong::ReadsTooMuch) * 10_000_000;
                let length = buffer.capacity() + extra;
                let mut other = ReadBuf::new(vec![7; length].leak());
                other.set_filled(length);
                *buffer = other;
                Poll::Ready(Ok(()))
            }
            Some(Wrong::IsInterrupted) => Poll::Ready(Err(io::ErrorKind::Interrupted.into())),
            _ => Pin::new(&mut self.pipe).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Misbehaving {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.wrong.get() {
            Some(Wrong::WritesTooMuch) => Poll::Ready(Ok(bytes.len() + 1_000_000)),
            Some(Wrong::IsInterrupted) => Poll::Ready(Err(io::ErrorKind::Interrupted.into())),
            _ => Pin::new(&mut self.pipe).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}

// HAZARDS F17: the connection may fail, and nothing else.
#[test]
fn a_stream_that_lies_about_its_bytes_harms_only_its_connection() {
    for wrong in [
        Wrong::SwapsTheBuffer,
        Wrong::ReadsTooMuch,
        Wrong::WritesTooMuch,
        Wrong::IsInterrupted,
    ] {
        on(&ALL, async || {
            let (pipe, theirs) = duplex(1 << 16);
            let does = Rc::new(Cell::new(None));
            let misbehaving = Misbehaving {
                pipe,
                wrong: Rc::clone(&does),
            };
            let (mut dialed, mut accepted) = pair_over(misbehaving, theirs).await;
            let (other, another) = duplex(1 << 16);
            let (mut bystander, mut its_peer) = pair_over(other, another).await;
            does.set(Some(wrong));
            if wrong != Wrong::WritesTooMuch {
                let error = dialed.recv().await.expect_err("no bytes of the peer's");
                assert!(
                    matches!(error, RecvError::Record(_) | RecvError::Transport(_)),
                    "{wrong:?}: {error:?}"
                );
            }
            // Whether the stream takes it or not is the stream's own affair.
            let _ = dialed.send(&[1; 40_000]).await;
            let _ = dialed.flush().await;
            drop(dialed);
            if let Ok(Some(message)) = accepted.recv().await {
                assert_eq!(&*message, &[1; 40_000], "{wrong:?}");
            }
            bystander.send(&[5; 10_000]).await.expect("send");
            let message = its_peer.recv().await.expect("recv").expect("one");
            assert_eq!(&*message, &[5; 10_000]);
        });
    }
}

/// What is called, while it is not.
type Call = Rc<RefCell<Option<Box<dyn FnMut()>>>>;

/// A pipe that calls back into its own connection while it is read or written.
struct Reentrant {
    pipe: DuplexStream,
    calls: Call,
}

impl Reentrant {
    fn call_back(&self) {
        let call = self.calls.take();
        if let Some(mut call) = call {
            call();
            self.calls.replace(Some(call));
        }
    }
}

impl AsyncRead for Reentrant {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.call_back();
        Pin::new(&mut self.pipe).poll_read(context, buffer)
    }
}

impl AsyncWrite for Reentrant {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.call_back();
        Pin::new(&mut self.pipe).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call_back();
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call_back();
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        self.call_back();
    }
}

// HAZARDS F17: a stream may have a half of its own connection, and use it or drop it at any point.
#[test]
fn a_stream_may_use_and_drop_its_own_connection() {
    on(&ALL, async || {
        for drops in [false, true] {
            let (pipe, theirs) = duplex(1 << 10);
            let calls = Rc::new(RefCell::new(None));
            let reentrant = Reentrant {
                pipe,
                calls: Rc::clone(&calls),
            };
            let (dialed, accepted) = pair_over(reentrant, theirs).await;
            let (mut sender, mut receiver) = dialed.split();
            let (_their_sender, mut their_receiver) = accepted.split();
            let draining =
                ringseal::spawn(
                    async move { while let Ok(Some(_)) = their_receiver.recv().await {} },
                );
            // Its writes receive, or drop the receiver.
            let receiving = Rc::new(RefCell::new(None));
            let mut context = Context::from_waker(std::task::Waker::noop());
            let mut recv = Box::pin(async move { receiver.recv().await.map(|one| one.is_some()) });
            assert!(recv.as_mut().poll(&mut context).is_pending());
            receiving.replace(Some(recv));
            let own = Rc::clone(&receiving);
            let call: Box<dyn FnMut()> = Box::new(move || {
                let mine = own.take();
                if let Some(mut recv) = mine {
                    let mut context = Context::from_waker(std::task::Waker::noop());
                    let _ = recv.as_mut().poll(&mut context);
                    if !drops {
                        own.replace(Some(recv));
                    }
                }
            });
            calls.replace(Some(call));
            for _ in 0..20 {
                sender.send(&[3; 3000]).await.expect("send");
            }
            sender.flush().await.expect("flush");
            sender.close().await.expect("close");
            receiving.take();
            calls.take();
            draining.await;
        }
    });
}

// HAZARDS B1: waits without a slot take bytes from such a stream, and lose none.
#[test]
fn many_idle_streams_share_few_slots() {
    on(&ALL, async || {
        let mut pairs = Vec::new();
        for _ in 0..12 {
            let (ours, theirs) = duplex(1 << 16);
            let (dialed, accepted) = pair_over(ours, theirs).await;
            let receiving = ringseal::spawn(async move {
                let mut accepted = accepted;
                for index in 0..20 {
                    let message = accepted.recv().await.expect("recv").expect("one");
                    assert!(*message == *pattern(10 + index * 50, index));
                }
            });
            pairs.push((dialed, receiving));
        }
        for index in 0..20 {
            for (dialed, _) in &mut pairs {
                dialed
                    .send(&pattern(10 + index * 50, index))
                    .await
                    .expect("send");
                dialed.flush().await.expect("flush");
            }
        }
        for (_dialed, receiving) in pairs {
            receiving.await;
        }
    });
}
