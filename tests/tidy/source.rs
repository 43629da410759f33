//! The sources as the house rules look at them: tokens, without comments, literals and test items.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The roots of the crates in `src`, and where each one's files are.
const CRATES: [(&str, &str); 4] = [
    ("lib.rs", ""),
    ("bin/common/lib.rs", "bin/common/"),
    ("bin/ringseal/main.rs", "bin/ringseal/"),
    ("bin/ringseal-bench/main.rs", "bin/ringseal-bench/"),
];

/// Words by which an item begins that ends with a semicolon, whatever braces it has.
const ENDS_WITH_SEMICOLON: [&str; 5] = ["use", "static", "type", "let", "const"];
/// Words by which an item begins that ends with its body.
const HAVE_BODY: [&str; 9] = [
    "fn", "mod", "impl", "struct", "enum", "trait", "unsafe", "async", "extern",
];

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `directory`.
pub(crate) fn all_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(all_files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every file below `directory` whose name ends so.
pub(crate) fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = all_files(directory);
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    found
}

/// A file of one of the crates, as it is compiled when nothing is tested.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path within `src`.
    pub(crate) name: String,
    /// Its tokens, without comments, literals and test items.
    pub(crate) tokens: TokenStream,
    /// The same with literals.
    pub(crate) with_literals: TokenStream,
    /// Its crate, by where that one's files are.
    pub(crate) root: &'static str,
    /// The module that it is.
    pub(crate) module: Vec<String>,
}

impl Source {
    /// A file of the library with this text, for tests of the rules.
    #[cfg(test)]
    pub(crate) fn from_text(name: &str, module: &[&str], text: &str) -> Self {
        let tokens: TokenStream = text.parse().expect("Rust");
        Self {
            name: name.to_owned(),
            with_literals: tokens.clone(),
            tokens,
            root: "",
            module: module.iter().map(|segment| (*segment).to_owned()).collect(),
        }
    }

    /// Its code as text, with a space only between two words.
    pub(crate) fn code(&self) -> String {
        let mut code = String::new();
        write(&self.tokens, &mut code);
        code
    }
}

/// All of them, by walking from module to module: what nothing but a test declares is not met.
pub(crate) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for (file, root) in CRATES {
        walk(file, root, Vec::new(), false, &mut found);
    }
    assert!(found.len() > 40, "the sources were not found");
    found
}

/// The files of all modules, those of tests as well.
pub(crate) fn declared_files() -> Vec<String> {
    let mut found = Vec::new();
    for (file, root) in CRATES {
        walk(file, root, Vec::new(), true, &mut found);
    }
    found.into_iter().map(|source| source.name).collect()
}

fn walk(
    name: &str,
    root: &'static str,
    module: Vec<String>,
    with_tests: bool,
    found: &mut Vec<Source>,
) {
    let text = fs::read_to_string(repository().join("src").join(name)).expect("a source file");
    let tokens: TokenStream = text
        .parse()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let with_literals = strip(tokens, with_tests);
    let tokens = without_literals(with_literals.clone());
    for child in declared_modules(&tokens) {
        let mut path = module.clone();
        path.push(child);
        let stem = format!("{root}{}", path.join("/"));
        let file = [format!("{stem}.rs"), format!("{stem}/mod.rs")]
            .into_iter()
            .find(|file| repository().join("src").join(file).exists())
            .unwrap_or_else(|| panic!("{name} declares {stem}, which has no file"));
        walk(&file, root, path, with_tests, found);
    }
    found.push(Source {
        name: name.to_owned(),
        tokens,
        with_literals,
        root,
        module,
    });
}

/// The names in `mod name;`.
fn declared_modules(tokens: &TokenStream) -> Vec<String> {
    let tokens: Vec<_> = tokens.clone().into_iter().collect();
    tokens
        .windows(3)
        .filter(|three| is_word(&three[0], "mod") && is_punct(&three[2], ';'))
        .map(|three| three[1].to_string())
        .collect()
}

/// Drops literals.
fn without_literals(stream: TokenStream) -> TokenStream {
    let kept = stream.into_iter().filter_map(|token| match token {
        TokenTree::Literal(_) => None,
        TokenTree::Group(group) => {
            let inner = without_literals(group.stream());
            Some(Group::new(group.delimiter(), inner).into())
        }
        other => Some(other),
    });
    kept.collect()
}

