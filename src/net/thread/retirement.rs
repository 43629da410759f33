//! What becomes of connections that nobody holds any more: what was sent arrives, then they close.
//!
//! A socket that is closed with something unread, or that gets something afterwards, is reset, and
//! a reset destroys what the peer's kernel has not taken yet. So what is sealed still goes out, the
//! end is said right behind it, and what the peer sends meanwhile is read and thrown away, until the
//! peer ends as well. All of that is bounded: by time without any movement, by time in all, by bytes
//! thrown away, and by the number of connections that end so at a time. What counts as movement is a
//! buffer that the kernel has taken, or something that has come. Nothing that comes is kept, and no
//! slot is taken for it.

use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;
use std::rc::Rc;

use super::lifetime::{Lifetime, Need};
use crate::driver::{self, Socket, WakerCell};

/// How long nothing may come from the peer when all is out.
const QUIET_LIMIT: Duration = Duration::from_secs(1);
/// How long a buffer may take to go out, and how long the peer may go on when all is out.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// What time is counted in. No more than one passes while this process is stopped.
const SLICE: Duration = Duration::from_millis(250);
/// How long all of it takes at most: two buffers, the rest of one, and the peer.
pub(crate) const LONGEST: Duration = Duration::from_secs(5 * 4);
/// How many bytes are thrown away: more than the kernels of both hosts hold by default.
const DISCARD_LIMIT: usize = 8 << 20;
/// How many connections may retire at a time. The oldest makes way.
pub(crate) const MAX_RETIRING: usize = 1024;
/// Bytes that are thrown away before others have a turn.
const DISCARD_TURN: usize = 256 * 1024;
/// Bytes that one read takes.
const DISCARD_SIZE: usize = 64 * 1024;

/// A connection, as far as its end needs it.
pub(crate) trait Retiring {
    /// The socket, unless the connection is over.
    fn socket(&self) -> Option<Rc<Socket>>;

    /// How far both directions are.
    fn lifetime(&self) -> &Lifetime;

    /// Writes that have completed.
    fn written(&self) -> u64;

    /// Woken when any of that has changed.
    fn waker(&self) -> &WakerCell;

    /// The peer's end was read.
    fn peer_ended(self: &Rc<Self>);

    /// Memory for what nobody wants.
    fn scratch(&self) -> &Cell<Vec<u8>>;

    /// It is over, or was for a read that nobody waited for.
    fn has_retired(self: &Rc<Self>);
}

/// Sees a connection to its end, or gives back the read that its receiver has left in flight.
pub(crate) async fn retire<L: Retiring>(link: Rc<L>) {
    poll_fn(|context| {
        // Whoever closes the socket meanwhile says so.
        link.waker().set(context.waker());
        match link.socket() {
            Some(socket) => socket.poll_cancel_read(context),
            None => Poll::Ready(()),
        }
    })
    .await;
    let (mut quiet, mut total) = (Duration::ZERO, Duration::ZERO);
    let mut retirement = Retirement {
        link: &link,
        discarded: 0,
        written: link.written(),
    };
    while link.lifetime().need() == Need::Arrival {
        let was_sending = !link.lifetime().has_sending_ended();
        let written = link.written();
        let limit = if was_sending { TIME_LIMIT } else { QUIET_LIMIT };
        if quiet >= limit || total >= TIME_LIMIT {
            break;
        }
        let start = driver::now();
        let step = poll_fn(|context| retirement.poll_step(context));
        match driver::timeout(SLICE, step).await {
            Some(Ok(())) => {
                total += driver::now().saturating_duration_since(start).min(SLICE);
                quiet = Duration::ZERO;
                driver::give_others_a_turn().await;
            }
            Some(Err(_)) => break,
            None => {
                quiet += SLICE;
                total += SLICE;
            }
        }
        if was_sending && (link.written() != written || link.lifetime().has_sending_ended()) {
            (quiet, total) = (Duration::ZERO, Duration::ZERO);
        }
    }
    link.has_retired();
}

