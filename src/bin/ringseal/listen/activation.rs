//! The sockets that a service manager passes to a program that it starts (`LISTEN_FDS`).

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::process;

use listenfd::ListenFd;

use crate::failure::Failure;

const COUNT: &str = "LISTEN_FDS";
const PROCESS: &str = "LISTEN_PID";
/// The first descriptor that is passed.
const FIRST: usize = 3;
/// As many sockets may be passed.
const MAX_SOCKETS: usize = 1000;

/// What stands in the environment.
#[derive(Debug)]
pub(super) struct Activation {
    count: Option<OsString>,
    process: Option<OsString>,
}

impl Activation {
    pub(super) fn of_environment() -> Self {
        Self {
            count: env::var_os(COUNT),
            process: env::var_os(PROCESS),
        }
    }

    /// Whether sockets were passed to this process. Where they were passed to another one, they are
    /// none of ours: the variables are inherited.
    pub(super) fn is_ours(&self) -> bool {
        self.count().is_some_and(|count| count != "0") && self.is_for(process::id())
    }

    /// Takes the sockets that were passed.
    ///
    /// # Errors
    ///
    /// What is wrong with what was passed, and what to change.
    pub(super) fn sockets(&self) -> Result<Vec<OwnedFd>, Failure> {
        let Some(count) = self.count() else {
            return Ok(Vec::new());
        };
        let own = process::id();
        if !self.is_for(own) {
            return Err(self.for_another(own));
        }
        match count.to_str().map(str::parse::<usize>) {
            Some(Ok(0)) => Ok(Vec::new()),
            Some(Ok(count @ 1..=MAX_SOCKETS)) => take(count),
            _ => Err(Failure::new(format!(
                "{COUNT} is `{}`, which is no number of sockets up to {MAX_SOCKETS}; set how many are \
                 passed, or unset it and give an address",
                count.display()
            ))),
        }
    }

    fn count(&self) -> Option<&OsStr> {
        self.count.as_deref().filter(|count| !count.is_empty())
    }

    fn is_for(&self, own: u32) -> bool {
        let process = self.process.as_deref().and_then(OsStr::to_str);
        process.and_then(|process| process.parse().ok()) == Some(own)
    }

    fn for_another(&self, own: u32) -> Failure {
        let process = self.process.as_deref().unwrap_or_default();
        Failure::new(format!(
            "{COUNT} says that sockets were passed to process {PROCESS}=`{}`, and this is process \
             {own}; have ringseal started without a shell in between (or by exec), or give an address",
            process.display()
        ))
    }
}

/// Takes the descriptors that were passed.
fn take(count: usize) -> Result<Vec<OwnedFd>, Failure> {
    let mut passed = ListenFd::from_env();
    (0..count)
        .map(|index| take_one(&mut passed, index))
        .collect()
}

fn take_one(passed: &mut ListenFd, index: usize) -> Result<OwnedFd, Failure> {
    if let Ok(Some(socket)) = passed.take_tcp_listener(index) {
        return Ok(socket.into());
    }
    if let Ok(Some(socket)) = passed.take_unix_listener(index) {
        return Ok(socket.into());
    }
    Err(Failure::new(format!(
        "what was passed as descriptor {} ({COUNT}) is no stream socket of TCP or of the Unix domain; \
         pass those that listen (ListenStream= in the .socket unit)",
        FIRST + index
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activation(count: &str, process: &str) -> Activation {
        let set = |text: &str| (text != "unset").then(|| text.into());
        Activation {
            count: set(count),
            process: set(process),
        }
    }

    #[test]
    fn what_is_not_for_this_process_is_not_taken_and_nothing_passed_is_no_error() {
        let own = process::id().to_string();
        for (count, process) in [
            ("unset", &*own),
            ("", &own),
            ("0", &own),
            ("unset", "unset"),
        ] {
            let activation = activation(count, process);
            assert!(!activation.is_ours());
            let sockets = activation.sockets();
            assert!(
                sockets.is_ok_and(|sockets| sockets.is_empty()),
                "{activation:?}"
            );
        }
        for (count, process, part) in [
            ("1", "1", "LISTEN_PID=`1`"),
            ("1", "unset", "by exec"),
            ("1", "", "give an address"),
            ("x", &own, "`x`, which is no number"),
            ("-1", &own, "no number"),
            ("1001", &own, "up to 1000"),
            ("4294967296", &own, "up to 1000"),
        ] {
            let activation = activation(count, process);
            assert_eq!(activation.is_ours(), process == own);
            match activation.sockets() {
                Err(Failure::Failed(text)) => assert!(text.contains(part), "{text}"),
                other => panic!("{activation:?}: {other:?}"),
            }
        }
    }
}
