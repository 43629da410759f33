//! Standard output, written by a thread of its own: a terminal or a pipe that blocks must never
//! block a ring.
//!
//! Lines wait in a queue that is bounded in bytes. Whoever can wait for room does; what is left of
//! a connection that has ended takes some spare room instead, so that nothing of it has to stay
//! open. What was queued and not written, or found no room, is counted.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::thread;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::failure::{self, Failure};
use crate::patient::Patient;

/// Bytes that may wait in the queue.
const ROOM: u32 = 1024 * 1024;
/// Bytes that may wait besides, of connections that have ended or are read to their end.
const SPARE: u32 = 16 * ROOM;
/// Bytes that may be held besides, of connections that can't be read to their end.
const HELD: u32 = 64 * ROOM;
/// Bytes in one write, as many as a pipe holds.
const PIECE: usize = 64 * 1024;
/// What a line takes besides its bytes.
const LINE_OVERHEAD: u32 = 64;

/// Standard output. [`finish`](Self::finish) says what became of it.
#[derive(Debug)]
pub(crate) struct Output {
    lines: Lines,
    written: blocking::Receiver<io::Result<()>>,
}

/// Room in the queue for a line, given back when it is written.
#[derive(Debug)]
pub(crate) struct Room(
    #[expect(dead_code, reason = "it is there to be dropped")] OwnedSemaphorePermit,
);

type Waiting = (Vec<u8>, Room);

/// Lines, by their ends, since a message may have several.
#[derive(Debug, Default)]
struct Counts {
    queued: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
    /// Writes, which tell whether anybody reads.
    writes: AtomicU64,
}

impl Output {
    pub(crate) fn start() -> Result<Self, Failure> {
        Self::start_on(io::stdout().is_terminal(), || Patient(io::stdout()))
    }

    fn start_on<W: Write>(
        is_terminal: bool,
        output: impl FnOnce() -> W + Send + 'static,
    ) -> Result<Self, Failure> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (done, written) = blocking::channel();
        let lines = Lines {
            sender,
            room: Arc::new(Semaphore::new(ROOM as usize)),
            spare: Arc::new(Semaphore::new(SPARE as usize)),
            held: Arc::new(Semaphore::new(HELD as usize)),
            counts: Arc::default(),
            is_terminal,
        };
        let (counts, room) = (Arc::clone(&lines.counts), Arc::clone(&lines.room));
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || {
                let watched = Watched {
                    output: output(),
                    counts,
                };
                let result = write_all(receiver, &mut BufWriter::new(watched));
                // Whoever waits for room sees the end as soon as there is no reader.
                room.close();
                // Fails only if nobody wants to know.
                let _ = done.send(result);
            })
            .map_err(|error| {
                Failure::new(format!(
                    "cannot start a thread for standard output: {error}"
                ))
            })?;
        Ok(Self { lines, written })
    }

    pub(crate) fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Waits until everything is written, unless nothing was for as long as `patience`. Gives
    /// `result`, unless the output explains it or is a failure itself.
    pub(crate) fn finish(
        self,
        result: Result<(), Failure>,
        patience: Duration,
    ) -> Result<(), Failure> {
        let Self { lines, written } = self;
        let counts = Arc::clone(&lines.counts);
        drop(lines);
        let writes = || counts.writes.load(Ordering::Relaxed);
        let mut before = writes();
        let outcome = loop {
            let outcome = written.recv_timeout(patience);
            if outcome.is_ok() || writes() == before {
                break outcome;
            }
            before = writes();
        };
        match (result, outcome, counts.unprinted()) {
            (Ok(()) | Err(Failure::OutputClosed), Ok(Err(error)), lost) => {
                let failure = Failure::of_output(&error);
                if let (Failure::OutputClosed, Some(lost)) = (&failure, lost) {
                    // Not an error, but not to be passed over either.
                    failure::warn(&lost);
                }
                Err(failure)
            }
            (Ok(()), _, Some(lost)) => Err(Failure::new(lost)),
            (Err(failure), _, Some(lost)) => Err(failure.and(&lost)),
            (result, _, None) => result,
        }
    }
}

fn write_all(
    mut receiver: mpsc::UnboundedReceiver<Waiting>,
    output: &mut impl Write,
) -> io::Result<()> {
    while let Some(first) = receiver.blocking_recv() {
        let mut next = Some(first);
        while let Some((line, room)) = next {
            output.write_all(&line)?;
            drop(room);
            next = receiver.try_recv().ok();
        }
        output.flush()?;
    }
    Ok(())
}

/// Counts what is written.
struct Watched<W> {
    output: W,
    counts: Arc<Counts>,
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // In pieces, so that a long line shows that it goes on.
        let length = self.output.write(&bytes[..bytes.len().min(PIECE)])?;
        add(&self.counts.written, line_ends(&bytes[..length]));
        add(&self.counts.writes, 1);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

impl Counts {
    /// What to say of lines that nobody will see.
    fn unprinted(&self) -> Option<String> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let waiting = count(&self.queued).saturating_sub(count(&self.written));
        let lost = waiting + count(&self.dropped);
        (lost > 0)
            .then(|| format!("{lost} lines were not printed, because nobody read standard output"))
    }
}

/// Where lines for standard output go.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    sender: mpsc::UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    held: Arc<Semaphore>,
    counts: Arc<Counts>,
    is_terminal: bool,
}

