//! A stream without a ring: what is in flight keeps its memory and moves it when it is polled.

use core::cell::{Cell, RefCell};
use core::ops::Range;
use core::task::{Context, Poll, Waker, ready};
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use super::byte_stream::ByteStream;
use super::direction::{Access, Direction};
use super::retries::Retries;
use super::shutdown::ShutdownSide;
use super::waker_cell::WakerCell;
use super::{Completion, DriverError, DriverState};
use crate::memory::{Buffer, Lent};

/// Bytes that a wait for readability may take from a stream that can't wait without.
const CARRIED: usize = 64;

/// A stream and its transfers.
///
/// The stream may be a user's, and may have its own connection: nothing is borrowed while it is at
/// work.
pub(super) struct StreamSocket {
    state: Rc<DriverState>,
    /// Taken out while it is at work.
    stream: Cell<Option<ByteStream>>,
    /// What was to be ended while it was.
    due: Cell<Option<ShutdownSide>>,
    reading: Side,
    writing: Side,
    /// What a wait for readability took, for the next read.
    carried: RefCell<Vec<u8>>,
    read_ended: Cell<bool>,
    write_ended: Cell<bool>,
}

/// A direction of a stream.
#[derive(Debug, Default)]
struct Side {
    transfer: Direction<Transfer>,
    /// Who waits for it.
    waker: WakerCell,
    retries: Retries,
}

/// A read, write or wait that somebody wants the completion of.
#[derive(Debug)]
struct Transfer {
    state: Rc<DriverState>,
    work: Work,
    /// What a look at it has brought.
    completion: Option<Completion>,
}

#[derive(Debug)]
enum Work {
    Read(Option<Buffer>, Range<usize>),
    Readable,
    /// The number counts what is written.
    Write(Option<Lent>, Range<usize>, usize),
}

impl Work {
    fn take_memory(&mut self) -> Option<Lent> {
        match self {
            Self::Read(buffer, _) => buffer.take().map(Lent::Buffer),
            Self::Write(memory, _, _) => memory.take(),
            Self::Readable => None,
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.state.status().end();
    }
}

/// Has whoever polls come back: something further up this stack is at work on the same.
fn busy<T>(context: &Context<'_>) -> Poll<T> {
    context.waker().wake_by_ref();
    Poll::Pending
}

impl StreamSocket {
    pub(super) fn new(stream: ByteStream, state: Rc<DriverState>) -> Self {
        Self {
            state,
            stream: Cell::new(Some(stream)),
            due: Cell::new(None),
            reading: Side::default(),
            writing: Side::default(),
            carried: RefCell::default(),
            read_ended: Cell::new(false),
            write_ended: Cell::new(false),
        }
    }

    /// Whether anything of it is under way.
    pub(super) fn is_in_flight(&self) -> bool {
        self.is_reading() || self.is_writing()
    }

    pub(super) fn is_reading(&self) -> bool {
        self.reading.transfer.is_active()
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.transfer.is_active()
    }

    pub(super) fn is_read_pending(&self) -> bool {
        self.is_pending(&self.reading)
    }

    pub(super) fn is_write_pending(&self) -> bool {
        self.is_pending(&self.writing)
    }

    /// Looks whether the stream has become ready meanwhile, on behalf of whoever waits.
    fn is_pending(&self, side: &Side) -> bool {
        let mut taken = match side.transfer.take() {
            Access::Idle => return false,
            Access::Busy => return true,
            Access::Operation(taken) => taken,
        };
        if taken.operation().completion.is_some() {
            return false;
        }
        let waker = side.waker.get();
        let mut context = Context::from_waker(waker.as_ref().unwrap_or(Waker::noop()));
        let poll = self.poll_transfer(side, taken.operation(), &mut context);
        let Poll::Ready(completion) = poll else {
            return true;
        };
        taken.operation().completion = Some(completion);
        drop(taken);
        if let Some(waker) = waker {
            waker.wake();
        }
        false
    }

    pub(super) fn start_read(&self, buffer: Buffer, range: Range<usize>) {
        self.start(&self.reading, Work::Read(Some(buffer), range));
    }

    pub(super) fn start_readable(&self) {
        self.start(&self.reading, Work::Readable);
    }

    pub(super) fn start_write(&self, memory: Lent, range: Range<usize>) {
        self.start(&self.writing, Work::Write(Some(memory), range, 0));
    }

    fn start(&self, side: &Side, work: Work) {
        self.state.status().begin();
        side.transfer.start(Transfer {
            state: Rc::clone(&self.state),
            work,
            completion: None,
        });
    }

    pub(super) fn poll_read(&self, context: &mut Context<'_>) -> Poll<Completion> {
        self.poll(&self.reading, context)
    }

