//! Standard streams that do not block, because a process that has them open as well has set them so.
//!
//! The setting belongs to all that share the stream, so it is not taken back.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Waits where the stream would have its user wait.
#[derive(Debug)]
pub struct Patient<S>(pub S);

impl<S: AsFd> Patient<S> {
    fn wait(
        &mut self,
        events: PollFlags,
        mut act: impl FnMut(&mut S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            match act(&mut self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Errors and hang-ups end the wait too, and are told by the next try.
                    match poll(&mut [PollFd::new(&self.0, events)], None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                result => return result,
            }
        }
    }
}

impl<S: Read + AsFd> Read for Patient<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(PollFlags::IN, |stream| stream.read(buffer))
    }
}

impl<S: Write + AsFd> Write for Patient<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(PollFlags::OUT, |stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait(PollFlags::OUT, |stream| stream.flush().map(|()| 0))
            .map(drop)
    }
}
