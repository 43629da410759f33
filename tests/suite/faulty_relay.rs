//! A relay between one client and a server that fails as its plan says: by hand, or by a seed.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use ringseal::Address;

use super::setting;
use super::transport::{RawListener, RawStream};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A bit is flipped, and all goes on.
    Flip,
    /// Both ends see a reset.
    Reset,
    /// The receiving end sees an end, and what is sent from there on is lost. The other direction goes
    /// on.
    End,
    /// Nothing passes any more in this direction, until the relay is let go.
    Stall,
}

impl Fault {
    pub(crate) const ALL: [Self; 4] = [Self::Flip, Self::Reset, Self::End, Self::Stall];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Towards {
    Server,
    Client,
}

/// What a relay does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) towards: Towards,
    /// What goes wrong, and how many bytes pass before.
    pub(crate) fault: Option<(usize, Fault)>,
    /// How many bytes pass at a time.
    pub(crate) piece: usize,
}

impl Plan {
    /// A fault on the way to the server.
    pub(crate) fn new(offset: usize, fault: Fault) -> Self {
        Self {
            towards: Towards::Server,
            fault: Some((offset, fault)),
            piece: 4096,
        }
    }

    /// Draws a plan whose fault comes among the first `length` bytes, or no fault.
    pub(crate) fn draw(random: &mut fastrand::Rng, length: usize) -> Self {
        let fault = random.choice(Fault::ALL).expect("there are some");
        // As many at the start, where the handshake is, as in all the rest.
        let end = if random.bool() { length } else { 2_000 };
        let offset = random.usize(..end);
        Self {
            towards: match random.bool() {
                true => Towards::Server,
                false => Towards::Client,
            },
            fault: (random.u8(..4) > 0).then_some((offset, fault)),
            piece: random.usize(1..6_000),
        }
    }
}

/// Relays one connection, on two threads, until both ends have ended it.
pub(crate) struct FaultyRelay {
    address: Address,
    /// Its drop lets go what stalls.
    stall: Sender<()>,
    has_failed: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl FaultyRelay {
    /// Relays whoever comes first to `target`.
    pub(crate) fn start(target: &Address, plan: Plan) -> Self {
        let listener = RawListener::bind();
        let address = listener.address();
        let target = target.clone();
        let (stall, stalled) = channel();
        let has_failed = Arc::<AtomicBool>::default();
        let failed = Arc::clone(&has_failed);
        let thread = setting::spawn(move || {
            let client = listener.accept();
            // The server may be gone.
            let Ok(server) = RawStream::try_connect(&target) else {
                return;
            };
            let (to_client, from_server) = (client.try_clone(), server.try_clone());
            let pipe = |towards| Pipe {
                fault: plan.fault.filter(|_| plan.towards == towards),
                piece: plan.piece,
                has_failed: Arc::clone(&failed),
            };
            let (there, back) = (pipe(Towards::Server), pipe(Towards::Client));
            std::thread::scope(|scope| {
                // The one that has a fault may stall.
                let (stalls, other) = match plan.towards {
                    Towards::Server => (Some(stalled), None),
                    Towards::Client => (None, Some(stalled)),
                };
                scope.spawn(move || there.run(client, server, stalls));
                scope.spawn(move || back.run(from_server, to_client, other));
            });
        });
        Self {
            address,
            stall,
            has_failed,
            thread,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Waits until the fault has come.
    pub(crate) async fn failed(&self) {
        while !self.has_failed.load(Ordering::Relaxed) {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets go what stalls, and waits until both ends have ended. Returns whether the fault has come.
    pub(crate) async fn finish(self) -> bool {
        drop(self.stall);
        while !self.thread.is_finished() {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        self.thread.join().expect("no panic");
        self.has_failed.load(Ordering::Relaxed)
    }
}

/// One direction.
struct Pipe {
    fault: Option<(usize, Fault)>,
    piece: usize,
    has_failed: Arc<AtomicBool>,
}

impl Pipe {
    fn run(self, mut from: RawStream, mut to: RawStream, stalled: Option<Receiver<()>>) {
        let mut bytes = vec![0; self.piece];
        let mut offset = 0;
        loop {
            let count = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => count,
                Err(_) => return to.reset(),
            };
            let piece = &mut bytes[..count];
            let due = (self.fault).filter(|(at, _)| (offset..offset + count).contains(at));
            let passed = match due {
                Some((at, Fault::Flip)) => {
                    piece[at - offset] ^= 1 << (at % 8);
                    count
                }
                Some((at, _)) => at - offset,
                None => count,
            };
            if to.write_all(&piece[..passed]).is_err() {
                return from.reset();
            }
            offset += count;
            let Some((_, fault)) = due else {
                continue;
            };
            self.has_failed.store(true, Ordering::Relaxed);
            if fault != Fault::Flip {
                return fail(fault, from, to, stalled);
            }
        }
        to.shutdown(Shutdown::Write);
    }
}

fn fail(fault: Fault, mut from: RawStream, to: RawStream, stalled: Option<Receiver<()>>) {
    match fault {
        Fault::End => {
            to.shutdown(Shutdown::Write);
            // So that the sender sees no more of it than silence.
            let _ = std::io::copy(&mut from, &mut std::io::sink());
            return;
        }
        // Nothing is ever sent: this waits until it is let go.
        Fault::Stall => drop(stalled.map(|stalled| stalled.recv())),
        Fault::Reset | Fault::Flip => {}
    }
    to.reset();
    from.reset();
}
