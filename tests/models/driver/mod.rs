//! The files of the library's room of this name that threads share, and what they name.

#[path = "../../../src/driver/catch_panic.rs"]
mod catch_panic;
#[path = "../../../src/driver/driver_error.rs"]
mod driver_error;
#[path = "../../../src/driver/driver_status.rs"]
mod driver_status;
#[path = "../../../src/driver/latch.rs"]
mod latch;
pub(crate) mod tokio_uring;
pub(crate) mod uring;
#[path = "../../../src/driver/waker_cell.rs"]
mod waker_cell;

use core::future::{Pending, poll_fn};
use core::task::Poll;
use core::time::Duration;

pub(crate) use catch_panic::catch_panic;
pub(crate) use driver_error::DriverError;
pub(crate) use driver_status::DriverStatus;

/// No time passes here.
pub(crate) fn sleep(_: Duration) -> Pending<()> {
    core::future::pending()
}

/// Lets every other task that is ready run once.
pub(crate) async fn give_others_a_turn() {
    let mut is_back = false;
    poll_fn(|context| {
        if core::mem::replace(&mut is_back, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
