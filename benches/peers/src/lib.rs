//! The real peers that ringseal is tested and measured against.

pub mod commonware;
mod commonware_peer;
pub mod contender;
mod framed;
mod noise;
mod pipeline;
mod plain_tcp;
pub mod ringseal_peer;
pub mod tls;
mod tokio_peer;
pub mod work;
