//! What threads share by, in one place: `tests/models` compiles the files that take it from here
//! with the model checker's kind in its place, and tries every order that threads can take.

pub(crate) use core::sync::atomic;
pub(crate) use std::sync::{Mutex, MutexGuard};
pub(crate) use std::thread::yield_now;
pub(crate) use std::thread_local;

pub(crate) use futures_util::task::AtomicWaker;
