//! A driver under test: a server, and a ring thread whose lanes dial it.

use core::time::Duration;
use std::fs::File;
use std::sync::Arc;

use ringseal::{
    Address, Admission, AttemptError, Config, Connection, DialError, Identity, PublicKey,
    Registration, RingThreads, Runtime, RuntimeBuilder, Server, ServerBuilder, Statistics,
    UnixSocket, dial, spawn, timeout,
};
use ringseal_cli::failure::{Failure, chain};

use super::checker::Mistake;
use super::ledger::{Found, Ledger, Plant};
use super::plan::{DriverName, Ends, Episode, LONGEST, LONGEST_STREAMED, Plan, Side, Transport};
use super::play::{play, stops_sending};
use super::progress::{PATIENCE, Progress};
use super::relay::Relay;

/// How long a handshake may take on a machine that has other things to do.
const HANDSHAKE: Duration = Duration::from_secs(120);
/// Threads of a server: more than one, so that connections are handed over.
const SERVER_THREADS: usize = 2;
/// Bytes in a slot. Small, so that long messages are longer than one; and so that the slots of all
/// drivers together stay within what may be locked.
const SLOT_SIZE: usize = 16 * 1024;
/// What one connection holds when it moves data both ways.
const SLOTS_OF_A_LANE: usize = 4;
/// Which application this is, for the handshake.
const NAMESPACE: &str = "ringseal-bench soak";

/// What a lane needs.
#[derive(Clone, Debug)]
struct Lane {
    ledger: Arc<Ledger>,
    relay: Relay,
    driver: DriverName,
    tcp: Address,
    unix: Address,
    config: Config,
    listener: PublicKey,
    /// The connection to make again and again, instead of one after the other.
    only: Option<Episode>,
}

/// A driver and all that runs on it.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) driver: DriverName,
    server: Server,
    dialers: RingThreads,
}

/// What is left while lanes rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) slots: usize,
    pub(crate) slots_in_use: usize,
    pub(crate) connections: usize,
    pub(crate) operations: usize,
    pub(crate) heap_bytes: usize,
    pub(crate) handler_panics: u64,
    pub(crate) key_updates: u64,
}

impl Held {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            slots: self.slots + other.slots,
            slots_in_use: self.slots_in_use + other.slots_in_use,
            connections: self.connections + other.connections,
            operations: self.operations + other.operations,
            heap_bytes: self.heap_bytes + other.heap_bytes,
            handler_panics: self.handler_panics + other.handler_panics,
            key_updates: self.key_updates + other.key_updates,
        }
    }

    /// Whether nothing is held that belongs to a connection.
    pub(crate) fn is_nothing(&self) -> bool {
        self.slots_in_use == 0
            && self.connections == 0
            && self.operations == 0
            && self.heap_bytes == 0
    }

    fn add_runtime(&mut self, statistics: &Statistics) {
        self.slots += statistics.slots;
        self.slots_in_use += statistics.slots - statistics.free_slots;
        self.connections += statistics.open + statistics.ending + statistics.handshaking;
        self.connections += statistics.lingering;
        self.operations += statistics.in_flight;
        self.heap_bytes += statistics.heap_bytes;
        self.key_updates += statistics.key_updates;
    }
}

fn config(identity: Identity) -> Config {
    let longest = u32::try_from(LONGEST).unwrap_or(u32::MAX);
    Config::new(identity, NAMESPACE)
        .max_message_size(longest)
        .max_streamed_size(LONGEST_STREAMED as u64)
        .handshake_deadline(HANDSHAKE)
        .first_message_timeout(HANDSHAKE)
        .max_handshake_age(HANDSHAKE)
        // A listener's time is compared with that of the dialer's first message.
        .synchrony_bound(HANDSHAKE)
        .progress_timeout(PATIENCE)
}

fn runtime(driver: DriverName, lanes: u32) -> RuntimeBuilder {
    Runtime::builder()
        .backend(driver.backend())
        .slots(SLOTS_OF_A_LANE * lanes as usize + 2)
        .slot_size(SLOT_SIZE)
        .registration(Registration::Preferred)
}

