//! Connections on a hostile network, in virtual time, all from one seed.
//!
//! # The level, and why it is this one
//!
//! What runs is the library as its users have it: a [`Runtime`](ringseal::Runtime) with its pool, heap
//! budget, executor and time limits, [`dial_over`](ringseal::dial_over) and
//! [`accept_over`](ringseal::accept_over) with real handshakes on both wires, and the futures of real
//! senders and receivers. Only three things are not: the network, which is `network` and `channel`
//! here; the clock, which stands still while any task can run and then jumps; and the driver's sockets,
//! because a user's stream takes their place.
//!
//! The machines without input and output that decide in there (`Sending`, `Receiving`, `Assembling`, the
//! records) are modelled by themselves in `net/connection/machines`. Most faults of the past were not in
//! them, but between them: a wake-up that nobody gave, memory that a dropped future had, a limit that was
//! charged the wrong time. A simulation of the machines alone can't have those, so this one has all that
//! is between them. It costs a runtime and a handshake a seed, some milliseconds, and thousands of seeds
//! still pass in a minute. What it can't see is what the kernel does with a socket: `tests/suite` runs
//! on sockets, and every driver.
//!
//! # What is chosen
//!
//! Wire, suite, padding, limits, slots, heap budget; latency, room, splits and stalls of each direction,
//! up to little less than what ends a connection and far beyond; the order of everything that happens in
//! the same millisecond, completions before all; cuts, resets, silence and flipped bits at any byte;
//! steps of the clock, as of a process that was stopped; and what each half does: every call of
//! `Sender` and `Receiver`, their sink and their stream, and messages that are sent on as they came,
//! given up behind any poll or at any time, by dropping its future or by leaking it, with messages held,
//! and with each kind of end. Dialing, accepting and closing are given up at any poll as well; a dialer
//! may be none that is listed, or one that signs or finishes wrongly.
//!
//! Not chosen: a `Redialer`, which dials addresses and so needs sockets; and the results of operations
//! of a ring, which `src/net/scripted.rs` draws by a seed, on sockets.
//!
//! # What is checked
//!
//! * What arrives is what was sent, in order, without anything missing, repeated or changed; it stays
//!   what it is while it is held; and a send that was given up is not among it. What a sender says of
//!   its progress is what has happened.
//! * The end comes behind everything: where the wire can tell, always, else on a wire without faults.
//! * A changed byte is never part of a message. Each fault has its error, in the direction that it is of:
//!   a cut is a truncation, a reset a reset, silence a limit, and a changed byte one that fails to open;
//!   or the reader waits for what a changed length announces. The other direction fails with a
//!   consequence of that, or not at all.
//! * Nothing fails without a cause, and every failure is told once.
//! * A flush is done when the network has everything. No two records are alike.
//! * Limits and deadlines fire, not before their time and within what they may be overrun by, whoever is
//!   told of them: when one has fired is when the connection has let go of its wire.
//! * Everybody gets on: beside a peer that does not read, with any budget, once a stall is over.
//! * At the end every slot, every byte of the heap, every connection, task and stream is given back.
//!
//! # How it is run
//!
//! `cargo test` runs some hundred seeds. More, as `.ci/run` does; some that nobody has tried, beginning
//! with one that is drawn and printed; and one again that failed:
//!
//! ```text
//! cargo run -q -p ringseal-simulation -- --seeds 20000 --within 120
//! cargo run -q -p ringseal-simulation -- --seeds 2000 --fresh
//! cargo run -q -p ringseal-simulation -- --seed 4711
//! ```
//!
//! The 120 seconds are processor time over the number of threads: what else the machine does is not
//! counted. The same seed is the same run, to the last poll: a test compares hashes of everything that
//! happens.
//! Only what a flipped bit in a handshake is taken for depends on keys, which are new in each run.
//!
//! # That it would notice
//!
//! `cargo run -q -p ringseal-simulation --bin ringseal-simulation-mutants` builds the library with
//! mistakes that are switched on one at a time, and runs seeds until one fails; see `mutants`.

mod channel;
mod forger;
mod forwarding;
mod half;
mod limits;
mod model;
mod network;
mod pair;
mod panics;
mod patience;
mod random;
mod receiving;
mod scenario;
mod sending;
mod shortage;
mod simulation;
mod trace;
mod verdict;
mod workers;
mod world;

pub use simulation::{Report, run};
pub use workers::{Settings, Summary, replay, run_all, run_seeds};
