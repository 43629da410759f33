//! A plain socket before it is split into its directions.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::error::PlainConnectError;
use super::link::PlainLink;
use super::reader::PlainReader;
use super::writer::PlainWriter;
use crate::net::establish::address::Address;
use crate::net::establish::connect::connect;
use crate::net::thread::shard::Shard;

/// A connected TCP or Unix-domain stream socket on the ring of this thread's runtime, whose bytes
/// nobody seals: the plain side of a tunnel.
///
/// [`split`](Self::split) it: [`PlainReader::read_into`] reads into a
/// [`Reservation`](crate::Reservation) of a [`Sender`](crate::Sender), and
/// [`PlainWriter::write_message`] writes a [`Message`](crate::Message) of a
/// [`Receiver`](crate::Receiver). Neither copies anything, and neither has a time limit.
///
/// ```no_run
/// use ringseal::{Connection, PlainReader, PlainSocket, PlainWriter, Receiver, Sender};
///
/// /// Carries what the service says to the peer.
/// async fn carry_in(mut from: PlainReader, mut to: Sender) -> Result<(), Box<dyn std::error::Error>> {
///     loop {
///         // Holds no memory while the service is silent.
///         from.readable().await?;
///         let (mut reservation, count) = from.read_into(to.reserve(16_000).await?, ..).await?;
///         if count == 0 {
///             drop(reservation);
///             return Ok(to.close().await?);
///         }
///         reservation.truncate(count);
///         reservation.send()?;
///     }
/// }
///
/// /// Carries what the peer says to the service.
/// async fn carry_out(mut from: Receiver, mut to: PlainWriter) -> Result<(), Box<dyn std::error::Error>> {
///     while let Some(message) = from.recv().await? {
///         to.write_message(message).await?;
///     }
///     Ok(to.shutdown_write().await?)
/// }
///
/// async fn tunnel(connection: Connection) -> Result<(), Box<dyn std::error::Error>> {
///     let (reader, writer) = PlainSocket::connect("127.0.0.1:5432").await?.split();
///     let (sender, receiver) = connection.split();
///     futures_util::try_join!(carry_in(reader, sender), carry_out(receiver, writer))?;
///     Ok(())
/// }
/// ```
///
/// # The end
///
/// The socket is closed when both halves are dropped, or the runtime ends, as `close(2)` does it:
/// what the kernel has still goes out, unless there is something that was not read, which resets a
/// TCP connection. To be sure, [shut the writing down](PlainWriter::shutdown_write) and read to the
/// end. Where a message was written in part, a TCP peer sees a reset instead of an end.
#[derive(Debug)]
pub struct PlainSocket {
    reader: PlainReader,
    writer: PlainWriter,
}

impl PlainSocket {
    /// Connects to `address`. Where that stands for several, the next is tried a quarter of a second
    /// after the one before, or at once when that has failed; the first that connects is taken.
    ///
    /// Nothing limits how long that takes but the system; [`timeout`](crate::timeout) does.
    ///
    /// # Errors
    ///
    /// [`PlainConnectError`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the socket.
    pub async fn connect(address: impl Into<Address>) -> Result<Self, PlainConnectError> {
        let address = address.into();
        let shard = current()?;
        let candidates = address
            .resolve()
            .await
            .map_err(|source| PlainConnectError::Resolve {
                name: address.to_string(),
                source,
            })?;
        let (descriptor, _) = connect(&shard.driver, candidates).await.map_err(|source| {
            PlainConnectError::Connect {
                address: address.to_string(),
                source,
            }
        })?;
        Self::on(&shard, descriptor)
    }

    /// Takes a connected socket, such as a [`std::net::TcpStream`] or a
    /// [`std::os::unix::net::UnixStream`]. Whether it blocks is changed to what the driver needs, for
    /// duplicates of it as well; its other options stay as they are.
    ///
    /// # Errors
    ///
    /// [`PlainConnectError::OutsideRuntime`] and [`PlainConnectError::Unusable`].
    pub fn from_std(socket: impl Into<OwnedFd>) -> Result<Self, PlainConnectError> {
        Self::on(&current()?, socket.into())
    }

    fn on(shard: &Rc<Shard>, descriptor: OwnedFd) -> Result<Self, PlainConnectError> {
        let link = PlainLink::new(shard, descriptor)
            .map_err(|source| PlainConnectError::Unusable { source })?;
        Ok(Self {
            reader: PlainReader::new(Rc::clone(&link)),
            writer: PlainWriter::new(link),
        })
    }

    /// Returns the address of this end.
    pub fn local_address(&self) -> &Address {
        self.reader.local_address()
    }

    /// Returns the address of the other end.
    pub fn peer_address(&self) -> &Address {
        self.reader.peer_address()
    }

    /// Separates the directions. They live on in different tasks of this thread.
    pub fn split(self) -> (PlainReader, PlainWriter) {
        (self.reader, self.writer)
    }
}

fn current() -> Result<Rc<Shard>, PlainConnectError> {
    Shard::current()
        .filter(Shard::is_running)
        .ok_or(PlainConnectError::OutsideRuntime)
}
