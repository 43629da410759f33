//! One attempt to establish a connection: drives the handshake over a socket, under a deadline.
//!
//! Each wire has a file for its handshake; what they share is in files of its own.

mod client;
mod commonware;
mod established;
mod handshake_io;
mod native;
mod other_protocol;

use core::future::{Future, pending};
use core::pin::pin;
use core::time::Duration;
use std::rc::Rc;

use futures_util::future::{Either, select};

use super::address::Address;
use super::progress::{Progress, Stage};
use crate::net::config::Config;
use crate::net::connection::Connection;
use crate::net::connection::link::Link;
use crate::net::error::{AttemptError, Phase};
use crate::net::thread::time_limits;
use crate::protocol::Wire;
use crate::protocol::identity::PublicKey;
use crate::protocol::native::handshake::can_begin_with;
use client::Client;
use established::Who;
use handshake_io::Reader;

pub(crate) use client::{Asking, Listening};

/// Gives the handshake `attempt` until the deadline.
pub(crate) async fn within<T>(
    deadline: Duration,
    attempt: impl Future<Output = Result<T, AttemptError>>,
) -> Result<T, AttemptError> {
    time_limits::within(deadline, attempt)
        .await
        .unwrap_or(Err(AttemptError::Deadline {
            phase: Phase::Handshake,
        }))
}

/// Gives the handshake of a client the time that `config` says: in all, and for its first message.
pub(crate) async fn in_time<T>(
    config: &Config,
    progress: &Progress,
    attempt: impl Future<Output = Result<T, AttemptError>>,
) -> Result<T, AttemptError> {
    let attempt = pin!(within(config.deadline(), attempt));
    let silence = pin!(async {
        time_limits::within(config.first_message(), pending::<()>()).await;
        if progress.stage() >= Stage::Claimed {
            pending::<()>().await;
        }
    });
    match select(attempt, silence).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(AttemptError::NoFirstMessage),
    }
}

/// Dials: proves our identity to `peer` and has it prove its own.
pub(crate) async fn dial(
    link: Rc<Link>,
    address: Address,
    peer: PublicKey,
    config: &Config,
) -> Result<Connection, AttemptError> {
    let who = Who { address, peer };
    match config.first_wire() {
        Wire::Commonware { sake, cups } => commonware::dial(link, who, config, (sake, cups)).await,
        Wire::Native { suite } => native::dial(link, who, config, suite).await,
    }
}

/// Listens: has the dialer prove an identity that is admitted, and notes in `progress` how far that
/// is.
pub(crate) async fn listen(
    link: Rc<Link>,
    asking: Asking<'_>,
    listening: &Listening,
    progress: &Progress,
) -> Result<Connection, AttemptError> {
    let mut client = Client {
        reader: Reader::new(&link)?,
        link,
        asking,
        listening,
        progress,
    };
    let (_, versions) = listening.config.kinds();
    match (&listening.native, versions) {
        (None, Some(versions)) => commonware::listen(client, versions, 0).await,
        (Some(setup), None) => native::listen(client, setup, 0).await,
        (Some(setup), Some(versions)) => {
            // Both can't be waited for with one length, so the byte that tells comes alone.
            let first = client.read(1).await?[0];
            if can_begin_with(first) {
                return native::listen(client, setup, 1).await;
            }
            commonware::listen(client, versions, 1).await
        }
        (None, None) => unreachable!("Config refuses to take no wire"),
    }
}
