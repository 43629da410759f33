//! Keeps submissions moving beside a task that never idles.
//!
//! tokio-uring enters the kernel only when the thread parks or the submission queue is full, and
//! its ring's descriptor is out of reach. A task that wakes itself without end therefore holds back
//! everybody's submissions. The watchdog sends a no-op through the ring each tick; when one has
//! not come back by the next tick, it fills the queue with no-ops, which makes the full queue
//! enter. An idle ring costs one wake-up a tick, and none without operations in flight beyond
//! the timer itself.
//!
//! tokio-uring also ignores what entering the kernel fails with before it parks, so a ring that can
//! not be entered any more is found out here as well: by the same call, which the kernel or a
//! filter refuses on any descriptor, or by the no-op that never comes back.

use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::os::fd::AsFd;
use std::panic::catch_unwind;
use std::rc::Rc;

use io_uring::{cqueue, opcode};
use rustix::io::Errno;
use tokio_uring::{InFlightOneshot, OneshotOutputTransform, UnsubmittedOneshot};

use super::waiting::Waiting;
use crate::driver::DriverError;
use crate::driver::probe::call_without_ring;

/// How long submissions may be held back, at most twice over.
const TICK: Duration = Duration::from_millis(50);
/// Ticks without any completion after which the ring has failed.
const DEAD_AFTER_TICKS: u32 = 100;

struct Returned;

impl OneshotOutputTransform for Returned {
    type Output = ();
    type StoredData = ();

    fn transform_oneshot_output(self, _data: (), _entry: cqueue::Entry) {}
}

type NoOp = InFlightOneshot<(), Returned>;

/// Submits a no-op, unless tokio-uring panics because it can't submit what is queued.
fn no_op() -> Option<NoOp> {
    let submit = || UnsubmittedOneshot::new((), Returned, opcode::Nop::new().build()).submit();
    catch_unwind(AssertUnwindSafe(submit)).ok()
}

/// Why no ring can be entered any more, if that is so.
pub(super) fn refusal() -> Option<DriverError> {
    let standard_input = std::io::stdin();
    let error = call_without_ring(libc::SYS_io_uring_enter, standard_input.as_fd()).err()?;
    match Errno::from_io_error(&error) {
        // What the kernel says to a descriptor that is no ring, or to none.
        None | Some(Errno::OPNOTSUPP | Errno::BADF) => None,
        Some(errno) => Some(DriverError::Enter {
            errno: errno.raw_os_error(),
        }),
    }
}

/// Runs until the driver has failed; see the module's header.
pub(super) async fn watch(waiting: Rc<Waiting>, entries: u32) {
    let mut canary = Canary::default();
    let error = loop {
        tokio::time::sleep(TICK).await;
        if waiting.status().check().is_err() {
            return;
        }
        if let Some(error) = canary.tick(waiting.status().in_flight() > 0, entries) {
            break error;
        }
    };
    waiting.fail(error);
}

/// A no-op that has to come back.
#[derive(Default)]
struct Canary {
    in_flight: Option<NoOp>,
    overdue_ticks: u32,
}

impl Canary {
    /// Looks after the no-op, and sends another one when it is needed. Returns why the ring has
    /// failed, if it has.
    fn tick(&mut self, is_needed: bool, entries: u32) -> Option<DriverError> {
        if let Some(no_op) = &mut self.in_flight {
            // Looked at, not waited for: the timer is the only thing that wakes this task.
            match Pin::new(no_op).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(()) => *self = Self::default(),
                Poll::Pending => return self.press(entries),
            }
        }
        if is_needed {
            self.in_flight = no_op();
            if self.in_flight.is_none() {
                return Some(refusal().unwrap_or(DriverError::Stalled));
            }
        }
        None
    }

    /// Has a full queue enter the kernel.
    fn press(&mut self, entries: u32) -> Option<DriverError> {
        self.overdue_ticks += 1;
        // First, since tokio-uring goes on without end at some errors when its queue is full.
        let refused = refusal();
        if refused.is_some() {
            return refused;
        }
        let is_refused = (0..=entries).any(|_| no_op().is_none());
        (is_refused || self.overdue_ticks == DEAD_AFTER_TICKS).then_some(DriverError::Stalled)
    }
}
