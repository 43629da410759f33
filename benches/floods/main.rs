//! What does a flood of strangers cost those who are admitted, and what does each stranger cost?
//!
//! ```text
//! cargo bench --bench floods                               # prints three tables, in two minutes
//! cargo bench --bench floods -- --json                     # the same as one JSON object
//! cargo bench --bench floods -- --seconds 2 --rounds 7
//! cargo bench --bench floods -- --test                     # run each once, for a moment
//! ```
//!
//! * Throughput: admitted peers stream messages to a server with one thread, without and with a flood
//!   of strangers of each kind, in turn. Meanwhile another admitted peer dials again and again. The
//!   strangers come from another address, and what counts is who came through to the server, not who
//!   tried to.
//! * Price: the processor time of the server for each handshake that it refuses, by how far that goes.
//!   Nothing else runs there meanwhile.
//! * Spread: how connections from one address are spread over threads, when many or few stay.
//!
//! The strangers are a process of their own, on a core of its own where there are two: see `Cores`,
//! which is printed. What the kernel does for a packet on loopback counts for whoever has sent it.

mod cores;
mod figures;
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

use cores::Cores;
use measuring::Measuring;
use ringseal::Wire;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(order) = strangers::FloodOrder::of_this_process() {
        return strangers::run(&order?);
    }
    let (flags, others): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|it| it == "--json");
    let plan = Measuring::from(others, 0.4, 0.1)?;
    let cores = Cores::of_this_process()?;
    let wires = [Wire::native(), Wire::COMMONWARE];
    let skipped = short_descriptors(plan);
    let floods = throughput::measure(plan, cores, wires)?;
    let prices = prices::measure(plan, cores, wires)?;
    let spread = spread::measure()?;
    if !flags.is_empty() {
        let figures = json!({
            "seconds": plan.duration.as_secs_f64(),
            "rounds": plan.rounds,
            "placement": cores.to_string(),
            "rows": figures::json(&floods),
            "prices": figures::json(&prices),
            "spread": figures::json(&spread),
            "skipped": skipped,
        });
        println!("{figures:#}");
        return Ok(());
    }
    for note in skipped {
        println!("!! {note}");
    }
    println!("{cores}\n");
    for rows in [floods, prices, spread] {
        println!("{}\n", figures::table(&rows));
    }
    Ok(())
}

/// Says so where strangers can't be as many as they should.
fn short_descriptors(plan: Measuring) -> Vec<String> {
    let needed = if plan.is_test { 500 } else { 6_000 };
    let descriptors = strangers::raise_descriptors();
    let note = || format!("only {descriptors} descriptors of {needed}: raise `ulimit -n`");
    (descriptors < needed).then(note).into_iter().collect()
}