/// The seeds of the two identities follow from that of the run.
fn identity(seed: u64, context: &str) -> Identity {
    Identity::from_seed(&blake3::derive_key(context, &seed.to_le_bytes()))
}

impl Rig {
    /// Starts a server on `driver` and as many lanes that dial it.
    pub(crate) async fn start(
        driver: DriverName,
        lanes: u32,
        only: Option<Episode>,
        relay: &Relay,
        ledger: &Arc<Ledger>,
    ) -> Result<Self, Failure> {
        let seed = ledger.seed;
        let dialer = || identity(seed, "ringseal-bench 0.1 soak, dialer's identity");
        let listener = identity(seed, "ringseal-bench 0.1 soak, listener's identity");
        let listener_key = listener.public_key();
        let config = config(listener).wires([ringseal::Wire::native(), driver.commonware()]);
        let admission = Admission::allow_list([dialer().public_key()]);
        let name = format!("ringseal-bench-soak-{}-{driver}", std::process::id());
        let shared = Arc::clone(ledger);
        let server = ServerBuilder::new(config, admission)
            .bind("127.0.0.1:0")
            .bind(UnixSocket::abstract_name(name))
            .threads(SERVER_THREADS)
            .runtime(runtime(driver, lanes))
            .start(move |connection, _| {
                let ledger = Arc::clone(&shared);
                async move { serve(driver, connection, ledger).await }
            })?;
        let [tcp, unix] = server.local_addresses() else {
            return Err(Failure::new("the server does not listen on two addresses"));
        };
        let lane = Lane {
            ledger: Arc::clone(ledger),
            relay: relay.clone(),
            driver,
            tcp: tcp.clone(),
            unix: unix.clone(),
            config: self::config(dialer()),
            listener: listener_key,
            only,
        };
        let dialers = RingThreads::start(runtime(driver, lanes), 1)?;
        let start = move || async move {
            for number in 0..lanes {
                // Ends when the ledger says so.
                drop(spawn(run_lane(lane.clone(), number)));
            }
        };
        dialers.handle().run(start).await?;
        Ok(Self {
            driver,
            server,
            dialers,
        })
    }

    /// What its connections hold now.
    pub(crate) async fn held(&self) -> Result<Held, Failure> {
        let server = self.server.handle().statistics().await;
        let mut held = Held {
            handler_panics: server.handler_panics,
            connections: server.connections + server.handshakes_under_way,
            ..Held::default()
        };
        let ended = || Failure::new("a ring thread has ended");
        held.add_runtime(&server.runtime.ok_or_else(ended)?);
        for statistics in self.dialers.statistics().await {
            held.add_runtime(&statistics.ok_or_else(ended)?);
        }
        Ok(held)
    }

    /// Ends it in order; gives how many connections had to be cut.
    pub(crate) async fn end(self) -> Result<usize, Failure> {
        let drained = self.server.handle().drain(HANDSHAKE).await?;
        self.server.wait().await?;
        self.dialers.shutdown().await?;
        Ok(drained.cut + drained.lost_threads)
    }
}

/// Makes one connection after the other.
async fn run_lane(lane: Lane, number: u32) {
    let mut next = 0;
    while lane.ledger.may_go_on().await {
        let episode = lane.only.unwrap_or(Episode {
            driver: lane.driver,
            lane: number,
            number: next,
        });
        next += 1;
        let plan = Plan::of(lane.ledger.seed, episode);
        let playing = lane.ledger.play();
        let progress = Progress::default();
        let work = dial_and_play(&lane, episode, &plan, &progress);
        lane.ledger.dialed(episode);
        let mut result = progress.watch(work).await;
        // The listener has ended by now where the end is in order.
        if lane.ledger.known(episode) && result.is_ok() && !plan.is_disturbed() {
            let text = "the listener ended before it had read which connection it is";
            result = Err(Mistake::Other(text.to_owned()));
        }
        if let Err(mistake) = result {
            let side = Side::Dialer;
            lane.ledger.report(Found {
                episode,
                side,
                mistake,
            });
        }
        lane.ledger.finish(plan.kind);
        drop(playing);
    }
}

