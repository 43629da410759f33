//! The server that is flooded.

use std::net::SocketAddr;

use futures::executor::block_on;
use ringseal::{
    Admission, Config, Identity, PublicKey, Runtime, Server, ServerBuilder, ServerError,
    ServerLimits, ServerStatistics, Wire,
};

/// The identity that is admitted.
pub(crate) const ADMITTED: u8 = 1;
/// One that is not.
pub(crate) const STRANGER: u8 = 9;
const SERVER: u8 = 2;

/// Returns the settings of the identity with this seed.
pub(crate) fn config(seed: u8, wire: Wire) -> Config {
    Config::new(Identity::from_seed(&[seed; 32]), "ringseal bench").wire(wire)
}

pub(crate) fn key() -> PublicKey {
    Identity::from_seed(&[SERVER; 32]).public_key()
}

/// Which threads a server has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Threads {
    /// So many, on any cores.
    Count(usize),
    /// One, on this core.
    OnCore(usize),
}

/// Starts a server that takes in what the admitted identity sends.
pub(crate) fn start(
    wire: Wire,
    limits: ServerLimits,
    threads: Threads,
) -> Result<Server, ServerError> {
    let admitted = Identity::from_seed(&[ADMITTED; 32]).public_key();
    let builder = ServerBuilder::new(config(SERVER, wire), Admission::allow_list([admitted]))
        .bind("127.0.0.1:0")
        .runtime(Runtime::builder())
        .limits(limits);
    let builder = match threads {
        Threads::Count(count) => builder.threads(count),
        Threads::OnCore(core) => builder.pin([core]),
    };
    builder.start(|mut connection, _session| async move {
        while let Ok(Some(message)) = connection.recv().await {
            std::hint::black_box(&*message);
        }
    })
}

pub(crate) fn address(server: &Server) -> SocketAddr {
    let address = server.local_address();
    address.socket_address().expect("it is on TCP")
}

pub(crate) fn statistics(server: &Server) -> ServerStatistics {
    block_on(server.handle().statistics())
}

/// How many clients have failed to become a connection, whichever way.
pub(crate) fn turned_away(statistics: &ServerStatistics) -> u64 {
    let handshakes = statistics.handshakes;
    let ended = [
        handshakes.not_admitted,
        handshakes.timed_out,
        handshakes.overloaded,
        handshakes.made_way,
        handshakes.no_room,
        handshakes.unused,
        handshakes.closed,
        handshakes.invalid,
        statistics.refusals.handshakes_per_second,
    ];
    ended.into_iter().sum()
}
