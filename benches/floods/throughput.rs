//! What admitted peers get while strangers flood.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ringseal::{Runtime, Server, ServerLimits, Wire, dial};

use crate::cores::{self, Cores};
use crate::figures::{Cell, Row};
use crate::measuring::Measuring;
use crate::sample::Samples;
use crate::server::{self, ADMITTED, Threads, config, key};
use crate::stage::Stage;
use crate::strangers::{FloodOrder, Strangers};

/// Admitted peers, and the length of their messages.
const PEERS: usize = 4;
const MESSAGE: usize = 16 * 1024;
/// How often somebody new dials, and after how long that has failed.
const DIAL_EVERY: Duration = Duration::from_millis(20);
const DIAL_LIMIT: Duration = Duration::from_secs(1);
/// How many handshakes a second the server begins where it has a limit.
const LIMIT: u32 = 500;
/// Until the peers stream and the flood is there.
const SETTLING: Duration = Duration::from_millis(200);

/// What goes on beside the admitted peers.
#[derive(Clone, Copy, Debug)]
enum Flood {
    Nobody,
    /// Nobody, but the core of the strangers works.
    BusyCore,
    Strangers {
        stage: Stage,
        rate: u32,
        limit: Option<u32>,
    },
}

impl Flood {
    /// All of them, with those that the others are compared with first.
    fn all(rates: &[u32]) -> Vec<Self> {
        let kinds = [
            (Stage::Silent, None),
            (Stage::Garbage, None),
            (Stage::WrongProof, None),
            (Stage::NotAdmitted, None),
            (Stage::WrongProof, Some(LIMIT)),
            (Stage::NotAdmitted, Some(LIMIT)),
        ];
        let strangers = kinds.into_iter().flat_map(|(stage, limit)| {
            let flood = move |&rate| Self::Strangers { stage, rate, limit };
            rates.iter().map(flood)
        });
        [Self::Nobody, Self::BusyCore]
            .into_iter()
            .chain(strangers)
            .collect()
    }

    fn name(self) -> String {
        match self {
            Self::Nobody => "nobody, their core idle".to_owned(),
            Self::BusyCore => "nobody, their core busy".to_owned(),
            Self::Strangers {
                stage, limit: None, ..
            } => stage.name().to_owned(),
            Self::Strangers {
                stage,
                limit: Some(limit),
                ..
            } => format!("{}, {limit} handshakes a second allowed", stage.name()),
        }
    }

    fn rate(self) -> Option<u32> {
        match self {
            Self::Strangers { rate, .. } => Some(rate),
            Self::Nobody | Self::BusyCore => None,
        }
    }

    fn limits(self) -> ServerLimits {
        match self {
            Self::Strangers {
                limit: Some(limit), ..
            } => ServerLimits::new().handshakes_per_second(limit),
            _ => ServerLimits::new(),
        }
    }

    /// Returns what the other process is to do, if there is one.
    fn order(self, address: SocketAddr, wire: Wire, cores: Cores) -> Option<FloodOrder> {
        let stage = match self {
            Self::Nobody => return None,
            Self::BusyCore => None,
            Self::Strangers { stage, .. } => Some(stage),
        };
        Some(FloodOrder {
            address,
            wire,
            stage,
            rate: self.rate(),
            core: cores.strangers,
        })
    }
}

/// What was measured of one flood on one wire.
struct Figures {
    wire: Wire,
    flood: Flood,
    came: Samples,
    messages: Samples,
    /// Of what there is without a flood, in the same round.
    ratio: Samples,
    /// In milliseconds.
    dials: Samples,
    dials_failed: usize,
    /// How much of a core the strangers took themselves, in percent.
    of_strangers: Samples,
}

pub(crate) fn measure(
    plan: Measuring,
    cores: Cores,
    wires: [Wire; 2],
) -> Result<Vec<Row>, Box<dyn Error>> {
    let rates: &[u32] = if plan.is_test {
        &[200]
    } else {
        &[2_000, 10_000]
    };
    let floods = Flood::all(rates);
    let cases = wires.map(|wire| floods.iter().map(move |&flood| (wire, flood)));
    let mut all: Vec<_> = (cases.into_iter().flatten())
        .map(|(wire, flood)| Figures::new(wire, flood))
        .collect();
    // In turn, so that a machine that slows down slows every one down.
    for _ in 0..plan.rounds {
        let mut without = f64::NAN;
        for figures in &mut all {
            let messages = figures.measure(plan, cores)?;
            if let Flood::Nobody = figures.flood {
                without = messages;
            }
            figures.ratio.add(messages / without);
        }
    }
    Ok(all.into_iter().map(Figures::row).collect())
}

impl Figures {
    fn new(wire: Wire, flood: Flood) -> Self {
        Self {
            wire,
            flood,
            came: Samples::default(),
            messages: Samples::default(),
            ratio: Samples::default(),
            dials: Samples::default(),
            dials_failed: 0,
            of_strangers: Samples::default(),
        }
    }

