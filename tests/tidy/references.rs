//! References to the documents beside the tests, as in `SPEC 4.1` or `HAZARDS R6`.

use std::collections::BTreeSet;
use std::fs;

use super::source::repository;

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
        let Some((document, _)) = DOCUMENTS.iter().find(|(name, _)| *name == word) else {
            continue;
        };
        let mut places = Vec::new();
        while let Some(next) = words.peek() {
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

/// The comments of a file, joined where they go on in the next line.
pub(crate) fn comments(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        let line = line.trim_start();
        let comment = ["//!", "///", "//", "#"]
            .iter()
            .find_map(|mark| line.strip_prefix(mark));
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
    ] {
        let (document, places) = places(text);
        assert_eq!((document, places.as_str()), expected);
    }
    let text = "//! One (SPEC\n//! 4.1).\nfn f() {}\n// Two.\n";
    assert_eq!(comments(text), [" One (SPEC  4.1).", " Two."]);
}
