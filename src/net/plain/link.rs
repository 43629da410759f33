//! A plain socket, what it has in flight, and what the next call is to find.
//!
//! ```text
//! reading:  idle --read--> lent --completed--> idle
//!                           |                   ^
//!                           +--given up--> taken back in the background
//! writing:  idle --message--> written, a part at a time --> idle
//! ```
//!
//! **Who waits for what**: the halves wait for the operations of their direction. A read that is
//! given up is cancelled and collected by the background task of the thread, which gives the buffer
//! back to its sending direction and keeps what the read has brought for the next one.
//!
//! **Guaranteed**: memory that the kernel has stays where it is until the kernel has let go of it;
//! no byte that was read is lost, and none is written twice; a peer that has not got the whole of a
//! message sees a reset instead of an end, where the transport has that.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::poll_fn;
use core::ops::Range;
use core::task::{Context, Poll, Waker, ready};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};

use super::error::PlainSocketError;
use crate::driver::{self, Completion, Endpoint, ProcessMark, ShutdownSide, Socket, WakerCell};
use crate::memory::{Lent, View};
use crate::net::connection::loan::{Borrower, Loan};
use crate::net::connection::outbox::Outbox;
use crate::net::connection::sender::Reservation;
use crate::net::establish::address::Address;
use crate::net::thread::shard::{Member, Shard};

/// A plain socket, as both of its halves share it.
pub(super) struct PlainLink {
    this: Weak<Self>,
    /// `None` once it is closed.
    socket: RefCell<Option<Rc<Socket>>>,
    shard: Rc<Shard>,
    process: ProcessMark,
    local: Address,
    peer: Address,
    /// The read in flight, unless it waits for readability alone.
    reading: RefCell<Option<Reading>>,
    /// Whether a read that was given up is still with the driver.
    is_taking_back: Cell<bool>,
    /// What reads that were given up have brought, for the next one.
    spare: RefCell<Vec<u8>>,
    /// What a read that was given up has failed with. The kernel says it only once.
    read_failure: Cell<Option<io::Error>>,
    /// What the driver does not have of the message that is written.
    unwritten: RefCell<Option<View>>,
    /// Whether nothing can be written any more, because something was written in part.
    is_write_broken: Cell<bool>,
    has_ended_writing: Cell<bool>,
    has_reader: Cell<bool>,
    has_writer: Cell<bool>,
    /// Who waits in each direction.
    reader: WakerCell,
    writer: WakerCell,
    key: usize,
}

/// A read into a lent buffer.
#[derive(Debug)]
struct Reading {
    loan: Loan,
    /// Where in the buffer.
    range: Range<usize>,
}

impl PlainLink {
    /// # Errors
    ///
    /// What the system says about the socket.
    pub(super) fn new(shard: &Rc<Shard>, descriptor: OwnedFd) -> io::Result<Rc<Self>> {
        let (local, peer) = driver::ends(descriptor.as_fd())?;
        let address = |end: Option<Endpoint>| end.map_or(Address::Unnamed, Address::from);
        let socket = Socket::new(descriptor, &shard.driver)?;
        Ok(Rc::new_cyclic(|this| Self {
            this: this.clone(),
            socket: RefCell::new(Some(Rc::new(socket))),
            key: shard.register(this.clone() as Weak<dyn Member>),
            shard: Rc::clone(shard),
            process: ProcessMark::current(),
            local: address(local),
            peer: address(peer),
            reading: RefCell::default(),
            is_taking_back: Cell::new(false),
            spare: RefCell::default(),
            read_failure: Cell::new(None),
            unwritten: RefCell::default(),
            is_write_broken: Cell::new(false),
            has_ended_writing: Cell::new(false),
            has_reader: Cell::new(true),
            has_writer: Cell::new(true),
            reader: WakerCell::default(),
            writer: WakerCell::default(),
        }))
    }

    pub(super) fn local(&self) -> &Address {
        &self.local
    }

    pub(super) fn peer(&self) -> &Address {
        &self.peer
    }

