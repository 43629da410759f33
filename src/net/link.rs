//! A socket together with the runtime it belongs to. The last handle that is dropped ends it.

use core::cell::Cell;
use core::future::poll_fn;
use core::ops::Range;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::context::Context;
use super::time_limits::Watch;
use crate::memory::Buffer;
use crate::ring::{Completion, Duplex, ShutdownSide, Socket};

/// How often one operation is tried again after `EINTR` or `EAGAIN`.
const MAX_RETRIES: u32 = 64;

/// A socket on its ring.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: Rc<Socket>,
    pub(crate) context: Rc<Context>,
    pub(crate) watch: Watch,
    key: usize,
    retries: Cell<u32>,
}

impl Link {
    /// # Errors
    ///
    /// What the system says about the socket.
    pub(crate) fn new(context: Rc<Context>, descriptor: OwnedFd) -> io::Result<Rc<Self>> {
        let socket = Rc::new(Socket::new(descriptor, &context.ring)?);
        Ok(Self::of(context, socket))
    }

    /// Takes any stream of bytes instead of a socket.
    pub(crate) fn over(context: Rc<Context>, stream: impl Duplex + 'static) -> Rc<Self> {
        let socket = Rc::new(Socket::over(stream, &context.ring));
        Self::of(context, socket)
    }

    fn of(context: Rc<Context>, socket: Rc<Socket>) -> Rc<Self> {
        let key = context.register_socket(&socket);
        Rc::new(Self {
            socket,
            context,
            watch: Watch::default(),
            key,
            retries: Cell::new(0),
        })
    }

    /// Whether `error` says "again", within a bound that any success resets.
    pub(crate) fn should_retry(&self, error: &io::Error) -> bool {
        let transient = matches!(
            error.kind(),
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
        );
        let tries = self.retries.get();
        self.retries.set(tries + 1);
        transient && tries < MAX_RETRIES
    }

    /// Notes that an operation succeeded.
    pub(crate) fn made_progress(&self) {
        self.retries.set(0);
    }

    /// Whether the ring of this socket can take operations now.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotConnected`] outside the runtime that made the socket, or when that is
    /// ending.
    pub(crate) fn check_running(&self) -> io::Result<()> {
        if self.context.is_running() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::NotConnected,
            "the runtime of this connection is not running on this thread",
        ))
    }

    /// Reads into the first `length` bytes of `buffer`. A count of zero is the end.
    ///
    /// When the future is dropped the read goes on, and ends when the link is dropped.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub(crate) async fn read(&self, buffer: Buffer, length: usize) -> io::Result<(usize, Buffer)> {
        let mut buffer = buffer;
        loop {
            self.check_running()?;
            self.socket.start_read(buffer, 0..length);
            let completion = poll_fn(|context| self.socket.poll_read(context)).await;
            match completion {
                Completion {
                    result: Err(error),
                    buffer: Some(returned),
                } if self.should_retry(&error) => buffer = returned,
                completion => {
                    self.made_progress();
                    return completion.into_parts();
                }
            }
        }
    }

    /// Writes the first `length` bytes of `buffer`, all of them.
    ///
    /// # Errors
    ///
    /// What the kernel says; part may have been written.
    pub(crate) async fn write_all(&self, buffer: Buffer, length: usize) -> io::Result<()> {
        let mut buffer = buffer;
        let mut range = 0..length;
        while !range.is_empty() {
            self.check_running()?;
            self.socket.start_write(buffer, range.clone());
            let completion = poll_fn(|context| self.socket.poll_write(context)).await;
            buffer = self.continue_write(completion, &mut range)?;
        }
        Ok(())
    }

    /// Advances `range` by what a write has moved and gives the buffer back for the rest.
    ///
    /// # Errors
    ///
    /// What the kernel says, beyond a bounded number of "again"s; `WriteZero` when it takes
    /// nothing.
    pub(crate) fn continue_write(
        &self,
        completion: Completion,
        range: &mut Range<usize>,
    ) -> io::Result<Buffer> {
        match completion {
            Completion {
                result: Err(error),
                buffer: Some(buffer),
            } if self.should_retry(&error) => Ok(buffer),
            completion => {
                let (count, buffer) = completion.into_parts()?;
                if count == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                self.made_progress();
                range.start += count;
                Ok(buffer)
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.context.forget_socket(self.key);
        if self.socket.is_reading() || self.socket.is_writing() {
            // An operation in flight keeps the socket open, so say the end aloud.
            self.socket.shutdown(ShutdownSide::Write);
            self.context.adopt(Rc::clone(&self.socket), true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use rustix::io::Errno;

    use super::*;
    use crate::net::Runtime;

    fn link() -> Rc<Link> {
        let (ours, _theirs) = UnixStream::pair().expect("a pair of sockets");
        let context = Context::current().expect("inside a runtime");
        Link::new(context, ours.into()).expect("a socket")
    }

    fn completion(result: Result<usize, Errno>) -> Completion {
        Completion {
            result: result.map_err(io::Error::from),
            buffer: Some(Buffer::heap(100).expect("memory")),
        }
    }

    // HAZARDS B5, the writing side: each answer that the kernel may give.
    #[test]
    fn a_write_goes_on_after_short_and_interrupted_ones_and_ends_at_anything_else() {
        let runtime = Runtime::builder().build().expect("io_uring");
        runtime.block_on(async {
            let link = link();
            let mut range = 10..100;
            for (answer, start) in [
                (Ok(30), 40),
                (Err(Errno::INTR), 40),
                (Err(Errno::AGAIN), 40),
                (Ok(59), 99),
                (Ok(1), 100),
            ] {
                link.continue_write(completion(answer), &mut range)
                    .expect("goes on");
                assert_eq!(range.start, start);
            }
            for errno in [
                Errno::CANCELED,
                Errno::NOBUFS,
                Errno::FAULT,
                Errno::BADF,
                Errno::NOMEM,
                Errno::PIPE,
            ] {
                let error = link
                    .continue_write(completion(Err(errno)), &mut range)
                    .expect_err("final");
                assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()));
            }
            let error = link
                .continue_write(completion(Ok(0)), &mut range)
                .expect_err("nothing was taken");
            assert_eq!(error.kind(), io::ErrorKind::WriteZero);
        });
    }

    // HAZARDS B5.
    #[test]
    fn an_operation_is_tried_again_a_bounded_number_of_times() {
        let runtime = Runtime::builder().build().expect("io_uring");
        runtime.block_on(async {
            let link = link();
            let interrupted = io::Error::from(Errno::INTR);
            let tries = (0..1000)
                .take_while(|_| link.should_retry(&interrupted))
                .count();
            assert_eq!(tries, MAX_RETRIES as usize);
            link.made_progress();
            assert!(link.should_retry(&interrupted));
            assert!(!link.should_retry(&io::Error::from(Errno::PIPE)));
        });
    }
}
