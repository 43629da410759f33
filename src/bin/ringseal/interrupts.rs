//! The wish of whoever started the program that it end.

use core::future::Future;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;

/// SIGINT and SIGTERM. They are caught on a thread of their own, since a ring's thread has no
/// reactor for them.
#[derive(Clone, Debug)]
pub(crate) struct Interrupts {
    caught: watch::Receiver<bool>,
}

impl Interrupts {
    /// Catches signals from here on.
    pub(crate) fn new() -> Result<Self, Failure> {
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let entered = executor.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        drop(entered);
        let (sender, caught) = watch::channel(false);
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
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
