//! One connection: its handshake, its four halves at work, and the verdict.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;

use futures_util::future::{join, join_all};
use ringseal::protocol::handshake::HandshakeError;
use ringseal::protocol::native;
use ringseal::{
    Admission, AttemptError, Connection, DialError, Receiver, RecvError, Sender, accept_over,
    dial_over,
};

use crate::channel::{Channel, Cut, Damage, Event, Later};
use crate::forger::{self, Flaw};
use crate::forwarding::Forwarding;
use crate::half::Half;
use crate::limits::Watch;
use crate::model::Ledger;
use crate::network::{Network, Number};
use crate::patience::Patience;
use crate::random::Random;
use crate::receiving::{ReceiverEnd, Receiving};
use crate::scenario::{Fault, Kind, Pair};
use crate::sending::{SenderEnd, Sending};
use crate::verdict::{Happened, Verdict, check_unlike};
use crate::world::note;

/// By how much a handshake's deadline may be overrun, in milliseconds: one tick, and rounding.
const OVERRUN: u64 = 300;
/// What of a step of the clock may be charged to a handshake, in milliseconds: one tick.
const TICK: u64 = 250;

/// What a handshake has come to; nothing where it was given up.
type Outcome = Option<Result<Connection, DialError>>;

/// Makes the connection, has its ends do what they are to do, and judges.
pub(crate) async fn play(
    network: Rc<Network>,
    kind: Kind,
    index: usize,
    pair: Pair,
    gate: Rc<Cell<bool>>,
    mut random: Random,
) {
    let (number, dialed, accepted) = shake_hands(&network, &pair, random.fork()).await;
    if kind == Kind::Handshake {
        return match pair.fault {
            Fault::NotAdmitted => check_refused(&network, &pair, dialed, accepted).await,
            Fault::Forged(flaw) => check_forged(&network, flaw, accepted.as_ref()),
            _ => check_handshake(&network, number, &pair, &dialed, &accepted),
        };
    }
    let (Some(Ok(dialed)), Some(Ok(accepted))) = (dialed, accepted) else {
        assert!(
            kind == Kind::Abandoned,
            "no connection on a network without faults"
        );
        return;
    };
    let play = Play {
        network,
        kind,
        number,
        pair,
        gate,
        name: index,
    };
    Box::pin(play.run(dialed, accepted, random)).await;
}

async fn shake_hands(
    network: &Rc<Network>,
    pair: &Pair,
    random: Random,
) -> (Number, Outcome, Outcome) {
    let (number, ours, theirs) = network.wire(pair.conditions);
    prepare(network, number, pair.fault);
    let patience = |end: usize| match pair.fault {
        Fault::GivenUp(which, patience) if which == end => patience,
        _ => Patience::Endless,
    };
    let [dialer, listener] = pair.configs();
    let admission = match pair.fault {
        Fault::NotAdmitted => Admission::allow_list([listener.public_key()]),
        _ => Admission::any(),
    };
    let mut forged = None;
    let dial = async {
        if let Fault::Forged(flaw) = pair.fault {
            let dialed = Box::pin(forger::dial(ours, pair, flaw, random)).await;
            forged = Some(dialed.expect("a network without faults"));
            return None;
        }
        let dial = Box::pin(dial_over(ours, listener.public_key(), &dialer));
        patience(0)
            .give(timed(network, pair.ends[0].deadline, dial))
            .await
    };
    let accept = Box::pin(accept_over(theirs, &listener, &admission));
    let accept = timed(network, pair.ends[1].deadline, accept);
    let (dialed, accepted) = join(dial, patience(1).give(accept)).await;
    drop(forged);
    if let Fault::GivenUp(which, _) = pair.fault
        && [&dialed, &accepted][which].is_none()
    {
        network
            .world
            .count(["a dial is given up", "an accept is given up"][which]);
    }
    (number, dialed, accepted)
}