/// Whether a dialer may see this where the connection is cut during the handshake. Nobody alters a
/// byte, so that a handshake which does not hold is a fault of ours even there.
fn stops_dialing(error: &DialError) -> bool {
    matches!(
        error,
        DialError::Connect { .. }
            | DialError::Attempt(
                AttemptError::Transport(_)
                    | AttemptError::UnexpectedEnd
                    | AttemptError::ClosedUnused
                    // The part of an answer that came before the cut.
                    | AttemptError::OtherProtocol { .. }
            )
    )
}

async fn dial_and_play(
    lane: &Lane,
    episode: Episode,
    plan: &Plan,
    progress: &Progress,
) -> Result<(), Mistake> {
    let target = match plan.transport {
        Transport::Tcp => &lane.tcp,
        Transport::Unix => &lane.unix,
    };
    let address = match plan.ends {
        Ends::Cut(cut) => (lane.relay.to(target.clone(), cut).await)
            .map_err(|error| Mistake::Other(format!("the relay has failed: {error}")))?,
        _ => target.clone(),
    };
    let config = lane.config.clone().wire(plan.wire);
    let mut connection = match dial(address, lane.listener, &config).await {
        Ok(connection) => connection,
        Err(error) if matches!(plan.ends, Ends::Cut(_)) && stops_dialing(&error) => return Ok(()),
        Err(error) => {
            let text = format!("dialing failed: {}", chain(&error));
            return Err(Mistake::Other(text));
        }
    };
    let introduction = Introduction::encode(episode);
    match connection.send(&introduction).await {
        Ok(()) => {}
        Err(error) if plan.is_disturbed() && stops_sending(&error) => return Ok(()),
        Err(error) => {
            let text = format!("the first message was not sent: {}", chain(&error));
            return Err(Mistake::Other(text));
        }
    }
    let plant = lane.ledger.plant(plan.kind);
    if plant == Some(Plant::Leak) {
        // On purpose, and only where somebody has asked for it.
        core::mem::forget(File::open("/dev/null"));
    }
    play(
        connection,
        plan,
        Side::Dialer,
        plant,
        &lane.ledger,
        progress,
    )
    .await
}

/// The first message of a connection: which one it is.
struct Introduction;

impl Introduction {
    const LENGTH: usize = 12;

    fn encode(episode: Episode) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..4].copy_from_slice(&episode.lane.to_le_bytes());
        bytes[4..].copy_from_slice(&episode.number.to_le_bytes());
        bytes
    }

    fn decode(driver: DriverName, bytes: &[u8]) -> Option<Episode> {
        let (lane, number) = bytes.split_first_chunk()?;
        Some(Episode {
            driver,
            lane: u32::from_le_bytes(*lane),
            number: u64::from_le_bytes(number.try_into().ok()?),
        })
    }
}

/// Plays the listener's side.
async fn serve(driver: DriverName, mut connection: Connection, ledger: Arc<Ledger>) {
    let playing = ledger.play();
    // Where the connection ends before it said which one it is, there is nothing to check here: the
    // dialer knows whether that was meant to be, and that nobody has got to know it.
    let Some(Ok(Some(first))) = timeout(PATIENCE, connection.recv()).await else {
        return;
    };
    let side = Side::Listener;
    let Some(episode) = Introduction::decode(driver, &first) else {
        let episode = Episode {
            driver,
            lane: 0,
            number: 0,
        };
        let text = format!("the first message has {} bytes", first.len());
        let mistake = Mistake::Other(text);
        return ledger.report(Found {
            episode,
            side,
            mistake,
        });
    };
    drop(first);
    ledger.known(episode);
    let plan = Plan::of(ledger.seed, episode);
    let progress = Progress::default();
    let work = play(connection, &plan, side, None, &ledger, &progress);
    if let Err(mistake) = progress.watch(work).await {
        ledger.report(Found {
            episode,
            side,
            mistake,
        });
    }
    drop(playing);
}
