//! The lines of one connection on their way to standard output.

use core::cell::RefCell;
use std::collections::VecDeque;

use super::account::{Account, CountingReceiver};
use super::crowd::Counted;
use super::shared::Shared;
use crate::failure::Failure;
use crate::output::{Room, needed};

/// Bytes of one peer that are read ahead while nobody reads standard output, to find its end.
const READ_AHEAD: usize = 64 * 1024;

/// Prints the lines of one connection, in order. Those that are left when it is dropped are lost.
#[derive(Debug)]
pub(super) struct Printer<'a> {
    account: &'a Account,
    shared: &'a Shared,
    waiting: RefCell<Waiting>,
}

/// Lines for which standard output had no room, in order. All but the last two have taken room that is
/// kept for this, and those two room to wait.
#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<(Vec<u8>, Kept)>,
    bytes: usize,
}

/// What room a line has while it waits.
#[derive(Debug)]
enum Kept {
    /// In the queue.
    Queued(Room),
    /// Only to wait for that.
    Waits {
        #[expect(dead_code, reason = "it is there to be dropped")]
        room: Room,
    },
}

impl Waiting {
    /// Whether to read on. Who sends one message is read to its end in any case.
    fn has_room(&self) -> bool {
        let is_queued = |(_, kept): &(_, Kept)| matches!(kept, Kept::Queued(_));
        self.lines.len() < 2
            || (self.bytes < READ_AHEAD && self.lines.back().is_some_and(is_queued))
    }

    fn push(&mut self, line: Vec<u8>, kept: Kept) {
        self.bytes += line.len();
        self.lines.push_back((line, kept));
    }

    fn pop(&mut self) -> Option<(Vec<u8>, Kept)> {
        let next = self.lines.pop_front()?;
        self.bytes -= next.0.len();
        Some(next)
    }
}

impl<'a> Printer<'a> {
    pub(super) fn new(account: &'a Account, shared: &'a Shared) -> Self {
        Self {
            account,
            shared,
            waiting: RefCell::default(),
        }
    }

    /// Whether a line waits.
    fn is_waiting(&self) -> bool {
        !self.waiting.borrow().lines.is_empty()
    }

    /// Whether another line may come.
    fn has_room(&self) -> bool {
        self.waiting.borrow().has_room()
    }

    /// Counts the connection among those that can't be read on, until what this returns is dropped.
    fn stuck(&self) -> Result<Counted<'a>, Failure> {
        self.shared.crowd.stuck().ok_or_else(too_many)
    }

    /// Prints messages until the peer ends. While there is no room to print one, a few more are taken,
    /// to find the end: a peer that has gone needs no open connection for its last lines to wait.
    pub(super) async fn print_all(
        &self,
        mut receiver: CountingReceiver<'_>,
    ) -> Result<(), Failure> {
        loop {
            let has_room = self.has_room();
            let _counted = (!has_room).then(|| self.stuck()).transpose()?;
            let message = tokio::select! {
                biased;
                result = self.print_first(), if self.is_waiting() => {
                    result?;
                    continue;
                }
                message = receiver.recv(), if has_room => message?,
            };
            let Some(message) = message else {
                self.print_what_has_room();
                return Ok(());
            };
            let line = self.shared.lines.line(&message);
            // No slot is held while standard output is waited for.
            drop(message);
            self.print(line)?;
        }
    }

    /// Prints a line, or has it wait behind those that do.
    fn print(&self, line: Vec<u8>) -> Result<(), Failure> {
        let lines = &self.shared.lines;
        let mut waiting = self.waiting.borrow_mut();
        if waiting.lines.is_empty()
            && let Some(room) = lines.room_now(&line)
        {
            return lines.queue(line, room);
        }
        let kept = match lines.spare_room_now(&line) {
            Some(room) => Kept::Queued(room),
            None => {
                let room = lines.room_to_wait_now(&line).ok_or_else(too_many)?;
                Kept::Waits { room }
            }
        };
        waiting.push(line, kept);
        Ok(())
    }

    /// Prints the line that has waited longest, when there is room for it.
    async fn print_first(&self) -> Result<(), Failure> {
        let lines = &self.shared.lines;
        let waiting = |line: &(Vec<u8>, _)| needed(&line.0);
        let needed = self.waiting.borrow().lines.front().map(waiting);
        let Some(needed) = needed else {
            return Ok(());
        };
        let room = lines.room_for(needed).await?;
        let first = self.waiting.borrow_mut().pop();
        match first {
            Some((line, _)) => lines.queue(line, room),
            None => Ok(()),
        }
    }

    /// Prints the lines that have room already, or find some.
    fn print_what_has_room(&self) {
        let lines = &self.shared.lines;
        let mut waiting = self.waiting.borrow_mut();
        while let Some((line, kept)) = waiting.pop() {
            let room = match kept {
                Kept::Queued(room) => room,
                Kept::Waits { .. } => match lines.any_room_now(&line) {
                    Some(room) => room,
                    None => {
                        waiting.bytes += line.len();
                        waiting.lines.push_front((line, kept));
                        return;
                    }
                },
            };
            // Whoever started the server sees for itself when there is no reader.
            let _ = lines.queue(line, room);
        }
    }

    /// Prints what is left of a connection that has ended, or counts it where too many wait.
    pub(super) async fn print_rest(&self) {
        self.print_what_has_room();
        if let Some(_counted) = self.shared.crowd.ended() {
            while self.is_waiting() {
                if self.print_first().await.is_err() {
                    break;
                }
            }
        }
        while let Some((line, _)) = self.waiting.borrow_mut().pop() {
            self.shared.lines.print_or_count(line);
        }
    }
}

fn too_many() -> Failure {
    Failure::new("nobody reads standard output, and too many peers wait for that")
}

impl Drop for Printer<'_> {
    fn drop(&mut self) {
        self.print_what_has_room();
        let unprinted = self.waiting.get_mut().lines.len() as u64;
        if unprinted > 0 {
            self.shared.lines.count_lost(unprinted);
            self.account.lost_lines();
        }
    }
}
