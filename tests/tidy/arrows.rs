//! Which room may use which.

use std::collections::BTreeSet;

use super::circles::Paths;
use super::source::Source;

/// Rooms, and the rooms that each may use.
pub(crate) type Arrows<'a> = &'a [(&'a str, &'a [&'a str])];

/// What is wrong with the use that rooms make of each other: nothing is allowed that is not listed.
pub(crate) fn wrong_arrows(sources: &[Source], arrows: Arrows<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut rooms = BTreeSet::new();
    for source in sources {
        // A program is no room, and the root has none.
        let ("", [room, ..]) = (source.root, source.module.as_slice()) else {
            continue;
        };
        rooms.insert(room.as_str());
        match arrows.iter().find(|(listed, _)| listed == room) {
            Some((_, allowed)) => wrong.extend(
                Paths::of(&source.tokens)
                    .all()
                    .filter_map(|path| wrong_path(source, room, allowed, path)),
            ),
            None => wrong.push(format!("{}: no arrows for {room}", source.name)),
        }
    }
    let named = arrows
        .iter()
        .flat_map(|(room, allowed)| allowed.iter().chain([room]));
    let gone: BTreeSet<_> = named.filter(|room| !rooms.contains(**room)).collect();
    wrong.extend(gone.iter().map(|room| format!("there is no room {room}")));
    // What is imported is met twice.
    wrong.sort();
    wrong.dedup();
    wrong
}

fn wrong_path(source: &Source, room: &str, allowed: &[&str], path: &[String]) -> Option<String> {
    let name = &source.name;
    let parents = path.iter().take_while(|segment| *segment == "super");
    if parents.count() >= source.module.len() {
        return Some(format!(
            "{name} leaves its room by {path:?}; begin at `crate`"
        ));
    }
    if path[0] != "crate" {
        return None;
    }
    // What the root passes on is in no list: it would hide an arrow.
    let other = path.get(1).map_or("", String::as_str);
    (other != room && !allowed.contains(&other))
        .then(|| format!("{name} uses {path:?}, which {room} may not"))
}

#[cfg(test)]
fn wrong(arrows: Arrows<'_>) -> Vec<String> {
    let sources = [
        Source::from_text("lib.rs", &[], "mod high; mod low; use low::Low;"),
        Source::from_text(
            "high/mod.rs",
            &["high"],
            "use crate::low::Low; fn f() { other() }",
        ),
        Source::from_text("low.rs", &["low"], "struct Low;"),
    ];
    wrong_arrows(&sources, arrows)
}

#[test]
fn every_room_has_its_arrows_and_every_arrow_its_rooms() {
    let none = Vec::<String>::new();
    assert_eq!(wrong(&[("high", &["low"]), ("low", &[])]), none);
    assert_eq!(wrong(&[("high", &["low"])]), ["low.rs: no arrows for low"]);
    assert_eq!(
        wrong(&[("high", &["low", "old"]), ("low", &[]), ("older", &[])]),
        ["there is no room old", "there is no room older"]
    );
}

#[test]
fn an_arrow_that_is_not_listed_is_noticed() {
    let [wrong] = &wrong(&[("high", &[]), ("low", &["high"])])[..] else {
        panic!("one arrow is wrong");
    };
    assert!(wrong.contains("which high may not"), "{wrong}");
}

#[test]
fn a_room_is_not_left_but_by_the_root() {
    for text in ["use super::low::Low;", "use crate::Low;"] {
        let sources = [
            Source::from_text("high.rs", &["high"], text),
            Source::from_text("low.rs", &["low"], "struct Low;"),
        ];
        let wrong = wrong_arrows(&sources, &[("high", &["low"]), ("low", &[])]);
        assert_eq!(wrong.len(), 1, "{text}: {wrong:?}");
    }
}
