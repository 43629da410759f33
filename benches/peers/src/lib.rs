//! The real peers that ringseal is tested and measured against.

mod coalesced;
pub mod commonware;
mod commonware_peer;
#[cfg(feature = "compio")]
mod compio_tls;
pub mod contender;
mod framed;
#[cfg(feature = "tonic")]
mod grpc;
mod noise;
mod pipeline;
mod plain_tcp;
#[cfg(feature = "quinn")]
mod quic;
pub mod ringseal_peer;
pub mod tls;
mod tokio_peer;
pub mod work;
