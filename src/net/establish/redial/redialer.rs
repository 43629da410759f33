//! Dials until there is a connection, and again when that is lost.

use super::backoff::Backoff;
use super::redialing::{RedialState, RedialStep, Redialing, random_number};
use crate::driver;
use crate::net::config::Config;
use crate::net::connection::Connection;
use crate::net::error::DialError;
use crate::net::establish::address::Address;
use crate::net::establish::dial::dial;
use crate::net::thread::shard::Shard;
use crate::protocol::identity::PublicKey;

/// Who is told what goes on.
type Watch = dyn FnMut(&RedialState<'_>);

/// Gives connections to one listener, one after the other: dials as often as it takes, and again
/// when the last connection was lost.
///
/// * Each attempt resolves the name anew, and has [`Config::handshake_deadline`].
/// * Between attempts, and between a lost connection and the next attempt, there is a pause
///   ([`Backoff`]). It grows with each failure, and is the first again only after a connection that has
///   lasted as long as the longest pause: a listener that accepts and then cuts is not dialed in a
///   busy loop.
/// * It ends with an error that another attempt can't mend: [`RetryOutlook::Hopeless`]. At
///   [`RetryOutlook::Doubtful`] ones, such as a peer with another key, it goes on, since whoever is on
///   the way, or at the address for a while, can cause those. [`give_up_when`](Self::give_up_when)
///   changes that.
/// * It sends nothing by itself, and replays nothing. [`Sender::progress`](crate::Sender::progress) of
///   the connection that was lost says how many messages were sent, and how many of those have left
///   this host: what is to be said again is up to the caller, and so is it to make messages such that
///   one that arrives twice does no harm.
///
/// For any thread and executor there is [`RemoteRedialer`](crate::RemoteRedialer).
///
/// ```
/// use ringseal::{Config, Connection, PublicKey, RedialState, Redialer, SendError};
///
/// # async fn send_all(connection: &mut Connection, rest: &[String]) -> Result<(), SendError> {
/// #     for message in rest { connection.send(message.as_bytes()).await?; }
/// #     connection.flush().await
/// # }
/// /// Sends all messages, some of them perhaps twice.
/// async fn deliver(
///     peer: PublicKey,
///     config: Config,
///     mut rest: &[String],
/// ) -> Result<(), ringseal::DialError> {
///     let mut redialer = Redialer::new("collector.internal:7000", peer, config).watch(|state| {
///         if let RedialState::Waiting { pause, why } = state {
///             eprintln!("dialing again in {pause:?}: {why:?}");
///         }
///     });
///     loop {
///         let mut connection = redialer.connect().await?;
///         if send_all(&mut connection, rest).await.is_ok() {
///             return Ok(());
///         }
///         let flushed = connection.progress().flushed;
///         rest = &rest[usize::try_from(flushed).expect("as many as there were")..];
///     }
/// }
/// ```
///
/// [`RetryOutlook::Hopeless`]: crate::RetryOutlook::Hopeless
/// [`RetryOutlook::Doubtful`]: crate::RetryOutlook::Doubtful
#[derive(Debug)]
pub struct Redialer {
    address: Address,
    peer: PublicKey,
    config: Config,
    redialing: Redialing<DialError, Watch>,
}

impl Redialer {
    /// Dials `address`, where `peer` listens, with the default [`Backoff`]. Does nothing yet.
    pub fn new(address: impl Into<Address>, peer: PublicKey, config: Config) -> Self {
        Self {
            address: address.into(),
            peer,
            config,
            redialing: Redialing::new(DialError::retry_outlook),
        }
    }

    /// Sets how long it waits between attempts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.redialing.set_backoff(backoff);
        self
    }

    /// Has `watch` told whenever an attempt or a pause begins, or there is a connection, or no hope.
    /// It is called inside of [`connect`](Self::connect), and should return soon.
    #[must_use]
    pub fn watch(mut self, watch: impl FnMut(&RedialState<'_>) + 'static) -> Self {
        self.redialing.set_watch(Box::new(watch));
        self
    }

    /// Gives up when `gives_up` says so, instead of at [`RetryOutlook::Hopeless`] errors.
    ///
    /// [`RetryOutlook::Hopeless`]: crate::RetryOutlook::Hopeless
    #[must_use]
    pub fn give_up_when(
        mut self,
        gives_up: impl Fn(&DialError) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.redialing.give_up_when(gives_up);
        self
    }

    /// Dials until there is a connection. Called again, it takes the last connection for lost.
    ///
    /// # Errors
    ///
    /// [`DialError`], of the attempt at which it has given up. Called again, it begins anew.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the attempt, or the pause, that it is at. The next call goes on
    /// there: with the rest of the pause, or with another attempt. No connection is lost: the one that
    /// is there is given at once.
    pub async fn connect(&mut self) -> Result<Connection, DialError> {
        loop {
            match self.redialing.next(driver::now(), random_number) {
                RedialStep::Wait(_) if Shard::current().is_none() => {
                    return Err(DialError::OutsideRuntime);
                }
                RedialStep::Wait(pause) => driver::sleep(pause).await,
                RedialStep::Dial => match dial(&self.address, self.peer, &self.config).await {
                    Ok(connection) => {
                        let address = connection.peer_address();
                        self.redialing.connected(driver::now(), address);
                        return Ok(connection);
                    }
                    Err(error) => self.redialing.failed(driver::now(), random_number, error)?,
                },
            }
        }
    }
}
