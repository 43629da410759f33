//! The reading half of a plain socket.

use core::future::poll_fn;
use core::ops::{Bound, Range, RangeBounds};
use std::rc::Rc;

use super::error::PlainSocketError;
use super::link::PlainLink;
use crate::net::connection::sender::Reservation;
use crate::net::establish::address::Address;

/// Reads from a [`PlainSocket`](crate::PlainSocket) straight into submission buffers.
///
/// Dropping it says nothing to the peer while the writer lives.
#[derive(Debug)]
pub struct PlainReader {
    link: Rc<PlainLink>,
}

impl PlainReader {
    pub(super) fn new(link: Rc<PlainLink>) -> Self {
        Self { link }
    }

    /// Returns the address of this end.
    pub fn local_address(&self) -> &Address {
        self.link.local()
    }

    /// Returns the address of the other end.
    pub fn peer_address(&self) -> &Address {
        self.link.peer()
    }

    /// Waits until there is something to read, or the end, holding no memory.
    ///
    /// A [`Reservation`] holds a slot, and holds back the messages before it, so wait here first
    /// where the peer may be silent.
    ///
    /// # Errors
    ///
    /// [`PlainSocketError`]. What a read would fail with may show there alone.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn readable(&mut self) -> Result<(), PlainSocketError> {
        self.link.readable().await
    }

    /// Reads into `range` of `reservation`, and gives that back with the number of bytes that came,
    /// at most as many as there is room for. Zero is the end, or an empty range.
    ///
    /// The kernel writes to the submission buffer itself. To send what has come,
    /// [truncate](Reservation::truncate) the reservation to where it ends, and
    /// [send](Reservation::send) it.
    ///
    /// # Errors
    ///
    /// [`PlainSocketError`]. The reservation is dropped, which sends nothing; its sender can be used,
    /// unless the driver has failed. A reservation of another runtime is refused with
    /// [`PlainSocketError::Read`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing: a read that is under way is cancelled, and what it has
    /// brought is kept for the next one. The reservation is dropped with the future, which sends
    /// nothing. Its sender can be used, and waits with its next message, as the messages before the
    /// reservation do, until the kernel has let go of the buffer: that takes no peer and a turn of
    /// the driver or two. Leaking the future does the same with the next call of either.
    ///
    /// # Panics
    ///
    /// If `range` is not within the reservation.
    pub async fn read_into<'a>(
        &mut self,
        mut reservation: Reservation<'a>,
        range: impl RangeBounds<usize>,
    ) -> Result<(Reservation<'a>, usize), PlainSocketError> {
        let range = within(&range, reservation.len());
        poll_fn(|context| self.link.poll_idle(context)).await?;
        if range.is_empty() {
            return Ok((reservation, 0));
        }
        let count = self.link.read(&mut reservation, range).await?;
        Ok((reservation, count))
    }
}

impl Drop for PlainReader {
    fn drop(&mut self) {
        self.link.reader_left();
    }
}

/// Resolves `range` for what has `length` bytes.
///
/// # Panics
///
/// If it is not within.
fn within(range: &impl RangeBounds<usize>, length: usize) -> Range<usize> {
    let start = match range.start_bound() {
        Bound::Included(start) => Some(*start),
        Bound::Excluded(before) => before.checked_add(1),
        Bound::Unbounded => Some(0),
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.checked_add(1),
        Bound::Excluded(end) => Some(*end),
        Bound::Unbounded => Some(length),
    };
    match (start, end) {
        (Some(start), Some(end)) if start <= end && end <= length => start..end,
        _ => panic!("a range beyond a reservation of {length} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_within() {
        assert_eq!(within(&(..), 5), 0..5);
        assert_eq!(within(&(1..=4), 5), 1..5);
        assert_eq!(within(&(5..), 5), 5..5);
        let after = (Bound::Excluded(1), Bound::Unbounded);
        assert_eq!(within(&after, 5), 2..5);
    }

    #[test]
    #[should_panic(expected = "beyond a reservation of 5 bytes")]
    fn no_range_is_beyond() {
        let _ = within(&(2..=5), 5);
    }
}
