//! References to the documents beside the tests, as in `SPEC 4.1` or `HAZARDS R6`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::source::{all_files, repository};

/// What a document is called in comments, and where it is.
pub(crate) const DOCUMENTS: [(&str, &str); 3] = [
    ("SPEC", "tests/vectors/SPEC.md"),
    ("NATIVE", "tests/vectors/NATIVE.md"),
    ("HAZARDS", "tests/HAZARDS.md"),
];

/// The numbers of a document's headings, and the names of its rows.
pub(crate) fn targets(path: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(repository().join(path)).expect("a document");
    text.lines()
        .filter_map(|line| {
            let mark = if line.starts_with('#') {
                line.trim_start_matches('#')
            } else {
                line.strip_prefix('|')?
            };
            let word = mark.split_whitespace().next()?.trim_end_matches('.');
            is_target(word).then(|| word.to_owned())
        })
        .collect()
}

/// Whether it looks like `4`, `4.1` or `R6`.
fn is_target(word: &str) -> bool {
    let number = word.strip_prefix(|first: char| first.is_ascii_uppercase());
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    number.unwrap_or(word).split('.').all(is_number)
}

/// What `text` refers to: the name of a document, and each place in it that is named behind.
pub(crate) fn references(text: &str) -> Vec<(&'static str, Vec<String>)> {
    let mut found = Vec::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let word = word.trim_start_matches(|first: char| !first.is_alphanumeric());
        // As in `(SPEC)`: nothing that follows belongs to it.
        let bare = word.strip_suffix("'s").unwrap_or(word);
        let bare = bare.trim_end_matches(|last: char| !last.is_alphanumeric());
        let is_over = bare != word;
        let Some((document, _)) = DOCUMENTS.iter().find(|(name, _)| *name == bare) else {
            continue;
        };
        let mut places = Vec::new();
        while let Some(next) = words.peek().filter(|_| !is_over) {
            let bare = next.trim_end_matches([',', '.', ';', ':', ')', '`']);
            let bare = bare.strip_suffix("'s").unwrap_or(bare);
            if bare.split('/').all(is_target) {
                places.extend(bare.split('/').map(str::to_owned));
                // A sentence that goes on with a number does not go on with a reference.
                if !next.ends_with([',', '/']) && !next.ends_with(char::is_alphanumeric) {
                    words.next();
                    break;
                }
            } else {
                let goes_on = if places.is_empty() {
                    matches!(*next, "section" | "sections")
                } else {
                    matches!(*next, "and" | "or" | "to")
                };
                if !goes_on {
                    break;
                }
            }
            words.next();
        }
        found.push((*document, places));
    }
    found
}

/// Where files with comments are: in these directories, and beside them.
const COMMENTED: [&str; 5] = [".cargo", ".ci", "benches", "src", "tests"];

/// Sources, manifests and scripts, but for those that look for references.
pub(crate) fn commented_files() -> Vec<PathBuf> {
    let of_tidy = repository().join("tests/tidy");
    let beside = fs::read_dir(repository()).expect("the repository");
    let beside = beside.map(|entry| entry.expect("an entry").path());
    COMMENTED
        .iter()
        .flat_map(|directory| all_files(&repository().join(directory)))
        .chain(beside.filter(|path| path.is_file()))
        .filter(|path| !path.starts_with(&of_tidy))
        .filter(|path| is_commented(path, &fs::read(path).expect("a file")))
        .collect()
}

/// Whether a file has comments of ours. Scripts have no extension and begin with one.
fn is_commented(path: &Path, content: &[u8]) -> bool {
    match path.extension() {
        Some(extension) => ["rs", "toml", "c", "Dockerfile"]
            .iter()
            .any(|of| extension == *of),
        None => content.starts_with(b"#") && str::from_utf8(content).is_ok(),
    }
}

/// The comments of a file, joined where they go on in the next line.
pub(crate) fn comments(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        let line = line.trim_start();
        let comment = ["//!", "///", "//", "#"]
            .iter()
            .find_map(|mark| line.strip_prefix(mark))
            // An attribute is none.
            .filter(|comment| !line.starts_with('#') || !comment.starts_with(['[', '!']));
        match (comment, found.last_mut()) {
            (Some(comment), Some(last)) if is_open => {
                let last: &mut String = last;
                last.push(' ');
                last.push_str(comment);
            }
            (Some(comment), _) => found.push(comment.to_owned()),
            (None, _) => {}
        }
        is_open = comment.is_some();
    }
    found
}

#[test]
fn references_are_read_as_they_are_written() {
    let places = |text| {
        let found: Vec<_> = references(text);
        let [(document, places)] = &found[..] else {
            panic!("{found:?}");
        };
        (*document, places.join(" "))
    };
    for (text, expected) in [
        ("HAZARDS R6, H17's sibling", ("HAZARDS", "R6 H17")),
        ("HAZARDS R10, B3: a peer", ("HAZARDS", "R10 B3")),
        ("HAZARDS R6/F7.", ("HAZARDS", "R6 F7")),
        ("(SPEC sections 3 and 4). 5 more", ("SPEC", "3 4")),
        ("as NATIVE 4.3 says, 12 bytes", ("NATIVE", "4.3")),
        ("the SPEC says", ("SPEC", "")),
        ("of another crate (SPEC).", ("SPEC", "")),
        ("keys (NATIVE, notation): 256 bits", ("NATIVE", "")),
        ("`NATIVE`'s table", ("NATIVE", "")),
        ("by HAZARDS' rows", ("HAZARDS", "")),
        ("see (NATIVE 4.3)", ("NATIVE", "4.3")),
    ] {
        let (document, places) = places(text);
        assert_eq!((document, places.as_str()), expected);
    }
    let text = "//! One (SPEC\n//! 4.1).\n#[test]\nfn f() {}\n// Two.\n";
    assert_eq!(comments(text), [" One (SPEC  4.1).", " Two."]);
}

#[test]
fn every_kind_of_file_with_comments_is_found() {
    for (path, content, expected) in [
        ("a/b.rs", "fn f() {}", true),
        (".ci/leaks", "# What leaks.", true),
        ("a/run", "#!/bin/sh", true),
        ("Dockerfile", "# syntax=1", true),
        ("a/peers.Dockerfile", "FROM a", true),
        ("a/b.md", "# Title", false),
        ("a/key", "-----BEGIN", false),
    ] {
        let found = is_commented(Path::new(path), content.as_bytes());
        assert_eq!(found, expected, "{path}");
    }
    let found = commented_files();
    for path in [
        ".ci/leaks",
        ".ci/run",
        ".ci/sanitize",
        ".ci/supply",
        "Cargo.toml",
        "Dockerfile",
        "benches/docker/peers.Dockerfile",
        "benches/figures",
        "tests/fuzz/covered",
        "tests/fuzz/instrumented",
        "tests/tidy.rs",
    ] {
        assert!(found.contains(&repository().join(path)), "{path}");
    }
}
