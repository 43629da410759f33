//! The house rules that a compiler does not check: which room may name what, which files may go
//! in a circle, that every reference to a specification leads somewhere, and that the guide lists what
//! is logged.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/log_lines.rs"]
mod log_lines;
#[path = "tidy/references.rs"]
mod references;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use arrows::wrong_arrows;
use circles::circles;
use log_lines::{LogLine, listed, logged};
use references::{DOCUMENTS, commented_files, comments, references, targets};
use source::{collect_words, declared_files, files, repository, sources};

/// Rooms, and the rooms of ours that each may use. What is not listed is forbidden.
const ARROWS: [(&str, &[&str]); 10] = [
    ("sync", &[]),
    ("protocol", &[]),
    ("memory", &[]),
    ("driver", &["memory", "sync"]),
    ("net", &["memory", "protocol", "driver"]),
    ("handle", &["net", "protocol", "driver", "sync"]),
    ("server", &["handle", "net", "protocol", "driver", "sync"]),
    ("testing", &["driver"]),
    ("internals", &["memory", "net", "protocol"]),
    ("guide", &[]),
];

/// Files that may hold `unsafe`.
const UNSAFE: [&str; 12] = [
    "bin/ringseal-bench/counting_allocator.rs",
    "bin/ringseal-bench/heap.rs",
    "memory/buffer.rs",
    "memory/mapping.rs",
    "memory/process_mark.rs",
    "memory/raw_block.rs",
    "protocol/cipher/avx512/mod.rs",
    "driver/uring/enter.rs",
    "driver/uring/queue.rs",
    "driver/pollable.rs",
    "driver/probe.rs",
    "driver/tokio_uring/registration.rs",
];

/// What code may name only in some places.
const ONLY_IN: [(&str, &[&str]); 5] = [
    ("tokio_uring::", &["driver/"]),
    ("async_task::", &["driver/"]),
    ("tokio::", &["driver/", "bin/"]),
    ("io_uring::", &["driver/"]),
    ("SystemTime", &["net/establish/attempt/commonware.rs"]),
];

/// What the sans-IO room may not name: sockets, clocks, tasks.
const NOT_IN_PROTOCOL: [&str; 6] = ["std", "async", "await", "Instant", "socket2", "rustix"];

/// Files that may use each other in a circle, and why.
const CIRCLES: [(&[&str], &str); 2] = [
    (
        &["memory/buffer.rs", "memory/pool.rs"],
        "a pool gives out slots, and a slot goes back to its pool when it is dropped",
    ),
    (
        &[
            "protocol/identity/public_key.rs",
            "protocol/identity/verifier.rs",
        ],
        "a key makes the verifier that is kept for it, by the rule that it is given",
    ),
];

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let wrong = wrong_arrows(&sources(), &ARROWS);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_of_a_room_do_not_go_in_circles() {
    let sources = sources();
    let found = circles(&sources);
    let new: Vec<_> = found
        .iter()
        .filter(|circle| {
            !CIRCLES
                .iter()
                .any(|(files, _)| circle.iter().all(|file| files.contains(file)))
        })
        .collect();
    assert!(
        new.is_empty(),
        "these files use each other in a circle: {new:#?}"
    );
    for (files, _) in CIRCLES {
        let files = BTreeSet::from_iter(files.iter().copied());
        let is_there = found.iter().any(|circle| circle.is_subset(&files));
        assert!(is_there, "no circle any more, so no exception: {files:#?}");
    }
}

#[test]
fn unsafe_stands_only_where_it_may() {
    for source in sources() {
        let mut words = Vec::new();
        collect_words(&source.tokens, &mut words);
        let uses = words.iter().any(|word| word == "unsafe");
        let name = source.name.as_str();
        assert_eq!(uses, UNSAFE.contains(&name), "{name}");
    }
}

#[test]
fn one_room_names_the_ring_crates_and_the_clock_is_read_once() {
    for source in sources() {
        let (name, code) = (&source.name, source.code());
        for (word, places) in ONLY_IN {
            let is_named = code.match_indices(word).any(|(at, _)| {
                !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
            });
            assert!(
                !is_named || places.iter().any(|place| name.starts_with(place)),
                "{name} names {word}"
            );
        }
    }
}

