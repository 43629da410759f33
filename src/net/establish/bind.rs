//! Binding all addresses of a listener, or none.

use core::future::Future;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use super::address::Address;
use crate::driver::{self, BindOptions, Endpoint, ListeningSocket};
use crate::net::error::BindError;

/// How often another port is tried when one that the system chose for the first address is taken
/// on another.
const PORT_TRIES: u32 = 32;

/// Sockets that listen together, and where.
pub(crate) type Bound = Vec<(ListeningSocket, Address)>;

/// Takes a socket that somebody else has made listen.
///
/// # Errors
///
/// [`BindError::Unsuitable`]; [`BindError::Bind`] for a socket without a name.
pub(crate) fn adopt(descriptor: OwnedFd) -> Result<(ListeningSocket, Address), BindError> {
    let socket =
        ListeningSocket::adopt(descriptor).map_err(|reason| BindError::Unsuitable { reason })?;
    let endpoint = socket.local_endpoint();
    let endpoint = endpoint.map_err(|source| failure(&Address::Unnamed, None, source))?;
    Ok((socket, endpoint.into()))
}

/// Resolves `address` within `limit`, which [`Config::handshake_deadline`] sets, and binds all that it
/// stands for.
///
/// # Errors
///
/// [`BindError`]; then nothing stays bound.
///
/// [`Config::handshake_deadline`]: crate::Config::handshake_deadline
pub(crate) async fn bind_within(
    limit: Duration,
    address: &Address,
    options: &BindOptions,
) -> Result<Bound, BindError> {
    let endpoints = async {
        let resolved = driver::timeout(limit, address.resolve()).await;
        resolved.unwrap_or_else(|| {
            let text = "no answer within Config::handshake_deadline";
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    };
    bind_resolved(address, endpoints, options).await
}

/// Binds all that `address` stands for, as `endpoints` say.
///
/// # Errors
///
/// [`BindError`]; then nothing stays bound.
pub(crate) async fn bind_resolved(
    address: &Address,
    endpoints: impl Future<Output = io::Result<Vec<Endpoint>>>,
    options: &BindOptions,
) -> Result<Bound, BindError> {
    let endpoints = endpoints.await.map_err(|source| BindError::Resolve {
        name: address.to_string(),
        source,
    })?;
    bind_all(address, &endpoints, options)
}

/// Binds and listens on all that `address` stands for, which are `endpoints`. Where several leave
/// the port to the system, they get the same.
///
/// # Errors
///
/// [`BindError::Bind`] of the first that fails. Then nothing stays bound.
fn bind_all(
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
        match try_all(endpoints, options) {
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

fn try_all(endpoints: &[Endpoint], options: &BindOptions) -> Result<Bound, Failed> {
    // A socket of both families would take the port of the others.
    let only_ipv6 = endpoints.len() > 1;
    let mut port = None;
    let mut bound = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let (endpoint, chosen) = with_port(endpoint, port);
        let result = ListeningSocket::bind(&endpoint, options, only_ipv6)
            .and_then(|socket| Ok((socket.local_endpoint()?, socket)));
        match result {
            Ok((local, socket)) => {
                if let (Endpoint::Internet(asked), Endpoint::Internet(given)) = (&endpoint, &local)
                    && asked.port() == 0
                {
                    port = Some(given.port());
                }
                bound.push((socket, local.into()));
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
