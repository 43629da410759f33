//! A stream without a ring: what is in flight keeps its memory and moves it when it is polled.

use core::cell::{Cell, RefCell};
use core::ops::Range;
use core::task::{Context, Poll, Waker, ready};
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use super::byte_stream::ByteStream;
use super::socket::ShutdownSide;
use super::{Completion, RingState};
use crate::memory::Buffer;

/// Bytes that a wait for readability may take from a stream that can't wait without.
const CARRIED: usize = 64;

/// A stream and its transfers.
#[derive(Debug)]
pub(super) struct StreamSocket {
    state: Rc<RingState>,
    stream: RefCell<ByteStream>,
    reading: RefCell<Option<Transfer>>,
    writing: RefCell<Option<Transfer>>,
    /// What a wait for readability took, for the next read.
    carried: RefCell<Vec<u8>>,
    read_ended: Cell<bool>,
    write_ended: Cell<bool>,
}

/// A read, write or wait that somebody wants the completion of.
#[derive(Debug)]
struct Transfer {
    state: Rc<RingState>,
    work: Work,
    waker: Option<Waker>,
    /// What a look at it has brought.
    completion: Option<Completion>,
}

#[derive(Debug)]
enum Work {
    Read(Option<Buffer>, Range<usize>),
    Readable,
    /// The number counts what is written.
    Write(Option<Buffer>, Range<usize>, usize),
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.state.end();
    }
}

impl StreamSocket {
    pub(super) fn new(stream: ByteStream, state: Rc<RingState>) -> Self {
        Self {
            state,
            stream: RefCell::new(stream),
            reading: RefCell::new(None),
            writing: RefCell::new(None),
            carried: RefCell::default(),
            read_ended: Cell::new(false),
            write_ended: Cell::new(false),
        }
    }

    pub(super) fn is_reading(&self) -> bool {
        self.reading.borrow().is_some()
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.borrow().is_some()
    }

    pub(super) fn is_read_pending(&self) -> bool {
        self.is_pending(&self.reading)
    }

    pub(super) fn is_write_pending(&self) -> bool {
        self.is_pending(&self.writing)
    }

    /// Looks whether the stream has become ready meanwhile, on behalf of whoever waits.
    fn is_pending(&self, place: &RefCell<Option<Transfer>>) -> bool {
        let mut place = place.borrow_mut();
        let Some(transfer) = place.as_mut() else {
            return false;
        };
        if transfer.completion.is_some() {
            return false;
        }
        let waker = transfer.waker.clone();
        let mut context = Context::from_waker(waker.as_ref().unwrap_or(Waker::noop()));
        let Poll::Ready(completion) = self.poll_work(&mut transfer.work, &mut context) else {
            return true;
        };
        transfer.completion = Some(completion);
        drop(place);
        if let Some(waker) = waker {
            waker.wake();
        }
        false
    }

    pub(super) fn start_read(&self, buffer: Buffer, range: Range<usize>) {
        self.put(&self.reading, Work::Read(Some(buffer), range));
    }

    pub(super) fn start_readable(&self) {
        self.put(&self.reading, Work::Readable);
    }

    pub(super) fn start_write(&self, buffer: Buffer, range: Range<usize>) {
        self.put(&self.writing, Work::Write(Some(buffer), range, 0));
    }

    fn put(&self, place: &RefCell<Option<Transfer>>, work: Work) {
        self.state.begin();
        let previous = place.borrow_mut().replace(Transfer {
            state: Rc::clone(&self.state),
            work,
            waker: None,
            completion: None,
        });
        assert!(
            previous.is_none(),
            "two transfers of one direction in flight"
        );
    }

    pub(super) fn poll_read(&self, context: &mut Context<'_>) -> Poll<Completion> {
        self.poll(&self.reading, context)
    }

    pub(super) fn poll_write(&self, context: &mut Context<'_>) -> Poll<Completion> {
        self.poll(&self.writing, context)
    }

