//! The bare command: the ends send as fast as they can, or each its next message when the last has come
//! back. A closed loop: a slow answer delays what would have been asked behind it, so that its round
//! trips are those of a patient peer; `rate` is the open one.

use core::time::Duration;
use std::io::{self, IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};

use ringseal::Address;
use ringseal_cli::failure::{self, Failure};
use ringseal_cli::interrupts::Interrupts;
use ringseal_cli::stdio;
use ringseal_cli::work_order::Work;
use tokio::sync::oneshot;

use super::arguments::BenchArgs;
use super::dialer::{self, Plan};
use super::listener::{self, Post};
use super::listener_process::{ListenerProcess, Parent};
use super::measurement::Measurement;
use super::pinning::Cores;
use super::report::{Ends, Report};
use super::settings::{Identities, Settings, allow_descriptors, fresh_seed};

/// Lines of progress that may wait for a slow terminal.
const WAITING_LINES: usize = 16;
/// How often a person sees progress who has not said.
const INTERVAL: Duration = Duration::from_secs(1);

/// Measures as the command line says.
pub(crate) fn run(args: &BenchArgs) -> Result<(), Failure> {
    let settings = args.settings();
    let cores = match args.pin {
        _ if args.no_pin => None,
        None => Cores::first_two(),
        pin => pin,
    };
    if let Some(wanted) = settings.slots_wanted().filter(|_| !args.supervised) {
        failure::warn(&format!(
            "{} slots may bring {} connections to a halt; {wanted} are enough",
            settings.slots, settings.connections
        ));
    }
    if let Some(address) = &args.listen {
        return listen(args, settings, cores, address);
    }
    let (measurement, ends) = if let Some(address) = &args.connect {
        allow_descriptors(settings.connections)?;
        let seed = args.seed.as_deref().unwrap_or_default();
        let identities = Identities::from_seed(seed.as_bytes());
        (
            dial(args, settings, cores, address.clone(), identities)?,
            Ends::Processes,
        )
    } else if args.processes {
        allow_descriptors(settings.connections)?;
        let seed = fresh_seed()?;
        let listener = ListenerProcess::start(&settings, cores, &seed)?;
        let address = listener.address().into();
        let identities = Identities::from_seed(seed.as_bytes());
        (
            dial(args, settings, cores, address, identities)?,
            Ends::Processes,
        )
    } else {
        (threads(args, settings, cores)?, Ends::Threads)
    };
    let report = Report {
        work: work(args),
        connections: settings.connections,
        wire: settings.wire,
        warmup: args.warmup,
        ends,
        measurement: &measurement,
    };
    let both = [&measurement.dialer, &measurement.listener];
    if both.iter().any(|end| end.could_register()) {
        failure::warn(
            "slots are not registered with the ring, which costs time; raise RLIMIT_MEMLOCK \
             (ulimit -l) or lower --slots or --slot-size",
        );
    }
    if args.json {
        stdio::print(&report.json().to_string())
    } else {
        stdio::print(&report.to_string())
    }
}

/// Both ends in this process.
fn threads(
    args: &BenchArgs,
    settings: Settings,
    cores: Option<Cores>,
) -> Result<Measurement, Failure> {
    allow_descriptors(2 * settings.connections)?;
    let seed = fresh_seed()?;
    let ours = Identities::from_seed(seed.as_bytes());
    let theirs = Identities::from_seed(seed.as_bytes());
    let post = Post {
        settings,
        core: cores.map(|cores| cores.listener),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into(),
        dialer: ours.dialer.public_key(),
        endless: false,
    };
    let (sender, address) = oneshot::channel();
    let (present, dialer_gone) = oneshot::channel::<()>();
    let listener = start("listener", move || {
        let bound = |address| {
            sender
                .send(address)
                .map_err(|_| Failure::new("nobody waits for the address"))
        };
        let stop = async {
            // It only ever ends by being dropped.
            let _ = dialer_gone.await;
            Ok(())
        };
        listener::run(&post, theirs.listener, bound, stop)
    })?;
    let Ok(address) = address.blocking_recv() else {
        join(listener)?;
        return Err(Failure::new("the listener ended before it listened"));
    };
    let measured = dial(args, settings, cores, address, ours);
    drop(present);
    match (measured, join(listener)) {
        (Err(Failure::Failed(dialer)), Err(Failure::Failed(listener))) => {
            Err(Failure::new(format!("{dialer}; the listener: {listener}")))
        }
        (measured, _) => measured,
    }
}

/// Runs the dialer on a thread of its own and tells of its progress meanwhile.
fn dial(
    args: &BenchArgs,
    settings: Settings,
    cores: Option<Cores>,
    address: Address,
    identities: Identities,
) -> Result<Measurement, Failure> {
    let plan = Plan {
        settings,
        work: work(args),
        warmup: args.warmup,
        seconds: args.seconds,
        interval: (args.interval).or_else(|| io::stderr().is_terminal().then_some(INTERVAL)),
        core: cores.map(|cores| cores.dialer),
        address,
        listener: identities.listener.public_key(),
    };
    let (progress, lines) = sync_channel(WAITING_LINES);
    let dialer = start("dialer", move || {
        dialer::run(&plan, identities.dialer, &progress)
    })?;
    for line in lines {
        // Progress that nobody can see is no reason to end.
        let _ = writeln!(io::stderr(), "{line}");
    }
    join(dialer)
}

/// The listener alone, for a parent or for other hosts.
fn listen(
    args: &BenchArgs,
    settings: Settings,
    cores: Option<Cores>,
    address: &Address,
) -> Result<(), Failure> {
    allow_descriptors(settings.connections)?;
    let parent = args.supervised.then(Parent::meet).transpose()?;
    let seed = match &parent {
        Some(parent) => &parent.seed,
        None => args.seed.as_deref().unwrap_or_default(),
    };
    let identities = Identities::from_seed(seed.as_bytes());
    let post = Post {
        settings,
        core: cores.map(|cores| cores.listener),
        address: address.clone(),
        dialer: identities.dialer.public_key(),
        endless: parent.is_none(),
    };
    let label = if parent.is_some() {
        ""
    } else {
        "listening on "
    };
    let bound = |address: Address| stdio::print(&format!("{label}{address}"));
    let stop = async {
        if let Some(parent) = parent {
            parent.gone().await;
            return Ok(());
        }
        Interrupts::new()?.next().await;
        Ok(())
    };
    listener::run(&post, identities.listener, bound, stop)
}

fn work(args: &BenchArgs) -> Work {
    Work {
        direction: args.direction,
        size: args.size,
        batch: args.batch,
    }
}

/// Starts a thread that profilers show by this name.
fn start<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    Ok(thread::Builder::new().name(name.to_owned()).spawn(body)?)
}

/// Waits for one end. A panic there goes on here.
fn join<T>(thread: JoinHandle<Result<T, Failure>>) -> Result<T, Failure> {
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