#[test]
fn the_protocol_does_no_input_or_output_and_reads_no_clock() {
    for source in sources() {
        if !source.name.starts_with("protocol/") {
            continue;
        }
        let mut words = Vec::new();
        collect_words(&source.tokens, &mut words);
        for word in NOT_IN_PROTOCOL {
            let is_named = words.iter().any(|named| named == word);
            assert!(!is_named, "{} names {word}", source.name);
        }
    }
}

#[test]
fn the_guide_lists_all_lines_that_are_logged() {
    let sources = sources();
    // Those of the tool are for whoever runs it, and are told by itself.
    let of_library = sources.iter().filter(|source| source.root.is_empty());
    let logged: BTreeSet<LogLine> = of_library.flat_map(logged).collect();
    assert!(logged.len() > 30, "the lines were not found");
    let listed = listed();
    let missing: Vec<_> = logged.difference(&listed).collect();
    assert!(missing.is_empty(), "not in the guide: {missing:#?}");
    let gone: Vec<_> = listed.difference(&logged).collect();
    assert!(gone.is_empty(), "only in the guide: {gone:#?}");
}

#[test]
fn every_file_says_what_it_is() {
    for directory in ["src", "tests", "benches"] {
        for path in files(&repository().join(directory), "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            assert!(text.starts_with("//! "), "{} has no header", path.display());
        }
    }
}

#[test]
fn the_readme_stays_short() {
    let text = fs::read_to_string(repository().join("README.md")).expect("a README");
    let count = text.lines().count();
    assert!(
        count <= 150,
        "{count} lines: figures and recipes go beside what they are of"
    );
}

/// Files that no module declares: what cargo runs before it builds, and what an attribute has a build for
/// tests take in the place of another.
const DECLARED_OTHERWISE: [&str; 2] = ["bin/build.rs", "protocol/cipher/avx512/tests/model.rs"];

/// Cargo reads the manifests of all packages, whichever of them it builds.
#[test]
fn the_images_have_every_manifest() {
    let read = |path: &str| fs::read_to_string(repository().join(path)).expect(path);
    let manifest = read("Cargo.toml");
    let members = (manifest.lines()).find_map(|line| line.strip_prefix("members = ["));
    // Between quotation marks.
    let members: Vec<&str> = members
        .expect("a workspace")
        .split('"')
        .skip(1)
        .step_by(2)
        .collect();
    assert!(members.len() > 2, "{members:?}");
    for file in [
        "Dockerfile",
        "benches/docker/peers.Dockerfile",
        ".dockerignore",
    ] {
        let text = read(file);
        let copied: Vec<&str> = (text.lines())
            .filter_map(|line| {
                line.strip_prefix("COPY ")
                    .or_else(|| line.strip_prefix('!'))
            })
            .flat_map(str::split_whitespace)
            .collect();
        for member in &members {
            let manifest = Path::new(member).join("Cargo.toml");
            let manifest = manifest.strip_prefix(".").unwrap_or(&manifest);
            let is_there = copied.iter().any(|path| manifest.starts_with(path));
            assert!(is_there, "{file} leaves {} out", manifest.display());
        }
    }
}

#[test]
fn no_source_file_is_forgotten() {
    let declared = declared_files();
    let source = repository().join("src");
    for path in files(&source, "rs") {
        let name = path.strip_prefix(&source).expect("within src");
        let name = name.to_str().expect("a plain name");
        assert!(
            declared.iter().any(|file| file == name) || DECLARED_OTHERWISE.contains(&name),
            "nothing declares {name}"
        );
    }
}

#[test]
fn references_to_specifications_lead_somewhere() {
    let documents = DOCUMENTS.map(|(name, path)| (name, targets(path)));
    let mut count = 0;
    for path in commented_files() {
        let text = fs::read_to_string(&path).expect("a text");
        for comment in comments(&text) {
            for (document, places) in references(&comment) {
                let shown = format!("{}: {comment}", path.display());
                assert!(!places.is_empty(), "{document} without a place: {shown}");
                let (_, known) = documents
                    .iter()
                    .find(|(name, _)| *name == document)
                    .expect("one of them");
                for place in places {
                    assert!(known.contains(&place), "no {document} {place}: {shown}");
                    count += 1;
                }
            }
        }
    }
    assert!(count > 50, "the references were not found");
}
