//! Binding all addresses of a listener, or none.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use super::address::Address;
use crate::driver::{Acceptor, BindOptions, DriverState, Endpoint};
use crate::net::error::BindError;

/// How often another port is tried when one that the system chose for the first address is taken
/// on another.
const PORT_TRIES: u32 = 32;

/// Sockets that listen together, and where.
pub(crate) type Bound = Vec<(Acceptor, Address)>;

/// Binds and listens on all that `address` stands for, which are `endpoints`. Where several leave
/// the port to the system, they get the same.
///
/// # Errors
///
/// [`BindError::Bind`] of the first that fails. Then nothing stays bound.
pub(crate) fn bind_all(
    ring: &Rc<DriverState>,
    address: &Address,
    endpoints: &[Endpoint],
    options: &BindOptions,
) -> Result<Bound, BindError> {
    if endpoints.is_empty() {
        let none = io::Error::new(io::ErrorKind::NotFound, "it stands for no address");
        return Err(failure(address, None, none));
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match try_all(ring, endpoints, options) {
            Ok(bound) => return Ok(bound),
            Err(Failed {
                chosen: true,
                error,
                ..
            }) if error.kind() == io::ErrorKind::AddrInUse && tries < PORT_TRIES => {}
            Err(failed) => return Err(failure(address, Some(failed.endpoint), failed.error)),
        }
    }
}

/// An endpoint that could not be bound.
struct Failed {
    endpoint: Endpoint,
    error: io::Error,
    /// Whether its port is what the system had chosen for one before.
    chosen: bool,
}

fn try_all(
    ring: &Rc<DriverState>,
    endpoints: &[Endpoint],
    options: &BindOptions,
) -> Result<Bound, Failed> {
    // A socket of both families would take the port of the others.
    let only_ipv6 = endpoints.len() > 1;
    let mut port = None;
    let mut bound = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let (endpoint, chosen) = with_port(endpoint, port);
        let result = Acceptor::bind(ring, &endpoint, options, only_ipv6)
            .and_then(|acceptor| Ok((acceptor.local_endpoint()?, acceptor)));
        match result {
            Ok((local, acceptor)) => {
                if let (Endpoint::Internet(asked), Endpoint::Internet(given)) = (&endpoint, &local)
                    && asked.port() == 0
                {
                    port = Some(given.port());
                }
                bound.push((acceptor, local.into()));
            }
            Err(error) => {
                return Err(Failed {
                    endpoint,
                    error,
                    chosen,
                });
            }
        }
    }
    Ok(bound)
}

/// Gives an endpoint that leaves its port to the system the port that the system has chosen
/// before; returns whether it did.
fn with_port(endpoint: &Endpoint, port: Option<u16>) -> (Endpoint, bool) {
    match (endpoint, port) {
        (Endpoint::Internet(address), Some(port)) if address.port() == 0 => {
            let mut address: SocketAddr = *address;
            address.set_port(port);
            (Endpoint::Internet(address), true)
        }
        _ => (endpoint.clone(), false),
    }
}

/// Says which of several addresses it was.
fn failure(address: &Address, endpoint: Option<Endpoint>, source: io::Error) -> BindError {
    let asked = address.to_string();
    let address = match endpoint.map(|endpoint| endpoint.to_string()) {
        Some(failed) if failed != asked => format!("{asked} ({failed})"),
        _ => asked,
    };
    BindError::Bind { address, source }
}
