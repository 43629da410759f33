//! The real peers that ringseal is tested and measured against.

pub mod commonware;
