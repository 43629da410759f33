//! Shows that the models notice mistakes in what threads share: all of those in [`list`] are built into one
//! copy, each behind a switch, and the models are run with one switched on at a time until one fails.
//!
//! ```text
//! cargo run -q -p ringseal-models --bin ringseal-models-mutants
//! ```
//!
//! The copy goes to the target directory, where the dependencies are built already: it takes a build of
//! the models and then a second a mistake.

mod list;
#[path = "../../simulation/mutants/mutant.rs"]
mod mutant;
#[path = "../../simulation/mutants/tree.rs"]
mod tree;

use std::process::{ExitCode, Output};

use list::MUTANTS;
use mutant::Mutant;
use tree::{Package, Tree, try_all};

const MODELS: Package = Package {
    name: "ringseal-models",
    path: "tests/models",
    program: "mutated-models",
    program_file: "models_program.rs",
};

fn main() -> ExitCode {
    let tree = Tree::here("models-mutants");
    let (left_out, library) = (["tests/models/mutants"], "tests/models/lib.rs");
    let workspace = workspace(&tree);
    tree.write(&MODELS, &left_out, MUTANTS, library, workspace);
    tree.build(&MODELS);
    let output = run(&tree, 0, "::");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "fails without a mistake: {said}");
    println!("| mistake | noticed by |\n|---|---|");
    try_all(MUTANTS, |number, mutant| is_noticed(&tree, number, mutant))
}

/// A workspace of the models alone, with our profiles, so that dependencies are those that are built.
fn workspace(tree: &Tree) -> String {
    let manifest = tree.read("Cargo.toml");
    let (_, profiles) = manifest.split_once("[profile.dev]").expect("some");
    format!(
        "[workspace]\nmembers = [\"tests/models\"]\nresolver = \"3\"\n\n[profile.dev]{profiles}"
    )
}

/// Runs the models whose names contain `part`.
fn run(tree: &Tree, number: usize, part: &str) -> Output {
    tree.run(&MODELS, number, |command| {
        command.arg(part).env("LOOM_MAX_PREEMPTIONS", "2")
    })
}

/// Runs the models with a mistake and says which of them notices it, if any does.
fn is_noticed(tree: &Tree, number: usize, mutant: &Mutant) -> bool {
    let output = run(tree, number, models_of(mutant));
    let (stderr, what) = (String::from_utf8_lossy(&output.stderr), mutant.what);
    let told = stderr
        .lines()
        .find_map(|line| line.split_once(" does not hold in"));
    match told {
        Some((model, _)) if !output.status.success() => {
            println!("| {what} | {} |", model.replace("::models::", ": "));
            true
        }
        _ => {
            println!("| {what} | **NOT NOTICED** |");
            false
        }
    }
}

/// Which models are of the room that a mistake is in.
fn models_of(mutant: &Mutant) -> &'static str {
    let file = mutant.edits[0].file;
    match file.split_once('/') {
        Some(("handle", _)) => "handle::",
        Some(("server", _)) => "server::",
        _ => "uring::",
    }
}
