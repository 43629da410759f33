//! Which runs there are, in which order, and the threads that do them.

use std::thread;
use std::time::Instant;

use ringseal::Wire;
use ringseal_cli::args::BackendName;
use ringseal_cli::failure::Failure;
use ringseal_cli::interrupts::Interrupts;
use ringseal_cli::machine::Machine;
use ringseal_cli::stdio;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::arguments::RateArgs;
use super::ends::{self, Dialer, RunOrder, Setup};
use super::latencies::Run;
use super::report::{Report, Row};
use super::sweep::Sweep;
use crate::pinning::Cores;
use crate::settings::{self, Identities, Settings};

/// How often a rate of a sweep is tried before it is too much: what else the machine does is no limit.
const TRIES: u32 = 3;

/// Measures as the command line says.
pub(crate) fn run(args: &RateArgs) -> Result<(), Failure> {
    let machine = Machine::here();
    if machine.cores.len() < 2 {
        return Err(Failure::new(
            "rates need two cores, and this process may use one: the end that sends never sleeps, \
             and would take the time of the other; nothing was measured",
        ));
    }
    if let Some(pin) = args.pin
        && pin.dialer == pin.listener
    {
        return Err(Failure::new(format!(
            "--pin {pin} has both ends on one core, and the end that sends never sleeps: give two \
             different ones"
        )));
    }
    let cores = match args.pin {
        _ if args.no_pin => None,
        None => Cores::first_two(),
        pin => pin,
    };
    let mut interrupts = Interrupts::new()?;
    let executor = Builder::new_current_thread().build()?;
    let measured = executor.block_on(interrupts.unless(measure(args, cores)));
    let (rows, backend) =
        measured.ok_or_else(|| Failure::new("interrupted: no table and no chart is written"))??;
    let report = Report {
        args,
        machine: &machine,
        backend,
        is_pinned: cores.is_some(),
        rows: &rows,
    };
    if let Some(path) = &args.chart {
        report.chart().write(path)?;
    }
    stdio::print(&if args.json {
        report.json().to_string()
    } else {
        report.text()
    })
}

fn settings(args: &RateArgs) -> Settings {
    let slots = settings::slots_for(1);
    Settings {
        size: args.size,
        connections: 1,
        wire: Wire::default(),
        slots,
        slot_size: settings::slot_size_for(slots, args.size as usize),
        ring_entries: ringseal::RuntimeBuilder::DEFAULT_RING_ENTRIES,
        ring: args.ring,
        time_limit: None,
    }
}

/// Gives the failure of a thread once it has ended; `None` until then and when it ended well.
type Ended = oneshot::Receiver<Result<(), Failure>>;

fn start(
    name: &str,
    body: impl FnOnce() -> Result<(), Failure> + Send + 'static,
) -> Result<Ended, Failure> {
    let (sender, ended) = oneshot::channel();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Nobody waits for it after an interrupt.
            let _ = sender.send(body());
        })?;
    Ok(ended)
}

/// Gives the failure of whichever thread fails first: that of the other may follow from it.
async fn failure(threads: Vec<Ended>) -> Failure {
    let mut waiting: JoinSet<_> = threads.into_iter().collect();
    while let Some(ended) = waiting.join_next().await {
        match ended {
            Ok(Ok(Err(failure))) => return failure,
            Ok(Ok(Ok(()))) => {}
            _ => return Failure::new("one of the two ends has panicked"),
        }
    }
    Failure::new("both ends have ended before the last run")
}

async fn measure(
    args: &RateArgs,
    cores: Option<Cores>,
) -> Result<(Vec<Row>, BackendName), Failure> {
    let setup = Setup {
        settings: settings(args),
        wires: args.wires.clone(),
        is_echo: args.echo,
        warmup: args.warmup,
        seconds: args.seconds,
        epoch: Instant::now(),
    };
    let seed = settings::fresh_seed()?;
    let keys = Identities::from_seed(seed.as_bytes());
    let (dialer_key, listener_key) = (keys.dialer.public_key(), keys.listener.public_key());
    let (notices, noticed) = mpsc::unbounded_channel();
    let (results, taken) = mpsc::unbounded_channel();
    let (bound, addresses) = oneshot::channel();
    let (of_listener, seed_of_listener) = (setup.clone(), seed.clone());
    let listener = start("listener", move || {
        let identity = || Identities::from_seed(seed_of_listener.as_bytes()).listener;
        let core = cores.map(|cores| cores.listener);
        ends::listen(
            &of_listener,
            identity,
            dialer_key,
            core,
            bound,
            noticed,
            &results,
        )
    })?;
    let Ok(addresses) = addresses.await else {
        return Err(failure(vec![listener]).await);
    };
    let dialer = Dialer {
        setup,
        addresses,
        listener: listener_key,
        notices,
        taken,
    };
    let (started, backend) = oneshot::channel();
    let (orders, ordered) = mpsc::unbounded_channel();
    let dialer = start("dialer", move || {
        let identity = || Identities::from_seed(seed.as_bytes()).dialer;
        dialer.run(identity, cores.map(|cores| cores.dialer), started, ordered)
    })?;
    let work = async {
        let Ok(backend) = backend.await else {
            // Its thread has failed, which is told in the other branch.
            return core::future::pending().await;
        };
        Ok((rows(args, &orders).await?, backend))
    };
    tokio::select! {
        done = work => done,
        failure = failure(vec![dialer, listener]) => Err(failure),
    }
}

/// Runs all rounds of all rows, which take turns.
async fn rows(
    args: &RateArgs,
    orders: &mpsc::UnboundedSender<RunOrder>,
) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (index, wire) in args.wires.iter().enumerate() {
        let row = |rate| Row {
            wire: *wire,
            wire_index: index,
            rate,
            runs: Vec::new(),
        };
        if args.rates.is_empty() {
            rows.extend(sweep(row, orders).await?);
        } else {
            rows.extend(args.rates.iter().map(|rate| row(*rate)));
        }
    }
    // So that the wires take turns at each rate.
    rows.sort_by_key(|row: &Row| (row.rate, row.wire_index));
    for _ in 0..args.rounds {
        for row in &mut rows {
            let run = one(row, orders).await?;
            row.runs.push(run);
        }
    }
    rows.sort_by_key(|row| (row.wire_index, row.rate));
    Ok(rows)
}

/// Rates of one wire, some beyond what it keeps up with. The runs that find it do not count: they do
/// not take turns.
async fn sweep(
    row: impl Fn(u64) -> Row,
    orders: &mpsc::UnboundedSender<RunOrder>,
) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    let mut sweep = Sweep::new();
    while let Some(rate) = sweep.next() {
        let row = row(rate);
        let mut keeps_up = false;
        for _ in 0..TRIES {
            keeps_up = keeps_up || one(&row, orders).await?.keeps_up;
        }
        sweep.tell(keeps_up);
        rows.push(row);
    }
    Ok(rows)
}

async fn one(row: &Row, orders: &mpsc::UnboundedSender<RunOrder>) -> Result<Run, Failure> {
    let (reply, run) = oneshot::channel();
    let order = RunOrder {
        wire: row.wire_index,
        rate: row.rate,
        reply,
    };
    if orders.send(order).is_ok()
        && let Ok(run) = run.await
    {
        return Ok(run);
    }
    // The thread that has failed tells why.
    core::future::pending().await
}
