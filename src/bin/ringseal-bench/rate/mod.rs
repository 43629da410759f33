//! `ringseal-bench rate`: latency at a rate that waits for nobody.
//!
//! * `arguments`: the command line; `ends`: the two threads; `pace`: who sends when;
//! * `latencies`: the times of one run and of several; `sweep`: which rates; `run`: which runs in
//!   which order;
//! * `report`: words, JSON, chart.

mod arguments;
mod ends;
mod latencies;
mod pace;
mod report;
mod run;
mod sweep;

pub(crate) use arguments::RateArgs;
pub(crate) use run::run;
