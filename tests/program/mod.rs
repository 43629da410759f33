//! The programs, run as a person or a script would run them.

mod bench;
mod cli;
mod doctor;
mod draining;
mod fallback;
mod harness;
mod keys;
mod peers;
#[path = "../seccomp/mod.rs"]
mod seccomp;
mod standard_error;
mod texts;
