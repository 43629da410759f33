//! Standard input and output, on threads of their own: a terminal or a pipe that blocks must
//! never block a ring.

use core::time::Duration;
use std::io::{self, BufRead, BufWriter, IsTerminal, Read, Write};
use std::sync::mpsc as blocking;
use std::thread;

use tokio::sync::mpsc;

use crate::failure::Failure;

/// Lines that may wait for the other side. A line can be as long as a message.
const WAITING_LINES: usize = 16;

/// Writes one line to standard output, from a thread without a ring.
pub(crate) fn print(line: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .map_err(|error| Failure::of_output(&error))
}

/// Standard output, written by a thread.
#[derive(Debug)]
pub(crate) struct Output {
    lines: Lines,
    written: blocking::Receiver<io::Result<()>>,
}

impl Output {
    pub(crate) fn start() -> Self {
        let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(WAITING_LINES);
        let (done, written) = blocking::channel();
        thread::spawn(move || {
            let mut write = || {
                let mut output = BufWriter::new(io::stdout().lock());
                while let Some(line) = receiver.blocking_recv() {
                    output.write_all(&line)?;
                    while let Ok(line) = receiver.try_recv() {
                        output.write_all(&line)?;
                    }
                    output.flush()?;
                }
                Ok(())
            };
            let result = write();
            // Senders see the end as soon as there is no reader.
            drop(receiver);
            // Fails only if nobody wants to know.
            let _ = done.send(result);
        });
        Self {
            lines: Lines {
                sender,
                is_terminal: io::stdout().is_terminal(),
            },
            written,
        }
    }

    pub(crate) fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Waits until everything is written, `patience` at most, and gives `result` unless the
    /// writing failed and so explains it.
    pub(crate) fn finish(
        self,
        result: Result<(), Failure>,
        patience: Duration,
    ) -> Result<(), Failure> {
        drop(self.lines);
        match (result, self.written.recv_timeout(patience)) {
            (Ok(()) | Err(Failure::OutputClosed), Ok(Err(error))) => {
                Err(Failure::of_output(&error))
            }
            (result, _) => result,
        }
    }
}

/// Where lines for standard output go.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    sender: mpsc::Sender<Vec<u8>>,
    is_terminal: bool,
}

impl Lines {
    /// Prints bytes and a line feed. On a terminal without control characters, so that no peer
    /// can steer it.
    pub(crate) async fn print(&self, bytes: &[u8]) -> Result<(), Failure> {
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
        self.sender
            .send(line)
            .await
            .map_err(|_| Failure::OutputClosed)
    }

    /// Waits until nobody reads standard output any more, as far as a write has told.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }
}

/// Starts to read standard input. The channel ends where the input does; an error is the last
/// item.
pub(crate) fn input(max_line: u32) -> mpsc::Receiver<Result<Vec<u8>, Failure>> {
    let (sender, receiver) = mpsc::channel(WAITING_LINES);
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Some(item) = next_line(&mut input, max_line).transpose() {
            let is_last = item.is_err();
            if sender.blocking_send(item).is_err() || is_last {
                break;
            }
        }
    });
    receiver
}

/// Reads a line of at most `max` bytes, given without its line feed.
fn next_line(input: &mut impl BufRead, max: u32) -> Result<Option<Vec<u8>>, Failure> {
    let mut line = Vec::new();
    input
        .take(u64::from(max) + 1)
        .read_until(b'\n', &mut line)
        .map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > max as usize {
        return Err(Failure::new(format!(
            "a line of standard input has more than {max} bytes; split it or raise \
             --max-message-size on both ends"
        )));
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_without_line_feed_and_end_with_the_input() {
        let mut input: &[u8] = b"one\n\ntwo\r\nfour";
        let mut next = || next_line(&mut input, 4).unwrap();
        for expected in ["one", "", "two\r", "four"] {
            assert_eq!(next().unwrap(), expected.as_bytes());
        }
        assert_eq!(next(), None);
    }

    #[test]
    fn line_beyond_the_limit_is_refused_before_it_is_read() {
        let mut endless = io::BufReader::new(io::repeat(b'x'));
        let error = next_line(&mut endless, 8).unwrap_err();
        assert!(matches!(error, Failure::Failed(text) if text.contains("--max-message-size")));
    }
}