/// Has what goes wrong within the handshake happen in its time.
fn prepare(network: &Network, number: Number, fault: Fault) {
    let damage = |which, at, damage| {
        network.with(number + which, |channel: &mut Channel| {
            channel.damage_behind(at, damage);
        });
    };
    match fault {
        Fault::EarlyCut(which, at, cut) => damage(which, at, Damage::Cut(cut)),
        Fault::EarlyFlip(which, at, bits) => {
            // Keys are new in each run, and what a changed one is taken for depends on it.
            network.world.seal();
            damage(which, at, Damage::Flip(bits));
        }
        _ => {}
    }
}

/// Checks that a handshake keeps to its deadline.
async fn timed(
    network: &Network,
    deadline: u64,
    handshake: impl Future<Output = Result<Connection, DialError>>,
) -> Result<Connection, DialError> {
    let world = &network.world;
    let start = world.now();
    let result = handshake.await;
    let (took, (stepped, steps)) = (world.now() - start, world.stepped_since(start));
    note!(
        world,
        "a handshake of {took} ms: {:?}",
        result.as_ref().err()
    );
    assert!(
        took <= deadline + OVERRUN + stepped,
        "a handshake with {deadline} ms took {took} ms"
    );
    if let Err(DialError::Attempt(AttemptError::Deadline { .. })) = &result {
        world.count("a deadline ends a handshake");
        assert!(
            took - stepped + steps * TICK >= deadline,
            "the deadline of {deadline} ms was over after {took} ms"
        );
    }
    result
}

/// What comes of a handshake that is disturbed: never a connection of which one end saw a change.
fn check_handshake(
    network: &Network,
    number: Number,
    pair: &Pair,
    dialed: &Outcome,
    accepted: &Outcome,
) {
    let is_made = |outcome: &Outcome| matches!(outcome, Some(Ok(_)));
    let (dialed, accepted) = (is_made(dialed), is_made(accepted));
    note!(network.world, "dialed: {dialed}, accepted: {accepted}");
    let happened = [0, 1].map(|which| network.with(number + which, |it| Happened::to(it)));
    assert!(
        !(happened[0].is_flip_read && accepted),
        "a listener has accepted what was changed"
    );
    assert!(
        !(happened[1].is_flip_read && dialed && pair.ends[0].awaits_accept),
        "a dialer has accepted what was changed"
    );
    if dialed != accepted {
        network.world.count("one end of two has a connection");
    } else if !dialed {
        network.world.count("no end has a connection");
    }
}

/// Whom the listener does not list has no connection, and is told so where the wire can say it.
async fn check_refused(network: &Network, pair: &Pair, dialed: Outcome, accepted: Outcome) {
    let accepted = accepted.expect("nobody gives up");
    let is_native = pair.wire.is_native();
    assert!(
        match &accepted {
            Err(DialError::Attempt(AttemptError::NotAdmitted { .. })) => is_native,
            Err(DialError::Attempt(AttemptError::Handshake(HandshakeError::PeerRejected(_)))) => {
                !is_native
            }
            _ => false,
        },
        "who is not listed must not be admitted: {accepted:?}"
    );
    let is_told = match dialed.expect("nobody gives up") {
        Ok(connection) => {
            let (_sender, mut receiver) = connection.split();
            let received = receiver.recv().await;
            is_native
                && !pair.ends[0].awaits_accept
                && matches!(received, Err(RecvError::Refused { .. }))
        }
        Err(DialError::Attempt(AttemptError::Refused { .. })) => {
            is_native && pair.ends[0].awaits_accept
        }
        Err(DialError::Attempt(AttemptError::UnexpectedEnd)) => !is_native,
        Err(_) => false,
    };
    assert!(is_told, "who is not admitted is told something else");
    network.world.count("a stranger is not admitted");
}

