//! What `ringseal` and `ringseal-bench` share: the options that set up a ring, failures, signals,
//! standard input and output, log lines, figures and the run that they come from, charts, words;
//! and what fuzzing has to reach: keys as users have them, what the ends of a measurement tell each
//! other, and what clients of the metrics ask for. For these programs and the benches only; no promise covers it.

pub mod args;
pub mod chart;
pub mod descriptors;
pub mod envelope;
pub mod events;
pub mod failure;
pub mod figures;
mod git;
pub mod interrupts;
pub mod key_file;
pub mod log;
pub mod log_format;
pub mod machine;
pub mod patient;
pub mod peer_fields;
pub mod pictures;
pub mod public_key_argument;
pub mod request;
pub mod round_trips;
pub mod snapshot;
pub mod start;
pub mod stdio;
pub mod terms;
pub mod work_order;
