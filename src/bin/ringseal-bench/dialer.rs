//! The end that connects, decides when what is measured, and asks the other for its figures.

use core::time::Duration;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use ringseal::{Address, Identity, PublicKey};
use ringseal_cli::failure::Failure;
use ringseal_cli::interrupts::Interrupts;
use ringseal_cli::round_trips::RoundTrips;
use ringseal_cli::work_order::{Description, Work, WorkOrder};

use super::control::{Control, describe};
use super::measurement::{Mark, Measurement, Progress};
use super::pinning::pin;
use super::settings::Settings;
use super::snapshot;
use super::workload::{Role, Workers};

/// What the dialer is to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) work: Work,
    pub(crate) warmup: Duration,
    pub(crate) seconds: Duration,
    pub(crate) interval: Option<Duration>,
    pub(crate) core: Option<usize>,
    pub(crate) address: Address,
    pub(crate) listener: PublicKey,
}

/// Runs the whole measurement on the calling thread.
pub(crate) fn run(
    plan: &Plan,
    identity: Identity,
    progress: &SyncSender<Progress>,
) -> Result<Measurement, Failure> {
    pin(plan.core)?;
    let runtime = plan.settings.runtime()?;
    runtime.block_on(async {
        let mut interrupts = Interrupts::new()?;
        let opened = interrupts.unless(Session::open(plan, identity)).await;
        let mut session = opened.ok_or_else(nothing_measured)??;
        let warmed_up = session.run_until(Instant::now() + plan.warmup, &mut interrupts);
        if warmed_up.await? {
            return Err(nothing_measured());
        }
        let begin = session.mark().await?;
        // Nothing was awaited since this end's figures were taken, so both begin at once.
        session.workers.round_trips.borrow_mut().clear();
        let start = Instant::now();
        let (end_at, mut exchanges, mut latest) = (start + plan.seconds, 1, begin);
        let mut next = plan.interval.map(|interval| start + interval);
        let interrupted = loop {
            let until = next.map_or(end_at, |next| next.min(end_at));
            if session.run_until(until, &mut interrupts).await? {
                break true;
            }
            if until == end_at {
                break false;
            }
            let now = session.mark().await?;
            exchanges += 1;
            // Whoever prints may be behind; the figures of the next line are complete anyway.
            let _ = progress.try_send(Progress::between(
                plan.work.direction,
                &begin,
                &latest,
                &now,
            ));
            latest = now;
            // Lines that come late are not made up for, since each costs a command.
            next = (plan.interval).map(|interval| (until + interval).max(Instant::now()));
        };
        let end = session.mark().await?;
        let round_trips = session.workers.round_trips.replace(RoundTrips::new());
        let (dialer, listener) = (session.ours.clone(), session.theirs.clone());
        session.end().await;
        Ok(Measurement {
            dialer,
            listener,
            begin,
            end,
            exchanges,
            round_trips,
            interrupted,
        })
    })
}

fn nothing_measured() -> Failure {
    Failure::new("interrupted before the warm-up was over; nothing was measured")
}

/// Established connections and what runs on them.
#[derive(Debug)]
struct Session {
    control: Control,
    workers: Workers,
    ours: Description,
    theirs: Description,
    start: Instant,
}

impl Session {
    async fn open(plan: &Plan, identity: Identity) -> Result<Self, Failure> {
        let config = plan.settings.config(identity, plan.work.size);
        let connect = || async {
            ringseal::dial(plan.address.clone(), plan.listener, &config)
                .await
                .map_err(|error| {
                    Failure::with_advice(
                        &error,
                        "is a `ringseal-bench --listen` with the same --seed and --wire there?",
                    )
                })
        };
        let mut control = Control::new(connect().await?);
        let connections = plan.settings.connections;
        let work = plan.work;
        let theirs = control.order(&WorkOrder { work, connections }).await?;
        let mut workers = Workers::new(Role::Dialer, work)?;
        let mut established = Vec::new();
        for _ in 0..connections {
            established.push(connect().await?);
        }
        control.ready().await?;
        for connection in established {
            workers.start(connection);
        }
        Ok(Self {
            control,
            workers,
            ours: describe(&plan.settings, plan.core),
            theirs,
            start: Instant::now(),
        })
    }

    /// Lets the work go on until then. Tells whether a signal came before.
    async fn run_until(
        &mut self,
        until: Instant,
        interrupts: &mut Interrupts,
    ) -> Result<bool, Failure> {
        tokio::select! {
            biased;
            () = interrupts.next() => Ok(true),
            failure = self.workers.failure() => Err(failure),
            () = ringseal::sleep(until.saturating_duration_since(Instant::now())) => Ok(false),
        }
    }

    /// Takes the figures of both ends at about the same time.
    async fn mark(&mut self) -> Result<Mark, Failure> {
        let listener = tokio::select! {
            biased;
            listener = self.control.mark() => listener?,
            failure = self.workers.failure() => return Err(failure),
        };
        let dialer = snapshot::take(self.start, &self.workers.received)?;
        Ok(Mark { dialer, listener })
    }

    async fn end(self) {
        self.control.end().await;
    }
}
