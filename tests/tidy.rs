//! The house rules that a compiler does not check: which room may name what.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms, and the rooms of ours that each may use. What is not listed is forbidden.
const ARROWS: [(&str, &[&str]); 6] = [
    ("protocol", &[]),
    ("memory", &[]),
    ("ring", &["memory"]),
    ("net", &["memory", "protocol", "ring"]),
    ("handle", &["net", "protocol", "ring"]),
    ("testing", &["ring"]),
];

/// Files that may hold `unsafe`.
const UNSAFE: [&str; 8] = [
    "bin/ringseal/counting_allocator.rs",
    "memory/buffer.rs",
    "memory/mapping.rs",
    "protocol/cipher/avx512/mod.rs",
    "ring/native/queue.rs",
    "ring/pollable.rs",
    "ring/probe.rs",
    "ring/tokio_uring/registration.rs",
];

/// Words, and the only places where they may stand.
const ONLY_IN: [(&str, &[&str]); 5] = [
    ("tokio_uring::", &["ring/"]),
    ("async_task::", &["ring/"]),
    ("tokio::", &["ring/", "bin/"]),
    ("io_uring::", &["ring/"]),
    ("SystemTime", &["net/attempt.rs"]),
];

/// What the sans-IO room may not name: sockets, clocks, tasks.
const NOT_IN_PROTOCOL: [&str; 6] = ["std::", "async ", ".await", "Instant", "socket2", "rustix"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file, by its path within `src`, without comments and tests.
fn code() -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(&source(), &mut found);
    assert!(found.len() > 40, "the sources were not found");
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file");
            let code = text
                .split("#[cfg(test)]")
                .next()
                .unwrap_or_default()
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            let name = path.strip_prefix(source()).expect("within src");
            (name.to_string_lossy().into_owned(), code)
        })
        .filter(|(name, _)| !name.contains("test"))
        .collect()
}

#[test]
fn rooms_use_only_the_rooms_below_them() {
    for (name, code) in code() {
        let Some((room, allowed)) = ARROWS.iter().find(|(room, _)| name.starts_with(room)) else {
            continue;
        };
        for (other, _) in ARROWS {
            let uses = code.contains(&format!("crate::{other}"));
            assert!(
                !uses || other == *room || allowed.contains(&other),
                "{name} uses {other}, which {room} may not"
            );
        }
        // Re-exports at the root would hide an arrow.
        for line in code.lines().filter(|line| line.contains("use crate::")) {
            let known = ARROWS
                .iter()
                .any(|(room, _)| line.contains(&format!("crate::{room}")));
            assert!(known, "{name}: {line}");
        }
    }
}

#[test]
fn unsafe_stands_only_where_it_may() {
    for (name, code) in code() {
        let uses = code.contains("unsafe {") || code.contains("unsafe impl");
        assert_eq!(uses, UNSAFE.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn one_room_names_the_ring_crates_and_the_clock_is_read_once() {
    for (name, code) in code() {
        for (word, places) in ONLY_IN {
            assert!(
                !code.contains(word) || places.iter().any(|place| name.starts_with(place)),
                "{name} names {word}"
            );
        }
    }
}

#[test]
fn the_protocol_does_no_input_or_output_and_reads_no_clock() {
    for (name, code) in code() {
        if !name.starts_with("protocol") {
            continue;
        }
        for word in NOT_IN_PROTOCOL {
            assert!(!code.contains(word), "{name} names {word}");
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    let mut found = Vec::new();
    for directory in ["src", "tests", "benches"] {
        files(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(directory),
            &mut found,
        );
    }
    for path in found {
        let text = fs::read_to_string(&path).expect("a source file");
        assert!(text.starts_with("//! "), "{} has no header", path.display());
    }
}
