//! Connecting to a listener whose key is known.

use core::cell::Cell;
use std::rc::Rc;

use super::address::Address;
use super::admission::Admission;
use super::attempt::{self, Listening};
use super::connect::connect;
use super::outcome::{count_attempt, count_dialed};
use super::progress::Progress;
use crate::driver::{AsyncRead, AsyncWrite};
use crate::net::config::Config;
use crate::net::connection::Connection;
use crate::net::connection::link::Link;
use crate::net::error::{AttemptError, DialError, Phase};
use crate::net::thread::shard::Shard;
use crate::net::thread::time_limits;
use crate::protocol::identity::PublicKey;

/// Connects to `address` and shakes hands with `peer`, within [`Config::handshake_deadline`],
/// which counts from the call.
///
/// Where the address stands for several, by family in turn, the next is tried a quarter of a
/// second after the one before, or at once when that has failed; the first that connects is taken.
///
/// On the commonware wire the peer may still refuse: it gives no sign that the last message of the
/// handshake was accepted, so that shows at the first receive. On the native wire this waits until
/// it has accepted, unless [`Config::await_accept`] says otherwise.
///
/// # Errors
///
/// [`DialError`]. A refusal by the peer's admission check is [`AttemptError::Refused`] on the native
/// wire, and [`AttemptError::UnexpectedEnd`] on the other one, where the peer just closes.
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
    let phase = Cell::new(Phase::Resolving);
    let attempt = in_phases(&address, peer, config, &phase);
    let outcome = time_limits::within(config.deadline(), attempt)
        .await
        .unwrap_or_else(|| Err(AttemptError::Deadline { phase: phase.get() }.into()));
    if let Some(shard) = Shard::current() {
        count_dialed(&shard, &outcome);
    }
    outcome
}

/// Dials, and keeps `phase` up to date.
async fn in_phases(
    address: &Address,
    peer: PublicKey,
    config: &Config,
    phase: &Cell<Phase>,
) -> Result<Connection, DialError> {
    let shard = Shard::current()
        .filter(Shard::is_running)
        .ok_or(DialError::OutsideRuntime)?;
    let candidates = address
        .resolve()
        .await
        .map_err(|source| DialError::Resolve {
            name: address.to_string(),
            source,
        })?;
    phase.set(Phase::Connecting);
    let (descriptor, endpoint) =
        connect(&shard.driver, candidates)
            .await
            .map_err(|source| DialError::Connect {
                address: address.to_string(),
                source,
            })?;
    phase.set(Phase::Handshake);
    let link = Link::new(shard, descriptor).map_err(AttemptError::Transport)?;
    Ok(attempt::dial(link, endpoint.into(), peer, config).await?)
}

/// Shakes hands with `peer` over a stream that is connected already, as [`dial`] does over a
/// socket: anything that reads and writes bytes in order, such as a TLS stream or a child's pipes.
///
/// Reads and writes go straight between the stream and the slots. What the stream's wakers need,
/// such as tokio's reactor, has to be there: [`Backend::Epoll`](crate::Backend::Epoll) and
/// [`Backend::TokioUring`](crate::Backend::TokioUring) have it. [`Sender::close`](crate::Sender::close) shuts the stream
/// down; where that says nothing to the peer, as with the pipes of tokio's children, the peer sees
/// the end when both halves are dropped and all is out.
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
    let shard = Shard::current()
        .filter(Shard::is_running)
        .ok_or(DialError::OutsideRuntime)?;
    let link = Link::over(Rc::clone(&shard), stream);
    let attempt = attempt::dial(link, Address::Unnamed, peer, config);
    let outcome = attempt::within(config.deadline(), attempt).await;
    let outcome = outcome.map_err(DialError::from);
    count_dialed(&shard, &outcome);
    outcome
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
    let shard = Shard::current()
        .filter(Shard::is_running)
        .ok_or(DialError::OutsideRuntime)?;
    let listening = Listening::new(config, &shard);
    let link = Link::over(Rc::clone(&shard), stream);
    let progress = Progress::default();
    let asking = attempt::Asking {
        address: Address::Unnamed,
        admission,
        place: None,
    };
    let attempt = attempt::listen(link, asking, &listening, &progress);
    let outcome = attempt::within(config.deadline(), attempt).await;
    count_attempt(&shard, outcome.as_ref());
    Ok(outcome?)
}
