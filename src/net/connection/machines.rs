//! Both machines against a model: whatever is sent in whatever order of events, the same messages
//! come out in the same order, and the end behind them.

use std::collections::VecDeque;

use super::receiving::{Found, Memory, Read, Receiving, Shape};
use super::records::{IncomingRecords, NativeIncoming, NativeOutgoing, OutgoingRecords};
use super::sending::{Next, Progress, Sending};
use crate::protocol::layout::{Incoming, Outgoing, Planned};
use crate::protocol::native::record as native;
use crate::protocol::record::{Opener, Sealer};

/// The sending end: the machine, and the buffer that is out.
struct Source<R> {
    machine: Sending<Vec<u8>>,
    records: R,
    /// Bytes in a buffer that is filled; one that is read into has half as many.
    buffer: usize,
    out: Option<(Vec<u8>, core::ops::Range<usize>)>,
    has_ended: bool,
}

impl<R: Outgoing> Source<R>
where
    R::Error: core::fmt::Debug,
{
    /// Sends a message if there is room or place for it; returns whether it did.
    fn send(&mut self, message: &[u8]) -> bool {
        let planned = self.records.plan(message.len()).unwrap();
        if self.append(planned, message) {
            return true;
        }
        if !self.machine.make_place(&mut self.records).unwrap() {
            return false;
        }
        self.machine.fill(vec![0; self.buffer.max(planned.room())]);
        // What the wire has to say of its own may take the room.
        let is_due = self.records.due() > 0;
        let has_room = self.append(planned, message);
        assert!(has_room || is_due, "a fresh buffer has room");
        has_room
    }

    fn append(&mut self, planned: Planned, message: &[u8]) -> bool {
        let appended = self.machine.append(&mut self.records, planned, message);
        appended.unwrap()
    }

    /// Does what the writer does, and has the kernel take up to `count` bytes.
    fn write(&mut self, count: usize, network: &mut VecDeque<u8>) {
        if let Some((buffer, range)) = self.out.take() {
            let count = count.clamp(1, range.len());
            network.extend(&buffer[range.start..range.start + count]);
            if let Progress::Remaining(rest) = self.machine.completed(count) {
                self.out = Some((buffer, rest));
            }
            return;
        }
        match self.machine.next(&mut self.records).unwrap() {
            Next::Submit { buffer, range } => self.out = Some((buffer, range)),
            Next::End => {
                self.machine.ended();
                self.has_ended = true;
            }
            Next::Room(bytes) => self.machine.fill(vec![0; bytes]),
            Next::Messages | Next::Over => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The receiving end: the machine, and the block that is read into.
struct Sink<R> {
    machine: Receiving,
    records: R,
    block: Vec<u8>,
    /// Bytes of the block that were cut off.
    offset: usize,
    /// Whether a message that was given out still lies in the block.
    is_shared: bool,
    /// The parts of a message that is not complete.
    parts: Vec<u8>,
    received: Vec<Vec<u8>>,
    has_ended: bool,
}

impl<R: Incoming> Sink<R>
where
    R::Error: core::fmt::Debug,
    R::Event: core::fmt::Debug,
{
    /// Opens what is here, or reads up to `count` bytes.
    fn turn(&mut self, count: usize, memory: Memory, network: &mut VecDeque<u8>, is_over: bool) {
        while self.open() {}
        if self.machine.is_stream_over() {
            if !self.has_ended {
                self.machine.finish(&self.records).unwrap();
                self.has_ended = true;
            }
            return;
        }
        if network.is_empty() && !is_over {
            return;
        }
        let shape = (!self.block.is_empty()).then_some(Shape {
            offset: self.offset,
            length: self.block.len() - self.offset,
            is_slot: self.block.len() == memory.slot_size,
            is_sole: !self.is_shared,
        });
        let mut read = self.machine.next_read(shape, memory, false);
        if read == Read::Readable {
            (self.block, self.offset, self.is_shared) = (Vec::new(), 0, false);
            self.machine.waits();
            assert!(!self.machine.completed(), "it was no read");
            read = self.machine.next_read(None, memory, true);
        }
        let filled = self.machine.filled();
        match read {
            Read::Behind => assert!(!self.is_shared, "a message lies there"),
            Read::Front => {
                assert!(!self.is_shared, "a message lies there");
                self.block.copy_within(self.offset..self.offset + filled, 0);
                self.offset = 0;
            }
            Read::Elsewhere(wanted) => {
                let length = if wanted.fits_slot {
                    memory.slot_size
                } else {
                    wanted.bytes
                };
                let mut block = vec![0; length];
                block[..filled].copy_from_slice(&self.block[self.offset..][..filled]);
                (self.block, self.offset, self.is_shared) = (block, 0, false);
            }
            Read::Readable => panic!("there is something to read"),
        }
        let room = self.block.len() - self.offset - filled;
        assert!(room > 0, "a read of nothing looks like the end");
        self.machine.reads();
        assert!(self.machine.completed());
        let came: Vec<u8> = network
            .drain(..count.clamp(1, room).min(network.len()))
            .collect();
        self.block[self.offset + filled..][..came.len()].copy_from_slice(&came);
        self.machine.came(came.len());
    }

    fn open(&mut self) -> bool {
        let Some(buffer) = self.block.get_mut(self.offset..) else {
            return false;
        };
        let found = self.machine.open(&mut self.records, buffer).unwrap();
        let cut = match found {
            Found::Nothing => return false,
            Found::Message { cut, plaintext } => {
                self.received.push(buffer[plaintext].to_vec());
                self.is_shared = true;
                cut
            }
            Found::Packed { cut, region } => {
                let region = &buffer[region];
                while let Some(message) = self.records.next_packed(region).unwrap() {
                    self.received.push(region[message].to_vec());
                }
                self.is_shared = true;
                cut
            }
            Found::Part {
                cut,
                plaintext,
                last,
            } => {
                self.parts.extend_from_slice(&buffer[plaintext]);
                if last {
                    self.received.push(core::mem::take(&mut self.parts));
                }
                cut
            }
            Found::Event { cut, .. } => cut,
            Found::Header { cut } => cut,
        };
        self.offset += cut;
        true
    }
}

/// Sends `messages` by the first of both and receives them by the second; in each of `steps` the machine
/// that its kind stands for moves by its count.
///
/// # Panics
///
/// If anything comes out that is not what was sent, or the end does not.
fn check<O: Outgoing, I: Incoming>(
    records: (O, I),
    buffer: usize,
    // What the application asks the wire for beside messages.
    ask: impl Fn(&mut O),
    messages: &[Vec<u8>],
    steps: &[(u8, usize)],
) where
    O::Error: core::fmt::Debug,
    I::Error: core::fmt::Debug,
    I::Event: core::fmt::Debug,
{
    let mut source = Source {
        machine: Sending::new(),
        records: records.0,
        buffer,
        out: None,
        has_ended: false,
    };
    let mut sink = Sink {
        machine: Receiving::new(),
        records: records.1,
        block: Vec::new(),
        offset: 0,
        is_shared: false,
        parts: Vec::new(),
        received: Vec::new(),
        has_ended: false,
    };
    let mut network = VecDeque::new();
    let mut waiting = messages.iter();
    let mut next = waiting.next();
    // At last everything gets its turn.
    let rest = (0..10_000).map(|turn: usize| (u8::try_from(turn % 3).unwrap(), buffer * 3));
    for (kind, count) in steps.iter().copied().chain(rest) {
        match kind {
            0 => match next {
                Some(message) if source.send(message) => next = waiting.next(),
                Some(_) => {}
                None => source.machine.close(&mut source.records),
            },
            1 => source.write(count, &mut network),
            2 => {
                let memory = Memory {
                    slot_size: buffer / 2,
                    block_size: buffer / 8,
                    are_slots_short: count % 3 == 0,
                };
                let is_over = source.has_ended && network.is_empty();
                sink.turn(count, memory, &mut network, is_over);
            }
            3 => ask(&mut source.records),
            // Whoever has the messages drops them.
            _ => sink.is_shared = false,
        }
        assert!(
            sink.received[..] == messages[..sink.received.len()],
            "another message"
        );
        if sink.has_ended {
            break;
        }
    }
    assert!(sink.has_ended, "it came to a halt");
    assert_eq!(sink.received.len(), messages.len());
}

/// Does it with CUPS.
pub(crate) fn check_commonware(
    (sealer, opener): (Sealer, Opener),
    messages: &[Vec<u8>],
    steps: &[(u8, usize)],
) {
    check((sealer, opener), 300, |_| (), messages, steps);
}

/// Does it with the native wire, which has things of its own to say.
pub(crate) fn check_native(
    (sealer, opener): (native::Sealer, native::Opener),
    messages: &[Vec<u8>],
    steps: &[(u8, usize)],
) {
    let records = (
        OutgoingRecords::Native(Box::new(NativeOutgoing::new(sealer))),
        IncomingRecords::Native(Box::new(NativeIncoming::new(opener))),
    );
    let ask = |records: &mut OutgoingRecords| {
        records.update();
        records.alive();
        records.leave(1);
    };
    check(records, 20_000, ask, messages, steps);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::native::Suite;
    use crate::protocol::one_tag::OneTag;
    use crate::protocol::record::{CupsVersion, pair};

    /// Messages of these lengths, each of its own byte.
    fn messages(lengths: &[usize]) -> Vec<Vec<u8>> {
        let message = |(index, length): (usize, &usize)| vec![index.to_le_bytes()[0]; *length];
        lengths.iter().enumerate().map(message).collect()
    }

    proptest! {
        #[test]
        fn what_is_sent_comes_out(
            lengths in prop::collection::vec(0..200_usize, 0..30),
            steps in prop::collection::vec((0..5_u8, 0..400_usize), 0..300),
        ) {
            let messages = messages(&lengths);
            check((OneTag::new(), OneTag::new()), 300, |_| (), &messages, &steps);
            for version in [CupsVersion::V0, CupsVersion::V1] {
                check_commonware(pair(version, 1000), &messages, &steps);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        // Long messages take several records there.
        #[test]
        fn what_is_sent_on_the_native_wire_comes_out(
            lengths in prop::collection::vec(
                prop_oneof![0..200_usize, 4000..4200_usize, 10_000..60_000_usize],
                0..12,
            ),
            steps in prop::collection::vec((0..5_u8, 0..30_000_usize), 0..200),
        ) {
            for suite in Suite::ALL {
                check_native(native::pair(suite), &messages(&lengths), &steps);
            }
        }
    }
}
