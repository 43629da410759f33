//! A copy of the sources that has all mistakes, each behind a switch.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use super::mutant::{Mutant, collect, mutate, write};

/// The switch of the mistakes, by number; the first one is 1.
const SWITCH: &str = "RINGSEAL_MUTANT";

/// What the copy asks for the switch. Of the standard library alone, outside of what a model checker sees.
const SWITCHED: &str = r#"
/// Whether the mistake with this number is switched on.
#[must_use]
pub fn mutated(number: usize) -> bool {
    static SWITCH: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let switch = || std::env::var("RINGSEAL_MUTANT").ok()?.parse().ok();
    *SWITCH.get_or_init(|| switch().unwrap_or(0)) == number
}
"#;

/// Where the copy is, and what it is made of.
pub(super) struct Tree {
    repository: PathBuf,
    directory: PathBuf,
    /// Where cargo builds what this program is.
    target: PathBuf,
}

/// The package whose program is run.
pub(super) struct Package {
    pub(super) name: &'static str,
    /// Within the repository.
    pub(super) path: &'static str,
    /// Of its program in the copy, which is another than that of ours.
    pub(super) program: &'static str,
    pub(super) program_file: &'static str,
}

impl Tree {
    /// One in the target directory of this program, by the name `directory`.
    pub(super) fn here(directory: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let target = program.ancestors().nth(2).expect("a target directory");
        Self {
            repository: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
            directory: target.join(directory),
            target: target.to_owned(),
        }
    }

    /// Writes the source files below `src` and the package, without those below `left_out`, with the
    /// mistakes, which `library` has the switch for, and with `workspace` as the manifest of all.
    pub(super) fn write(
        &self,
        package: &Package,
        left_out: &[&str],
        mutants: &[Mutant],
        library: &str,
        workspace: String,
    ) {
        let mut files = BTreeMap::new();
        for part in ["src", package.path] {
            collect(&self.repository, Path::new(part), &mut files);
        }
        files.retain(|path, _| !left_out.iter().any(|other| path.starts_with(other)));
        for (number, mutant) in (1..).zip(mutants) {
            mutate(&mut files, number, mutant);
        }
        let library = files.get_mut(Path::new(library)).expect("a library");
        library.push_str(SWITCHED);
        files.insert("Cargo.toml".into(), workspace);
        let manifest = Path::new(package.path).join("Cargo.toml");
        files.insert(manifest, self.manifest(package));
        files.insert("Cargo.lock".into(), self.read("Cargo.lock"));
        for (path, text) in files {
            write(&self.directory.join(path), &text);
        }
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.repository.join(path)).expect("a file of ours")
    }

    /// The package's manifest with the one program, and without lints, which mistakes need not keep.
    fn manifest(&self, package: &Package) -> String {
        let manifest = self.read(&format!("{}/Cargo.toml", package.path));
        let (start, _) = manifest.split_once("[lib]").expect("a library");
        let is_kept = |line: &&str| !line.starts_with("default-run");
        let start: Vec<&str> = start.lines().filter(is_kept).collect();
        let (name, file) = (package.program, package.program_file);
        start.join("\n")
            + &format!(
                "\n[lib]\npath = \"lib.rs\"\n[[bin]]\nname = \"{name}\"\npath = \"{file}\"\n"
            )
    }

    pub(super) fn build(&self, package: &Package) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--offline", "--package", package.name])
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

    /// Runs the program with a mistake switched on, or with none if `number` is 0.
    pub(super) fn run(
        &self,
        package: &Package,
        number: usize,
        prepare: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Output {
        let mut command = Command::new(self.target.join("debug").join(package.program));
        prepare(&mut command)
            .env(SWITCH, number.to_string())
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("the program runs")
    }
}

/// Says which mistakes nobody notices, by `is_noticed` with their numbers.
pub(super) fn try_all(
    mutants: &[Mutant],
    mut is_noticed: impl FnMut(usize, &Mutant) -> bool,
) -> ExitCode {
    let missed: Vec<_> = (1..)
        .zip(mutants)
        .filter(|(number, mutant)| !is_noticed(*number, mutant))
        .map(|(_, mutant)| mutant.what)
        .collect();
    if missed.is_empty() {
        println!("\nall {} mistakes are noticed", mutants.len());
        return ExitCode::SUCCESS;
    }
    println!("\nnobody notices: {missed:#?}");
    ExitCode::FAILURE
}
