//! What threads of ringseal share, tried in every order that threads can take.
//!
//! Files of the library that share something between threads are compiled here a second time, as they
//! are: they take locks, atomics and thread-locals from [`sync`], which is the standard library's
//! there and that of loom here, a model checker of the tokio project. Loom runs a model once for each
//! order in which its threads can take their steps, up to a number of preemptions, and lets each read
//! of an atomic see everything that the memory model allows, not only what this processor does. A
//! thread that nobody wakes any more is told as a deadlock.
//!
//! What is below these files is played by stand-ins of the same names: a queue of the kernel's that
//! knows only the doorbell, halves of connections that send and receive without a socket.
//!
//! ```text
//! cargo test -p ringseal-models                         all models
//! cargo run -p ringseal-models -- [NAME...]             those whose names contain one of these, with
//!                                                       the number of orders that were tried
//! cargo run -p ringseal-models --bin ringseal-models-mutants
//!                                                       mistakes that the models have to notice
//! ```
//!
//! What is not tried: channels of futures and tokio, `AtomicWaker` of futures, `async-task` and `Arc`,
//! which stand here as libraries whose authors try them, and count as one step; and what belongs to one
//! thread and is no `Sync` (wakers of operations, latches, the registry of a server's thread). Not
//! compiled here, though threads share them: the resolver (`driver/resolver.rs`), which starts and ends
//! threads; how accepting moves on to another thread of a server (`server/shared.rs`, `accepting.rs`,
//! `control.rs`); a job that is posted while its thread ends (`handle/threads.rs`); wakers of handshakes
//! that other threads call (`net/establish/handshakes.rs`); and admissions that change
//! (`net/establish/admission.rs`, `key_file.rs`), which have a stand-in. The suite tries those.

// The files' own tests are the library's to run: where those are asked for, this is empty.
#![cfg(not(test))]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "of the library's files only what threads share is run here"
)]

mod driver;
mod handle;
mod memory;
mod model;
mod net;
mod protocol;
mod server;
mod signal;
mod sync;

pub use model::{MODELS, Model, tell_how_to_replay};
