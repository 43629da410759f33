//! The steady state allocates nothing and copies nothing but the start of incomplete frames.
//!
//! A file of its own: the allocator counts for the whole process.

#![expect(unsafe_code, reason = "a global allocator is unsafe to write")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicIsize, Ordering};

use futures_util::{SinkExt, StreamExt};

use super::peers::{pair, pair_with, pattern, run, wires};
use super::setting::{on_native, transport};
use super::transport::{RawListener, RawStream, Transport};
use ringseal::{
    Connection, PlainReader, PlainSocket, PlainWriter, Receiver, Sender, Statistics, Wire,
};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread has allocated, less those that it has freed, and the most so far.
    static IN_USE: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// The same for all threads together.
static IN_USE_BY_ALL: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        count_bytes(layout.size().cast_signed());
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count_bytes(-layout.size().cast_signed());
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count_bytes(bytes: isize) {
    IN_USE_BY_ALL.fetch_add(bytes, Ordering::Relaxed);
    let _ = IN_USE.try_with(|in_use| {
        let (now, most) = in_use.get();
        in_use.set((now + bytes, most.max(now + bytes)));
    });
}

/// Returns the bytes that this thread has allocated, less those that it has freed.
pub(crate) fn bytes_in_use() -> isize {
    IN_USE.get().0
}

/// Returns the bytes that all threads have allocated, less those that were freed. For tests that are
/// alone in their process.
pub(crate) fn bytes_in_use_by_all() -> isize {
    IN_USE_BY_ALL.load(Ordering::Relaxed)
}

