//! The executor of the library's own driver, as it is, over a kernel that knows only its doorbell.

#[path = "../../../../src/driver/uring/contained.rs"]
mod contained;
mod doorbell;
#[path = "../../../../src/driver/uring/executor.rs"]
mod executor;
pub(crate) mod models;
#[path = "../../../../src/driver/uring/polling.rs"]
mod polling;
mod queue;
#[path = "../../../../src/driver/uring/remote.rs"]
mod remote;
#[path = "../../../../src/driver/uring/timer.rs"]
mod timer;
