//! Why a command failed, in one line that says what to change.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use ringseal::protocol::native::Suite;
use ringseal::protocol::native::handshake::HandshakeError;
use ringseal::{AcceptError, AttemptError};

use crate::peer_fields::PeerFields;
use crate::{log, terms};

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
            log::error(&text);
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
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    terms::for_users(&text)
}

/// Tells of a client that did not become a connection, unless it only looked whether we are here.
pub fn warn_of_client(error: &AcceptError) {
    let AcceptError {
        address, reason, ..
    } = error;
    let text = match reason {
        AttemptError::ClosedUnused => return,
        AttemptError::NativeHandshake(HandshakeError::SuiteRefused { byte }) => format!(
            "the connection from {address} failed: the dialer wants {}, which --wire does not \
             name here; name it as well, or have the dialer choose another suite by its --wire",
            suite(*byte)
        ),
        _ => chain(error),
    };
    let from = PeerFields {
        peer: None,
        address: address.clone(),
    };
    log::line_about_peer(&text, Some(&from));
}

/// The wire with the suite that this byte of a hello stands for (NATIVE section 2.1).
fn suite(byte: u8) -> String {
    let suite = match byte {
        1 => Suite::Aes256Gcm,
        2 => Suite::ChaCha20Poly1305,
        _ => return format!("an unknown suite of the native wire ({byte})"),
    };
    format!("native:{suite}")
}

/// Prints one line on standard error.
pub fn warn(text: &str) {
    log::line(text);
}

#[cfg(test)]
mod tests {
    use ringseal::protocol::native::Settings;

    use super::*;

    #[test]
    fn a_cause_that_a_text_has_in_its_middle_is_not_told_twice() {
        let too_small = Settings::new(1, 0).expect_err("too small");
        let error = HandshakeError::Settings(too_small);
        let text = chain(&error);
        assert_eq!(text, error.to_string());
        assert!(text.ends_with("; correct its configuration"), "{text}");
    }
}
