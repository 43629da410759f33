//! What is said of an answer that is one of another protocol.

use crate::net::error::AttemptError;

/// How many bytes of such an answer an error shows.
const SHOWN: usize = 40;

/// Says that an answer which begins with `input` is one of another protocol.
pub(super) fn other_protocol(input: &[u8]) -> AttemptError {
    let start = first_line(input);
    AttemptError::OtherProtocol { start }
}

/// Returns what somebody needs to see of `input` to know another protocol by it.
fn first_line(input: &[u8]) -> String {
    let mut lines = input.split(|byte| matches!(byte, b'\r' | b'\n'));
    let line = lines.find(|line| !line.is_empty()).unwrap_or(input);
    line[..line.len().min(SHOWN)].escape_ascii().to_string()
}