    pub(super) fn poll_write(&self, context: &mut Context<'_>) -> Poll<Completion> {
        self.poll(&self.writing, context)
    }

    fn poll(&self, side: &Side, context: &mut Context<'_>) -> Poll<Completion> {
        let mut taken = match side.transfer.take() {
            Access::Idle => return Poll::Ready(Completion::cancelled()),
            Access::Busy => return busy(context),
            Access::Operation(taken) => taken,
        };
        let poll = match taken.operation().completion.take() {
            Some(completion) => Poll::Ready(completion),
            None => self.poll_transfer(side, taken.operation(), context),
        };
        if let Poll::Ready(completion) = poll {
            drop(taken.finish());
            side.waker.clear();
            return Poll::Ready(completion);
        }
        drop(taken);
        if !side.transfer.is_active() {
            // It was given up while the stream was at work.
            return Poll::Ready(Completion::cancelled());
        }
        side.waker.set(context.waker());
        Poll::Pending
    }

    /// Works on, and again when the stream says so by an error.
    fn poll_transfer(
        &self,
        side: &Side,
        transfer: &mut Transfer,
        context: &mut Context<'_>,
    ) -> Poll<Completion> {
        if self.state.is_inherited() {
            return Poll::Ready(Completion::failed(DriverError::Forked));
        }
        loop {
            let result = ready!(self.poll_work(&mut transfer.work, context));
            if !side.retries.again(&result, true) {
                return Poll::Ready(Completion {
                    result,
                    memory: transfer.work.take_memory(),
                });
            }
        }
    }

    /// Works on, again if the stream has ended a direction meanwhile: then nobody was woken.
    fn poll_work(&self, work: &mut Work, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let ended = || (self.read_ended.get(), self.write_ended.get());
        let before = ended();
        match self.poll_work_once(work, context) {
            Poll::Pending if ended() != before => self.poll_work_once(work, context),
            poll => poll,
        }
    }

    fn poll_work_once(
        &self,
        work: &mut Work,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match work {
            Work::Read(buffer, range) => {
                let bytes = buffer.as_deref_mut().unwrap_or_default();
                self.poll_bytes(context, &mut bytes[range.clone()])
            }
            Work::Readable => self.poll_readable(context),
            Work::Write(memory, range, written) => {
                let bytes = memory.as_deref().unwrap_or_default();
                self.poll_all(context, &bytes[range.clone()], written)
            }
        }
    }

    /// Has the stream do `work`, unless it is at work already.
    fn poll_stream<T>(
        &self,
        context: &mut Context<'_>,
        work: impl FnOnce(&mut ByteStream, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        match self.take_stream() {
            Some(mut at_work) => work(at_work.stream(), context),
            None => busy(context),
        }
    }

    fn take_stream(&self) -> Option<AtWork<'_>> {
        let stream = self.stream.take()?;
        Some(AtWork {
            socket: self,
            stream: Some(stream),
        })
    }

    fn poll_bytes(&self, context: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = self.take_carried(bytes);
        if count > 0 || self.read_ended.get() {
            return Poll::Ready(Ok(count));
        }
        let poll = self.poll_stream(context, |stream, context| stream.poll_read(context, bytes));
        let result = ready!(poll);
        if matches!(result, Ok(0)) {
            self.read_ended.set(true);
        }
        Poll::Ready(result)
    }

    fn take_carried(&self, bytes: &mut [u8]) -> usize {
        let mut carried = self.carried.borrow_mut();
        let count = carried.len().min(bytes.len());
        bytes[..count].copy_from_slice(&carried[..count]);
        carried.drain(..count);
        count
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.read_ended.get() || !self.carried.borrow().is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut bytes = [0; CARRIED];
        let poll = self.poll_stream(context, |stream, context| {
            match stream.poll_readable(context) {
                Some(poll) => poll.map_ok(|()| None),
                None => stream.poll_read(context, &mut bytes).map_ok(Some),
            }
        });
        if let Some(count) = ready!(poll)? {
            self.read_ended.set(count == 0);
            self.carried.borrow_mut().extend_from_slice(&bytes[..count]);
        }
        Poll::Ready(Ok(0))
    }

    /// Writes all of `bytes` behind the first `written` ones, and has the stream pass them on.
    fn poll_all(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        written: &mut usize,
    ) -> Poll<io::Result<usize>> {
        self.poll_stream(context, |stream, context| {
            while *written < bytes.len() {
                if self.write_ended.get() {
                    return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                }
                match ready!(stream.poll_write(context, &bytes[*written..]))? {
                    0 => return Poll::Ready(Ok(*written)),
                    count => *written += count,
                }
            }
            ready!(stream.poll_flush(context))?;
            Poll::Ready(Ok(*written))
        })
    }

