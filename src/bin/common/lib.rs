//! What `ringseal` and `ringseal-bench` share: the options that set up a ring, failures, signals,
//! standard input and output, log lines, figures, words. For these two programs only; no promise covers it.

pub mod args;
pub mod events;
pub mod failure;
pub mod interrupts;
pub mod log;
pub mod log_format;
pub mod report;
pub mod start;
pub mod stdio;
pub mod terms;
