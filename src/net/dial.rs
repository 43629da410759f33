//! Connecting to a listener whose key is known.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::address::Address;
use super::admission::Admission;
use super::attempt;
use super::config::Config;
use super::connection::Connection;
use super::context::Context;
use super::error::{AttemptError, DialError};
use super::link::Link;
use crate::protocol::identity::PublicKey;
use crate::ring::{self, AsyncRead, AsyncWrite, Endpoint, RingState};

/// Connects to `address` and shakes hands with `peer`, within [`Config::handshake_deadline`].
///
/// The peer may still refuse: it gives no sign that the last message of the handshake was
/// accepted, so that shows at the first receive.
///
/// # Errors
///
/// [`DialError`]. A refusal by the peer's admission check is
/// [`AttemptError::UnexpectedEnd`]: the peer just closes.
///
/// # Cancellation
///
/// Dropping the future closes the socket.
pub async fn dial(
    address: impl Into<Address>,
    peer: PublicKey,
    config: &Config,
) -> Result<Connection, DialError> {
    let address = address.into();
    let attempt = async {
        let context = Context::current()
            .filter(Context::is_running)
            .ok_or(DialError::OutsideRuntime)?;
        let candidates = address
            .resolve()
            .await
            .map_err(|source| DialError::Resolve {
                name: address.to_string(),
                source,
            })?;
        let (descriptor, endpoint) =
            connect_any(&context.ring, &candidates)
                .await
                .map_err(|source| DialError::Connect {
                    address: address.to_string(),
                    source,
                })?;
        let link = Link::new(context, descriptor).map_err(AttemptError::Transport)?;
        Ok(attempt::dial(link, endpoint.into(), peer, config).await?)
    };
    ring::timeout(config.deadline(), attempt)
        .await
        .unwrap_or_else(|| Err(AttemptError::Deadline.into()))
}

/// Shakes hands with `peer` over a stream that is connected already, as [`dial`] does over a
/// socket: anything that reads and writes bytes in order, such as a TLS stream or a child's pipes.
///
/// Reads and writes go straight between the stream and the slots. What the stream's wakers need,
/// such as tokio's reactor, has to be there: [`Backend::Epoll`](crate::Backend::Epoll) and
/// [`Backend::TokioUring`](crate::Backend::TokioUring) have it. [`Sender::close`](crate::Sender::close) shuts the stream
/// down; where that says nothing to the peer, as with the pipes of tokio's children, the peer sees
/// the end when both halves are dropped.
///
/// # Errors
///
/// [`DialError::Attempt`] and [`DialError::OutsideRuntime`].
///
/// # Cancellation
///
/// Dropping the future drops the stream.
pub async fn dial_over(
    stream: impl AsyncRead + AsyncWrite + 'static,
    peer: PublicKey,
    config: &Config,
) -> Result<Connection, DialError> {
    let context = Context::current()
        .filter(Context::is_running)
        .ok_or(DialError::OutsideRuntime)?;
    let link = Link::over(context, stream);
    let attempt = attempt::dial(link, Address::Unnamed, peer, config);
    Ok(attempt::within(config.deadline(), attempt).await?)
}

/// Shakes hands with whoever dials over `stream`, as a [`Listener`](crate::Listener) does over a
/// socket. The stream is as for [`dial_over`].
///
/// # Errors
///
/// [`DialError::Attempt`] and [`DialError::OutsideRuntime`].
///
/// # Cancellation
///
/// Dropping the future drops the stream.
pub async fn accept_over(
    stream: impl AsyncRead + AsyncWrite + 'static,
    config: &Config,
    admission: &Admission,
) -> Result<Connection, DialError> {
    let context = Context::current()
        .filter(Context::is_running)
        .ok_or(DialError::OutsideRuntime)?;
    let link = Link::over(context, stream);
    let attempt = attempt::listen(link, Address::Unnamed, config, admission);
    Ok(attempt::within(config.deadline(), attempt).await?)
}

/// Connects to the first address that answers.
async fn connect_any(
    ring: &Rc<RingState>,
    candidates: &[Endpoint],
) -> io::Result<(OwnedFd, Endpoint)> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for candidate in candidates {
        match ring::connect(ring, candidate).await {
            Ok(descriptor) => return Ok((descriptor, candidate.clone())),
            Err(error) => last = error,
        }
    }
    Err(last)
}