    pub(super) fn poll_end_writing(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.state.is_inherited() {
            return Poll::Ready(());
        }
        self.poll_stream(context, ByteStream::poll_shutdown)
    }

    pub(super) fn shutdown(&self, side: ShutdownSide) {
        if matches!(side, ShutdownSide::Read | ShutdownSide::Both) {
            self.read_ended.set(true);
            self.reading.waker.wake();
        }
        if matches!(side, ShutdownSide::Write | ShutdownSide::Both) {
            self.write_ended.set(true);
            self.writing.waker.wake();
        }
        self.end(side);
    }

    /// Ends directions of the stream, when it is no longer at work.
    fn end(&self, side: ShutdownSide) {
        let Some(mut at_work) = self.take_stream() else {
            let side = self.due.get().map_or(side, |due| due.and(side));
            self.due.set(Some(side));
            return;
        };
        let ended = at_work.stream().end(side);
        drop(at_work);
        drop(ended);
    }

    /// Gives up both transfers. Whoever waits for them is told that they are cancelled.
    pub(super) fn cancel(&self) {
        for side in [&self.reading, &self.writing] {
            let transfer = side.transfer.give_up();
            drop(transfer);
            side.waker.wake();
        }
    }

    /// Gives up the read in flight, at once.
    pub(super) fn poll_cancel_read(&self, _: &mut Context<'_>) -> Poll<()> {
        drop(self.take_read_back());
        Poll::Ready(())
    }

    /// Ends the read in flight and gives its completion, if there is one, at once.
    pub(super) fn poll_take_read_back(&self, _: &mut Context<'_>) -> Poll<Option<Completion>> {
        Poll::Ready(self.take_read_back())
    }

    fn take_read_back(&self) -> Option<Completion> {
        let mut transfer = self.reading.transfer.give_up()?;
        let completion = transfer.completion.take();
        completion.or_else(|| {
            Some(Completion {
                memory: transfer.work.take_memory(),
                ..Completion::cancelled()
            })
        })
    }

    pub(super) fn poll_discard(
        &self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_bytes(context, scratch)
    }

    /// Gives `use_it` the descriptor, if this is a socket.
    pub(super) fn with_descriptor<T>(&self, use_it: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        let mut at_work = self.take_stream()?;
        at_work.stream().descriptor().map(use_it)
    }
}

impl Drop for StreamSocket {
    fn drop(&mut self) {
        // The reactor is the parent's, and would forget the socket there.
        if self.state.is_inherited() {
            core::mem::forget(self.stream.take());
        }
    }
}

impl core::fmt::Debug for StreamSocket {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("StreamSocket")
            .field("reading", &self.reading)
            .field("writing", &self.writing)
            .finish_non_exhaustive()
    }
}

/// A stream at work. When it is done it goes back, and what was to be ended meanwhile is.
struct AtWork<'a> {
    socket: &'a StreamSocket,
    stream: Option<ByteStream>,
}

impl AtWork<'_> {
    fn stream(&mut self) -> &mut ByteStream {
        self.stream.as_mut().expect("there until the drop")
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.socket.stream.set(self.stream.take());
        if let Some(side) = self.socket.due.take() {
            self.socket.end(side);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::pin::Pin;

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::*;
    use crate::driver::{Backend, DriverStatus, Engine};

    /// Takes nothing, and ends its own writing when it is to.
    struct EndsItself(Rc<RefCell<Option<Rc<StreamSocket>>>>);

    impl AsyncRead for EndsItself {
        fn poll_read(
            self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            _buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for EndsItself {
        fn poll_write(
            self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            _bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            if let Some(socket) = self.0.take() {
                socket.shutdown(ShutdownSide::Write);
            }
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    // A user's stream may own its connection, and drop it at any point.
    #[test]
    fn a_stream_that_ends_itself_while_it_writes_ends() {
        let itself = Rc::default();
        let stream = ByteStream::Other(Box::pin(EndsItself(Rc::clone(&itself))));
        let status = Rc::new(DriverStatus::new());
        let state = DriverState::new(Backend::Epoll, status, Engine::None);
        let socket = StreamSocket::new(stream, Rc::new(state));
        let socket = Rc::new(socket);
        *itself.borrow_mut() = Some(Rc::clone(&socket));
        socket.start_write(Lent::Buffer(Buffer::for_test(10)), 0..10);
        let poll = socket.poll_write(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(completion) = poll else {
            panic!("nobody wakes it");
        };
        let error = completion.result.expect_err("ended");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(!socket.is_writing());
    }
}