    fn socket(&self) -> Result<Rc<Socket>, PlainSocketError> {
        // In a forked child nothing that it waits for would come.
        if self.process.is_inherited() {
            return Err(self.closed());
        }
        self.socket.borrow().clone().ok_or_else(|| self.closed())
    }

    fn closed(&self) -> PlainSocketError {
        PlainSocketError::Closed {
            peer: self.peer.clone(),
        }
    }

    fn read_error(&self, source: io::Error) -> PlainSocketError {
        PlainSocketError::Read {
            peer: self.peer.clone(),
            source,
        }
    }

    fn write_error(&self, source: io::Error) -> PlainSocketError {
        PlainSocketError::Write {
            peer: self.peer.clone(),
            source,
        }
    }

    /// Whether the ring of this socket can take operations now.
    fn check_running(&self) -> io::Result<()> {
        if self.shard.is_running() {
            return Ok(());
        }
        self.shard.driver.check()?;
        Err(io::Error::new(
            io::ErrorKind::NotConnected,
            "the runtime of this socket is not running on this thread",
        ))
    }

    /// Waits until no read of an earlier call is in flight.
    pub(super) fn poll_idle(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), PlainSocketError>> {
        loop {
            let socket = self.socket()?;
            if self.is_taking_back.get() {
                self.reader.set(context.waker());
                return Poll::Pending;
            }
            let leaked = self.reading.take();
            if let Some(reading) = leaked {
                self.take_back(socket, reading);
            } else if socket.is_reading() {
                // A wait for readability: if it has failed, the read says so.
                ready!(self.poll_completion(&socket, context));
            } else {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_completion(&self, socket: &Socket, context: &mut Context<'_>) -> Poll<Completion> {
        let poll = socket.poll_read(context);
        self.reader.follow(&poll, context.waker());
        poll
    }

    /// Waits for what was started in the reading direction, as long as the socket is open.
    async fn completion(&self) -> Result<Completion, PlainSocketError> {
        poll_fn(|context| {
            let socket = self.socket()?;
            self.poll_completion(&socket, context).map(Ok)
        })
        .await
    }

    /// Waits until there is something to read, or the end.
    pub(super) async fn readable(&self) -> Result<(), PlainSocketError> {
        poll_fn(|context| self.poll_idle(context)).await?;
        if !self.spare.borrow().is_empty() {
            return Ok(());
        }
        if let Some(error) = self.read_failure.take() {
            // For the read that follows.
            self.read_failure.set(Some(error));
            return Ok(());
        }
        let socket = self.socket()?;
        self.check_running()
            .map_err(|error| self.read_error(error))?;
        socket.start_readable();
        drop(socket);
        let result = self.completion().await?.result;
        result.map(drop).map_err(|error| self.read_error(error))
    }

    /// Reads into `range` of `reservation`, which is not empty. There is no read in flight.
    pub(super) async fn read(
        &self,
        reservation: &mut Reservation<'_>,
        range: Range<usize>,
    ) -> Result<usize, PlainSocketError> {
        let count = self.take_spare(&mut reservation[range.clone()]);
        if count > 0 {
            return Ok(count);
        }
        if let Some(error) = self.read_failure.take() {
            return Err(self.read_error(error));
        }
        let (socket, this) = (self.socket()?, self.this.upgrade());
        let borrower = this.ok_or_else(|| self.closed())?;
        self.check_running()
            .map_err(|error| self.read_error(error))?;
        if !Rc::ptr_eq(reservation.shard(), &self.shard) {
            // The ring knows the slots of its own runtime alone.
            let text = "the reservation belongs to another runtime than the socket";
            let error = io::Error::new(io::ErrorKind::InvalidInput, text);
            return Err(self.read_error(error));
        }
        let (buffer, range, loan) = reservation.lend(range, borrower);
        self.reading.replace(Some(Reading {
            loan,
            range: range.clone(),
        }));
        socket.start_read(buffer, range);
        drop(socket);
        let Completion { result, memory } = self.completion().await?;
        let reading = self.reading.take().ok_or_else(|| self.closed())?;
        match memory.and_then(Lent::into_buffer) {
            Some(buffer) => reservation.redeem(reading.loan, buffer),
            None => lose(reading.loan, &result),
        }
        result.map_err(|error| self.read_error(error))
    }

    fn take_spare(&self, bytes: &mut [u8]) -> usize {
        let mut spare = self.spare.borrow_mut();
        let count = spare.len().min(bytes.len());
        bytes[..count].copy_from_slice(&spare[..count]);
        spare.drain(..count);
        count
    }

    /// Cancels a read that nobody waits for, in the background, and gives its buffer back.
    fn take_back(&self, socket: Rc<Socket>, reading: Reading) {
        let Some(this) = self.this.upgrade() else {
            return;
        };
        self.is_taking_back.set(true);
        self.shard.finish(async move {
            let completion = poll_fn(|context| socket.poll_take_read_back(context)).await;
            this.taken_back(reading, completion);
        });
    }

    fn taken_back(&self, reading: Reading, completion: Option<Completion>) {
        let Completion { result, memory } = completion.unwrap_or_else(Completion::cancelled);
        let is_cancellation = |error: &io::Error| {
            error.raw_os_error() == Some(rustix::io::Errno::CANCELED.raw_os_error())
                || error.kind() == io::ErrorKind::Interrupted
        };
        match memory.and_then(Lent::into_buffer) {
            Some(buffer) => {
                if let Ok(count) = &result {
                    let bytes = &buffer[reading.range];
                    let mut spare = self.spare.borrow_mut();
                    spare.extend_from_slice(&bytes[..*count]);
                }
                reading.loan.give_back(buffer);
            }
            None => lose(reading.loan, &result),
        }
        if let Err(error) = result
            && !is_cancellation(&error)
        {
            self.read_failure.set(Some(error));
        }
        self.is_taking_back.set(false);
        self.reader.wake();
    }

    /// Has `view` written, behind [`poll_written`](Self::poll_written).
    pub(super) fn write(&self, view: View) {
        debug_assert!(self.unwritten.borrow().is_none(), "one at a time");
        self.unwritten.replace(Some(view));
    }

    /// Waits until the kernel has taken all that was to be written.
    pub(super) fn poll_written(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), PlainSocketError>> {
        loop {
            let socket = self.socket()?;
            if self.is_write_broken.get() {
                return Poll::Ready(Err(self.closed()));
            }
            if socket.is_writing() {
                let poll = socket.poll_write(context);
                self.writer.follow(&poll, context.waker());
                self.wrote(ready!(poll)).map_err(|error| {
                    self.is_write_broken.set(true);
                    self.write_error(error)
                })?;
            } else {
                if self.unwritten.borrow().is_none() {
                    return Poll::Ready(Ok(()));
                }
                self.check_running()
                    .map_err(|error| self.write_error(error))?;
                if let Some(view) = self.unwritten.take() {
                    socket.start_write_view(view);
                }
            }
        }
    }

    /// Keeps what is left of a view of which a part was written.
    fn wrote(&self, completion: Completion) -> io::Result<()> {
        let (count, view) = completion.into_view_parts()?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let rest = count.min(view.len())..view.len();
        if !rest.is_empty() {
            self.unwritten.replace(Some(view.narrow(rest)));
        }
        Ok(())
    }

    /// Says the end of our writing, behind [`poll_written`](Self::poll_written).
    pub(super) fn poll_end_writing(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), PlainSocketError>> {
        let socket = self.socket()?;
        self.writer.set(context.waker());
        ready!(socket.poll_end_writing(context));
        self.has_ended_writing.set(true);
        Poll::Ready(Ok(()))
    }

    /// Nobody reads any more.
    pub(super) fn reader_left(&self) {
        if self.process.is_inherited() {
            return;
        }
        self.has_reader.set(false);
        if !self.has_writer.get() {
            return self.close();
        }
        let leaked = self.reading.take();
        if let (Some(reading), Ok(socket)) = (leaked, self.socket()) {
            self.take_back(socket, reading);
        }
    }

    /// Nobody writes any more.
    pub(super) fn writer_left(&self) {
        if self.process.is_inherited() {
            return;
        }
        self.has_writer.set(false);
        // What was written without anybody who waited may be known to be so by now.
        let written = self.poll_written(&mut Context::from_waker(Waker::noop()));
        if !self.has_reader.get() || !matches!(written, Poll::Ready(Ok(()))) {
            return self.close();
        }
        if !self.has_ended_writing.replace(true)
            && let Ok(socket) = self.socket()
        {
            socket.shutdown(ShutdownSide::Write);
        }
    }

    /// Closes the socket, in the background if anything is in flight. Whoever waits is told.
    fn close(&self) {
        let Some(socket) = self.socket.take() else {
            return;
        };
        let reading = self.reading.take();
        if let Some(reading) = reading {
            self.take_back(Rc::clone(&socket), reading);
        }
        let is_writing = socket.is_writing() || self.unwritten.borrow().is_some();
        if !is_writing {
            self.end(&socket, !self.is_write_broken.get());
        }
        if let Some(this) = self.this.upgrade()
            && (is_writing || self.is_taking_back.get() || socket.is_in_flight())
        {
            self.shard
                .finish(async move { this.finish_close(socket).await });
        }
        self.reader.wake();
        self.writer.wake();
    }

    /// Collects what a socket that is closed has in flight.
    async fn finish_close(&self, socket: Rc<Socket>) {
        poll_fn(|context| {
            if !self.is_taking_back.get() {
                return Poll::Ready(());
            }
            self.reader.set(context.waker());
            Poll::Pending
        })
        .await;
        if socket.is_writing() || self.unwritten.borrow().is_some() {
            let is_whole = self.settle_write(&socket).await;
            self.end(&socket, is_whole);
        }
        if socket.is_in_flight() {
            self.shard.collect(socket);
        }
    }

    /// Cancels the write in flight, unless it is done, and tells whether all was written.
    async fn settle_write(&self, socket: &Socket) -> bool {
        let at_once = poll_fn(|context| Poll::Ready(socket.poll_write(context))).await;
        let completion = match at_once {
            Poll::Ready(completion) => completion,
            Poll::Pending => {
                let cancellation = socket.cancel();
                let completion = poll_fn(|context| socket.poll_write(context)).await;
                if let Some(operation) = cancellation {
                    operation.await;
                }
                completion
            }
        };
        let result = self.wrote(completion);
        self.unwritten.take().is_none() && result.is_ok()
    }

    /// Has the peer see an end, or if it must not take what it has for all there is, a reset.
    fn end(&self, socket: &Socket, is_whole: bool) {
        if !is_whole {
            socket.reset_when_closed();
            if self.shard.driver.check().is_err() {
                // What a failed driver never gives back keeps it open for good.
                socket.shutdown(ShutdownSide::Both);
            }
        } else if !self.has_ended_writing.replace(true) {
            // What is in flight may keep the socket open for a while.
            socket.shutdown(ShutdownSide::Write);
        }
    }
}

/// Tells the connection of a buffer that the kernel keeps.
fn lose<T>(loan: Loan, result: &io::Result<T>) {
    match result {
        Err(error) => loan.lose(error),
        Ok(_) => loan.lose(&io::ErrorKind::InvalidData.into()),
    }
}

impl Borrower for PlainLink {
    fn give_up(self: Rc<Self>, lender: &Rc<Outbox>) {
        if self.process.is_inherited() {
            return;
        }
        let is_theirs = |reading: &mut Reading| reading.loan.is_from(lender);
        let reading = self.reading.borrow_mut().take_if(is_theirs);
        if let (Some(reading), Ok(socket)) = (reading, self.socket()) {
            self.take_back(socket, reading);
        }
    }
}

impl Member for PlainLink {
    fn end(self: Rc<Self>) {
        self.close();
    }

    fn cut(&self) {
        self.close();
    }

    fn is_retiring(&self) -> bool {
        false
    }

    fn is_served(&self) -> bool {
        false
    }
}

impl Drop for PlainLink {
    fn drop(&mut self) {
        if self.process.is_inherited() {
            // What is in there belongs to the parent.
            core::mem::forget(self.socket.take());
            return;
        }
        self.shard.forget(self.key);
        self.close();
    }
}

impl fmt::Debug for PlainLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PlainLink")
            .field("local", &self.local)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
