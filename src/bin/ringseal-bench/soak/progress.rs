//! Whether a connection still moves, however slowly: a busy machine is no mistake.

use core::cell::Cell;
use core::future::Future;
use core::pin::pin;
use core::time::Duration;

use ringseal::timeout;

use super::checker::Mistake;

/// How long nothing may move. The longest stall that is meant to be is far shorter.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// Counts what an end of a connection has done.
#[derive(Debug, Default)]
pub(crate) struct Progress(Cell<u64>);

impl Progress {
    pub(crate) fn step(&self) {
        self.0.set(self.0.get() + 1);
    }

    /// Gives `work` as long as it moves.
    pub(crate) async fn watch(
        &self,
        work: impl Future<Output = Result<(), Mistake>>,
    ) -> Result<(), Mistake> {
        let mut work = pin!(work);
        loop {
            let before = self.0.get();
            if let Some(result) = timeout(PATIENCE, &mut work).await {
                return result;
            }
            if self.0.get() == before {
                return Err(Mistake::Other(format!(
                    "nothing has moved for {} seconds, after {before} steps",
                    PATIENCE.as_secs()
                )));
            }
        }
    }
}