/// Runs `work` and returns the most bytes that this thread had allocated meanwhile, beyond those
/// at its start.
pub(crate) async fn most_bytes_during<T>(work: impl Future<Output = T>) -> (T, usize) {
    let (before, _) = IN_USE.get();
    IN_USE.set((before, before));
    let output = work.await;
    let (_, most) = IN_USE.get();
    (output, (most - before).unsigned_abs())
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

fn statistics() -> Statistics {
    Statistics::current().expect("inside a runtime")
}

/// Sends bursts and takes them in, all on this thread, so that everything is counted.
async fn exchange(connections: &mut (Connection, Connection), message: &[u8], rounds: usize) {
    let size = message.len();
    let (dialer, listener) = connections;
    // A burst fits two buffers, so that one task can do both ends.
    let burst = (100_000 / (size + 36)).clamp(1, 200);
    for _ in 0..rounds {
        for _ in 0..burst {
            dialer.send(message).await.expect("send");
        }
        for _ in 0..burst {
            let received = listener.recv().await.expect("recv").expect("one");
            assert!(*received == *message);
            listener.send(&received).await.expect("send");
            drop(received);
        }
        for _ in 0..burst {
            let received = dialer.recv().await.expect("recv").expect("one");
            assert!(*received == *message);
        }
    }
}

fn the_steady_state_allocates_nothing() {
    // The wire in memory allocates by itself.
    if transport() == Transport::Memory {
        return;
    }
    for wire in wires() {
        run(async move {
            let settings = |seed| super::peers::config(seed).wire(wire);
            let mut connections = pair_with(&settings(1), &settings(2)).await;
            for size in [0, 1, 64, 1024, 16_384, 65_536] {
                let message = pattern(size, 1);
                exchange(&mut connections, &message, 20).await;
                let before = allocations();
                exchange(&mut connections, &message, 50).await;
                assert_eq!(allocations() - before, 0, "messages of {size} bytes");
            }
        });
    }
}

fn sinks_and_streams_allocate_nothing() {
    // The wire in memory allocates by itself.
    if transport() == Transport::Memory {
        return;
    }
    run(async {
        let (dialer, listener) = pair().await;
        let (sender, _receiver) = dialer.split();
        let (_sender, receiver) = listener.split();
        let (mut sink, mut messages) = (sender.into_sink(), receiver.into_stream());
        for size in [0, 64, 1024, 16_384, 65_536] {
            let message: Rc<[u8]> = pattern(size, 1).into();
            let mut before = 0;
            for round in 0..70 {
                if round == 20 {
                    before = allocations();
                }
                for _ in 0..(100_000 / (size + 36)).clamp(1, 200) {
                    sink.feed(Rc::clone(&message)).await.expect("send");
                }
                sink.flush().await.expect("flush");
                for _ in 0..(100_000 / (size + 36)).clamp(1, 200) {
                    let received = messages.next().await.expect("one").expect("recv");
                    assert!(*received == *message);
                }
            }
            assert_eq!(allocations() - before, 0, "messages of {size} bytes");
        }
    });
}

/// Plain sockets on both sides of a connection, and their peers.
struct Tunnel {
    reader: PlainReader,
    sender: Sender,
    receiver: Receiver,
    writer: PlainWriter,
    client: RawStream,
    service: RawStream,
    _unused: (PlainWriter, Receiver, Sender, PlainReader),
}

impl Tunnel {
    async fn new(wire: Wire) -> Self {
        let settings = |seed| super::peers::config(seed).wire(wire);
        let (near, far) = pair_with(&settings(1), &settings(2)).await;
        let (here, there) = (RawListener::bind(), RawListener::bind());
        let plain = |address| async { PlainSocket::connect(address).await.expect("connect") };
        let (reader, unused_writer) = plain(here.address()).await.split();
        let (unused_reader, writer) = plain(there.address()).await.split();
        let ((sender, unused_receiver), (unused_sender, receiver)) = (near.split(), far.split());
        Self {
            reader,
            sender,
            receiver,
            writer,
            client: here.accept(),
            service: there.accept(),
            _unused: (unused_writer, unused_receiver, unused_sender, unused_reader),
        }
    }

    /// Has `bytes` go through all of it, in messages of at most `room` bytes, and come out in
    /// `output`.
    async fn pass(&mut self, bytes: &[u8], room: usize, output: &mut [u8]) {
        self.client.write_all(bytes).expect("write");
        let mut passed = 0;
        while passed < bytes.len() {
            self.reader.readable().await.expect("readable");
            let reservation = self.sender.reserve(room).await.expect("reserve");
            let address = reservation.as_ptr();
            let read = self.reader.read_into(reservation, ..);
            let (mut reservation, count) = read.await.expect("read");
            reservation.truncate(count);
            assert!(reservation[..] == bytes[passed..passed + count]);
            if room == count {
                assert_eq!(reservation.as_ptr(), address);
            }
            reservation.send().expect("send");
            let message = self.receiver.recv().await.expect("recv").expect("one");
            assert!(*message == bytes[passed..passed + count]);
            self.writer.write_message(message).await.expect("write");
            passed += count;
        }
        self.service.read_exact(output).expect("read");
        assert!(*output == *bytes);
    }
}

fn what_passes_through_a_tunnel_is_neither_copied_nor_allocated_for() {
    // The wire in memory allocates by itself.
    if transport() == Transport::Memory {
        return;
    }
    for wire in wires() {
        run(async move {
            let mut tunnel = Tunnel::new(wire).await;
            for size in [1, 64, 1024, 16_000, 60_000] {
                let bytes = pattern(size, 1);
                let mut output = vec![0; size];
                for _ in 0..20 {
                    tunnel.pass(&bytes, size, &mut output).await;
                }
                let (before, were) = (allocations(), statistics());
                for _ in 0..50 {
                    tunnel.pass(&bytes, size, &mut output).await;
                }
                assert_eq!(allocations() - before, 0, "messages of {size} bytes");
                let are = statistics();
                assert!(are.messages_sent - were.messages_sent >= 50);
                assert_eq!(are.moved_bytes, were.moved_bytes, "{size} bytes, {wire:?}");
                assert_eq!(are.large_blocks, were.large_blocks);
            }
        });
    }
}

fn only_the_start_of_an_incomplete_frame_is_ever_moved() {
    run(async {
        let mut connections = pair().await;
        for size in [64, 1024, 16_384, 65_536] {
            let before = statistics();
            exchange(&mut connections, &pattern(size, 1), 50).await;
            let after = statistics();
            let moved = after.moved_bytes - before.moved_bytes;
            let reads = after.reads - before.reads;
            // Never more than one frame a read, and nothing is staged anywhere else.
            assert!(
                moved <= reads * (size as u64 + 36),
                "{moved} bytes moved in {reads} reads of messages of {size} bytes"
            );
            assert_eq!(after.large_blocks, before.large_blocks);
        }
    });
}

// A record holds what a slot of its receiver does, and is opened into its place in the message.
fn a_long_message_comes_in_few_records_and_is_copied_nowhere() {
    const LENGTH: usize = 1 << 20;
    const COUNT: u64 = 20;
    if !on_native() {
        return;
    }
    run(async {
        let (dialer, listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        let (_sender, mut receiver) = listener.split();
        let message = pattern(LENGTH, 1);
        let mut pass = async |count| {
            let sending = async {
                for _ in 0..count {
                    sender.send(&message).await.expect("send");
                }
                sender.flush().await.expect("flush");
            };
            let receiving = async {
                for _ in 0..count {
                    let received = receiver.recv().await.expect("recv").expect("one");
                    assert!(*received == *message);
                }
            };
            futures_util::join!(sending, receiving);
        };
        // From the first one on the receiver knows how long they are.
        pass(1).await;
        let before = statistics();
        let ((), most) = most_bytes_during(pass(COUNT)).await;
        let after = statistics();
        let bytes = LENGTH as u64 * COUNT;
        let records = after.records_sent - before.records_sent;
        // The slots of both ends have 272 KiB.
        assert_eq!(records, 4 * COUNT, "{COUNT} messages of {LENGTH} bytes");
        // The start of a record that a read has cut is moved, as of shorter messages.
        let moved = after.moved_bytes - before.moved_bytes;
        assert!(moved < bytes / 4, "{moved} of {bytes} bytes were moved");
        // One that it is sealed into and one that it is opened into, and no other.
        let blocks = after.large_blocks - before.large_blocks;
        assert!(blocks <= 2 * COUNT, "{blocks} heap blocks");
        // The wire in memory allocates by itself.
        if transport() != Transport::Memory {
            assert!(most < 2 * LENGTH + LENGTH / 2, "{most} bytes at a time");
        }
    });
}

fn received_bytes_lie_where_the_kernel_wrote_them() {
    run(async {
        let (mut dialer, mut listener) = pair().await;
        for index in 0..4 {
            dialer.send(&pattern(1000, index)).await.expect("send");
        }
        let mut addresses = Vec::new();
        let mut held = Vec::new();
        for _ in 0..4 {
            let message = listener.recv().await.expect("recv").expect("one");
            addresses.push(message.as_ptr().addr());
            held.push(message);
        }
        // One read, one slot: each message a record further, or its length in the record of all.
        let between = if on_native() { 2 } else { 36 };
        for pair in addresses.windows(2) {
            assert_eq!(pair[1] - pair[0], 1000 + between);
        }
    });
}

crate::on_every_setting! {
    the_steady_state_allocates_nothing,
    sinks_and_streams_allocate_nothing,
    what_passes_through_a_tunnel_is_neither_copied_nor_allocated_for,
    only_the_start_of_an_incomplete_frame_is_ever_moved,
    a_long_message_comes_in_few_records_and_is_copied_nowhere,
    received_bytes_lie_where_the_kernel_wrote_them,
}
