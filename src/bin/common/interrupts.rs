//! The wish of whoever started the program that it end.

use core::future::{Future, pending};
use core::time::Duration;
use std::io;
use std::thread;
use std::time::Instant;

use nix::sys::signal::{SigSet, Signal};
use tokio::runtime::{Builder, Runtime as Executor};
use tokio::signal::unix::{Signal as Caught, SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;
use crate::log;

/// The exit code by which a shell tells of a process that a signal has ended, less the signal.
const ENDED_BY_SIGNAL: i32 = 128;
/// For how long a second signal is taken for the first one. `timeout` sends one to the process and one
/// to its group, and a terminal and a supervisor may both send one.
const SAME_WISH: Duration = Duration::from_millis(500);

/// Sets which signals this process hears, whatever its parent has blocked for itself: what is blocked
/// stays so in children. To be called before there are other threads, which inherit it as well.
///
/// Those by which people and supervisors steer a program come through. SIGXFSZ does not: it would end
/// this process at a line of its log that is beyond the limit of file sizes, of which strangers can cause
/// as many as they like. The write fails instead, as one to a full disk does.
pub fn choose() {
    let result = set_of(&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM])
        .thread_unblock()
        .and_then(|()| set_of(&[Signal::SIGXFSZ]).thread_block());
    if let Err(error) = result {
        log::line(&format!(
            "warning: cannot choose signals: {error}; SIGTERM may not be heard, and a write beyond the \
             limit of file sizes may end the program"
        ));
    }
}

fn set_of(signals: &[Signal]) -> SigSet {
    signals.iter().copied().collect()
}

/// Has SIGINT and SIGTERM end this process where the kernel would not: the first process of a
/// container gets no signal that it does not catch. For commands that have nothing to tidy up.
pub fn end_first_process() -> Result<(), Failure> {
    if std::process::id() != 1 {
        return Ok(());
    }
    let mut signals = Signals::catch()?;
    named_thread(move || {
        if let Some(caught) = signals.wait(pending()) {
            end_by(caught);
        }
    })
}

fn end_by(caught: SignalKind) -> ! {
    log::finish();
    std::process::exit(ENDED_BY_SIGNAL + caught.as_raw_value())
}

/// SIGINT and SIGTERM, and the executor that hears of them.
struct Signals {
    executor: Executor,
    interrupt: Caught,
    terminate: Caught,
}

impl Signals {
    /// Catches them from here on.
    fn catch() -> Result<Self, Failure> {
        let catch = || {
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
        };
        catch().map_err(|error: io::Error| {
            Failure::new(format!("cannot catch SIGINT and SIGTERM: {error}"))
        })
    }

    /// Holds the calling thread up until one has come, or `None` when `given_up` is done before.
    fn wait(&mut self, given_up: impl Future<Output = ()>) -> Option<SignalKind> {
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
        .spawn(work)
        .map(drop)
        .map_err(|error| Failure::new(format!("cannot start a thread for signals: {error}")))
}

/// SIGINT and SIGTERM. They are caught on a thread of their own, since a ring's thread has no
/// reactor for them. A second one, later than [`SAME_WISH`], ends the process at once, whatever the
/// first one has begun.
#[derive(Clone, Debug)]
pub struct Interrupts {
    caught: watch::Receiver<bool>,
}

impl Interrupts {
    /// Catches signals from here on.
    pub fn new() -> Result<Self, Failure> {
        let mut signals = Signals::catch()?;
        let (sender, caught) = watch::channel(false);
        named_thread(move || {
            if signals.wait(sender.closed()).is_none() {
                return;
            }
            let first = Instant::now();
            sender.send_replace(true);
            while let Some(caught) = signals.wait(pending()) {
                if first.elapsed() >= SAME_WISH {
                    log::line("a second signal: ended at once, what was on its way is lost");
                    end_by(caught);
                }
            }
        })?;
        Ok(Self { caught })
    }

    /// Says whether a signal has come.
    pub fn has_come(&self) -> bool {
        *self.caught.borrow()
    }

    /// Is done when a signal has come.
    pub async fn next(&mut self) {
        // The thread says so before it goes.
        let _ = self.caught.wait_for(|caught| *caught).await;
    }

    /// Gives `future`, or `None` when a signal came before.
    pub async fn unless<F: Future>(&mut self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.next() => None,
            output = future => Some(output),
        }
    }
}