/// Drops documentation and, unless they are wanted, test items.
fn strip(stream: TokenStream, with_tests: bool) -> TokenStream {
    let mut tokens = stream.into_iter().peekable();
    let mut kept = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(ref punct) if punct.as_char() == '#' => {
                // As in `#![…]`.
                let bang = tokens.next_if(|next| is_punct(next, '!'));
                match tokens.next_if(|next| is_group(next, Delimiter::Bracket)) {
                    Some(attribute) if !with_tests && bang.is_none() && is_test(&attribute) => {
                        skip_item(&mut tokens);
                    }
                    // Other attributes are no code.
                    Some(_) => {}
                    None => kept.push(token),
                }
            }
            TokenTree::Group(group) => {
                let inner = strip(group.stream(), with_tests);
                kept.push(Group::new(group.delimiter(), inner).into());
            }
            other => kept.push(other),
        }
    }
    kept.into_iter().collect()
}

/// Whether an attribute is `cfg(test)`, or a `cfg` that needs `test` beside other things.
fn is_test(attribute: &TokenTree) -> bool {
    let mut words = Vec::new();
    collect_words(&TokenStream::from(attribute.clone()), &mut words);
    words.first().is_some_and(|word| word == "cfg")
        && words.iter().any(|word| word == "test")
        && !words.iter().any(|word| word == "not" || word == "any")
}

/// Goes past one item, field or statement, with its attributes.
fn skip_item(tokens: &mut impl Iterator<Item = TokenTree>) {
    let mut keyword = String::new();
    for token in tokens {
        let has_body = !ENDS_WITH_SEMICOLON.contains(&keyword.as_str());
        let is_end = match &token {
            TokenTree::Punct(punct) => match punct.as_char() {
                ';' => true,
                // The end of a field or of a variant; of parameters it is none.
                ',' => has_body && !HAVE_BODY.contains(&keyword.as_str()),
                _ => false,
            },
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && has_body,
            // `const fn` has a body, `const NAME` has none.
            TokenTree::Ident(word) => {
                if (keyword.is_empty() && *word != "pub") || *word == "fn" {
                    keyword = word.to_string();
                }
                false
            }
            TokenTree::Literal(_) => false,
        };
        if is_end {
            return;
        }
    }
}

pub(crate) fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if *ident == word)
}

pub(crate) fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

pub(crate) fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}

/// Every word of the code, in order.
pub(crate) fn collect_words(tokens: &TokenStream, words: &mut Vec<String>) {
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(ident) => words.push(ident.to_string()),
            TokenTree::Group(group) => collect_words(&group.stream(), words),
            _ => {}
        }
    }
}

fn write(tokens: &TokenStream, code: &mut String) {
    let is_word_character = |character: char| character.is_alphanumeric() || character == '_';
    for token in tokens.clone() {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                code.push_str(open);
                write(&group.stream(), code);
                code.push_str(close);
            }
            token => {
                let text = token.to_string();
                if text.starts_with(is_word_character) && code.ends_with(is_word_character) {
                    code.push(' ');
                }
                code.push_str(&text);
            }
        }
    }
}

/// Sources by crate and module, to find the file that a path leads to.
pub(crate) fn by_module(sources: &[Source]) -> BTreeMap<(&'static str, &[String]), &Source> {
    sources
        .iter()
        .map(|source| ((source.root, source.module.as_slice()), source))
        .collect()
}

#[test]
fn test_items_are_left_out_wherever_they_stand() {
    let text = "
        #[cfg(test)] mod tests { fn gone() {} }
        use kept::this;
        #[cfg(test)] use gone::{a, b};
        struct S { #[cfg(test)] gone: u8, kept: u8 }
        #[cfg(all(test, unix))] #[inline] pub(crate) const fn gone<A, B>() -> [u8; 2] { [gone, gone] }
        #[cfg(test)] const GONE: S = S { gone: 1 };
        #[cfg(not(test))] fn kept() { \"gone\" }
        /// gone
        impl Kept { #[cfg(test)] fn gone(&self) {} fn kept_too() {} }
    ";
    let tokens: TokenStream = text.parse().expect("Rust");
    let mut words = Vec::new();
    let tokens = without_literals(strip(tokens, false));
    collect_words(&tokens, &mut words);
    assert!(
        !words.iter().any(|word| word.eq_ignore_ascii_case("gone")),
        "{words:?}"
    );
    let kept = words.iter().filter(|word| word.starts_with("kept"));
    assert_eq!(kept.count(), 4, "{words:?}");
}
