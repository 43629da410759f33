//! The real peers that ringseal is tested and measured against.

pub mod commonware;
pub mod contender;
mod ringseal_peer;
