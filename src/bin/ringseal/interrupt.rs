//! The wish of whoever started the program that it end.

use std::thread;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// Is done at the first SIGINT or SIGTERM from here on. The signals are caught on a thread of
/// their own, since a ring's thread has no reactor for them.
pub(crate) fn interrupted() -> Result<oneshot::Receiver<()>, Failure> {
    let executor = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let entered = executor.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    drop(entered);
    let (caught, receiver) = oneshot::channel();
    thread::spawn(move || {
        executor.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        // Fails only when the program is ending already.
        let _ = caught.send(());
    });
    Ok(receiver)
}
