//! Why a command failed, in one line that says what to change.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use ringseal::{AcceptError, AttemptError};

use crate::log;

/// Why a command ended early.
#[derive(Debug)]
pub enum Failure {
    /// Nobody reads standard output any more. Not an error.
    OutputClosed,
    /// What to tell the user.
    Failed(String),
}

impl Failure {
    /// A failure that `text` tells all of.
    pub fn new(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// The text of `error` and its sources, and then what to do about it.
    pub fn with_advice(error: &dyn Error, advice: &str) -> Self {
        Self::Failed(format!("{}; {advice}", chain(error)))
    }

    /// The same failure, with more that has gone wrong.
    pub fn and(self, more: &str) -> Self {
        match self {
            Self::OutputClosed => self,
            Self::Failed(text) => Self::Failed(format!("{text}; {more}")),
        }
    }

    /// Why standard output could not be written.
    pub fn of_output(error: &io::Error) -> Self {
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

/// What a program ends with, after it has said why it failed.
pub fn exit_code(result: Result<(), Failure>) -> ExitCode {
    match result {
        // Whoever read our output has seen enough.
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(Failure::Failed(text)) => {
            warn(&text);
            ExitCode::FAILURE
        }
    }
}

/// The texts of an error and its sources in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        // Most texts have their cause in them.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    // The library speaks to programmers; here the setting is an option.
    text.replace("Config::max_message_size", "--max-message-size")
        .replace("Config::handshake_deadline", "--handshake-timeout")
        .replace("Config::idle_timeout", "--idle-timeout")
        .replace("Config::progress_timeout", "--progress-timeout")
}

/// Tells of a client that did not become a connection, unless it only looked whether we are here.
pub fn warn_of_client(error: &AcceptError) {
    if !matches!(error.reason, AttemptError::ClosedUnused) {
        log::line_about_peer(&chain(error));
    }
}

/// Prints one line on standard error.
pub fn warn(text: &str) {
    log::line(text);
}
