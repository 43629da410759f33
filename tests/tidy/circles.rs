//! Which file uses which, and where that goes in a circle.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::source::{Source, by_module, is_group, is_punct, is_word};

/// A path as it stands in the code, and the name by which it is known from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    segments: Vec<String>,
    alias: String,
}

/// The paths of a file.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// Those that it gives names to, for itself and for others.
    imports: Vec<Name>,
    /// Those that it uses: all but what it only passes on by `pub use`.
    used: Vec<Vec<String>>,
}

impl Paths {
    pub(crate) fn of(tokens: &TokenStream) -> Self {
        let mut paths = Self::default();
        let mut words = BTreeSet::new();
        paths.collect(tokens, &mut words);
        let passed_on = (paths.imports.iter()).filter(|import| words.contains(&import.alias));
        paths
            .used
            .extend(passed_on.map(|import| import.segments.clone()));
        paths
    }

    /// What it uses and what it passes on.
    pub(crate) fn all(&self) -> impl Iterator<Item = &[String]> {
        let imported = self.imports.iter().map(|import| &import.segments);
        self.used.iter().chain(imported).map(Vec::as_slice)
    }

    /// Collects paths, and into `words` what is named by one segment.
    fn collect(&mut self, tokens: &TokenStream, words: &mut BTreeSet<String>) {
        let tokens: Vec<_> = tokens.clone().into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if is_word(&tokens[at], "use") {
                let end = (at..tokens.len())
                    .find(|&end| is_punct(&tokens[end], ';'))
                    .unwrap_or(tokens.len());
                let mut names = Vec::new();
                use_tree(&tokens[at + 1..end], &[], &mut names);
                if !is_public(&tokens[..at]) {
                    self.used
                        .extend(names.iter().map(|name| name.segments.clone()));
                }
                self.imports.extend(names);
                at = end;
            } else if let Some((segments, next)) = path_at(&tokens, at) {
                match <[String; 1]>::try_from(segments) {
                    // Behind a dot stands a field or a method.
                    Ok([_]) if at > 0 && is_punct(&tokens[at - 1], '.') => {}
                    Ok([word]) => {
                        words.insert(word);
                    }
                    Err(segments) => self.used.push(segments),
                }
                at = next;
            } else {
                if let TokenTree::Group(group) = &tokens[at] {
                    self.collect(&group.stream(), words);
                }
                at += 1;
            }
        }
    }
}

/// Whether what follows is passed on to others.
fn is_public(before: &[TokenTree]) -> bool {
    match before {
        [.., word, group] if is_group(group, Delimiter::Parenthesis) => is_word(word, "pub"),
        [.., word] => is_word(word, "pub"),
        [] => false,
    }
}

/// The segments of the path that begins here, and where it ends.
fn path_at(tokens: &[TokenTree], at: usize) -> Option<(Vec<String>, usize)> {
    let TokenTree::Ident(first) = tokens.get(at)? else {
        return None;
    };
    let mut segments = vec![first.to_string()];
    let mut at = at + 1;
    while let [colon, other, TokenTree::Ident(next), ..] = &tokens[at..]
        && is_punct(colon, ':')
        && is_punct(other, ':')
    {
        segments.push(next.to_string());
        at += 3;
    }
    Some((segments, at))
}

/// Spreads the tree of a `use` out into its paths.
fn use_tree(tokens: &[TokenTree], before: &[String], names: &mut Vec<Name>) {
    for branch in tokens.split(|token| is_punct(token, ',')) {
        let mut segments = before.to_vec();
        let mut alias = None;
        let mut at = 0;
        while at < branch.len() {
            match &branch[at] {
                TokenTree::Group(group) => {
                    let inner: Vec<_> = group.stream().into_iter().collect();
                    use_tree(&inner, &segments, names);
                    break;
                }
                token if is_word(token, "as") => {
                    alias = branch.get(at + 1).map(ToString::to_string);
                    break;
                }
                // `{self}` names what stands before it.
                token if is_word(token, "self") && !segments.is_empty() => {}
                TokenTree::Ident(ident) => segments.push(ident.to_string()),
                token if is_punct(token, '*') => segments.push("*".to_owned()),
                _ => {}
            }
            at += 1;
        }
        let is_leaf = !branch.is_empty() && !matches!(branch.get(at), Some(TokenTree::Group(_)));
        if is_leaf && let Some(last) = segments.last() {
            names.push(Name {
                alias: alias.unwrap_or_else(|| last.clone()),
                segments,
            });
        }
    }
}

/// Finds the file that a path leads to, through what modules import and pass on.
struct Resolver<'a> {
    modules: BTreeMap<(&'static str, &'a [String]), &'a Source>,
    paths: BTreeMap<&'a str, Paths>,
}

impl<'a> Resolver<'a> {
    fn new(sources: &'a [Source]) -> Self {
        Self {
            modules: by_module(sources),
            paths: sources
                .iter()
                .map(|source| (source.name.as_str(), Paths::of(&source.tokens)))
                .collect(),
        }
    }

