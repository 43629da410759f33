//! Shows that the simulation notices mistakes in the library: it is built once with all of those in
//! [`list`], each behind a switch, and run with one switched on at a time until a seed fails.
//!
//! ```text
//! cargo run -q -p ringseal-simulation --bin ringseal-simulation-mutants [SEEDS]
//! ```
//!
//! The copies go to the target directory, where the dependencies are built already: it takes a build of
//! the library and then a second a mistake, but for those that make a run go round in circles, which
//! is given up after 20 seconds. Two to three minutes in all, on two cores.
//!
//! When this was last changed all 27 were noticed, each by one of the first 200 seeds: a wake-up left
//! out by what was sent and did not leave, or by a run that came to a halt; lost and doubled bytes by
//! what arrived; a slot that was used too early by a held message that changed; a nonce used again by
//! bytes that were on the wire twice; an end ignored by a receiver that failed; a limit by the virtual
//! time at which it fired.

mod list;
mod mutant;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::time::Instant;

use list::MUTANTS;
use mutant::{Mutant, collect, mutate, write};

/// Seeds in which a mistake has to be noticed, by default.
const SEEDS: &str = "3000";
/// The switch of the mistakes, by number; the first one is 1.
const SWITCH: &str = "RINGSEAL_SIMULATION_MUTANT";

/// What the library asks for the switch.
const SWITCHED: &str = r#"
/// Whether the mistake with this number is switched on.
#[must_use]
pub fn mutated(number: usize) -> bool {
    static SWITCH: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let switch = || std::env::var("RINGSEAL_SIMULATION_MUTANT").ok()?.parse().ok();
    *SWITCH.get_or_init(|| switch().unwrap_or(0)) == number
}
"#;

fn main() -> ExitCode {
    let seeds = std::env::args().nth(1).unwrap_or_else(|| SEEDS.to_owned());
    let tree = Tree::here();
    tree.write();
    tree.build();
    let output = tree.run(0, &seeds);
    assert!(
        output.status.success(),
        "fails without a mistake: {}",
        text(&output.stdout)
    );
    println!("{seeds} seeds pass without a mistake; what is noticed of each:\n");
    println!("| mistake | seed | after | noticed as |\n|---|---|---|---|");
    let missed: Vec<_> = (1..)
        .zip(MUTANTS)
        .filter(|(number, mutant)| !tree.is_noticed(*number, mutant, &seeds))
        .map(|(_, mutant)| mutant.what)
        .collect();
    if missed.is_empty() {
        println!("\nall {} mistakes are noticed", MUTANTS.len());
        return ExitCode::SUCCESS;
    }
    println!("\nnobody notices: {missed:#?}");
    ExitCode::FAILURE
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The copy with the mistakes.
struct Tree {
    repository: PathBuf,
    directory: PathBuf,
    /// Where cargo builds what this program is.
    target: PathBuf,
}

impl Tree {
    fn here() -> Self {
        let program = std::env::current_exe().expect("this program");
        let target = program.ancestors().nth(2).expect("a target directory");
        Self {
            repository: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
            directory: target.join("simulation-mutants"),
            target: target.to_owned(),
        }
    }

    fn write(&self) {
        let mut files = BTreeMap::new();
        for part in ["src", "tests/simulation"] {
            collect(&self.repository, Path::new(part), &mut files);
        }
        let others = ["src/bin", "tests/simulation/mutants"];
        files.retain(|path, _| !others.iter().any(|other| path.starts_with(other)));
        for (number, mutant) in (1..).zip(MUTANTS) {
            mutate(&mut files, number, mutant);
        }
        let library = files.get_mut(Path::new("src/lib.rs")).expect("a library");
        library.push_str(SWITCHED);
        files.insert("Cargo.toml".into(), self.workspace());
        files.insert("tests/simulation/Cargo.toml".into(), self.manifest());
        files.insert("Cargo.lock".into(), self.read("Cargo.lock"));
        for (path, text) in files {
            write(&self.directory.join(path), &text);
        }
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.repository.join(path)).expect("a file of ours")
    }

    /// Our manifest without what only other packages, tests and benches need.
    fn workspace(&self) -> String {
        let manifest = self.read("Cargo.toml");
        let (start, rest) = manifest.split_once("[dev-dependencies]").expect("some");
        let (_, profiles) = rest.split_once("[profile.release]").expect("some");
        let is_kept = |line: &&str| !line.contains("members = [");
        let start: Vec<&str> = start.lines().filter(is_kept).collect();
        let members = "[workspace]\nmembers = [\".\", \"tests/simulation\"]";
        start.join("\n").replacen("[workspace]", members, 1) + "\n[profile.release]" + profiles
    }

    /// The simulation's manifest with the one program, under another name than that of ours.
    fn manifest(&self) -> String {
        let manifest = self.read("tests/simulation/Cargo.toml");
        let (start, _) = manifest.split_once("[lib]").expect("a library");
        let is_kept = |line: &&str| !line.starts_with("default-run");
        let start: Vec<&str> = start.lines().filter(is_kept).collect();
        start.join("\n")
            + "\n[lib]\npath = \"lib.rs\"\n[[bin]]\nname = \"mutated-simulation\"\npath = \"seeds_program.rs\"\n"
    }

    fn build(&self) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--offline", "--package", "ringseal-simulation"])
            .arg("--manifest-path")
            .arg(self.directory.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&self.target)
            .env("CARGO_INCREMENTAL", "0")
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    fn run(&self, number: usize, seeds: &str) -> Output {
        Command::new(self.target.join("debug/mutated-simulation"))
            .args(["--seeds", seeds])
            .env(SWITCH, number.to_string())
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("the simulation runs")
    }

    /// Runs seeds with a mistake and says what is noticed, if anything is.
    fn is_noticed(&self, number: usize, mutant: &Mutant, seeds: &str) -> bool {
        let start = Instant::now();
        let output = self.run(number, seeds);
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
}
