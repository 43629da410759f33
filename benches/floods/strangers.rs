//! The strangers: a process of their own, so that their processor time is not the server's.

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ringseal::{Runtime, Wire, dial};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, bind, connect, send, socket_with, sockopt,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::server::{config, key};
use crate::stage::Stage;

/// The argument that makes a process one of strangers.
const MARK: &str = "--strangers";
/// Where they come from: not where the others do.
const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// How many connections a flood keeps.
const KEPT: usize = 2_000;
/// How many of those are waited for that the server is to end. Those that are silent end when they make
/// way, for which there have to be more than handshakes at a time.
const WAITED_FOR: usize = 64;
const SILENT: usize = 320;
/// How many dial at a time.
const DIALERS: usize = 16;

/// What strangers are to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) address: SocketAddr,
    pub(crate) wire: Wire,
    pub(crate) stage: Stage,
    /// How many are to come in a second; as many as the server ends, if there is none.
    pub(crate) rate: Option<u32>,
    pub(crate) duration: Duration,
}

/// A process of strangers.
pub(crate) struct Strangers(Child);

impl Strangers {
    pub(crate) fn start(order: &Order) -> io::Result<Self> {
        let index = Stage::ALL.iter().position(|&stage| stage == order.stage);
        let child = Command::new(std::env::current_exe()?)
            .arg(MARK)
            .arg(order.address.to_string())
            .arg(order.wire.to_string())
            .arg(index.expect("one of them").to_string())
            .arg(order.rate.unwrap_or(0).to_string())
            .arg(order.duration.as_micros().to_string())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self(child))
    }

    /// Waits for their end; returns how many came.
    pub(crate) fn finish(self) -> Result<u64, Box<dyn Error>> {
        let output = self.0.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("the strangers have failed: {}", output.status).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    }
}

impl Order {
    /// Reads what this process is to do, if it is one of strangers.
    pub(crate) fn of_this_process() -> Option<Result<Self, Box<dyn Error>>> {
        let mut arguments = std::env::args().skip(1);
        (arguments.next()? == MARK).then(|| Self::read(arguments))
    }

    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut next = || arguments.next().ok_or("an argument is missing");
        let address = next()?.parse()?;
        let wire = next()?.parse()?;
        let stage = Stage::ALL[next()?.parse::<usize>()?];
        let rate = Some(next()?.parse()?).filter(|&rate| rate > 0);
        let duration = Duration::from_micros(next()?.parse()?);
        Ok(Self {
            address,
            wire,
            stage,
            rate,
            duration,
        })
    }
}

/// Returns how many descriptors this process may have, after raising that as far as it may.
pub(crate) fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    allowed.unwrap_or(u64::MAX)
}

/// Does as ordered, and prints how many came.
pub(crate) fn run(order: &Order) -> Result<(), Box<dyn Error>> {
    raise_descriptors();
    let count = match (order.stage.dials_as(), order.rate) {
        (Some(seed), _) => shake_hands(order, seed)?,
        (None, Some(rate)) => flood(order, rate),
        (None, None) => come_one_by_one(order)?,
    };
    println!("{count}");
    Ok(())
}

/// Has so many come in a second, and cares for none.
fn flood(order: &Order, rate: u32) -> u64 {
    let bytes = order.stage.first_bytes(order.wire);
    let (start, mut kept, mut count) = (Instant::now(), VecDeque::new(), 0_u64);
    loop {
        let elapsed = start.elapsed();
        if elapsed >= order.duration {
            return count;
        }
        let due = elapsed.as_micros() * u128::from(rate) / 1_000_000;
        if u128::from(count) >= due {
            thread::sleep(Duration::from_micros(500));
            continue;
        }
        count += 1;
        // A server that can't keep up is what is looked for.
        if let Ok(client) = come(order.address, &bytes) {
            kept.push_back(client);
        }
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
}

/// Has the next one come when the server has ended the first.
fn come_one_by_one(order: &Order) -> rustix::io::Result<u64> {
    let bytes = order.stage.first_bytes(order.wire);
    let most = match order.stage {
        Stage::Silent => SILENT,
        _ => WAITED_FOR,
    };
    let (start, mut kept, mut count) = (Instant::now(), VecDeque::new(), 0);
    while start.elapsed() < order.duration {
        kept.push_back(come(order.address, &bytes)?);
        count += 1;
        if kept.len() >= most
            && let Some(first) = kept.pop_front()
        {
            wait_for_end(&first)?;
        }
    }
    Ok(count)
}

/// Connects, which is over at once on loopback, and sends.
fn come(address: SocketAddr, bytes: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    // Closed by a reset, since ports that wait are soon all that there are.
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    bind(&socket, &SocketAddr::from((FROM, 0)))?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error),
    }
    if !bytes.is_empty() {
        wait(&socket, PollFlags::OUT)?;
        match send(&socket, bytes, SendFlags::NOSIGNAL) {
            // It may have been reset at once.
            Ok(_) | Err(Errno::CONNRESET | Errno::PIPE) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(socket)
}

fn wait_for_end(client: &OwnedFd) -> rustix::io::Result<()> {
    wait(client, PollFlags::IN | PollFlags::RDHUP)
}

fn wait(socket: &OwnedFd, flags: PollFlags) -> rustix::io::Result<()> {
    let second = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    poll(&mut [PollFd::new(socket, flags)], Some(&second)).map(drop)
}

/// Has several dial again and again.
fn shake_hands(order: &Order, seed: u8) -> Result<u64, Box<dyn Error>> {
    let settings = config(seed, order.wire);
    let start = Instant::now();
    let dialing = |_| async {
        let mut count = 0;
        while start.elapsed() < order.duration {
            // Refused, each of them.
            drop(dial(order.address, key(), &settings).await);
            count += 1;
        }
        count
    };
    let runtime = Runtime::builder().build()?;
    let counts: Vec<u64> = runtime.block_on(async { join_all((0..DIALERS).map(dialing)).await });
    Ok(counts.into_iter().sum())
}
