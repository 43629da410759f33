//! A submission buffer that is filled by a read of another socket.
//!
//! ```text
//! Sender --reserve--> Reservation --lend--> Loan, with the socket that reads
//!    ^                     ^                  |      |
//!    |                     +---- completed ---+      | given up: the read is cancelled
//!    +------------------- outbox <-------------------+
//! ```
//!
//! The buffer has messages in it that were appended before, so it has to come back whatever becomes
//! of the read. Until then its sender appends nothing, and nothing of it leaves.

use core::fmt;
use std::io;
use std::rc::Rc;

use super::outbox::Outbox;
use crate::memory::Buffer;
use crate::protocol::layout::Draft;

/// What belongs to a lent buffer and is not with the kernel: whose it is, and what is in it.
pub(crate) struct Loan {
    lender: Rc<Outbox>,
    rest: Draft<()>,
}

impl Loan {
    /// Takes the buffer of `draft` out, to be lent.
    pub(crate) fn new(lender: &Rc<Outbox>, draft: Draft<Buffer>) -> (Buffer, Self) {
        let (buffer, rest) = draft.take_buffer();
        let lender = Rc::clone(lender);
        (buffer, Self { lender, rest })
    }

    /// Whether `outbox` has lent it.
    pub(crate) fn is_from(&self, outbox: &Rc<Outbox>) -> bool {
        Rc::ptr_eq(&self.lender, outbox)
    }

    /// Puts the buffer back into its draft.
    pub(crate) fn redeem(self, buffer: Buffer) -> Draft<Buffer> {
        self.rest.with_buffer(buffer)
    }

    /// Gives the buffer back to its sending direction, which goes on without what was reserved.
    pub(crate) fn give_back(self, buffer: Buffer) {
        let Self { lender, rest } = self;
        lender.put_back(rest.with_buffer(buffer));
        lender.wake_sender();
    }

    /// Ends the connection of a buffer that never comes back: messages in it are lost.
    pub(crate) fn lose(self, error: &io::Error) {
        let link = self.lender.link();
        match link.shard.driver.check() {
            Err(cause) => link.fail_with(cause.into()),
            Ok(()) => link.fail(error),
        }
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Loan").finish_non_exhaustive()
    }
}

/// Who reads into a lent buffer.
pub(crate) trait Borrower: fmt::Debug {
    /// Nobody waits any more for the read into what `lender` has lent, if it still has that: it is
    /// cancelled, and the buffer given back when the kernel has let go of it.
    fn give_up(self: Rc<Self>, lender: &Rc<Outbox>);
}
