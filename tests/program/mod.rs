//! The programs, run as a person or a script would run them.

mod activation;
mod bench;
#[path = "../black_hole/mod.rs"]
mod black_hole;
mod cli;
mod doctor;
mod draining;
mod fallback;
mod file_limits;
mod giving_up;
mod harness;
mod incomplete;
mod keys;
mod names;
mod native;
mod nonblocking;
mod peers;
mod reloading;
#[path = "../resolver/mod.rs"]
mod resolver;
#[path = "../runnable_copy/mod.rs"]
mod runnable_copy;
mod scraping;
#[path = "../seccomp/mod.rs"]
mod seccomp;
mod server;
#[path = "../skipped/mod.rs"]
mod skipped;
mod standard_error;
mod texts;
