//! The sending end of the model: [`Sending`], those who call it, and the buffer that is out.

use core::fmt;
use core::ops::Range;
use std::collections::VecDeque;
use std::vec;

use super::step::Step;
use super::wires::Wire;
use crate::net::connection::sending::{Next, NotOpen, Progress, Sending};
use crate::protocol::layout::{Draft, Place, Planned};

/// What became of the direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Closing,
    GivingUp,
    /// The end was said behind everything.
    Closed,
    /// Something else was, behind everything.
    GivenUp,
    Aborted,
    Failed,
}

impl Fate {
    const fn is_live(self) -> bool {
        matches!(self, Self::Open | Self::Closing | Self::GivingUp)
    }
}

/// A reservation that is out.
struct Reserved {
    draft: Draft<Vec<u8>>,
    place: Place,
    /// Whether its sender has gone on without it: it can only be put back.
    is_given_up: bool,
}

/// The sending end.
pub(super) struct Source<R> {
    machine: Sending<Vec<u8>>,
    records: R,
    /// Bytes in a buffer that is filled.
    buffer: usize,
    messages: vec::IntoIter<Vec<u8>>,
    /// The message that is sent next, or whose parts are.
    next: Option<Vec<u8>>,
    /// How many bytes of it have been appended in parts, if it has begun.
    streamed: Option<usize>,
    reserved: Option<Reserved>,
    out: Option<(Vec<u8>, Range<usize>)>,
    /// Messages that were appended whole.
    sent: Vec<Vec<u8>>,
    /// How many were at a position of the machine, where that is not known to be written.
    marks: VecDeque<(u64, usize)>,
    /// How many the machine says that the kernel has.
    written: usize,
    fate: Fate,
    /// Whether the peer sees the end of the stream behind all that the network has.
    is_over: bool,
}

