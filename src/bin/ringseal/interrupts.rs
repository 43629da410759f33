//! The wish of whoever started the program that it end.

use core::future::{Future, pending};
use std::io;
use std::thread;

use tokio::runtime::{Builder, Runtime as Executor};
use tokio::signal::unix::{Signal, SignalKind, signal};
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
    let signals = Signals::catch()?;
    named_thread(move || {
        if let Some(caught) = signals.wait(pending()) {
            std::process::exit(ENDED_BY_SIGNAL + caught.as_raw_value());
        }
    })
}

/// SIGINT and SIGTERM, and the executor that hears of them.
struct Signals {
    executor: Executor,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Catches them from here on.
    fn catch() -> io::Result<Self> {
        let executor = Builder::new_current_thread().enable_io().build()?;
        let entered = executor.enter();
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        drop(entered);
        Ok(Self {
            executor,
            interrupt,
            terminate,
        })
    }

    /// Holds the calling thread up until one has come, or `None` when `given_up` is done before.
    fn wait(mut self, given_up: impl Future<Output = ()>) -> Option<SignalKind> {
        self.executor.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => Some(SignalKind::interrupt()),
                _ = self.terminate.recv() => Some(SignalKind::terminate()),
                () = given_up => None,
            }
        })
    }
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
        let signals = Signals::catch()?;
        let (sender, caught) = watch::channel(false);
        named_thread(move || {
            signals.wait(sender.closed());
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
