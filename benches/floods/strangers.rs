//! The strangers: a process of their own, so that their processor time is not the server's.
//!
//! It counts who came through to the server: those whose connect has succeeded. It prints a line when
//! the first has, begins to count when it is told to by a byte on its standard input, and ends, as it
//! does with its parent, when that ends.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ringseal::{Backend, Runtime, Wire, dial_over, sleep};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, bind, connect, send, socket_with, sockopt,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpSocket;

use crate::cores;
use crate::server::{config, key};
use crate::stage::Stage;

/// The argument that makes a process one of strangers.
const MARK: &str = "--strangers";
/// Where they come from: not where the others do.
const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// How many connections a flood keeps, and how many that are not made yet.
const KEPT: usize = 2_000;
/// How many of those are waited for that the server is to end. Those that are silent end when they make
/// way, for which there have to be more than handshakes at a time.
const WAITED_FOR: usize = 64;
const SILENT: usize = 320;
/// How many shake hands at a time, at a rate and without one.
const DIALERS: usize = 64;
const DIALERS_WITHOUT_RATE: usize = 16;
/// After how many strangers a flood looks who else has come through.
const LOOK_EVERY: u64 = 256;
/// How long a flood sleeps that is in time.
const NAP: Duration = Duration::from_micros(500);

/// Who has come through.
static CAME: AtomicU64 = AtomicU64::new(0);
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// What the process is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FloodOrder {
    pub(crate) address: SocketAddr,
    pub(crate) wire: Wire,
    /// What each stranger does; `None` for nobody, but a core that is busy.
    pub(crate) stage: Option<Stage>,
    /// How many are to come in a second; as many as the server ends, if there is none.
    pub(crate) rate: Option<u32>,
    pub(crate) core: usize,
}

/// What the process has done while it counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came {
    pub(crate) count: u64,
    pub(crate) processor: Duration,
    pub(crate) time: Duration,
}

/// A process of strangers. It ends when this is dropped.
pub(crate) struct Strangers {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Strangers {
    /// Starts them, and waits for the first to come.
    pub(crate) fn start(order: &FloodOrder) -> Result<Self, Box<dyn Error>> {
        let index = |stage| Stage::ALL.iter().position(|&it| it == stage);
        let stage = order.stage.and_then(index);
        let mut child = Command::new(std::env::current_exe()?)
            .arg(MARK)
            .arg(order.address.to_string())
            .arg(order.wire.to_string())
            .arg(stage.map_or_else(|| "none".to_owned(), |index| index.to_string()))
            .arg(order.rate.unwrap_or(0).to_string())
            .arg(order.core.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("nothing to read from")?;
        let output = BufReader::new(output);
        let mut strangers = Self { child, output };
        if strangers.output.read_line(&mut String::new())? == 0 {
            return Err("the strangers have failed before one came".into());
        }
        Ok(strangers)
    }

    /// Has them counted from now on.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        let input = self.child.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write_all(b"\n")
    }

