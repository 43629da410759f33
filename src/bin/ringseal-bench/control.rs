//! The connection that carries commands, the first of each run.
//!
//! The dialer says what it wants done and the listener answers what it runs on, both in JSON. Then
//! the dialer makes the data connections and the listener says when it has them all. After that
//! each exchange is one command and one answer of a fixed size, so that asking disturbs what is
//! measured as little as possible: one read and one write on each end, which the figures leave
//! out, and no allocation.

use core::time::Duration;

use ringseal::protocol::cipher::{Aead, DefaultAead};
use ringseal::{Connection, Statistics, timeout};
use ringseal_cli::args::BackendName;
use ringseal_cli::failure::Failure;
use ringseal_cli::snapshot::Snapshot;
use ringseal_cli::work_order::{Description, WorkOrder};

use super::settings::Settings;

/// How long the other end may take for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// All data connections are there.
pub(crate) const READY: &[u8] = b"ready";
/// Asks for a snapshot.
pub(crate) const MARK: &[u8] = b"mark";
/// Ends the run; answered with the same.
pub(crate) const END: &[u8] = b"end";
/// Why no answer may come.
const SILENT: &str = "the listener does not answer; it serves one dialer at a time, and with too \
                      few --slots it comes to a halt";
const GONE: &str = "the listener has gone; if that was at once, compare --wire on both ends";

/// Describes this end, from inside its runtime.
pub(crate) fn describe(settings: &Settings, core: Option<usize>) -> Description {
    let statistics = Statistics::current();
    let registered = statistics.is_some_and(|statistics| statistics.registered);
    // What `auto` has become.
    let backend = statistics.map_or(settings.ring.backend, |statistics| {
        BackendName::of(statistics.backend)
    });
    Description {
        aead: DefaultAead::name().to_owned(),
        backend: backend.to_string(),
        busy_poll_us: u64::from(settings.ring.busy_poll),
        slots: settings.slots as u64,
        slot_size: settings.slot_size as u64,
        ring_entries: u64::from(settings.ring_entries),
        registered,
        core: core.map(|core| core as u64),
    }
}

/// The dialer's end of the connection.
#[derive(Debug)]
pub(crate) struct Control {
    connection: Connection,
}

impl Control {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Says what to do; gives what the listener runs on.
    pub(crate) async fn order(&mut self, order: &WorkOrder) -> Result<Description, Failure> {
        self.connection.send(&order.encode()).await?;
        Description::decode(&self.answer().await?)
    }

    /// Waits until the listener has all data connections.
    pub(crate) async fn ready(&mut self) -> Result<(), Failure> {
        let answer = self.answer().await?;
        (*answer == *READY)
            .then_some(())
            .ok_or_else(|| Failure::new("the listener answered something else than asked for"))
    }

    /// Asks for the listener's figures.
    pub(crate) async fn mark(&mut self) -> Result<Snapshot, Failure> {
        self.connection.send(MARK).await?;
        Snapshot::decode(&self.answer().await?)
            .ok_or_else(|| Failure::new("the listener's figures cannot be read"))
    }

    /// Ends the run. Nothing depends on the answer but that the listener is told in peace.
    pub(crate) async fn end(mut self) {
        if self.connection.send(END).await.is_ok() {
            let _ = self.answer().await;
        }
    }

    async fn answer(&mut self) -> Result<ringseal::Message, Failure> {
        let answer = timeout(PATIENCE, self.connection.recv())
            .await
            .ok_or_else(|| Failure::new(SILENT))?;
        answer
            .map_err(|error| Failure::with_advice(&error, GONE))?
            .ok_or_else(|| Failure::new(GONE))
    }
}
