//! How other threads wake operations of tokio-uring.

pub(crate) mod models;
#[path = "../../../../src/driver/tokio_uring/waiting.rs"]
mod waiting;