    /// Has them end; returns what they have done since [`begin`](Self::begin).
    pub(crate) fn finish(mut self) -> Result<Came, Box<dyn Error>> {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("the strangers have failed: {status}").into());
        }
        let numbers = text.split_whitespace().map(str::parse);
        let numbers = numbers.collect::<Result<Vec<u64>, _>>()?;
        let [count, processor, time] = numbers[..] else {
            return Err(format!("the strangers say {text}").into());
        };
        Ok(Came {
            count,
            processor: Duration::from_micros(processor),
            time: Duration::from_micros(time),
        })
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl FloodOrder {
    /// Reads what this process is to do, if it is one of strangers.
    pub(crate) fn of_this_process() -> Option<Result<Self, Box<dyn Error>>> {
        let mut arguments = std::env::args().skip(1);
        (arguments.next()? == MARK).then(|| Self::read(arguments))
    }

    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut next = || arguments.next().ok_or("an argument is missing");
        Ok(Self {
            address: next()?.parse()?,
            wire: next()?.parse()?,
            stage: match next()?.as_str() {
                "none" => None,
                index => Some(Stage::ALL[index.parse::<usize>()?]),
            },
            rate: Some(next()?.parse()?).filter(|&rate| rate > 0),
            core: next()?.parse()?,
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

/// Processor time of all threads of this process.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("a time that has passed")
}

/// Does as ordered until it is to end, and prints what it has done while it counted.
pub(crate) fn run(order: &FloodOrder) -> Result<(), Box<dyn Error>> {
    cores::pin(order.core)?;
    raise_descriptors();
    let told = thread::spawn(count_while_told);
    match (order.stage, order.rate) {
        (None, _) => {
            println!("busy");
            while !is_over() {
                std::hint::spin_loop();
            }
        }
        (Some(stage), _) if stage.dials_as().is_some() => shake_hands(order, stage)?,
        (Some(stage), Some(rate)) => flood(order, stage, rate),
        (Some(stage), None) => come_one_by_one(order, stage)?,
    }
    let Came {
        count,
        processor,
        time,
    } = told.join().map_err(|_| "it has panicked")??;
    println!("{count} {} {}", processor.as_micros(), time.as_micros());
    Ok(())
}

fn is_over() -> bool {
    IS_OVER.load(Ordering::Relaxed)
}

fn count_one() {
    if CAME.fetch_add(1, Ordering::Relaxed) == 0 {
        println!("the first has come");
    }
}

/// Waits until it is told to count, and then until it is told to end, which it tells the others.
fn count_while_told() -> io::Result<Came> {
    let now = || {
        (
            CAME.load(Ordering::Relaxed),
            processor_time(),
            Instant::now(),
        )
    };
    let mut input = io::stdin().lock();
    let begun = input.read_exact(&mut [0]);
    let (count, processor, time) = now();
    let ended = begun.and_then(|()| input.read_to_end(&mut Vec::new()));
    let (last_count, last_processor, last_time) = now();
    IS_OVER.store(true, Ordering::Relaxed);
    ended?;
    Ok(Came {
        count: last_count - count,
        processor: last_processor - processor,
        time: last_time - time,
    })
}

/// Has so many come in a second, and cares for none.
fn flood(order: &FloodOrder, stage: Stage, rate: u32) {
    let bytes = stage.first_bytes(order.wire);
    let (start, mut begun) = (Instant::now(), 0_u64);
    let (mut coming, mut kept) = (VecDeque::new(), VecDeque::new());
    while !is_over() {
        let is_in_time = begun >= due(start, rate);
        // Also where there is never time.
        if is_in_time || begun.is_multiple_of(LOOK_EVERY) {
            for client in let_through(&mut coming) {
                arrive(client, &bytes, &mut kept);
            }
        }
        if is_in_time {
            thread::sleep(NAP);
            continue;
        }
        begun += 1;
        // Without a port or a descriptor nobody comes, and nobody counts.
        if let Ok(client) = set_out(order.address) {
            match is_through(&client, Duration::ZERO) {
                Ok(true) => arrive(client, &bytes, &mut kept),
                Ok(false) => keep(client, &mut coming),
                Err(_) => {}
            }
        }
    }
}

/// How many are to have come by now.
fn due(start: Instant, rate: u32) -> u64 {
    let due = start.elapsed().as_micros() * u128::from(rate) / 1_000_000;
    u64::try_from(due).unwrap_or(u64::MAX)
}

/// Takes out who has come through in the meantime, and who never will.
fn let_through(coming: &mut VecDeque<OwnedFd>) -> Vec<OwnedFd> {
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let polled = coming
        .iter()
        .map(|client| PollFd::new(client, PollFlags::OUT));
    let mut polled: Vec<PollFd<'_>> = polled.collect();
    // A signal only has it looked at later.
    if poll(&mut polled, Some(&at_once)).unwrap_or(0) == 0 {
        return Vec::new();
    }
    let are_decided: Vec<bool> = polled.iter().map(|it| !it.revents().is_empty()).collect();
    let mut came = Vec::new();
    for is_decided in are_decided {
        let Some(client) = coming.pop_front() else {
            break;
        };
        if !is_decided {
            coming.push_back(client);
        } else if let Ok(true) = is_through(&client, Duration::ZERO) {
            came.push(client);
        }
    }
    came
}

fn arrive(client: OwnedFd, bytes: &[u8], kept: &mut VecDeque<OwnedFd>) {
    count_one();
    // What fails now fails at the server, which has had it.
    let _ = say(&client, bytes);
    keep(client, kept);
}

fn keep(client: OwnedFd, kept: &mut VecDeque<OwnedFd>) {
    kept.push_back(client);
    if kept.len() > KEPT {
        kept.pop_front();
    }
}

/// Has the next one come when the server has ended the first.
fn come_one_by_one(order: &FloodOrder, stage: Stage) -> rustix::io::Result<()> {
    let bytes = stage.first_bytes(order.wire);
    let most = match stage {
        Stage::Silent => SILENT,
        _ => WAITED_FOR,
    };
    let mut kept = VecDeque::new();
    while !is_over() {
        let client = set_out(order.address)?;
        if is_through(&client, Duration::from_secs(1))? {
            count_one();
            say(&client, &bytes)?;
            kept.push_back(client);
        }
        if kept.len() >= most
            && let Some(first) = kept.pop_front()
        {
            wait(
                &first,
                PollFlags::IN | PollFlags::RDHUP,
                Duration::from_secs(1),
            )?;
        }
    }
    Ok(())
}

/// Begins to connect.
fn set_out(address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    // Closed by a reset, since ports that wait are soon all that there are.
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    bind(&socket, &SocketAddr::from((FROM, 0)))?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// Whether the connection is made, as far as that is known within `limit`.
fn is_through(client: &OwnedFd, limit: Duration) -> rustix::io::Result<bool> {
    if !wait(client, PollFlags::OUT, limit)? {
        return Ok(false);
    }
    match sockopt::socket_error(client)? {
        // The server may have reset it at once.
        Ok(()) | Err(Errno::CONNRESET | Errno::PIPE) => Ok(true),
        Err(error) => Err(error),
    }
}

fn say(client: &OwnedFd, bytes: &[u8]) -> rustix::io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    match send(client, bytes, SendFlags::NOSIGNAL) {
        // It may have been reset at once.
        Ok(_) | Err(Errno::CONNRESET | Errno::PIPE) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether one of the events has come within `limit`.
fn wait(socket: &OwnedFd, flags: PollFlags, limit: Duration) -> rustix::io::Result<bool> {
    let limit = Timespec::try_from(limit).map_err(|_| Errno::INVAL)?;
    let ready = poll(&mut [PollFd::new(socket, flags)], Some(&limit))?;
    Ok(ready > 0)
}

/// Has several shake hands again and again, so many in a second if there is a rate.
fn shake_hands(order: &FloodOrder, stage: Stage) -> Result<(), Box<dyn Error>> {
    let seed = stage.dials_as().ok_or("they only connect")?;
    let settings = config(seed, order.wire);
    let (start, begun) = (Instant::now(), AtomicU64::new(0));
    let dialing = |_| async {
        while !is_over() {
            if let Some(rate) = order.rate
                && begun.load(Ordering::Relaxed) >= due(start, rate)
            {
                sleep(NAP).await;
                continue;
            }
            begun.fetch_add(1, Ordering::Relaxed);
            let connecting = async {
                let socket = TcpSocket::new_v4()?;
                sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
                socket.bind(SocketAddr::from((FROM, 0)))?;
                socket.connect(order.address).await
            };
            // Without a port nobody comes, and nobody counts.
            if let Ok(stream) = connecting.await {
                count_one();
                // Refused, each of them.
                drop(dial_over(stream, key(), &settings).await);
            }
        }
    };
    // It has the reactor that tokio's sockets need.
    let runtime = Runtime::builder().backend(Backend::Epoll).build()?;
    let dialers = order.rate.map_or(DIALERS_WITHOUT_RATE, |_| DIALERS);
    runtime.block_on(async { join_all((0..dialers).map(dialing)).await });
    Ok(())
}
