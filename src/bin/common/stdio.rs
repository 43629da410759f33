//! Standard input, read by a thread of its own, and standard output for threads without a ring.

use std::io::{self, BufRead, Read, Write};
use std::thread;

use tokio::sync::mpsc;

use crate::failure::Failure;

/// Lines that may wait for the other side. A line can be as long as a message.
const WAITING_LINES: usize = 16;

/// Writes one line to standard output, from a thread without a ring.
pub fn print(line: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .map_err(|error| Failure::of_output(&error))
}

/// Lines of standard input.
pub type Input = mpsc::Receiver<Result<Vec<u8>, Failure>>;

/// Starts to read standard input. The channel ends where the input does; an error is the last
/// item.
pub fn input(max_line: u32) -> Result<Input, Failure> {
    let (sender, receiver) = mpsc::channel(WAITING_LINES);
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            let mut input = io::stdin().lock();
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
    Ok(receiver)
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
