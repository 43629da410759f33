//! The wish of whoever started the program that it end.

use core::future::Future;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Runtime as Executor};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;

/// The exit code by which a shell tells of a process that a signal has ended, less the signal.
const ENDED_BY_SIGNAL: i32 = 128;

/// Has SIGINT and SIGTERM end this process where the kernel would not: the first process of a
/// container gets no signal that it does not catch. For commands that have nothing to tidy up.
pub(crate) fn end_first_process() -> Result<(), Failure> {
    if std::process::id() != 1 {
        return Ok(());
    }
    let executor = executor()?;
    let entered = executor.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    drop(entered);
    named_thread(move || {
        let caught = executor.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
            }
        });
        std::process::exit(ENDED_BY_SIGNAL + caught.as_raw_value());
    })
}

fn executor() -> io::Result<Executor> {
    Builder::new_current_thread().enable_io().build()
}

fn named_thread(work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(work)?;
    Ok(())
}

/// SIGINT and SIGTERM. They are caught on a thread of their own, since a ring's thread has no
/// reactor for them.
#[derive(Clone, Debug)]
pub(crate) struct Interrupts {
    caught: watch::Receiver<bool>,
}

impl Interrupts {
    /// Catches signals from here on.
    pub(crate) fn new() -> Result<Self, Failure> {
        let executor = executor()?;
        let entered = executor.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        drop(entered);
        let (sender, caught) = watch::channel(false);
        named_thread(move || {
            executor.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    () = sender.closed() => {}
                }
            });
            sender.send_replace(true);
        })?;
        Ok(Self { caught })
    }

    /// Is done when a signal has come.
    pub(crate) async fn next(&mut self) {
        // The thread says so before it goes.
        let _ = self.caught.wait_for(|caught| *caught).await;
    }

    /// Gives `future`, or `None` when a signal came before.
    pub(crate) async fn unless<F: Future>(&mut self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.next() => None,
            output = future => Some(output),
        }
    }
}
