//! An established connection.
//!
//! ```text
//! Sender --append--> outbox: Sending, records --writer task--> link --> socket
//! Receiver: Assembling, Receiving, records <------------------ link <-- socket
//! ```
//!
//! **Order of a turn**: a sender appends to the buffer that fills and wakes the writer task, which
//! runs when the tasks before it have run; it closes the open record, submits the buffer, and takes
//! back the one whose write has completed. A receiver opens what is here, and submits a read when
//! there is nothing left to open.
//!
//! **Who wakes whom**: the sender wakes the writer; the writer wakes the sender when a buffer is gone
//! or the direction has ended; completions of the link wake the writer and the receiver; whoever cuts
//! the link wakes both. `retirement` is woken by everything that moves.
//!
//! **Shutdown**: a half that is closed, dropped or has failed says so to the link's lifetime. When
//! both have, what was sent still goes out and arrives, in the background and within bounds
//! (`thread::retirement`); then the socket is closed, though somebody may still hold a message.
//!
//! **Guaranteed**: records leave whole and in order, or none behind; what was appended and does not
//! leave is never reported as flushed; a message that is given out is authentic and stays valid as
//! long as it is held; a dropped future loses nothing.

pub(crate) mod assembling;
pub(crate) mod batch;
pub(crate) mod control;
pub(crate) mod dump;
pub(crate) mod link;
pub(crate) mod loan;
#[cfg(any(test, feature = "internals"))]
pub(crate) mod machines;
pub(crate) mod message;
pub(crate) mod message_reader;
pub(crate) mod message_sink;
pub(crate) mod message_stream;
pub(crate) mod message_writer;
pub(crate) mod outbox;
pub(crate) mod receiver;
pub(crate) mod receiving;
pub(crate) mod records;
pub(crate) mod send_progress;
pub(crate) mod sender;
pub(crate) mod sending;

use core::fmt;
use std::rc::Rc;
use std::sync::Arc;

use tracing::Span;

use crate::driver;
use crate::net::error::{RecvError, SendError};
use crate::net::establish::address::Address;
use crate::net::establish::admission::Applicant;
use crate::net::establish::unix_socket::PeerCredentials;
use crate::protocol::Wire;
use crate::protocol::identity::PublicKey;
use crate::protocol::native::{ExportError, Exporter};
use control::ConnectionControl;
use dump::Dump;
use link::Link;
use message::Message;
use outbox::Outbox;
use receiver::Receiver;
use records::{IncomingRecords, OutgoingRecords};
use send_progress::SendProgress;
use sender::Sender;

/// Two authenticated peers and an encrypted stream of messages in each direction.
///
/// The directions are independent: [`split`](Self::split) them to drive each from a task of its
/// own. If both ends only write and never read, both come to a halt; that is backpressure.
///
/// # The end
///
/// When both halves are closed or dropped, what was sent still arrives: it goes out, the peer sees
/// the end right behind it, and what the peer sends meanwhile is thrown away until it ends as well.
/// That goes on in the background, within bounds, and then the socket is closed as it is: 5 seconds
/// for each submission buffer, of which there are two, to go out; after that 5 seconds, and 1 second
/// without anything, for the peer to end; and 8 MiB of what it sends. At most 1 024 connections of a
/// runtime end like this at a time, beyond that the oldest is closed. [`Statistics::lingering`] tells
/// how many there are. A user's stream ([`dial_over`](crate::dial_over)) is dropped as soon as all is
/// out and nothing more can be read at once.
///
/// [`Sender::close`] tells that the kernel has everything; dropping does not tell.
///
/// [`Statistics::lingering`]: crate::Statistics::lingering
pub struct Connection {
    /// In a box: a future has room for an argument more than once, so what is passed on is kept small.
    halves: Box<Halves>,
    about: Arc<About>,
}

struct Halves {
    sender: Sender,
    receiver: Receiver,
}

/// What is known of a connection beside its halves.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) peer: PublicKey,
    pub(crate) address: Address,
    pub(crate) wire: Wire,
    pub(crate) exporter: Option<Exporter>,
    /// What its events are told within.
    pub(crate) span: Span,
}

impl About {
    /// Returns the peer as an admission is asked about it.
    pub(crate) fn applicant(&self) -> Applicant {
        Applicant {
            key: self.peer,
            address: self.address.clone(),
            wire: self.wire,
        }
    }

    /// Does what [`Connection::channel_binding`] does.
    pub(crate) fn channel_binding(
        &self,
        label: &str,
        context: &[u8],
        output: &mut [u8],
    ) -> Result<(), ExportError> {
        let exporter = self.exporter.as_ref();
        let exporter = exporter.ok_or(ExportError::NoExporter)?;
        exporter.export(label, context, output)
    }
}

