//! How much memory peers can have a runtime take, and in which order they get it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::Duration;

use ringseal::{
    Address, Admission, Backend, Connection, Listener, Message, Runtime, Statistics, dial_over,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::allocations::most_bytes_during;
use super::peers::{builder, config, key, pair, patiently, pattern, run_with};
use super::setting::{on_native, spawn, transport};
use super::transport::{RawStream, Transport, somewhere};

/// Bytes of a long message, more than a slot has.
const LONG: usize = 400_000;

/// A socket that passes on only so many bytes.
struct Limited<S> {
    socket: S,
    /// Bytes that may still leave.
    allowance: Rc<Cell<usize>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let allowed = self.allowance.get().min(bytes.len());
        if allowed == 0 {
            return Poll::Pending;
        }
        let poll = Pin::new(&mut self.socket).poll_write(context, &bytes[..allowed]);
        if let Poll::Ready(Ok(count)) = poll {
            self.allowance.set(self.allowance.get() - count);
        }
        poll
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// Dials over a socket that can be stopped. On epoll, which has tokio's reactor.
async fn dial_limited(address: &Address) -> (Connection, Rc<Cell<usize>>) {
    let allowance = Rc::new(Cell::new(usize::MAX));
    let raw = RawStream::connect(address.clone());
    raw.set_nonblocking();
    let dialed = match raw {
        RawStream::Tcp(socket) => {
            let socket = tokio::net::TcpStream::from_std(socket).expect("register");
            let allowance = Rc::clone(&allowance);
            dial_over(Limited { socket, allowance }, key(2), &config(1)).await
        }
        RawStream::Unix(socket) => {
            let socket = tokio::net::UnixStream::from_std(socket).expect("register");
            let allowance = Rc::clone(&allowance);
            dial_over(Limited { socket, allowance }, key(2), &config(1)).await
        }
    };
    (dialed.expect("dial"), allowance)
}

// HAZARDS F6: memory goes by what peers have sent, not by what they have announced.
fn the_start_of_a_long_message_takes_no_memory_for_the_rest() {
    const PEERS: usize = 40;
    // In memory both ends would be counted.
    if transport() == Transport::Memory {
        return;
    }
    let (bound, address) = mpsc::channel();
    let (done, listener_is_done) = mpsc::channel::<()>();
    let dialing = spawn(move || {
        let address: Address = address.recv().expect("a listener");
        let runtime = Runtime::builder()
            .backend(Backend::Epoll)
            .heap_budget(PEERS * 4 * LONG)
            .build()
            .expect("epoll");
        runtime.block_on(patiently(async {
            let mut dialed = Vec::new();
            let message = pattern(LONG, 1);
            for _ in 0..PEERS {
                let (mut connection, allowance) = dial_limited(&address).await;
                connection.send(&message).await.expect("send");
                connection.flush().await.expect("flush");
                allowance.set(5_000);
                connection.send(&message).await.expect("send");
                while allowance.get() > 0 {
                    tokio::task::yield_now().await;
                }
                dialed.push(connection);
            }
            while listener_is_done.try_recv() == Err(mpsc::TryRecvError::Empty) {
                ringseal::sleep(Duration::from_millis(5)).await;
            }
        }));
    });
    run_with(builder(), async {
        let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
            .await
            .expect("bind");
        bound
            .send(listener.local_address())
            .expect("the dialers wait");
        let work = async {
            let mut tasks = Vec::new();
            for _ in 0..PEERS {
                let mut connection = listener.accept().await.expect("accept");
                let message = connection.recv().await.expect("recv").expect("a message");
                assert_eq!(message.len(), LONG);
                drop(message);
                tasks.push(ringseal::spawn(async move {
                    let _ = connection.recv().await;
                }));
            }
            // What has come of the second messages is read.
            ringseal::sleep(Duration::from_millis(300)).await;
            tasks
        };
        let (tasks, most) = most_bytes_during(work).await;
        assert!(most < 4 << 20, "{most} bytes for {PEERS} peers");
        drop(done);
        for task in tasks {
            task.await;
        }
    });
    dialing.join().expect("the dialers");
}

fn statistics() -> Statistics {
    Statistics::current().expect("inside a runtime")
}

/// Sends back what comes until the peer ends.
async fn echo(mut connection: Connection) {
    while let Some(message) = connection.recv().await.expect("recv") {
        connection.send(&message).await.expect("send");
    }
}

// HAZARDS F6: whatever the budget, whoever waits gets what it needs.
fn long_messages_pass_with_any_budget() {
    const SIZES: [usize; 4] = [5, 300_000, 40_000, 0];
    for budget in [0, 400_000] {
        run_with(
            builder().slots(4).slot_size(16_384).heap_budget(budget),
            async {
                let mut dialers = Vec::new();
                // With more of them all memory could be messages that wait for memory to be sent.
                for _ in 0..2 {
                    let (dialer, listener) = pair().await;
                    drop(ringseal::spawn(echo(listener)));
                    dialers.push(dialer);
                }
                for size in SIZES {
                    // All in one turn, before anything can leave: one has to wait for the other.
                    let rounds = dialers.iter_mut().enumerate().map(async |(salt, dialer)| {
                        let message = pattern(size, salt);
                        dialer.send(&message).await.expect("send");
                        let echo = dialer.recv().await.expect("recv").expect("an echo");
                        assert!(*echo == *message);
                    });
                    futures_util::future::join_all(rounds).await;
                }
                assert!(statistics().heap_waits > 0, "nobody ever waited");
                drop(dialers);
                while statistics().heap_bytes > 0 {
                    ringseal::sleep(Duration::from_millis(1)).await;
                }
            },
        );
    }
}

/// Makes slots short by messages that are kept, until what is returned is dropped.
async fn hoard_slots() -> impl Sized {
    let (mut hoarding, mut hoarder) = pair().await;
    let mut kept = Vec::new();
    while statistics().free_slots > 0 && kept.len() < 64 {
        hoarding.send(&pattern(9_000, 1)).await.expect("send");
        hoarding.flush().await.expect("flush");
        kept.push(hoarder.recv().await.expect("recv").expect("a message"));
    }
    (kept, hoarding, hoarder)
}

// HAZARDS F6: a heap block that stood for a slot goes back with the last message in it, though nobody
// receives on.
fn an_idle_connection_keeps_no_heap_block() {
    run_with(builder().slots(8).slot_size(16_384), async {
        let (mut dialer, mut idle) = pair().await;
        let hoard = hoard_slots().await;
        // Records of their own, that one read brings.
        for salt in 0..2 {
            dialer.send(&pattern(100, salt)).await.expect("send");
            dialer.flush().await.expect("flush");
        }
        let first = idle.recv().await.expect("recv").expect("a message");
        assert!(statistics().heap_bytes > 0, "no slot was short");
        // When slots are no longer short, nothing else has the block go.
        drop(hoard);
        while statistics().free_slots < 4 {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        let second = idle.recv().await.expect("recv").expect("a message");
        assert!(*first == *pattern(100, 0) && *second == *pattern(100, 1));
        drop((first, second));
        while statistics().heap_bytes > 0 {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
    });
}

// HAZARDS F6: nor does the dialer that has read the acceptance into one, and receives nothing.
fn a_connection_that_was_never_used_keeps_no_heap_block() {
    run_with(builder().slots(8).slot_size(16_384), async {
        let hoard = hoard_slots().await;
        let blocks = statistics().large_blocks;
        let unused = pair().await;
        // The commonware wire has no acceptance, and in memory slots do not get short by this.
        if on_native() && transport() != Transport::Memory {
            assert!(statistics().large_blocks > blocks, "no slot was short");
        }
        drop(hoard);
        while statistics().heap_bytes > 0 {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        drop(unused);
    });
}

// HAZARDS F6: what is kept of long messages is within the budget, and the rest waits for it.
fn long_messages_that_are_kept_are_backpressure_that_a_drop_ends() {
    const CONNECTIONS: usize = 8;
    // Three quarters of it are two messages; sending has some as well.
    const BUDGET: usize = 1 << 20;
    // On the native wire nobody knows how long a message in parts will be, so who has to wait waits for
    // what it may be; and the slots hold most of this one.
    let longest = if on_native() { 1 << 20 } else { LONG };
    run_with(builder().heap_budget(BUDGET), async {
        let kept: Rc<RefCell<VecDeque<Message>>> = Rc::default();
        let mut tasks = Vec::new();
        for _ in 0..CONNECTIONS {
            let (mut dialer, mut listener) = pair().await;
            let kept = Rc::clone(&kept);
            tasks.push(ringseal::spawn(async move {
                dialer.send(&pattern(LONG, 1)).await.expect("send");
                dialer.flush().await.expect("flush");
            }));
            tasks.push(ringseal::spawn(async move {
                let message = listener.recv().await.expect("recv").expect("a message");
                assert_eq!(message.len(), LONG);
                kept.borrow_mut().push_back(message);
            }));
        }
        let mut received = 0;
        while received < CONNECTIONS {
            // Short messages of other connections pass meanwhile.
            let (mut dialer, listener) = pair().await;
            drop(ringseal::spawn(echo(listener)));
            dialer.send(&pattern(5_000, received)).await.expect("send");
            assert!(dialer.recv().await.expect("recv").is_some());
            let beyond = statistics().heap_bytes.saturating_sub(BUDGET);
            // The allowances, and a block that moves to a longer one.
            assert!(
                beyond < longest + CONNECTIONS * 2 * 32 * 1024,
                "{beyond} bytes"
            );
            let message = kept.borrow_mut().pop_front();
            received += usize::from(message.is_some());
        }
        for task in tasks {
            task.await;
        }
        assert!(statistics().heap_waits > 0, "nobody ever waited");
    });
}

// HAZARDS F6, the sending direction: records for peers that do not read are within the budget.
fn long_messages_that_nobody_reads_keep_to_the_budget() {
    const CONNECTIONS: usize = 12;
    const BUDGET: usize = 1 << 20;
    run_with(builder().heap_budget(BUDGET), async {
        let sent = Rc::new(Cell::new(0));
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            let (mut dialer, listener) = pair().await;
            silent.push(listener);
            let sent = Rc::clone(&sent);
            drop(ringseal::spawn(async move {
                let message = pattern(LONG, 1);
                while dialer.send(&message).await.is_ok() {
                    sent.set(sent.get() + 1);
                }
            }));
        }
        let mut last = usize::MAX;
        while sent.get() != last {
            last = sent.get();
            ringseal::sleep(Duration::from_millis(100)).await;
        }
        let statistics = statistics();
        let beyond = statistics.heap_bytes.saturating_sub(BUDGET);
        assert!(beyond < LONG + CONNECTIONS * 32 * 1024, "{beyond} bytes");
        assert!(statistics.heap_waits > 0, "nobody ever waited");
        let (mut dialer, listener) = pair().await;
        drop(ringseal::spawn(echo(listener)));
        for size in [0, 100, 16_000, 32_000] {
            let message = pattern(size, 2);
            dialer.send(&message).await.expect("send");
            let echo = dialer.recv().await.expect("recv").expect("an echo");
            assert!(*echo == *message);
        }
    });
}

crate::on_every_setting! {
    the_start_of_a_long_message_takes_no_memory_for_the_rest,
    long_messages_pass_with_any_budget,
    an_idle_connection_keeps_no_heap_block,
    a_connection_that_was_never_used_keeps_no_heap_block,
    long_messages_that_are_kept_are_backpressure_that_a_drop_ends,
    long_messages_that_nobody_reads_keep_to_the_budget,
}