    /// Measures once, on a fresh server; returns messages a second.
    fn measure(&mut self, plan: Measuring, cores: Cores) -> Result<f64, Box<dyn Error>> {
        let on_core = Threads::OnCore(cores.server);
        let server = server::start(self.wire, self.flood.limits(), on_core)?;
        let address = server::address(&server);
        let peers = Peers::start(address, self.wire, cores.peers);
        let order = self.flood.order(address, self.wire, cores);
        let mut strangers = order.as_ref().map(Strangers::start).transpose()?;
        let newcomer = Newcomer::start(address, self.wire, cores.peers);
        thread::sleep(SETTLING);
        if let Some(strangers) = &mut strangers {
            strangers.begin()?;
        }
        newcomer.begin();
        let messages = messages_per_second(&server, plan.duration);
        // While the flood goes on: a dial that takes long is not to be spared the rest of it.
        let (dials, failed) = newcomer.finish();
        if let Some(came) = strangers.map(Strangers::finish).transpose()? {
            let time = came.time.as_secs_f64();
            if self.flood.rate().is_some() {
                self.came.add(came.count as f64 / time);
            }
            self.of_strangers
                .add(came.processor.as_secs_f64() / time * 100.0);
        }
        peers.finish();
        server.handle().shut_down();
        server.join()?;
        self.messages.add(messages);
        self.dials.extend(&dials);
        self.dials_failed += failed;
        Ok(messages)
    }

    fn row(self) -> Row {
        let is_there = |samples: Samples| match samples.len() {
            0 => Cell::Nothing,
            _ => Cell::Spread(samples),
        };
        let count = |count: usize| u64::try_from(count).map_or(Cell::Nothing, Cell::Count);
        let rate = self.flood.rate();
        vec![
            ("what", Cell::Text(self.flood.name())),
            ("wire", Cell::Text(self.wire.to_string())),
            (
                "asked_a_second",
                rate.map_or(Cell::Nothing, |rate| Cell::Count(rate.into())),
            ),
            ("came_a_second", is_there(self.came)),
            ("messages_a_second", Cell::Spread(self.messages)),
            ("ratio", Cell::Spread(self.ratio)),
            ("dial_median_ms", Cell::Number(self.dials.median())),
            ("dial_worst_ms", Cell::Number(self.dials.greatest())),
            ("dials", count(self.dials.len())),
            ("dials_failed", count(self.dials_failed)),
            ("strangers_percent_of_a_core", is_there(self.of_strangers)),
        ]
    }
}

fn messages_per_second(server: &Server, duration: Duration) -> f64 {
    let received = || {
        let runtime = server::statistics(server).runtime;
        runtime.map_or(0, |runtime| runtime.messages_received)
    };
    let (start, before) = (Instant::now(), received());
    thread::sleep(duration);
    (received() - before) as f64 / start.elapsed().as_secs_f64()
}

/// Peers that send as fast as they can.
struct Peers {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Peers {
    fn start(address: SocketAddr, wire: Wire, core: usize) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let (ready, connected) = mpsc::channel();
        let thread = thread::spawn(move || {
            cores::pin(core).expect("a core that is ours");
            let runtime = Runtime::builder().build().expect("a runtime");
            runtime.block_on(async {
                let mut connections = Vec::new();
                for _ in 0..PEERS {
                    let dialed = dial(address, key(), &config(ADMITTED, wire)).await;
                    connections.push(dialed.expect("it is admitted"));
                }
                ready.send(()).expect("somebody waits");
                let message = vec![7; MESSAGE];
                let sending = connections.iter_mut().map(async |connection| {
                    while !over.load(Ordering::Relaxed) {
                        connection.send(&message).await.expect("send");
                    }
                });
                join_all(sending).await;
            });
        });
        connected.recv().expect("they connect");
        Self { is_over, thread }
    }

    fn finish(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic");
    }
}

/// How long dials took, in milliseconds, and how many failed.
type Dials = (Vec<f64>, usize);

/// An admitted peer that dials again and again.
struct Newcomer {
    state: Arc<State>,
    thread: JoinHandle<Dials>,
}

#[derive(Default)]
struct State {
    /// Whether the dials that begin now count.
    is_measured: AtomicBool,
    is_over: AtomicBool,
}

impl Newcomer {
    fn start(address: SocketAddr, wire: Wire, core: usize) -> Self {
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            cores::pin(core).expect("a core that is ours");
            let runtime = Runtime::builder().build().expect("a runtime");
            runtime.block_on(dial_again_and_again(&shared, address, wire))
        });
        Self { state, thread }
    }

    fn begin(&self) {
        self.state.is_measured.store(true, Ordering::Relaxed);
    }

    /// Waits for the last dial, and returns those that began since [`begin`](Self::begin).
    fn finish(self) -> Dials {
        self.state.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic")
    }
}

async fn dial_again_and_again(state: &State, address: SocketAddr, wire: Wire) -> Dials {
    let (mut dials, mut failed) = (Vec::new(), 0);
    let settings = config(ADMITTED, wire).handshake_deadline(DIAL_LIMIT);
    while !state.is_over.load(Ordering::Relaxed) {
        let is_measured = state.is_measured.load(Ordering::Relaxed);
        let start = Instant::now();
        let dialed = dial(address, key(), &settings).await;
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        match dialed {
            _ if !is_measured => {}
            Ok(_) => dials.push(milliseconds),
            Err(_) => failed += 1,
        }
        ringseal::sleep(DIAL_EVERY).await;
    }
    (dials, failed)
}
