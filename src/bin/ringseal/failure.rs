//! Why a command failed, in one line that says what to change.

use std::error::Error;
use std::io::{self, Write};

use ringseal::{AcceptError, AttemptError};

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody reads standard output any more. Not an error.
    OutputClosed,
    /// What to tell the user.
    Failed(String),
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// The text of `error` and its sources, and then what to do about it.
    pub(crate) fn with_advice(error: &dyn Error, advice: &str) -> Self {
        Self::Failed(format!("{}; {advice}", chain(error)))
    }

    /// Why standard output could not be written.
    pub(crate) fn of_output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::OutputClosed;
        }
        Self::Failed(format!("cannot write to standard output: {error}"))
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(chain(&error))
    }
}

/// The texts of an error and its sources in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    // The library speaks to programmers; here the setting is an option.
    text.replace("Config::max_message_size", "--max-message-size")
        .replace("Config::idle_timeout", "--idle-timeout")
        .replace("Config::progress_timeout", "--progress-timeout")
}

/// Tells of a client that did not become a connection, unless it only looked whether we are here.
pub(crate) fn warn_of_client(error: &AcceptError) {
    if !matches!(error.reason, AttemptError::ClosedUnused) {
        warn(&chain(error));
    }
}

/// Writes one line to standard error, whatever bytes the text has from elsewhere.
pub(crate) fn warn(text: &str) {
    let line = text.replace(char::is_control, " ");
    // There is nobody left to tell when this fails.
    let _ = writeln!(io::stderr(), "ringseal: {line}");
}
