//! A thread: its runtime, and what all of its connections share.

pub(crate) mod counters;
pub(crate) mod lifetime;
pub(crate) mod retirement;
pub(crate) mod runtime;
pub(crate) mod shard;
pub(crate) mod statistics;
pub(crate) mod task_group;
pub(crate) mod time_limits;
