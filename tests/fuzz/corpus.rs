//! Replays every input that is kept: an ordinary test, without the engine.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{UnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;

use ringseal_fuzz::{TARGETS, Target};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// What is in a directory, in the order of names.
fn entries(directory: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(directory);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

#[test]
fn every_directory_belongs_to_a_target() {
    for directory in entries(&corpus()) {
        let name = directory.file_name().and_then(|name| name.to_str());
        let is_known = TARGETS.iter().any(|target| Some(target.name) == name);
        assert!(
            is_known,
            "no target has the inputs in {}",
            directory.display()
        );
    }
}

#[test]
fn no_input_fails_its_target() {
    thread::scope(|scope| {
        for target in TARGETS {
            scope.spawn(move || replay(target));
        }
    });
}

fn replay(target: &'static Target) {
    let inputs = entries(&corpus().join(target.name));
    assert!(!inputs.is_empty(), "{} has no inputs", target.name);
    for input in &inputs {
        let data = fs::read(input).expect("an input");
        let path = input.display();
        assert!(
            passes(|| (target.run)(&data)),
            "{} fails on {path}",
            target.name
        );
    }
}

fn passes(run: impl FnOnce() + UnwindSafe) -> bool {
    catch_unwind(run).is_ok()
}

// Whatever comes, a target takes it: the shortest inputs are in no corpus.
#[test]
fn targets_take_inputs_of_any_length() {
    for target in TARGETS {
        for length in [0, 1, 2, 3, 5, 9, 33, 100] {
            for byte in [0, 1, 0x80, 0xff] {
                (target.run)(&vec![byte; length]);
            }
        }
    }
}
