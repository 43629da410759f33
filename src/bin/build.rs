//! Tells the programs which commit they are built from, for the figures that they measure.
//!
//! Optimized programs alone: nobody keeps figures of others, and each commit would have all their tests
//! built anew. Built without git, as in a container, it is what the environment says in
//! `RINGSEAL_COMMIT`, or unknown.

#[path = "common/git.rs"]
mod git;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use git::State;

/// What the environment may say.
const COMMIT: &str = "RINGSEAL_COMMIT";

/// What in the repository's own directory changes with the commit that is checked out.
const HEADS: [&str; 3] = ["HEAD", "logs/HEAD", "packed-refs"];

fn main() {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo names it"));
    watch(Path::new("build.rs"));
    watch(Path::new("common/git.rs"));
    println!("cargo:rerun-if-env-changed={COMMIT}");
    let is_optimized = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let state = if is_optimized { found(&package) } else { None };
    let (commit, is_changed) = match state {
        Some(State { commit, is_changed }) => (commit, is_changed.to_string()),
        None => (env::var(COMMIT).unwrap_or_default(), String::new()),
    };
    println!("cargo:rustc-env=BUILT_COMMIT={}", commit.trim());
    println!("cargo:rustc-env=BUILT_IS_CHANGED={is_changed}");
}

/// The state of the sources. Has cargo ask again once it may be another.
fn found(package: &Path) -> Option<State> {
    let state = State::of(&package.join("Cargo.toml"))?;
    let branch = git::git(package, &["symbolic-ref", "--quiet", "HEAD"]);
    for name in HEADS.into_iter().chain(branch.as_deref()) {
        if let Some(path) = git::git(package, &["rev-parse", "--git-path", name]) {
            watch_existing(&package.join(path));
        }
    }
    let root = package.join(git::git(package, &["rev-parse", "--show-toplevel"])?);
    for name in [".cargo", "Cargo.lock", "Cargo.toml", "src"] {
        watch_existing(&root.join(name));
    }
    // Not as a whole: its documents and charts are written from figures.
    for entry in fs::read_dir(root.join("benches")).into_iter().flatten() {
        let path = entry.ok()?.path();
        let is_written = ["md", "svg"]
            .iter()
            .any(|written| path.extension().is_some_and(|found| found == *written));
        if !is_written && !path.ends_with("results") && !path.ends_with("docker") {
            watch(&path);
        }
    }
    Some(state)
}

/// Cargo would ask each time for what is not there.
fn watch_existing(path: &Path) {
    if path.exists() {
        watch(path);
    }
}

fn watch(path: &Path) {
    println!("cargo:rerun-if-changed={}", path.display());
}
