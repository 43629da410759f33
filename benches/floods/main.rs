//! What does a flood of strangers cost those who are admitted, and what does each stranger cost?
//!
//! ```text
//! cargo bench --bench floods                               # prints three tables
//! cargo bench --bench floods -- --seconds 2 --rounds 7
//! cargo bench --bench floods -- --test                     # run each once, for a moment
//! ```
//!
//! * Throughput: admitted peers stream messages to a server with a thread for each processor, without
//!   and with a flood of strangers, in turn. Meanwhile another admitted peer dials again and again.
//!   The strangers come from another address, and send a first message that fails its check.
//! * Price: the processor time of the server for each handshake that it refuses, by how far that goes.
//!   Nothing else runs there meanwhile, and the strangers are a process of their own.
//! * Spread: how connections from one address are spread over threads, when many or few stay.
//!
//! What the kernel does for a packet on loopback counts for whoever has sent it.

#[path = "../common/measuring.rs"]
mod measuring;
mod prices;
mod sample;
mod server;
mod spread;
mod stage;
mod strangers;
mod throughput;

use std::error::Error;

use measuring::Measuring;
use ringseal::Wire;

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(order) = strangers::Order::of_this_process() {
        return strangers::run(&order?);
    }
    let plan = Measuring::from_arguments(1.0, 0.1)?;
    let needed = if plan.is_test { 500 } else { 6_000 };
    let descriptors = strangers::raise_descriptors();
    if descriptors < needed {
        println!("!! only {descriptors} descriptors of {needed}: raise `ulimit -n`");
    }
    let wires = [Wire::native(), Wire::COMMONWARE];
    throughput::print(plan, wires)?;
    prices::print(plan, wires)?;
    spread::print()
}
