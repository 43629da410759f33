//! The queues between callers and ring threads, and how clients get to the threads.

#[path = "../../../src/handle/batch.rs"]
mod batch;
#[path = "../../../src/handle/copier.rs"]
mod copier;
#[path = "../../../src/handle/distribution.rs"]
mod distribution;
#[path = "../../../src/handle/error.rs"]
mod error;
#[path = "../../../src/handle/incoming.rs"]
mod incoming;
#[path = "../../../src/handle/limits.rs"]
mod limits;
#[path = "../../../src/handle/locked.rs"]
mod locked;
pub(crate) mod models;
#[path = "../../../src/handle/notices.rs"]
mod notices;
#[path = "../../../src/handle/outgoing.rs"]
mod outgoing;

pub(crate) use distribution::{Distribution, Seat};
