//! Dials until there is a connection, and again when that is lost, from any thread.

use std::time::Instant;

use super::error::RemoteError;
use super::remote_connection::RemoteConnection;
use super::ring_handle::RingHandle;
use crate::driver::sleep;
use crate::net::{
    Address, Backoff, Config, DialError, RedialState, RedialStep, Redialing, RetryOutlook,
    random_number,
};
use crate::protocol::identity::PublicKey;

type Error = RemoteError<DialError>;

/// Who is told what goes on.
type Watch = dyn FnMut(&RedialState<'_, Error>) + Send;

/// A [`Redialer`](crate::Redialer) for any thread and any executor: each attempt runs on the next ring
/// thread in turn. It waits there too, so that it needs no timer of the executor's.
///
/// [`RemoteError::ThreadEnded`] is an error that no other attempt can mend.
#[derive(Debug)]
pub struct RemoteRedialer {
    handle: RingHandle,
    address: Address,
    peer: PublicKey,
    config: Config,
    redialing: Redialing<Error, Watch>,
}

impl RemoteRedialer {
    /// Has `handle` dial `address`, where `peer` listens, with the default [`Backoff`]. Does nothing
    /// yet.
    pub fn new(
        handle: RingHandle,
        address: impl Into<Address>,
        peer: PublicKey,
        config: Config,
    ) -> Self {
        Self {
            handle,
            address: address.into(),
            peer,
            config,
            redialing: Redialing::new(outlook),
        }
    }

    /// Sets how long it waits between attempts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.redialing.set_backoff(backoff);
        self
    }

    /// Has `watch` told what goes on; see [`Redialer::watch`](crate::Redialer::watch).
    #[must_use]
    pub fn watch(
        mut self,
        watch: impl FnMut(&RedialState<'_, RemoteError<DialError>>) + Send + 'static,
    ) -> Self {
        self.redialing.set_watch(Box::new(watch));
        self
    }

    /// Gives up when `gives_up` says so; see
    /// [`Redialer::give_up_when`](crate::Redialer::give_up_when).
    #[must_use]
    pub fn give_up_when(
        mut self,
        gives_up: impl Fn(&RemoteError<DialError>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.redialing.give_up_when(gives_up);
        self
    }

    /// Dials until there is a connection; see [`Redialer::connect`](crate::Redialer::connect).
    ///
    /// # Errors
    ///
    /// As for [`Redialer::connect`](crate::Redialer::connect), and [`RemoteError::ThreadEnded`].
    ///
    /// # Cancellation
    ///
    /// As for [`Redialer::connect`](crate::Redialer::connect), but a connection that is made at the
    /// moment when the future is dropped may be dropped with it, so that the peer has accepted one
    /// that ends at once.
    pub async fn connect(&mut self) -> Result<RemoteConnection, RemoteError<DialError>> {
        loop {
            match self.redialing.next(Instant::now(), random_number) {
                RedialStep::Wait(pause) => {
                    let slept = self.handle.run(move || sleep(pause)).await;
                    slept.map_err(|_| RemoteError::ThreadEnded)?;
                }
                RedialStep::Dial => {
                    let dialed = self.handle.dial(&self.address, self.peer, &self.config);
                    match dialed.await {
                        Ok(connection) => {
                            let address = connection.peer_address();
                            self.redialing.connected(Instant::now(), address);
                            return Ok(connection);
                        }
                        Err(error) => {
                            self.redialing
                                .failed(Instant::now(), random_number, error)?;
                        }
                    }
                }
            }
        }
    }
}

fn outlook(error: &Error) -> RetryOutlook {
    match error {
        RemoteError::Call(error) => error.retry_outlook(),
        RemoteError::ThreadEnded => RetryOutlook::Hopeless,
    }
}