/// Who does not keep to the handshake has no connection.
fn check_forged(network: &Network, flaw: Flaw, accepted: Option<&Result<Connection, DialError>>) {
    let is_right = match accepted {
        Some(Ok(_)) => flaw == Flaw::None,
        Some(Err(DialError::Attempt(error))) => {
            let is_noticed = matches!(
                error,
                AttemptError::NativeHandshake(native::handshake::HandshakeError::Failed)
                    | AttemptError::Handshake(HandshakeError::BadSignature)
            );
            flaw != Flaw::None && is_noticed
        }
        _ => false,
    };
    assert!(is_right, "a dialer with the flaw {flaw:?}: {accepted:?}");
    network.world.count(match flaw {
        Flaw::None => "a dialer keeps to the handshake by hand",
        Flaw::Signer => "a wrong signature is refused",
        Flaw::Finished => "a wrong finished value is refused",
    });
}

/// How a half has ended.
enum HalfEnd {
    Sender(SenderEnd),
    Receiver(ReceiverEnd),
}

/// A connection at work.
struct Play {
    network: Rc<Network>,
    kind: Kind,
    number: Number,
    pair: Pair,
    gate: Rc<Cell<bool>>,
    name: usize,
}

/// What both ends of a direction have.
struct Line {
    which: usize,
    ledger: Rc<RefCell<Ledger>>,
    is_sender_done: Rc<Cell<bool>>,
    /// Of each end.
    forwarding: [Rc<Forwarding>; 2],
}

impl Play {
    async fn run(self, dialed: Connection, accepted: Connection, mut random: Random) {
        self.disturb();
        let forwarding = [Rc::<Forwarding>::default(), Rc::default()];
        let lines = [0, 1].map(|which| Line {
            which,
            ledger: Rc::new(RefCell::new(Ledger::new(random.number()))),
            is_sender_done: Rc::default(),
            forwarding: forwarding.clone(),
        });
        let ((our_sender, our_receiver), (sender, receiver)) = (dialed.split(), accepted.split());
        let sending = [
            self.sending(&lines[0], our_sender, random.fork()),
            self.sending(&lines[1], sender, random.fork()),
        ];
        let receiving = [
            self.receiving(&lines[0], receiver, random.fork()),
            self.receiving(&lines[1], our_receiver, random.fork()),
        ];
        let mut halves = Vec::new();
        for ((sending, receiving), line) in sending.into_iter().zip(receiving).zip(&lines) {
            let is_done = Rc::clone(&line.is_sender_done);
            halves.push(ringseal::spawn(async move {
                let end = Box::pin(sending.run()).await;
                is_done.set(true);
                HalfEnd::Sender(end)
            }));
            let gate = self.pair.is_blocked.then(|| Rc::clone(&self.gate));
            halves.push(ringseal::spawn(async move {
                wait_for(gate).await;
                HalfEnd::Receiver(Box::pin(receiving.run()).await)
            }));
        }
        let ends = join_all(halves).await;
        // The end of a runtime excuses everything.
        if self.kind != Kind::Abandoned {
            self.judge(ends, &lines);
        }
    }

    /// Has what goes wrong happen in its time.
    fn disturb(&self) {
        let (network, number) = (&self.network, self.number);
        match self.pair.fault {
            Fault::CutBehind(which, at, cut) => network.with(number + which, |channel| {
                channel.damage_behind(at, Damage::Cut(cut));
            }),
            Fault::Flip(which, at, bits) => network.with(number + which, |channel| {
                channel.damage_behind(at, Damage::Flip(bits));
            }),
            Fault::CutAfter(which, after, cut) => {
                network.schedule(number + which, Later(after, Event::Cut(cut)));
            }
            _ => {}
        }
        let fault = match self.pair.fault {
            Fault::Stall(which, after, duration) => Some((which, after, duration)),
            _ => None,
        };
        for (which, after, duration) in [fault, self.pair.stall].into_iter().flatten() {
            network.schedule(number + which, Later(after, Event::Stall));
            network.schedule(number + which, Later(after + duration, Event::Resume));
            if duration > 600 {
                network.world.count("a direction stalls for long");
            }
        }
        if self.pair.is_recorded {
            for which in [0, 1] {
                network.with(number + which, Channel::record);
            }
        }
    }

