//! The lines of one connection on their way to standard output.

use core::cell::RefCell;
use std::collections::VecDeque;

use super::account::Account;
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
/// kept for this.
#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<(Vec<u8>, Option<Room>)>,
    bytes: usize,
}

impl Waiting {
    /// Whether to read on. Who sends one message is read to its end in any case.
    fn has_room(&self) -> bool {
        let has_all = |(_, room): &(_, Option<Room>)| room.is_some();
        self.lines.len() < 2 || (self.bytes < READ_AHEAD && self.lines.back().is_some_and(has_all))
    }

    fn push(&mut self, line: Vec<u8>, room: Option<Room>) {
        self.bytes += line.len();
        self.lines.push_back((line, room));
    }

    fn pop(&mut self) -> Option<(Vec<u8>, Option<Room>)> {
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

    /// Makes a line of a message.
    pub(super) fn line(&self, message: &[u8]) -> Vec<u8> {
        self.shared.lines.line(message)
    }

    /// Whether a line waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.borrow().lines.is_empty()
    }

    /// Whether another line may come.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.borrow().has_room()
    }

    /// Counts the connection among those that can't be read on, until what this returns is dropped.
    pub(super) fn stuck(&self) -> Result<Counted<'a>, Failure> {
        let counted = self.shared.crowd.stuck();
        counted.ok_or_else(|| {
            Failure::new("nobody reads standard output, and too many peers wait for that")
        })
    }

    /// Prints a line, or has it wait behind those that do.
    pub(super) fn print(&self, line: Vec<u8>) -> Result<(), Failure> {
        let lines = &self.shared.lines;
        let mut waiting = self.waiting.borrow_mut();
        if waiting.lines.is_empty()
            && let Some(room) = lines.room_now(&line)
        {
            return lines.queue(line, room);
        }
        let room = lines.spare_room_now(&line);
        waiting.push(line, room);
        Ok(())
    }

    /// Prints the line that has waited longest, when there is room for it.
    pub(super) async fn print_first(&self) -> Result<(), Failure> {
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
    pub(super) fn print_what_has_room(&self) {
        let lines = &self.shared.lines;
        let mut waiting = self.waiting.borrow_mut();
        while let Some((line, room)) = waiting.pop() {
            let Some(room) = room.or_else(|| lines.any_room_now(&line)) else {
                waiting.bytes += line.len();
                waiting.lines.push_front((line, None));
                return;
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
