//! Two ends in memory.

use core::cell::RefCell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use std::rc::Rc;
use std::time::Instant;

use super::Conditions;
use super::direction::{Arrival, Direction, DirectionControl};
use crate::driver::{self, AsyncRead, AsyncWrite, ReadBuf};

/// Makes a wire: what is written to the first end is subject to `forth` and read at the second,
/// and the other way round with `back`. Both ends belong to the thread.
pub fn duplex(forth: Conditions, back: Conditions) -> (WireEnd, WireEnd) {
    let (forth, back) = (Direction::new(forth), Direction::new(back));
    (
        WireEnd::new(Rc::clone(&forth), Rc::clone(&back)),
        WireEnd::new(back, forth),
    )
}

/// An end of a wire. Dropping it ends what it writes, and fails what is written to it.
pub struct WireEnd {
    outgoing: Rc<RefCell<Direction>>,
    incoming: Rc<RefCell<Direction>>,
    /// Until what is under way arrives.
    wait: Option<(Instant, Wait)>,
}

type Wait = Pin<Box<dyn Future<Output = ()>>>;

impl WireEnd {
    fn new(outgoing: Rc<RefCell<Direction>>, incoming: Rc<RefCell<Direction>>) -> Self {
        Self {
            outgoing,
            incoming,
            wait: None,
        }
    }

    /// Returns a hold of the direction that this end writes to.
    pub fn outgoing(&self) -> DirectionControl {
        DirectionControl::new(Rc::clone(&self.outgoing))
    }

    /// Returns a hold of the direction that this end reads from.
    pub fn incoming(&self) -> DirectionControl {
        DirectionControl::new(Rc::clone(&self.incoming))
    }
}

impl AsyncRead for WireEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let bytes = buffer.initialize_unfilled();
            let poll = self.incoming.borrow_mut().poll_read(context, bytes);
            let arrival = match ready!(poll)? {
                Arrival::Bytes(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Arrival::At(arrival) => arrival,
            };
            let (_, wait) = match &mut self.wait {
                Some(wait) if wait.0 == arrival => wait,
                wait => {
                    let duration = arrival.saturating_duration_since(driver::now());
                    wait.insert((arrival, Box::pin(driver::sleep(duration))))
                }
            };
            ready!(wait.as_mut().poll(context));
            self.wait = None;
        }
    }
}

impl AsyncWrite for WireEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.outgoing.borrow_mut().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.borrow_mut().end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for WireEnd {
    fn drop(&mut self) {
        self.outgoing.borrow_mut().end();
        self.incoming.borrow_mut().abandon();
    }
}

impl fmt::Debug for WireEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WireEnd").finish_non_exhaustive()
    }
}