    /// The file that defines what `path` names, seen from `source`; `None` for other crates.
    fn file_of(&self, source: &'a Source, path: &[String]) -> Option<&'a Source> {
        self.resolve(source, path, &mut BTreeSet::new())
    }

    fn resolve(
        &self,
        source: &'a Source,
        path: &[String],
        seen: &mut BTreeSet<(&'a str, String)>,
    ) -> Option<&'a Source> {
        let (first, rest) = path.split_first()?;
        let (mut at, mut rest) = match first.as_str() {
            "crate" => (self.module(source, &[])?, rest),
            "self" => (source, rest),
            "super" => {
                let (_, parent) = source.module.split_last()?;
                (self.module(source, parent)?, rest)
            }
            // Of a module of ours, or of something that was imported; else another crate.
            _ => (source, path),
        };
        while let [next, more @ ..] = rest {
            if next == "super" {
                let (_, parent) = at.module.split_last()?;
                at = self.module(source, parent)?;
            } else if let Some(child) = self.child(at, next) {
                at = child;
            } else {
                break;
            }
            rest = more;
        }
        let Some(name) = rest.first() else {
            return Some(at);
        };
        if !seen.insert((&at.name, name.clone())) {
            return None;
        }
        let import = self.paths[at.name.as_str()]
            .imports
            .iter()
            .find(|import| import.alias == *name);
        match import {
            Some(import) => self.resolve(at, &import.segments, seen),
            // A name that is not imported is defined there, if the path has led anywhere.
            None => (rest.len() < path.len()).then_some(at),
        }
    }

    fn child(&self, parent: &Source, name: &str) -> Option<&'a Source> {
        let mut module = parent.module.clone();
        module.push(name.to_owned());
        self.module(parent, &module)
    }

    fn module(&self, source: &Source, module: &[String]) -> Option<&'a Source> {
        self.modules.get(&(source.root, module)).copied()
    }
}

/// The room that a file is in: a directory of the library, or a program.
fn room(source: &Source) -> Option<String> {
    match (source.root, source.module.as_slice()) {
        ("", []) => None,
        ("", [room, ..]) => Some(room.clone()),
        (program, _) => Some(program.to_owned()),
    }
}

/// The files of each circle within a room.
pub(crate) fn circles(sources: &[Source]) -> Vec<BTreeSet<&str>> {
    let resolver = Resolver::new(sources);
    let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        let used = &resolver.paths[source.name.as_str()].used;
        let targets = used
            .iter()
            .filter_map(|path| resolver.file_of(source, path))
            .filter(|target| target.name != source.name && room(target) == room(source))
            .map(|target| target.name.as_str())
            .collect();
        reached.insert(&source.name, targets);
    }
    close(&mut reached);
    let mut circles = BTreeSet::new();
    for (file, targets) in &reached {
        if targets.contains(file) {
            let circle: BTreeSet<_> = targets
                .iter()
                .copied()
                .filter(|target| reached[target].contains(file))
                .collect();
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

/// Adds to each file's targets what those reach.
fn close(reached: &mut BTreeMap<&str, BTreeSet<&str>>) {
    loop {
        let before: usize = reached.values().map(BTreeSet::len).sum();
        for file in reached.keys().copied().collect::<Vec<_>>() {
            let further: BTreeSet<_> = reached[file]
                .iter()
                .flat_map(|target| reached[target].iter().copied())
                .collect();
            reached.entry(file).or_default().extend(further);
        }
        if reached.values().map(BTreeSet::len).sum::<usize>() == before {
            return;
        }
    }
}

#[test]
fn circles_are_found_through_what_a_module_passes_on() {
    let sources = [
        Source::from_text("lib.rs", &[], "mod room;"),
        Source::from_text(
            "room/mod.rs",
            &["room"],
            "mod a; mod b; mod c; pub(crate) use b::{B as Bee, X};",
        ),
        Source::from_text(
            "room/a.rs",
            &["room", "a"],
            "use super::Bee; fn f() { super::c::g() }",
        ),
        Source::from_text(
            "room/b.rs",
            &["room", "b"],
            "use other::{Thing, super_thing}; fn f() -> crate::room::a::A {}",
        ),
        Source::from_text(
            "room/c.rs",
            &["room", "c"],
            "use core::fmt; fn g(b: fmt::B) {}",
        ),
    ];
    assert_eq!(
        circles(&sources),
        [BTreeSet::from(["room/a.rs", "room/b.rs"])]
    );
}

#[test]
fn a_module_and_its_child_may_go_in_a_circle_too() {
    let sources = [
        Source::from_text("lib.rs", &[], "mod room;"),
        Source::from_text(
            "room/mod.rs",
            &["room"],
            "mod a; use a::A; struct Own { a: A }",
        ),
        Source::from_text(
            "room/a.rs",
            &["room", "a"],
            "use super::{self as room, Own};",
        ),
    ];
    assert_eq!(
        circles(&sources),
        [BTreeSet::from(["room/a.rs", "room/mod.rs"])]
    );
}

#[test]
fn what_a_module_passes_on_and_uses_itself_counts_as_used() {
    let sources = |own: &str| {
        let module = format!("mod a; pub use a::A; pub trait Own {{}} {own}");
        [
            Source::from_text("lib.rs", &[], "mod room;"),
            Source::from_text("room/mod.rs", &["room"], &module),
            Source::from_text("room/a.rs", &["room", "a"], "use super::Own;"),
        ]
    };
    for own in ["type Default = A;", "fn f() { g(A) }", "impl Own for A {}"] {
        assert_eq!(
            circles(&sources(own)),
            [BTreeSet::from(["room/a.rs", "room/mod.rs"])],
            "{own}"
        );
    }
    for own in ["", "fn f(other: B) { other.A() }"] {
        assert!(circles(&sources(own)).is_empty(), "{own}");
    }
}
