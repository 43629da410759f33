//! The steady state allocates nothing and copies nothing but the start of incomplete frames.
//!
//! A file of its own: the allocator counts for the whole process.

#![expect(unsafe_code, reason = "a global allocator is unsafe to write")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;

use futures_util::{SinkExt, StreamExt};

use super::peers::{pair, pair_with, pattern, run};
use super::transport::Transport;
use ringseal::{Connection, Statistics};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.dealloc(pointer, layout) }
    }
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

#[test]
fn the_steady_state_allocates_nothing() {
    // The wire in memory allocates by itself.
    if crate::TRANSPORT == Transport::Memory {
        return;
    }
    for cups in [ringseal::CupsVersion::V0, ringseal::CupsVersion::V1] {
        run(async move {
            let settings = |seed| super::peers::config(seed).cups(cups);
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

#[test]
fn sinks_and_streams_allocate_nothing() {
    // The wire in memory allocates by itself.
    if crate::TRANSPORT == Transport::Memory {
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

#[test]
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

#[test]
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
        // One read, one slot: each message a record further.
        for pair in addresses.windows(2) {
            assert_eq!(pair[1] - pair[0], 1000 + 36);
        }
    });
}
