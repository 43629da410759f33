//! What a finished handshake leaves, and how a connection is made of it.

use core::time::Duration;
use std::rc::Rc;

use crate::net::config::Config;
use crate::net::connection::link::Link;
use crate::net::connection::records::{IncomingRecords, OutgoingRecords};
use crate::net::connection::{About, Connection};
use crate::net::error::AttemptError;
use crate::net::establish::address::Address;
use crate::net::thread::time_limits;
use crate::protocol::Wire;
use crate::protocol::identity::PublicKey;
use crate::protocol::native::Exporter;

/// The other end.
pub(super) struct Who {
    pub(super) address: Address,
    pub(super) peer: PublicKey,
}

/// What a finished handshake leaves.
pub(super) struct Established {
    pub(super) wire: Wire,
    pub(super) outgoing: OutgoingRecords,
    pub(super) incoming: IncomingRecords,
    pub(super) exporter: Option<Exporter>,
    /// Within which time the peer is to hear of this end.
    pub(super) alive_within: Option<Duration>,
}

pub(super) fn establish(
    link: Rc<Link>,
    who: Who,
    config: &Config,
    established: Established,
) -> Result<Connection, AttemptError> {
    look_after(&link, config, established.alive_within)?;
    Ok(connect(link, who, config, established))
}

/// Has the limits kept that a connection has once it is there.
pub(super) fn look_after(
    link: &Rc<Link>,
    config: &Config,
    alive_within: Option<Duration>,
) -> Result<(), AttemptError> {
    link.tracker.tell_alive(alive_within);
    time_limits::watch(&link.shard.watched, link, config.time_limits());
    if let Some(settings) = config.host_probes() {
        link.keep_alive(settings).map_err(AttemptError::Transport)?;
    }
    Ok(())
}

pub(super) fn connect(
    link: Rc<Link>,
    who: Who,
    config: &Config,
    established: Established,
) -> Connection {
    let span = tracing::info_span!(
        target: "ringseal::connection",
        parent: None,
        "connection",
        peer = %who.peer.short(),
        address = %who.address,
        wire = %established.wire,
    );
    let about = About {
        span,
        peer: who.peer,
        address: who.address,
        wire: established.wire,
        exporter: established.exporter,
    };
    let (outgoing, incoming) = (established.outgoing, established.incoming);
    let message_limit = usize::try_from(config.message_limit()).unwrap_or(usize::MAX);
    Connection::new(link, about, outgoing, incoming, message_limit)
}
