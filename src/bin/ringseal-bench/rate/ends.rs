//! The two threads of a run. The dialer is told what to do, and tells the listener.

use core::time::Duration;
use std::time::Instant;

use ringseal::{
    Address, Admission, Config, Connection, Identity, Listener, PublicKey, Receiver, Sender, Wire,
    dial, timeout,
};
use ringseal_cli::args::BackendName;
use ringseal_cli::failure::Failure;
use tokio::sync::{mpsc, oneshot};

use super::latencies::{Latencies, Run};
use super::pace::{Pace, nanoseconds, stamp};
use crate::pinning::pin;
use crate::settings::Settings;

/// How long an end may take for what takes moments, beside the time that a run is meant to take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The part of a rate that counts as the rate.
const REACHED: f64 = 0.95;
/// With half of all messages later than this, in microseconds, they wait for each other all the time: a
/// rate that is a little too much shows so in a long run.
const LONGEST_MEDIAN: f64 = 10_000.0;

/// What both ends are set up with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) settings: Settings,
    pub(crate) wires: Vec<Wire>,
    pub(crate) is_echo: bool,
    pub(crate) warmup: Duration,
    pub(crate) seconds: Duration,
    pub(crate) epoch: Instant,
}

impl Setup {
    fn config(&self, identity: Identity, wire: Wire) -> Config {
        self.settings
            .config(identity, self.settings.size)
            .wire(wire)
            // A busy machine makes handshakes slow, and they are not what is measured.
            .handshake_deadline(PATIENCE)
            .first_message_timeout(PATIENCE)
            .max_handshake_age(PATIENCE)
    }

    /// How long all messages of a run may take.
    fn patience(&self) -> Duration {
        PATIENCE + 4 * (self.warmup + self.seconds)
    }
}

/// One run at one rate.
#[derive(Debug)]
pub(crate) struct RunOrder {
    /// Index among the wires.
    pub(crate) wire: usize,
    pub(crate) rate: u64,
    pub(crate) reply: oneshot::Sender<Run>,
}

/// What the listener is told of a run.
#[derive(Debug)]
pub(crate) struct Notice {
    wire: usize,
    /// Times of messages that were due before do not count, in nanoseconds since the epoch. Known
    /// after the handshake, which is no part of the warm-up.
    from: oneshot::Receiver<u64>,
}

/// What whoever takes messages in has seen.
#[derive(Debug)]
pub(crate) struct Taken {
    latencies: Latencies,
    messages: u64,
    last: Duration,
}

/// Takes messages in until their end, and measures how late they are.
async fn take_in(receiver: &mut Receiver, from: u64, epoch: Instant) -> Result<Taken, Failure> {
    let mut taken = Taken {
        latencies: Latencies::new()?,
        messages: 0,
        last: Duration::ZERO,
    };
    while let Some(message) = receiver.recv().await? {
        let due = stamp(&message).ok_or_else(|| Failure::new("a message came without its time"))?;
        taken.last = epoch.elapsed();
        taken.messages += 1;
        if due >= from {
            taken
                .latencies
                .add(nanoseconds(taken.last).saturating_sub(due));
        }
    }
    Ok(taken)
}

/// Listens on the calling thread, for each wire on a port of its own.
pub(crate) fn listen(
    setup: &Setup,
    identity: impl Fn() -> Identity,
    dialer: PublicKey,
    core: Option<usize>,
    bound: oneshot::Sender<Vec<Address>>,
    mut notices: mpsc::UnboundedReceiver<Notice>,
    taken: &mpsc::UnboundedSender<Taken>,
) -> Result<(), Failure> {
    pin(core)?;
    setup.settings.runtime()?.block_on(async {
        let mut listeners = Vec::new();
        for wire in &setup.wires {
            let config = setup.config(identity(), *wire);
            let admission = Admission::allow_list([dialer]);
            listeners.push(Listener::bind("127.0.0.1:0", &config, admission).await?);
        }
        let addresses = listeners.iter().map(Listener::local_address);
        // Nobody waits for it where the dialer could not start.
        let _ = bound.send(addresses.collect());
        while let Some(notice) = notices.recv().await {
            let connection = listeners[notice.wire].accept().await?;
            if setup.is_echo {
                echo(connection).await?;
                continue;
            }
            let (sender, mut receiver) = connection.split();
            let from = notice.from.await;
            let from = from.map_err(|_| Failure::new("the dialer has ended"))?;
            let result = take_in(&mut receiver, from, setup.epoch).await?;
            sender.close().await?;
            // Nobody waits for it where the dialer has failed.
            let _ = taken.send(result);
        }
        Ok(())
    })
}

