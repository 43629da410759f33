//! Keeps submissions moving beside a task that never idles.
//!
//! tokio-uring enters the kernel only when the thread parks or the submission queue is full, and
//! its ring's descriptor is out of reach. A task that wakes itself for ever therefore holds back
//! everybody's submissions. The watchdog sends a no-op through the ring each tick; when one has
//! not come back by the next tick, it fills the queue with no-ops, which makes the full queue
//! enter. An idle ring costs one wake-up a tick, and none without operations in flight beyond
//! the timer itself.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::rc::Rc;

use io_uring::{cqueue, opcode};
use tokio_uring::{InFlightOneshot, OneshotOutputTransform, UnsubmittedOneshot};

use crate::ring::RingState;

/// How long submissions may be held back, at most twice over.
const TICK: Duration = Duration::from_millis(50);
/// Ticks without any completion after which the ring is reported as dead.
const DEAD_AFTER_TICKS: u32 = 100;

struct Returned;

impl OneshotOutputTransform for Returned {
    type Output = ();
    type StoredData = ();

    fn transform_oneshot_output(self, _data: (), _entry: cqueue::Entry) {}
}

fn no_op() -> InFlightOneshot<(), Returned> {
    UnsubmittedOneshot::new((), Returned, opcode::Nop::new().build()).submit()
}

/// Runs for ever; see the module's header.
pub(super) async fn watch(state: Rc<RingState>, entries: u32) {
    let mut overdue = 0_u32;
    let mut canary: Option<InFlightOneshot<(), Returned>> = None;
    loop {
        tokio::time::sleep(TICK).await;
        if let Some(waiting) = &mut canary {
            // Looked at, not waited for: the timer is the only thing that wakes this task.
            match Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(()) => {
                    canary = None;
                    overdue = 0;
                }
                Poll::Pending => {
                    overdue += 1;
                    if overdue == DEAD_AFTER_TICKS {
                        tracing::error!("the ring no longer completes operations");
                    }
                    for _ in 0..=entries {
                        drop(no_op());
                    }
                }
            }
        }
        if canary.is_none() && state.in_flight() > 0 {
            canary = Some(no_op());
        }
    }
}
