//! What calls come to where memory is short, by what the runtime counts while one is polled.

use core::future::{Future, poll_fn};
use core::pin::pin;

use ringseal::Statistics;

use crate::world::World;

/// Does `call`, and counts when it waits for memory and when a record moves.
pub(crate) async fn noticed<F: Future>(world: &World, call: F) -> F::Output {
    let mut call = pin!(call);
    poll_fn(|context| {
        let before = Statistics::current();
        let poll = call.as_mut().poll(context);
        // Nobody else runs in between.
        if let (Some(before), Some(after)) = (before, Statistics::current()) {
            note(world, &before, &after, poll.is_pending());
        }
        poll
    })
    .await
}

fn note(world: &World, before: &Statistics, after: &Statistics, waits: bool) {
    if waits && after.slot_waits > before.slot_waits {
        world.count("a task waits for a slot");
    }
    if waits && after.heap_waits > before.heap_waits {
        world.count("a task waits for the heap");
    }
    if after.large_blocks > before.large_blocks && after.moved_bytes > before.moved_bytes {
        world.count("a record moves to the heap");
    }
}