impl Connection {
    pub(crate) fn new(
        link: Rc<Link>,
        about: About,
        mut outgoing: OutgoingRecords,
        mut incoming: IncomingRecords,
        message_limit: usize,
    ) -> Self {
        link.establish();
        link.describe(about.span.clone());
        about
            .span
            .in_scope(|| tracing::debug!("a connection is established"));
        if dump::is_wanted() {
            let dump = Dump::begin(about.peer, &about.address, about.wire, &about.span);
            outgoing.number(dump.clone());
            incoming.number(dump);
        }
        let outbox = Rc::new(Outbox::new(Rc::clone(&link), outgoing));
        drop(driver::spawn(Rc::clone(&outbox).write()));
        let halves = Halves {
            sender: Sender::new(outbox),
            receiver: Receiver::new(incoming, link, message_limit),
        };
        Self {
            halves: Box::new(halves),
            about: Arc::new(about),
        }
    }

    /// Waits until the listener has accepted.
    pub(crate) async fn accepted(&mut self) -> Result<(), RecvError> {
        self.halves.receiver.accepted().await
    }

    /// Returns the wire that the peers speak.
    pub fn wire(&self) -> Wire {
        self.about.wire
    }

    /// Fills `output` with bytes that both ends of this connection share and nobody else knows, to
    /// bind something else to it, or as a key of its own. `label` says what they are for, in 1 to 255
    /// bytes of ASCII; `context` may be anything that both ends have.
    ///
    /// # Errors
    ///
    /// [`ExportError`], with `output` unchanged; [`ExportError::NoExporter`] on the commonware wire.
    pub fn channel_binding(
        &self,
        label: &str,
        context: &[u8],
        output: &mut [u8],
    ) -> Result<(), ExportError> {
        self.about.channel_binding(label, context, output)
    }

    /// Returns the identity that the peer has proved.
    pub fn peer(&self) -> PublicKey {
        self.about.peer
    }

    /// Returns the address of the peer.
    pub fn peer_address(&self) -> &Address {
        &self.about.address
    }

    /// Returns the span that the library tells of this connection within, with the start of the peer's
    /// key, its address, and the wire with its suite. Have the task that serves it run in there as
    /// well, and its events carry the same; see [logging](crate::guide::logging).
    pub fn span(&self) -> &Span {
        &self.about.span
    }

    /// Returns who the system says is at the other end of a Unix-domain socket, as of when the
    /// connection was made. `None` on other transports.
    pub fn peer_credentials(&self) -> Option<PeerCredentials> {
        if !matches!(self.about.address, Address::Unix(_) | Address::Unnamed) {
            return None;
        }
        let (process, user, group) = self.halves.receiver.link().socket()?.peer_credentials()?;
        Some(PeerCredentials {
            process,
            user,
            group,
        })
    }

    /// Returns what is known of it, for who outlives it.
    pub(crate) fn about(&self) -> &Arc<About> {
        &self.about
    }

    /// Returns what acts on the connection whoever holds it.
    pub(crate) fn control(&self) -> ConnectionControl {
        let link = Rc::downgrade(self.halves.receiver.link());
        ConnectionControl::new(link, self.about.wire.has_control_frames())
    }

    /// Separates the directions. They live on in different tasks of this thread.
    pub fn split(self) -> (Sender, Receiver) {
        (self.halves.sender, self.halves.receiver)
    }

    /// Separates the directions, and gives what else is known: for whom the halves leave behind.
    pub(crate) fn into_parts(self) -> (Sender, Receiver, Arc<About>) {
        let (sender, receiver) = (self.halves.sender, self.halves.receiver);
        (sender, receiver, self.about)
    }

    /// Sends a message; see [`Sender::send`].
    ///
    /// # Errors
    ///
    /// As for [`Sender::send`].
    #[inline]
    pub fn send<'a>(
        &'a mut self,
        message: &'a [u8],
    ) -> impl Future<Output = Result<(), SendError>> + use<'a> {
        self.halves.sender.send(message)
    }

    /// Waits until the kernel has all that was sent; see [`Sender::flush`].
    ///
    /// # Errors
    ///
    /// As for [`Sender::flush`].
    pub async fn flush(&mut self) -> Result<(), SendError> {
        self.halves.sender.flush().await
    }

    /// Returns how many messages were sent, and how many of them have left for sure; see
    /// [`Sender::progress`].
    pub fn progress(&self) -> SendProgress {
        self.halves.sender.progress()
    }

    /// Receives a message; see [`Receiver::recv`].
    ///
    /// # Errors
    ///
    /// As for [`Receiver::recv`].
    #[inline]
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>, RecvError>> + use<'_> {
        self.halves.receiver.recv()
    }

    /// Sends what is sealed, tells the peer that no more follows, and gives up receiving; see
    /// [`Sender::close`]. To read on until the peer has ended as well, [`split`](Self::split) and
    /// close the sender alone.
    ///
    /// # Errors
    ///
    /// As for [`Sender::close`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future is dropping the connection.
    pub async fn close(self) -> Result<(), SendError> {
        let (sender, receiver) = self.split();
        let result = sender.close().await;
        drop(receiver);
        result
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("peer", &self.about.peer)
            .field("address", &self.about.address)
            .finish_non_exhaustive()
    }
}