    fn poll(
        &self,
        place: &RefCell<Option<Transfer>>,
        context: &mut Context<'_>,
    ) -> Poll<Completion> {
        let mut place = place.borrow_mut();
        let Some(transfer) = place.as_mut() else {
            return Poll::Ready(Completion::cancelled());
        };
        let poll = match transfer.completion.take() {
            Some(completion) => Poll::Ready(completion),
            None => self.poll_work(&mut transfer.work, context),
        };
        if poll.is_ready() {
            *place = None;
        } else {
            match &mut transfer.waker {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
        }
        poll
    }

    /// Works on, again if the stream has ended a direction meanwhile: then nobody was woken.
    fn poll_work(&self, work: &mut Work, context: &mut Context<'_>) -> Poll<Completion> {
        let ended = || (self.read_ended.get(), self.write_ended.get());
        let before = ended();
        match self.poll_work_once(work, context) {
            Poll::Pending if ended() != before => self.poll_work_once(work, context),
            poll => poll,
        }
    }

    fn poll_work_once(&self, work: &mut Work, context: &mut Context<'_>) -> Poll<Completion> {
        let (result, buffer) = match work {
            Work::Read(buffer, range) => {
                let bytes = buffer.as_deref_mut().unwrap_or_default();
                let bytes = &mut bytes[range.clone()];
                (ready!(self.poll_bytes(context, bytes)), buffer.take())
            }
            Work::Readable => (ready!(self.poll_readable(context)), None),
            Work::Write(buffer, range, written) => {
                let bytes = buffer.as_deref().unwrap_or_default();
                let bytes = &bytes[range.clone()];
                (
                    ready!(self.poll_all(context, bytes, written)),
                    buffer.take(),
                )
            }
        };
        Poll::Ready(Completion { result, buffer })
    }

    fn poll_bytes(&self, context: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut carried = self.carried.borrow_mut();
        if !carried.is_empty() {
            let count = carried.len().min(bytes.len());
            bytes[..count].copy_from_slice(&carried[..count]);
            carried.drain(..count);
            return Poll::Ready(Ok(count));
        }
        if self.read_ended.get() {
            return Poll::Ready(Ok(0));
        }
        let result = ready!(self.stream.borrow_mut().poll_read(context, bytes));
        if matches!(result, Ok(0)) {
            self.read_ended.set(true);
        }
        Poll::Ready(result)
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.read_ended.get() || !self.carried.borrow().is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut stream = self.stream.borrow_mut();
        if let Some(poll) = stream.poll_readable(context) {
            return poll.map_ok(|()| 0);
        }
        let mut bytes = [0; CARRIED];
        let count = ready!(stream.poll_read(context, &mut bytes))?;
        if count == 0 {
            self.read_ended.set(true);
        }
        self.carried.borrow_mut().extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(0))
    }

    /// Writes all of `bytes` behind the first `written` ones, and has the stream pass them on.
    fn poll_all(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        written: &mut usize,
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.stream.borrow_mut();
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
    }

    pub(super) fn poll_end_writing(&self, context: &mut Context<'_>) -> Poll<()> {
        self.stream.borrow_mut().poll_shutdown(context)
    }

    pub(super) fn shutdown(&self, side: ShutdownSide) {
        if matches!(side, ShutdownSide::Read | ShutdownSide::Both) {
            self.read_ended.set(true);
            Self::wake(&self.reading);
        }
        if matches!(side, ShutdownSide::Write | ShutdownSide::Both) {
            self.write_ended.set(true);
            Self::wake(&self.writing);
        }
        // Borrowed only while the stream itself is at work; then what waits for it ends it.
        let ended = match self.stream.try_borrow_mut() {
            Ok(mut stream) => stream.end(side),
            Err(_) => None,
        };
        drop(ended);
    }

    fn wake(place: &RefCell<Option<Transfer>>) {
        // Borrowed only while the stream itself is at work on it, and then looked at again.
        let waker = place.try_borrow().ok().and_then(|place| {
            let transfer = place.as_ref()?;
            transfer.waker.clone()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Gives up both transfers. Whoever waits for them is told that they are cancelled.
    pub(super) fn cancel(&self) {
        for place in [&self.reading, &self.writing] {
            let transfer = place.borrow_mut().take();
            if let Some(waker) = transfer.and_then(|mut transfer| transfer.waker.take()) {
                waker.wake();
            }
        }
    }

    /// Gives `use_it` the descriptor, if this is a socket.
    pub(super) fn with_descriptor<T>(&self, use_it: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        self.stream.borrow().descriptor().map(use_it)
    }
}

#[cfg(test)]
mod tests {
    use core::pin::Pin;

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::*;
    use crate::ring::Backend;

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
        let socket = StreamSocket::new(stream, Rc::new(RingState::new(Backend::Epoll)));
        let socket = Rc::new(socket);
        *itself.borrow_mut() = Some(Rc::clone(&socket));
        socket.start_write(Buffer::heap(10).expect("memory"), 0..10);
        let poll = socket.poll_write(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(completion) = poll else {
            panic!("waits for ever");
        };
        let error = completion.result.expect_err("ended");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(!socket.is_writing());
    }
}
