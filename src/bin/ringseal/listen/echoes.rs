//! Messages on their way back, of which the account knows how many the kernel has.

use ringseal::{Message, SendError};

use super::account::Account;
use crate::halves::WholeSender;

/// Bytes of echoes of which it may be unknown whether the kernel has them.
const MAX_UNFLUSHED: usize = 1024 * 1024;

/// A sender whose account knows what may be lost.
#[derive(Debug)]
pub(super) struct Echoes<'a> {
    sender: WholeSender,
    account: &'a Account,
    /// Bytes since the last flush.
    unflushed: usize,
}

impl<'a> Echoes<'a> {
    pub(super) fn new(sender: WholeSender, account: &'a Account) -> Self {
        Self {
            sender,
            account,
            unflushed: 0,
        }
    }

    /// Sends a message back.
    pub(super) async fn send(&mut self, message: Message) -> Result<(), SendError> {
        self.account.owes_echo();
        self.unflushed += message.len();
        self.sender.forward(message).await?;
        // Or nobody would know how many are lost when they get stuck.
        if self.unflushed >= MAX_UNFLUSHED {
            self.flush().await?;
        }
        Ok(())
    }

    /// Whether the kernel may not have all of them.
    pub(super) fn are_unflushed(&self) -> bool {
        self.account.has_unflushed()
    }

    /// Waits until the kernel has all of them.
    pub(super) async fn flush(&mut self) -> Result<(), SendError> {
        self.sender.flush().await?;
        self.flushed();
        Ok(())
    }

    /// Waits until the kernel has all of them and the end.
    pub(super) async fn close(self) -> Result<(), SendError> {
        let account = self.account;
        self.sender.close().await?;
        account.flushed();
        Ok(())
    }

    fn flushed(&mut self) {
        self.unflushed = 0;
        self.account.flushed();
    }
}
