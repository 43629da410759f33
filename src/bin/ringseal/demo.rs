//! `demo`: two runtimes in one process meet on loopback and show what they can do.

use core::time::Duration;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Instant;

use ringseal::{
    Address, Admission, Backend, Config, Connection, Listener, PublicKey, Receiver, Runtime, Sender,
};
use serde_json::json;
use tokio::sync::oneshot;

use crate::args::DemoArgs;
use crate::failure::Failure;
use crate::figures::{Figures, Tally};
use crate::interrupts;
use crate::keygen::fresh_identity;
use crate::round_trips::RoundTrips;
use crate::start::start;
use crate::stdio;

const NAMESPACE: &str = "ringseal-demo";
const FROM_DIALER: &str = "Hello from the dialer.";
const FROM_LISTENER: &str = "Hello from the listener.";
const BURST_SIZES: [usize; 2] = [16 * 1024, 64];
/// A burst looks at the clock once in so many messages.
const CLOCK_INTERVAL: usize = 64;
/// An empty message ends a part of the demo, and so does the reply to it.
const MARK: &[u8] = &[];

/// What the dialer saw.
struct Story {
    handshake: Duration,
    reply: String,
    round_trips: RoundTrips,
}

/// What the listener saw.
struct Heard {
    greeting: String,
    bursts: Vec<Figures>,
    /// What moved its bytes.
    backend: Backend,
}

pub(crate) fn run(args: &DemoArgs) -> Result<(), Failure> {
    interrupts::end_first_process()?;
    let ours = Config::new(fresh_identity(), NAMESPACE);
    let theirs = Config::new(fresh_identity(), NAMESPACE);
    let (listener_key, dialer_key) = (ours.public_key(), theirs.public_key());
    let (bound, address) = oneshot::channel();
    let (present, dialer_gone) = oneshot::channel();
    let part = args.seconds.div_f64(3.0);

    let listener = thread::spawn(move || listen(&ours, dialer_key, bound, dialer_gone));
    let Ok(address) = address.blocking_recv() else {
        // It failed before it had an address.
        return join(listener).map(|_| ());
    };
    let dialed = address.clone();
    let dialer = thread::spawn(move || {
        let story = dial(&theirs, listener_key, &dialed, part);
        // Whatever happened: nobody has to wait for this end any more.
        drop(present);
        story
    });
    let (story, heard) = (join(dialer), join(listener));
    let (story, heard) = (story?, heard?);

    let bursts = BURST_SIZES.iter().zip(&heard.bursts);
    if args.json {
        let bursts: Vec<_> = bursts
            .map(|(size, figures)| {
                let mut value = figures.json();
                value["message_size"] = (*size).into();
                value
            })
            .collect();
        let line = json!({
            "handshake_us": story.handshake.as_secs_f64() * 1e6,
            "bursts": bursts,
            "ping": story.round_trips.json(),
        });
        return stdio::print(&line.to_string());
    }
    stdio::print(&format!(
        "A listener and a dialer, each with its own thread and {}, met on {address}.\n\
         listener  {listener_key}\n\
         dialer    {dialer_key}\n\
         They connected and proved these fresh keys to each other in {:.2} ms.\n\
         The dialer sent, encrypted:      {}\n\
         The listener answered:           {}",
        match heard.backend {
            Backend::Epoll => "epoll",
            _ => "io_uring",
        },
        story.handshake.as_secs_f64() * 1e3,
        heard.greeting,
        story.reply,
    ))?;
    for (size, figures) in bursts {
        stdio::print(&format!("Messages of {size} bytes, received: {figures}."))?;
    }
    stdio::print(&format!("One byte and its echo, {}.", story.round_trips))
}

/// Waits for one end. A panic there goes on here.
fn join<T>(thread: thread::JoinHandle<Result<T, Failure>>) -> Result<T, Failure> {
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn listen(
    config: &Config,
    dialer: PublicKey,
    bound: oneshot::Sender<Address>,
    dialer_gone: oneshot::Receiver<()>,
) -> Result<Heard, Failure> {
    let runtime = start(Runtime::builder())?;
    let backend = runtime.backend();
    runtime.block_on(async {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let admission = Admission::allow_list([dialer]);
        let mut listener = Listener::bind(address, config, admission).await?;
        // Fails only if the main thread is gone, and this one with it.
        let _ = bound.send(listener.local_address());
        let connection = tokio::select! {
            outcome = listener.accept() => outcome?,
            _ = dialer_gone => return Err(Failure::new("the dialer did not come")),
        };
        let (mut sender, mut receiver) = connection.split();
        let greeting = String::from_utf8_lossy(&next(&mut receiver).await?).into_owned();
        sender.send(FROM_LISTENER.as_bytes()).await?;
        let mut bursts = Vec::new();
        for _ in BURST_SIZES {
            // Our answer leaves when this task waits, so the dialer has not begun.
            let mut tally = Tally::starting_now();
            loop {
                let message = next(&mut receiver).await?;
                if message.is_empty() {
                    break;
                }
                tally.add(message.len());
            }
            bursts.push(tally.figures());
            sender.send(MARK).await?;
        }
        while let Some(message) = receiver.recv().await? {
            sender.send(&message).await?;
        }
        sender.close().await?;
        Ok(Heard {
            greeting,
            bursts,
            backend,
        })
    })
}

fn dial(
    config: &Config,
    listener: PublicKey,
    address: &Address,
    part: Duration,
) -> Result<Story, Failure> {
    start(Runtime::builder())?.block_on(async {
        let start = Instant::now();
        let connection: Connection = ringseal::dial(address, listener, config).await?;
        let handshake = start.elapsed();
        let (mut sender, mut receiver) = connection.split();
        sender.send(FROM_DIALER.as_bytes()).await?;
        let reply = String::from_utf8_lossy(&next(&mut receiver).await?).into_owned();
        for size in BURST_SIZES {
            burst(&mut sender, size, part).await?;
            next(&mut receiver).await?;
        }
        let round_trips = ping(&mut sender, &mut receiver, part).await?;
        sender.close().await?;
        receiver.recv().await?;
        Ok(Story {
            handshake,
            reply,
            round_trips,
        })
    })
}

async fn burst(sender: &mut Sender, size: usize, part: Duration) -> Result<(), Failure> {
    let message = vec![0x5a; size];
    let start = Instant::now();
    while start.elapsed() < part {
        for _ in 0..CLOCK_INTERVAL {
            sender.send(&message).await?;
        }
    }
    Ok(sender.send(MARK).await?)
}

async fn ping(
    sender: &mut Sender,
    receiver: &mut Receiver,
    part: Duration,
) -> Result<RoundTrips, Failure> {
    let mut times = RoundTrips::new();
    let end = Instant::now() + part;
    loop {
        let start = Instant::now();
        if start >= end {
            return Ok(times);
        }
        sender.send(&[0x5a]).await?;
        next(receiver).await?;
        times.add(start.elapsed());
    }
}

/// The next message, where one has to come.
async fn next(receiver: &mut Receiver) -> Result<ringseal::Message, Failure> {
    receiver
        .recv()
        .await?
        .ok_or_else(|| Failure::new("the other end of the demo ended early"))
}
