//! SIGHUP: the file of keys is read again.

use std::io;
use std::os::fd::OwnedFd;
use std::thread;

use ringseal::{KeyFile, KeyFileError, ServerHandle};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use tokio::runtime::{Builder, Runtime as Executor};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::service_manager;
use crate::failure::{Failure, chain};
use crate::log;

/// A file of keys, and the signals that have it read again. They wait on a thread of their own, since
/// a disk may take its time.
#[derive(Debug)]
pub(super) struct Reload {
    keys: KeyFile,
    drops_removed: bool,
    executor: Executor,
    hangup: Signal,
    /// Given up while the file is read: a key may have to go just when clients have taken all others.
    spare: Option<OwnedFd>,
}

impl Reload {
    /// Catches SIGHUP from here on.
    pub(super) fn catch(keys: KeyFile, drops_removed: bool) -> Result<Self, Failure> {
        let catch = || {
            let executor = Builder::new_current_thread().enable_io().build()?;
            let entered = executor.enter();
            let hangup = signal(SignalKind::hangup())?;
            drop(entered);
            Ok((executor, hangup))
        };
        let (executor, hangup) = catch()
            .map_err(|error: io::Error| Failure::new(format!("cannot catch SIGHUP: {error}")))?;
        Ok(Self {
            keys,
            drops_removed,
            executor,
            hangup,
            spare: spare(),
        })
    }

    /// Has the server go by what the file says whenever a signal has come.
    pub(super) fn start(mut self, server: ServerHandle) -> Result<(), Failure> {
        thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                while let Some(()) = self.executor.block_on(self.hangup.recv()) {
                    self.reload(&server);
                }
            })
            .map(drop)
            .map_err(|error| Failure::new(format!("cannot start a thread for SIGHUP: {error}")))
    }

    fn reload(&mut self, server: &ServerHandle) {
        service_manager::reloading();
        // As late as can be: clients wait for it too.
        self.spare = None;
        let result = self.keys.reload();
        self.spare = spare();
        match result {
            Ok(changes) => {
                // Who was asked about by the old list, and has not come in yet, is asked about again.
                server.set_admission(self.keys.admission());
                let dropped = if self.drops_removed {
                    self.executor.block_on(server.drop_unadmitted())
                } else {
                    0
                };
                tracing::info!(
                    file = %self.keys.path().display(),
                    keys = self.keys.list().len(),
                    added = changes.added.len(),
                    removed = changes.removed.len(),
                    dropped,
                    "the file of keys was read again"
                );
            }
            Err(error) => log::line(&format!(
                "{}; the keys stay as they were: {} and send SIGHUP again",
                chain(&error),
                remedy(&error)
            )),
        }
        service_manager::ready();
    }
}

/// A descriptor to give up, if there is one.
fn spare() -> Option<OwnedFd> {
    eventfd(0, EventfdFlags::CLOEXEC).ok()
}

fn remedy(error: &KeyFileError) -> &'static str {
    match error {
        KeyFileError::Read { source, .. } => match Errno::from_io_error(source) {
            Some(Errno::MFILE) => {
                "raise the limit of descriptors (ulimit -n, LimitNOFILE=) or lower --max-connections,"
            }
            Some(Errno::NFILE) => "raise fs.file-max",
            _ => "correct the file",
        },
        _ => "correct the file",
    }
}