    /// What one end sees of the wire: the dialer is 0.
    fn watch(&self, end: usize) -> Watch {
        Watch {
            network: Rc::clone(&self.network),
            incoming: self.number + 1 - end,
            outgoing: self.number + end,
            end: self.pair.ends[end],
        }
    }

    fn sending(&self, line: &Line, sender: Sender, random: Random) -> Sending {
        let watch = self.watch(line.which);
        Sending {
            name: format!("sender {}.{}", self.name, line.which),
            sender: Half::new(sender),
            direction: self.pair.directions[line.which],
            is_native: self.pair.wire.is_native(),
            ledger: Rc::clone(&line.ledger),
            written_before: watch.written(),
            watch,
            random,
            forwarding: Rc::clone(&line.forwarding[line.which]),
            has_leaked: false,
        }
    }

    fn receiving(&self, line: &Line, receiver: Receiver, random: Random) -> Receiving {
        let direction = self.pair.directions[line.which];
        let deaf_after = match self.pair.fault {
            Fault::Deaf(which, after) if which == line.which => Some(after),
            _ => None,
        };
        Receiving {
            name: format!("receiver {}.{}", self.name, line.which),
            receiver: Half::new(receiver),
            direction,
            ledger: Rc::clone(&line.ledger),
            watch: self.watch(1 - line.which),
            random,
            deaf_after,
            is_sender_done: Rc::clone(&line.is_sender_done),
            held: VecDeque::new(),
            forwarding: Rc::clone(&line.forwarding[1 - line.which]),
            sent_on: self.pair.directions[1 - line.which].longest,
            pauses: direction.receiver_pauses,
        }
    }

    fn judge(&self, ends: Vec<HalfEnd>, lines: &[Line; 2]) {
        let mut ends = ends.into_iter();
        let mut direction = || match (ends.next(), ends.next()) {
            (Some(HalfEnd::Sender(sender)), Some(HalfEnd::Receiver(receiver))) => {
                (sender, receiver)
            }
            _ => unreachable!("a sender and a receiver for each direction"),
        };
        let (network, number) = (&self.network, self.number);
        let verdict = Verdict {
            pair: &self.pair,
            ends: [direction(), direction()],
            happened: [0, 1].map(|which| network.with(number + which, |it| Happened::to(it))),
        };
        self.count(&verdict);
        verdict.check([&lines[0].ledger.borrow(), &lines[1].ledger.borrow()]);
        for which in [0, 1] {
            network.with(number + which, |channel| {
                if let Some(written) = channel.recorded() {
                    check_unlike(written);
                }
            });
        }
    }

    fn count(&self, verdict: &Verdict<'_>) {
        let world = &self.network.world;
        for (sender, receiver) in &verdict.ends {
            world.count(match sender {
                SenderEnd::Closed => "a sender is closed",
                SenderEnd::Dropped => "a sender is dropped",
                SenderEnd::Aborted => "a sender aborts",
                SenderEnd::Failed(_) => "a sender fails",
            });
            world.count(match receiver {
                ReceiverEnd::Ended(_) => "a receiver is at the end",
                ReceiverEnd::Left => "a receiver leaves",
                ReceiverEnd::Failed(_) => "a receiver fails",
            });
        }
        for happened in verdict.happened {
            match happened.cut {
                Some(Cut::End) => world.count("a direction ends early"),
                Some(Cut::Reset) => world.count("a direction is reset"),
                Some(Cut::Silence) => world.count("a direction falls silent"),
                None if happened.is_flip_read => world.count("a bit is flipped"),
                None => {}
            }
        }
    }
}

/// Waits until the gate is open, if there is one.
async fn wait_for(gate: Option<Rc<Cell<bool>>>) {
    while gate.as_ref().is_some_and(|gate| !gate.get()) {
        ringseal::sleep(Duration::from_millis(50)).await;
    }
}
