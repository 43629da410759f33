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

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use list::MUTANTS;
use mutant::{Mutant, collect, mutate, write};

/// The switch of the mistakes, by number; the first one is 1.
const SWITCH: &str = "RINGSEAL_MODELS_MUTANT";

/// What the models ask for the switch. Outside of what the checker sees.
const SWITCHED: &str = r#"
pub(crate) fn mutated(number: usize) -> bool {
    static SWITCH: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let switch = || std::env::var("RINGSEAL_MODELS_MUTANT").ok()?.parse().ok();
    *SWITCH.get_or_init(|| switch().unwrap_or(0)) == number
}
"#;

fn main() -> ExitCode {
    let tree = Tree::here();
    tree.write();
    tree.build();
    let output = tree.run(0, "::");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "fails without a mistake: {said}");
    println!("| mistake | noticed by |\n|---|---|");
    let missed: Vec<_> = (1..)
        .zip(MUTANTS)
        .filter(|(number, mutant)| !tree.is_noticed(*number, mutant))
        .map(|(_, mutant)| mutant.what)
        .collect();
    if missed.is_empty() {
        println!("\nall {} mistakes are noticed", MUTANTS.len());
        return ExitCode::SUCCESS;
    }
    println!("\nnobody notices: {missed:#?}");
    ExitCode::FAILURE
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
            directory: target.join("models-mutants"),
            target: target.to_owned(),
        }
    }

    fn write(&self) {
        let mut files = BTreeMap::new();
        for part in ["src", "tests/models"] {
            collect(&self.repository, Path::new(part), &mut files);
        }
        files.retain(|path, _| !path.starts_with("tests/models/mutants"));
        for (number, mutant) in (1..).zip(MUTANTS) {
            mutate(&mut files, number, mutant);
        }
        let library = Path::new("tests/models/lib.rs");
        files
            .get_mut(library)
            .expect("a library")
            .push_str(SWITCHED);
        files.insert("Cargo.toml".into(), self.workspace());
        files.insert("tests/models/Cargo.toml".into(), self.manifest());
        files.insert("Cargo.lock".into(), self.read("Cargo.lock"));
        for (path, text) in files {
            write(&self.directory.join(path), &text);
        }
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.repository.join(path)).expect("a file of ours")
    }

    /// A workspace of the models alone, with our profiles, so that dependencies are those that are built.
    fn workspace(&self) -> String {
        let manifest = self.read("Cargo.toml");
        let (_, profiles) = manifest.split_once("[profile.dev]").expect("some");
        format!(
            "[workspace]\nmembers = [\"tests/models\"]\nresolver = \"3\"\n\n[profile.dev]{profiles}"
        )
    }

    /// The models' manifest with the one program, under another name than that of ours, and without lints,
    /// which mistakes need not keep.
    fn manifest(&self) -> String {
        let manifest = self.read("tests/models/Cargo.toml");
        let (start, _) = manifest.split_once("[lib]").expect("a library");
        let is_kept = |line: &&str| !line.starts_with("default-run");
        let start: Vec<&str> = start.lines().filter(is_kept).collect();
        start.join("\n")
            + "\n[lib]\npath = \"lib.rs\"\n[[bin]]\nname = \"mutated-models\"\npath = \"models_program.rs\"\n"
    }

    fn build(&self) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--offline", "--package", "ringseal-models"])
            .arg("--manifest-path")
            .arg(self.directory.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&self.target)
            .env("CARGO_INCREMENTAL", "0")
            .output()
            .expect("cargo runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }

    /// Runs the models whose names contain `part`.
    fn run(&self, number: usize, part: &str) -> Output {
        Command::new(self.target.join("debug/mutated-models"))
            .arg(part)
            .env(SWITCH, number.to_string())
            .env("LOOM_MAX_PREEMPTIONS", "2")
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("the models run")
    }

    /// Runs the models with a mistake and says which of them notices it, if any does.
    fn is_noticed(&self, number: usize, mutant: &Mutant) -> bool {
        let output = self.run(number, models_of(mutant));
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
