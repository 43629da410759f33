//! What has to hold on every driver and transport, each test on each pair of them; on the commonware wire
//! tokio-uring has TCP alone. Meant to run under sanitizers as well, which `.ci/run` does with a part and
//! `.ci/sanitize --all` with all.

mod adapters;
mod addresses;
mod admission;
mod allocations;
#[path = "../black_hole/mod.rs"]
mod black_hole;
mod child;
mod connection;
mod ending;
mod errors;
mod executor;
mod faulty_relay;
mod foreign_wakers;
mod fork;
mod heap;
mod held_messages;
mod incoming;
mod keep_alive;
mod left_alone;
mod limits;
mod listener;
mod native;
mod overload;
mod peers;
mod plain;
mod pressure;
mod redial;
mod replay;
mod restart;
mod ring_failure;
#[path = "../runnable_copy/mod.rs"]
mod runnable_copy;
#[path = "../seccomp/mod.rs"]
mod seccomp;
mod server;
mod setting;
mod shared_ports;
mod signals;
#[path = "../skipped/mod.rs"]
mod skipped;
#[path = "../slowness/mod.rs"]
mod slowness;
mod statistics;
mod stopped;
mod streamed;
mod task_group;
mod teardown;
mod time_limits;
mod transport;
mod unix;
mod uring;
mod wakers;