async fn echo(connection: Connection) -> Result<(), Failure> {
    let (mut sender, mut receiver) = connection.split();
    while let Some(message) = receiver.recv().await? {
        sender.send(&message).await?;
    }
    Ok(sender.close().await?)
}

/// The dialer's thread.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) setup: Setup,
    pub(crate) addresses: Vec<Address>,
    pub(crate) listener: PublicKey,
    pub(crate) notices: mpsc::UnboundedSender<Notice>,
    pub(crate) taken: mpsc::UnboundedReceiver<Taken>,
}

impl Dialer {
    /// Runs what is ordered on the calling thread. `started` is told what the runtime runs on.
    pub(crate) fn run(
        mut self,
        identity: impl Fn() -> Identity,
        core: Option<usize>,
        started: oneshot::Sender<BackendName>,
        mut orders: mpsc::UnboundedReceiver<RunOrder>,
    ) -> Result<(), Failure> {
        pin(core)?;
        let runtime = self.setup.settings.runtime()?;
        let _ = started.send(BackendName::of(runtime.backend()));
        runtime.block_on(async {
            while let Some(order) = orders.recv().await {
                let config = self.setup.config(identity(), self.setup.wires[order.wire]);
                let run = timeout(self.setup.patience(), self.one(&order, &config)).await;
                let run = run.ok_or_else(|| Failure::new("a run has come to a halt"))??;
                // Nobody waits for it after an interrupt.
                let _ = order.reply.send(run);
            }
            Ok(())
        })
    }

    async fn one(&mut self, order: &RunOrder, config: &Config) -> Result<Run, Failure> {
        let Setup {
            warmup,
            seconds,
            epoch,
            is_echo,
            ..
        } = self.setup;
        let pace = Pace {
            rate: order.rate,
            length: warmup + seconds,
        };
        let (from, known) = oneshot::channel();
        // The listener accepts when it has been told.
        let notice = Notice {
            wire: order.wire,
            from: known,
        };
        self.notices
            .send(notice)
            .map_err(|_| Failure::new("the listener has ended"))?;
        let connection = dial(&self.addresses[order.wire], self.listener, config).await?;
        let (mut sender, mut receiver) = connection.split();
        let begin = epoch.elapsed();
        let counted_from = nanoseconds(begin + warmup);
        // An echo needs no time; and a listener that has failed tells why.
        let _ = from.send(counted_from);
        let size = self.setup.settings.size as usize;
        let sending = async {
            let all = send(&pace, &mut sender, size, epoch).await?;
            sender.close().await?;
            Ok::<bool, Failure>(all)
        };
        let taking = take_in(&mut receiver, counted_from, epoch);
        let (has_sent_all, back) = tokio::try_join!(sending, taking)?;
        let taken = if is_echo {
            back
        } else {
            let taken = self.taken.recv().await;
            taken.ok_or_else(|| Failure::new("the listener has ended"))?
        };
        let elapsed = taken.last.saturating_sub(begin).as_secs_f64();
        let reached = if elapsed > 0.0 {
            taken.messages as f64 / elapsed
        } else {
            0.0
        };
        let is_in_time = taken.latencies.percentile(50.0) <= LONGEST_MEDIAN;
        Ok(Run {
            latencies: taken.latencies,
            reached,
            keeps_up: has_sent_all && is_in_time && reached >= REACHED * order.rate as f64,
        })
    }
}

async fn send(
    pace: &Pace,
    sender: &mut Sender,
    size: usize,
    epoch: Instant,
) -> Result<bool, Failure> {
    Ok(pace.send(sender, size, epoch).await?)
}