impl Lines {
    /// Makes a line of `bytes`. On a terminal without control characters, so that no peer can
    /// steer it.
    pub(crate) fn line(&self, bytes: &[u8]) -> Vec<u8> {
        let mut line = if self.is_terminal {
            let text = String::from_utf8_lossy(bytes);
            text.replace(
                |c: char| c.is_control() && c != '\t' && c != '\n',
                "\u{fffd}",
            )
            .into_bytes()
        } else {
            bytes.to_vec()
        };
        line.push(b'\n');
        line
    }

    /// Prints a line when there is room for it. Dropping the future prints nothing.
    pub(crate) async fn print(&self, line: Vec<u8>) -> Result<(), Failure> {
        let room = self.room_for(needed(&line)).await?;
        self.queue(line, room)
    }

    /// Waits for what [`queue`](Self::queue) takes.
    pub(crate) async fn room_for(&self, needed: u32) -> Result<Room, Failure> {
        let room = Arc::clone(&self.room).acquire_many_owned(needed);
        Ok(Room(room.await.map_err(|_| Failure::OutputClosed)?))
    }

    pub(crate) fn queue(&self, line: Vec<u8>, room: Room) -> Result<(), Failure> {
        add(&self.counts.queued, line_ends(&line));
        self.sender
            .send((line, room))
            .map_err(|_| Failure::OutputClosed)
    }

    /// Room for a line, if there is any now.
    pub(crate) fn room_now(&self, line: &[u8]) -> Option<Room> {
        room_in(&self.room, line)
    }

    /// Room for a line of the spare one, if there is any now.
    pub(crate) fn spare_room_now(&self, line: &[u8]) -> Option<Room> {
        room_in(&self.spare, line)
    }

    /// Room for a line that waits for room, if there is any now: for all of them together.
    pub(crate) fn room_to_wait_now(&self, line: &[u8]) -> Option<Room> {
        room_in(&self.held, line)
    }

    /// Room of either kind.
    pub(crate) fn any_room_now(&self, line: &[u8]) -> Option<Room> {
        self.room_now(line).or_else(|| self.spare_room_now(line))
    }

    /// Prints a line if there is room; else counts it as lost.
    pub(crate) fn print_or_count(&self, line: Vec<u8>) {
        match self.any_room_now(&line) {
            // Whoever accepts connections sees for itself when there is no reader.
            Some(room) => drop(self.queue(line, room)),
            None => self.count_lost(line_ends(&line)),
        }
    }

    /// Counts lines that will not be printed.
    pub(crate) fn count_lost(&self, count: u64) {
        add(&self.counts.dropped, count);
    }

    /// Waits until nobody reads standard output any more, as far as a write has told.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }
}

fn room_in(room: &Arc<Semaphore>, line: &[u8]) -> Option<Room> {
    let room = Arc::clone(room).try_acquire_many_owned(needed(line));
    room.ok().map(Room)
}

/// How much room a line takes. The longest take all there is.
pub(crate) fn needed(line: &[u8]) -> u32 {
    u32::try_from(line.len())
        .unwrap_or(ROOM)
        .saturating_add(LINE_OVERHEAD)
        .min(ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing until the other end of the channel is gone.
    struct Blocked(blocking::Receiver<()>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    // HAZARDS F5: what ended connections leave behind is bounded, and counted.
    #[test]
    fn lines_beyond_the_spare_room_are_counted_and_those_within_come() {
        let line = [b'x'; 1000].into_iter().chain([b'\n']).collect::<Vec<_>>();
        let fit = ROOM / needed(&line) + SPARE / needed(&line);
        for is_read in [true, false] {
            let (release, blocked) = blocking::channel();
            let output = Output::start_on(false, || Blocked(blocked)).expect("a thread");
            let lines = output.lines();
            // The writer may have taken a few already.
            let tried = u64::from(fit) + 100;
            for _ in 0..tried {
                lines.print_or_count(line.clone());
            }
            let dropped = lines.counts.dropped.load(Ordering::Relaxed);
            assert!((1..=100).contains(&dropped), "{dropped}");
            drop(lines);
            let release = (!is_read).then_some(release);
            let result = output.finish(Ok(()), Duration::from_millis(100));
            let lost = if is_read { dropped } else { tried };
            let Err(Failure::Failed(text)) = result else {
                panic!("lines were lost");
            };
            assert!(
                text.starts_with(&format!("{lost} lines were not printed")),
                "{text}"
            );
            drop(release);
        }
    }

    #[test]
    fn a_line_waits_for_room_and_one_that_is_longer_than_all_fits_alone() {
        let (release, blocked) = blocking::channel();
        let output = Output::start_on(false, || Blocked(blocked)).expect("a thread");
        let lines = output.lines();
        let long = vec![b'x'; 3 * ROOM as usize];
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(async {
            lines.print(long).await.expect("room");
            let mut next = core::pin::pin!(lines.print(b"short\n".to_vec()));
            tokio::select! {
                biased;
                _ = &mut next => panic!("there is no room"),
                () = core::future::ready(()) => {}
            }
            drop(release);
            next.await.expect("a reader");
        });
        drop(lines);
        output
            .finish(Ok(()), Duration::MAX)
            .expect("all is printed");
    }
}
