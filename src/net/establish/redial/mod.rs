//! Dialing again what was lost, and what could not be had.
//!
//! * `backoff`: how long to wait between two attempts. Knows no clock and no source of randomness.
//! * `outlook`: which errors another attempt may mend.
//! * `redialing`: what is done next, and who is told of it. Knows no socket and no task.
//! * `redialer`: does it in the runtime of this thread.

pub(crate) mod backoff;
mod outlook;
pub(crate) mod redialer;
pub(crate) mod redialing;

pub use outlook::RetryOutlook;
