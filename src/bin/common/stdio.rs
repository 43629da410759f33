//! Standard input, read by a thread of its own, and standard output for threads without a ring.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::patient::Patient;

/// Lines that may wait for the other side. A line can be as long as a message.
const WAITING_LINES: usize = 16;

/// Writes one line to standard output, from a thread without a ring.
pub fn print(line: &str) -> Result<(), Failure> {
    let mut output = Patient(io::stdout().lock());
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .map_err(|error| Failure::of_output(&error))
}

/// Lines of standard input.
#[derive(Debug)]
pub struct Input {
    lines: mpsc::Receiver<Result<Line, Failure>>,
    /// Bytes that were read.
    read: Arc<AtomicU64>,
    /// How many of them were given out.
    given: u64,
}

impl Input {
    /// Returns the next line without its line feed; `None` at the end.
    pub async fn recv(&mut self) -> Option<Result<Vec<u8>, Failure>> {
        let line = self.lines.recv().await?;
        Some(line.map(|Line { bytes, read }| {
            self.given += read;
            bytes
        }))
    }

    /// Has no more lines read. Those that were are still given.
    pub fn close(&mut self) {
        self.lines.close();
    }

    /// Returns how many bytes were read and not given out: the start of a line, or lines for which
    /// there was no time.
    pub fn unfinished(&self) -> u64 {
        self.read.load(Ordering::Relaxed) - self.given
    }
}

/// A line of standard input.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    /// Without its line feed.
    bytes: Vec<u8>,
    /// How many bytes it was with that.
    read: u64,
}

/// Counts the bytes that are read.
struct Counted<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Starts to read standard input. The channel ends where the input does; an error is the last
/// item.
pub fn input(max_line: u32) -> Result<Input, Failure> {
    let (sender, lines) = mpsc::channel(WAITING_LINES);
    let read = Arc::<AtomicU64>::default();
    let counter = Arc::clone(&read);
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            let mut input = BufReader::new(Counted {
                input: Patient(io::stdin().lock()),
                read: counter,
            });
            while let Some(item) = next_line(&mut input, max_line).transpose() {
                let is_last = item.is_err();
                if sender.blocking_send(item).is_err() || is_last {
                    break;
                }
            }
        })
        .map_err(|error| {
            Failure::new(format!("cannot start a thread for standard input: {error}"))
        })?;
    Ok(Input {
        lines,
        read,
        given: 0,
    })
}

/// Reads a line of at most `max` bytes.
fn next_line(input: &mut impl BufRead, max: u32) -> Result<Option<Line>, Failure> {
    let mut line = Vec::new();
    input
        .take(u64::from(max) + 1)
        .read_until(b'\n', &mut line)
        .map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
    if line.is_empty() {
        return Ok(None);
    }
    let read = line.len() as u64;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > max as usize {
        return Err(Failure::new(format!(
            "a line of standard input has more than {max} bytes; split it or raise \
             --max-message-size on both ends"
        )));
    }
    Ok(Some(Line { bytes: line, read }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_without_line_feed_and_end_with_the_input() {
        let mut input: &[u8] = b"one\n\ntwo\r\nfour";
        let mut next = || next_line(&mut input, 4).unwrap();
        for (expected, read) in [("one", 4), ("", 1), ("two\r", 5), ("four", 4)] {
            let bytes = expected.as_bytes().to_vec();
            assert_eq!(next().unwrap(), Line { bytes, read });
        }
        assert_eq!(next(), None);
    }

    #[test]
    fn line_beyond_the_limit_is_refused_before_it_is_read() {
        let mut endless = BufReader::new(io::repeat(b'x'));
        let error = next_line(&mut endless, 8).unwrap_err();
        assert!(matches!(error, Failure::Failed(text) if text.contains("--max-message-size")));
    }
}
