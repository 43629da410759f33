//! Shows that the simulation notices mistakes in the library: it is built once with all of those in
//! [`list`], each behind a switch, and run with one switched on at a time until a seed fails.
//!
//! ```text
//! cargo run -q -p ringseal-simulation --bin ringseal-simulation-mutants [SEEDS]
//! ```
//!
//! The copies go to the target directory, where the dependencies are built already: it takes a build of
//! the library and then a second a mistake, but for those that make a run go round in circles, which
//! is given up after 20 seconds of processor time for each thread. Two to three minutes in all, on two
//! cores.
//!
//! When this was last changed all 42 were noticed, most of them by one of the first 250 seeds: a
//! wake-up left out by what was sent and did not leave, by a run that came to a halt, or by the library,
//! which finds somebody waiting for memory that is there; lost and doubled bytes by
//! what arrived; a slot that was used too early by a held message that changed; a nonce used again by
//! bytes that were on the wire twice; an end ignored by a receiver that failed; a limit by the virtual
//! time at which it fired, or by an error that was not the right one; a check of the handshake that was
//! left out by a dialer that was accepted.

mod list;
mod mutant;
mod tree;

use std::process::{ExitCode, Output};
use std::time::Instant;

use list::MUTANTS;
use mutant::Mutant;
use tree::{Package, Tree, try_all};

/// Seeds in which a mistake has to be noticed, by default.
const SEEDS: &str = "3000";

const SIMULATION: Package = Package {
    name: "ringseal-simulation",
    path: "tests/simulation",
    program: "mutated-simulation",
    program_file: "seeds_program.rs",
};

fn main() -> ExitCode {
    let seeds = std::env::args().nth(1).unwrap_or_else(|| SEEDS.to_owned());
    let tree = Tree::here("simulation-mutants");
    let left_out = ["src/bin", "tests/simulation/mutants"];
    let workspace = workspace(&tree);
    tree.write(&SIMULATION, &left_out, MUTANTS, "src/lib.rs", workspace);
    tree.build(&SIMULATION);
    let output = run(&tree, 0, &seeds);
    assert!(
        output.status.success(),
        "fails without a mistake: {}",
        text(&output.stdout)
    );
    println!("{seeds} seeds pass without a mistake; what is noticed of each:\n");
    println!("| mistake | seed | after | noticed as |\n|---|---|---|---|");
    try_all(MUTANTS, |number, mutant| {
        is_noticed(&tree, number, mutant, &seeds)
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Our manifest without what only other packages, tests and benches need.
fn workspace(tree: &Tree) -> String {
    let manifest = tree.read("Cargo.toml");
    let (start, rest) = manifest.split_once("[dev-dependencies]").expect("some");
    let (_, profiles) = rest.split_once("[profile.release]").expect("some");
    let is_kept = |line: &&str| !line.contains("members = [");
    let start: Vec<&str> = start.lines().filter(is_kept).collect();
    let members = "[workspace]\nmembers = [\".\", \"tests/simulation\"]";
    start.join("\n").replacen("[workspace]", members, 1) + "\n[profile.release]" + profiles
}

fn run(tree: &Tree, number: usize, seeds: &str) -> Output {
    tree.run(&SIMULATION, number, |command| {
        command.args(["--seeds", seeds])
    })
}

/// Runs seeds with a mistake and says what is noticed, if anything is.
fn is_noticed(tree: &Tree, number: usize, mutant: &Mutant, seeds: &str) -> bool {
    let start = Instant::now();
    let output = run(tree, number, seeds);
    let (stdout, what) = (text(&output.stdout), mutant.what);
    let told = stdout
        .lines()
        .find_map(|line| line.strip_prefix("seed ")?.split_once(" fails: "));
    // A process that ends without naming a seed has noticed nothing.
    let Some((seed, reason)) = told.filter(|_| !output.status.success()) else {
        println!("| {what} | none | | **NOT NOTICED** |");
        return false;
    };
    let reason: String = reason.chars().take(120).collect();
    let after = start.elapsed().as_secs_f64();
    println!("| {what} | {seed} | {after:.1} s | {reason} |");
    true
}