impl<R: Wire> Source<R>
where
    R::Error: fmt::Debug,
{
    pub(super) fn new(records: R, buffer: usize, messages: Vec<Vec<u8>>) -> Self {
        let mut messages = messages.into_iter();
        Self {
            machine: Sending::new(),
            records,
            buffer,
            next: messages.next(),
            messages,
            streamed: None,
            reserved: None,
            out: None,
            sent: Vec::new(),
            marks: VecDeque::new(),
            written: 0,
            fate: Fate::Open,
            is_over: false,
        }
    }

    pub(super) fn sent(&self) -> &[Vec<u8>] {
        &self.sent
    }

    pub(super) const fn written(&self) -> usize {
        self.written
    }

    pub(super) const fn fate(&self) -> Fate {
        self.fate
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn turn(&mut self, step: Step, count: usize, network: &mut VecDeque<u8>) {
        match step {
            Step::Send => self.send(Self::append),
            Step::SendAtOnce => self.send(Self::append_at_once),
            Step::SendPart => self.send_part(count),
            Step::GiveMessageUp => self.give_message_up(),
            Step::Reserve => self.reserve(count),
            Step::SendReserved => self.send_reserved(count),
            Step::PutBack => self.put_back(),
            Step::Write => self.write(count, network),
            Step::Say => self.records.say(count),
            Step::Close => self.close(),
            Step::GiveUp => self.give_up(),
            Step::Abort => self.stop(Fate::Aborted),
            Step::FailSending => self.stop(Fate::Failed),
            Step::Read
            | Step::ReadParts
            | Step::SkipRest
            | Step::LeaveSlot
            | Step::Release
            | Step::FailReceiving => {}
        }
        self.check();
    }

    /// Checks that the machine says what has become of it.
    fn check(&mut self) {
        let expected = match self.fate {
            Fate::Open => Ok(()),
            Fate::Failed => Err(NotOpen::Failed),
            _ => Err(NotOpen::Closed),
        };
        assert_eq!(self.machine.check(), expected);
        assert_eq!(self.machine.is_closed(), self.fate == Fate::Closed);
        let has_stopped = matches!(self.fate, Fate::GivenUp | Fate::Aborted | Fate::Failed);
        assert_eq!(self.machine.has_stopped(), has_stopped);
        assert_eq!(self.machine.is_lent(), self.reserved.is_some());
        assert_eq!(self.machine.is_out(), self.out.is_some());
        while let Some((position, messages)) = self.marks.front().copied()
            && self.machine.is_written(position)
        {
            self.written = self.written.max(messages);
            self.marks.pop_front();
        }
        if self.machine.is_drained() && !has_stopped {
            assert!(self.reserved.is_none() && self.out.is_none());
            assert!(self.marks.is_empty(), "something is not written");
            self.written = self.sent.len();
        }
        assert!(
            self.fate != Fate::Closed || self.machine.is_drained(),
            "closed with something left"
        );
    }

    /// Notes that a message is in the buffer that fills.
    fn appended(&mut self, message: Vec<u8>) {
        self.sent.push(message);
        let position = self.machine.position();
        assert!(!self.machine.is_drained(), "it was just appended");
        assert!(!self.machine.is_written(position), "it was just appended");
        self.marks.push_back((position, self.sent.len()));
    }

    /// Appends the next message by `append` if there is room or place for it.
    fn send(&mut self, append: impl Fn(&mut Self, &[u8]) -> Option<Planned>) {
        self.give_message_up();
        self.leave_reservation();
        if self.fate != Fate::Open {
            return;
        }
        let Some(message) = self.next.take() else {
            return self.close();
        };
        let is_appended = match append(self, &message) {
            None => true,
            Some(planned) => {
                self.make_room(planned) && {
                    // What the wire has to say of its own may take the room.
                    let is_due = self.records.due() > 0;
                    let has_room = append(self, &message).is_none();
                    assert!(has_room || is_due, "a fresh buffer has room");
                    has_room
                }
            }
        };
        if is_appended {
            self.next = self.messages.next();
            self.appended(message);
        } else {
            self.next = Some(message);
        }
    }

    /// Returns what was planned if there was no room.
    fn append(&mut self, message: &[u8]) -> Option<Planned> {
        let planned = self.records.plan(message.len()).unwrap();
        let appended = self.machine.append(&mut self.records, planned, message);
        let is_appended = appended.unwrap();
        assert!(!is_appended || self.reserved.is_none(), "it has the buffer");
        (!is_appended).then_some(planned)
    }

    fn append_at_once(&mut self, message: &[u8]) -> Option<Planned> {
        let is_appended = self.machine.append_at_once(&mut self.records, message);
        assert!(!is_appended || self.reserved.is_none(), "it has the buffer");
        match is_appended {
            true => None,
            false => self.append(message),
        }
    }

    /// Has another buffer fill if there is place for one.
    fn make_room(&mut self, planned: Planned) -> bool {
        let has_place = self.machine.make_place(&mut self.records).unwrap();
        if has_place {
            assert!(self.reserved.is_none(), "it has the buffer");
            self.machine.fill(vec![0; self.buffer.max(planned.room())]);
        }
        has_place
    }

    /// Appends the next part of the message; all of it where there are no parts.
    fn send_part(&mut self, count: usize) {
        self.leave_reservation();
        if self.fate != Fate::Open {
            return;
        }
        let Some(message) = self.next.take() else {
            return;
        };
        let begun = self.streamed.unwrap_or(0);
        let rest = &message[begun..];
        let rest = &rest[..count.min(rest.len()).max(rest.len().min(1))];
        let Some(planned) = self.records.plan_part(rest.len(), self.buffer) else {
            self.next = Some(message);
            return self.send(Self::append_by_call);
        };
        let part = &rest[..planned.length()];
        let is_last = begun + part.len() == message.len();
        let is_appended = self.append_part(part, is_last)
            || self.make_room(planned) && self.append_part(part, is_last);
        if is_appended && is_last {
            self.streamed = None;
            self.next = self.messages.next();
            return self.appended(message);
        }
        if is_appended {
            self.streamed = Some(begun + part.len());
            assert!(!self.machine.is_drained(), "it was just appended");
        }
        self.next = Some(message);
    }

    fn append_part(&mut self, part: &[u8], is_last: bool) -> bool {
        let appended = self
            .machine
            .append_with(&mut self.records, |records, draft| {
                records.append_part(draft, part, is_last)
            });
        appended.unwrap()
    }

    fn append_by_call(&mut self, message: &[u8]) -> Option<Planned> {
        let planned = self.records.plan(message.len()).unwrap();
        let appended = self
            .machine
            .append_with(&mut self.records, |records, draft| {
                records.append(draft, planned, message)
            });
        (!appended.unwrap()).then_some(planned)
    }

    /// The message that has begun in parts is never sent whole.
    fn give_message_up(&mut self) {
        if self.streamed.take().is_some() {
            self.records.drop_message();
            self.next = self.messages.next();
        }
    }

    /// Takes a place for the next message, or for a longer one.
    fn reserve(&mut self, count: usize) {
        self.give_message_up();
        if self.fate != Fate::Open || self.reserved.is_some() {
            return;
        }
        let Some(message) = &self.next else {
            return;
        };
        let longer = message.len() + count % 200;
        let planned = [longer, message.len()]
            .into_iter()
            .find_map(|length| self.records.plan_in_place(length));
        let Some(planned) = planned else {
            return;
        };
        let mut reserved = self.machine.reserve(&mut self.records, planned).unwrap();
        if reserved.is_none() && self.make_room(planned) {
            reserved = self.machine.reserve(&mut self.records, planned).unwrap();
        }
        self.reserved = reserved.map(|(draft, place)| Reserved {
            draft,
            place,
            is_given_up: false,
        });
    }

    /// Whoever sends something else gives a reservation up, and the buffer comes back when it does.
    fn leave_reservation(&mut self) {
        if let Some(reserved) = &mut self.reserved {
            reserved.is_given_up = true;
        }
    }

    fn send_reserved(&mut self, count: usize) {
        let is_wanted = |reserved: &mut Reserved| !reserved.is_given_up;
        if self.fate != Fate::Open {
            return self.put_back();
        }
        let Some(reserved) = self.reserved.take_if(is_wanted) else {
            return;
        };
        let Reserved {
            mut draft,
            mut place,
            ..
        } = reserved;
        let message = self.next.take().expect("it was reserved for it");
        // What is written before it is shortened stays, wherever it moves.
        let is_written = count.is_multiple_of(2);
        if is_written {
            draft.plaintext_mut(&place)[..message.len()].copy_from_slice(&message);
        }
        self.records.shorten(&mut draft, &mut place, message.len());
        if !is_written {
            draft.plaintext_mut(&place).copy_from_slice(&message);
        }
        self.records.append_reserved(&mut draft, place).unwrap();
        assert!(self.machine.put_back(draft).is_none(), "it is wanted");
        self.next = self.messages.next();
        self.appended(message);
    }

    fn put_back(&mut self) {
        if let Some(Reserved { draft, .. }) = self.reserved.take() {
            let returned = self.machine.put_back(draft);
            assert_eq!(returned.is_some(), !self.fate.is_live());
        }
    }

    fn close(&mut self) {
        self.give_message_up();
        self.leave_reservation();
        self.machine.close(&mut self.records);
        if self.fate == Fate::Open {
            self.fate = Fate::Closing;
        }
    }

    fn give_up(&mut self) {
        // Whoever says the end has said it.
        if self.records.abort() {
            self.machine.give_up();
            if self.fate.is_live() {
                self.fate = Fate::GivingUp;
            }
        }
    }

    fn stop(&mut self, fate: Fate) {
        let stopped = match fate {
            Fate::Failed => self.machine.fail(),
            _ => self.machine.abort(),
        };
        assert_eq!(stopped.is_some(), self.fate.is_live(), "it is news once");
        if stopped.is_some() {
            self.fate = fate;
        }
    }

    /// Does what the writer does, and has the kernel take up to `count` bytes.
    fn write(&mut self, count: usize, network: &mut VecDeque<u8>) {
        if self.out.is_some() && count.is_multiple_of(3) {
            let next = self.machine.next(&mut self.records).unwrap();
            assert_eq!(next, Next::Completion);
        }
        if let Some((buffer, range)) = self.out.take() {
            let count = count.clamp(1, range.len());
            network.extend(&buffer[range.start..range.start + count]);
            match self.machine.completed(count) {
                Progress::Remaining(rest) => {
                    assert!(self.fate.is_live(), "nothing follows");
                    assert_eq!(rest, range.start + count..range.end);
                    self.out = Some((buffer, rest));
                }
                Progress::Gone => assert!(!self.fate.is_live() || count == range.len()),
            }
            return;
        }
        match self.machine.next(&mut self.records).unwrap() {
            Next::Submit { buffer, range } => {
                assert!(self.fate.is_live() && range.start == 0 && !range.is_empty());
                self.out = Some((buffer, range));
            }
            Next::Messages => assert!(self.fate == Fate::Open || self.reserved.is_some()),
            Next::Room(bytes) => self.machine.fill(vec![0; bytes]),
            // It may have to wait for that.
            Next::End if count.is_multiple_of(2) => {}
            Next::End => self.end(),
            Next::Over => {
                assert!(!self.fate.is_live(), "there is more");
                self.is_over = true;
            }
            Next::Completion => panic!("nothing is out"),
        }
    }

    fn end(&mut self) {
        assert!(self.reserved.is_none(), "it may hold something");
        self.fate = match self.fate {
            Fate::Closing => Fate::Closed,
            Fate::GivingUp => Fate::GivenUp,
            other => panic!("an end of what is {other:?}"),
        };
        self.machine.ended();
        self.is_over = true;
    }
}