struct Retirement<'a, L> {
    link: &'a Rc<L>,
    discarded: usize,
    /// Writes that had completed at the last step.
    written: u64,
}

impl<L: Retiring> Retirement<'_, L> {
    /// Waits until something has moved.
    ///
    /// # Errors
    ///
    /// When there is no more to be done.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let link = self.link;
        link.waker().set(context.waker());
        if link.lifetime().need() != Need::Arrival {
            return Poll::Ready(Ok(()));
        }
        let written = core::mem::replace(&mut self.written, link.written());
        if !link.lifetime().has_peer_ended() {
            let poll = self.poll_discard(context);
            // Without a socket nothing is reset: what has come is gone, and that will do.
            if poll.is_pending()
                && link.lifetime().has_sending_ended()
                && link.socket().is_none_or(|socket| socket.is_foreign())
            {
                return Poll::Ready(Err(io::ErrorKind::WouldBlock.into()));
            }
            if poll.is_ready() {
                return poll;
            }
        }
        if written == self.written {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Throws away what has come, for one turn.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = self.link.scratch().take();
        scratch.resize(DISCARD_SIZE, 0);
        let mut turn = 0;
        let poll = loop {
            let Some(socket) = self.link.socket() else {
                break Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            match socket.poll_discard(context, &mut scratch) {
                Poll::Pending if turn == 0 => break Poll::Pending,
                Poll::Pending => break Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Ready(Ok(0)) => {
                    self.link.peer_ended();
                    break Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(count)) => turn += count,
            }
            if turn >= DISCARD_TURN {
                break Poll::Ready(Ok(()));
            }
        };
        self.link.scratch().set(scratch);
        self.discarded += turn;
        if self.discarded > DISCARD_LIMIT {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        poll
    }
}

/// Cancels what a socket that nobody waits for has in flight, and takes its memory back.
///
/// Both directions are cancelled instead of ended by `shutdown(2)`, because a socket that has ended
/// its reading no longer tells its peer that it has room again. Closed then, it would leave a peer
/// that was stopped in the middle of a write waiting for a minute.
pub(crate) async fn collect(socket: Rc<Socket>) {
    let mut cancellation = socket.cancel();
    poll_fn(|context| {
        let reading = socket.is_reading() && socket.poll_read(context).is_pending();
        let writing = socket.is_writing() && socket.poll_write(context).is_pending();
        if let Some(operation) = &mut cancellation {
            ready!(Pin::new(operation).poll(context));
            cancellation = None;
        }
        if reading || writing {
            return Poll::Pending;
        }
        // Somebody may have begun one before.
        socket.poll_cancel_read(context)
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Runtime;
    use crate::net::connection::link::Link;
    use crate::net::thread::shard::Shard;

    /// A connection whose peer does nothing, and whose halves have gone.
    fn left_link() -> (Rc<Link>, tokio::io::DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(64);
        let link = Link::over(Shard::current().expect("inside a runtime"), ours);
        link.establish();
        link.sender_left();
        link.receiver_left();
        (link, theirs)
    }

    // HAZARDS F1.
    #[test]
    fn of_too_many_that_retire_the_oldest_makes_way() {
        let runtime = Runtime::builder().build().expect("a runtime");
        runtime.block_on(async {
            let links: Vec<_> = (0..MAX_RETIRING + 3).map(|_| left_link()).collect();
            for (index, (link, _peer)) in links.iter().enumerate() {
                assert_eq!(link.socket().is_some(), index >= 3, "number {index}");
            }
            driver::give_others_a_turn().await;
            let shard = Shard::current().expect("inside a runtime");
            assert_eq!(shard.unfinished(), MAX_RETIRING);
            // Without any movement all of them end.
            while shard.unfinished() > 0 {
                driver::sleep(Duration::from_millis(20)).await;
            }
            assert!(links.iter().all(|(link, _peer)| link.socket().is_none()));
        });
    }
}
