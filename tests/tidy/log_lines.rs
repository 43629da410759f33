//! The lines and spans that the crate logs, as its sources have them and as the guide lists them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proc_macro2::{TokenStream, TokenTree};

use super::source::{Source, is_punct, is_word, repository};

/// What logs, and how the guide calls that.
const MACROS: [(&str, &str); 10] = [
    ("error", "error"),
    ("warn", "warn"),
    ("info", "info"),
    ("debug", "debug"),
    ("trace", "trace"),
    ("error_span", "error span"),
    ("warn_span", "warn span"),
    ("info_span", "info span"),
    ("debug_span", "debug span"),
    ("trace_span", "trace span"),
];

/// A line or a span.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogLine {
    pub(crate) level: String,
    pub(crate) target: String,
    pub(crate) text: String,
    pub(crate) fields: Vec<String>,
}

/// Those that a source file of the library logs.
pub(crate) fn logged(source: &Source) -> Vec<LogLine> {
    let mut module = vec!["ringseal".to_owned()];
    module.extend_from_slice(&source.module);
    let file = File {
        target: module.join("::"),
        constants: constants(&source.with_literals),
    };
    let mut found = Vec::new();
    file.collect(&source.with_literals, &mut found);
    found
}

/// Those that the guide lists.
pub(crate) fn listed() -> BTreeSet<LogLine> {
    let path = repository().join("src/guide/logging.rs");
    let text = fs::read_to_string(path).expect("the guide");
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | "));
    let line = |row: &str| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [level, target, text, fields, ""] = cells[..] else {
            panic!("a row of five cells: {row}");
        };
        let fields = fields.split('`').skip(1).step_by(2);
        LogLine {
            level: level.to_owned(),
            target: target.trim_matches('`').to_owned(),
            text: text.to_owned(),
            fields: fields.map(str::to_owned).collect(),
        }
    };
    rows.filter(|row| !row.starts_with("level "))
        .map(line)
        .collect()
}

/// What is known of a file before its lines are read.
struct File {
    target: String,
    /// Texts by the names of constants.
    constants: BTreeMap<String, String>,
}

impl File {
    fn collect(&self, tokens: &TokenStream, found: &mut Vec<LogLine>) {
        let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
        for token in &tokens {
            if let TokenTree::Group(group) = token {
                self.collect(&group.stream(), found);
            }
        }
        for six in tokens.windows(6) {
            let [module, first, second, name, bang, arguments] = six else {
                continue;
            };
            let is_call = is_word(module, "tracing")
                && is_punct(first, ':')
                && is_punct(second, ':')
                && is_punct(bang, '!');
            let level = MACROS.iter().find(|(word, _)| is_word(name, word));
            if let (true, Some((_, level)), TokenTree::Group(arguments)) =
                (is_call, level, arguments)
            {
                found.push(self.line(level, arguments.stream()));
            }
        }
    }

    fn line(&self, level: &str, arguments: TokenStream) -> LogLine {
        let mut line = LogLine {
            level: level.to_owned(),
            target: self.target.clone(),
            ..LogLine::default()
        };
        let tokens: Vec<TokenTree> = arguments.into_iter().collect();
        for argument in tokens.split(|token| is_punct(token, ',')) {
            match argument {
                [name, colon, value @ ..] if is_punct(colon, ':') => {
                    if is_word(name, "target") {
                        line.target = self.text(value);
                    }
                }
                [TokenTree::Literal(text)] => line.text = unquoted(&text.to_string()),
                [] => {}
                field => {
                    let name = field.split(|token| is_punct(token, '=')).next();
                    let words = name
                        .into_iter()
                        .flatten()
                        .filter(|token| !is_punct(token, '%') && !is_punct(token, '?'));
                    line.fields.push(words.map(ToString::to_string).collect());
                }
            }
        }
        line
    }

    /// The text that a literal or a constant stands for.
    fn text(&self, value: &[TokenTree]) -> String {
        match value {
            [TokenTree::Literal(text)] => unquoted(&text.to_string()),
            [TokenTree::Ident(name)] => {
                let text = self.constants.get(&name.to_string());
                text.unwrap_or_else(|| panic!("no text {name} in {}", self.target))
                    .clone()
            }
            other => panic!("neither a text nor a constant: {other:?}"),
        }
    }
}

/// The texts of `const NAME: &str = "text";`.
fn constants(tokens: &TokenStream) -> BTreeMap<String, String> {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let constant = |seven: &[TokenTree]| {
        let is_text = is_word(&seven[0], "const") && is_word(&seven[4], "str");
        match &seven[6] {
            TokenTree::Literal(text) if is_text => {
                Some((seven[1].to_string(), unquoted(&text.to_string())))
            }
            _ => None,
        }
    };
    tokens.windows(7).filter_map(constant).collect()
}

/// The text of a literal, whose lines may go on behind a backslash.
fn unquoted(literal: &str) -> String {
    let mut text = String::new();
    for (index, line) in literal.trim_matches('"').split("\\\n").enumerate() {
        text.push_str(if index > 0 { line.trim_start() } else { line });
    }
    text
}

#[test]
fn lines_are_read_as_they_are_logged() {
    let code = r#"
        const TARGET: &str = "elsewhere";
        fn tell() {
            tracing::warn!(%error, path = %self.path.display(), "one \
                            line");
            tracing::trace!(target: TARGET, kind, ?event, "another");
            let span = tracing::info_span!(target: "a::b", parent: None, "name", peer = %who.peer());
            tracing::enabled!(target: TARGET, tracing::Level::TRACE);
        }
    "#;
    let file = |tokens: &TokenStream| File {
        target: "ringseal::here".to_owned(),
        constants: constants(tokens),
    };
    let tokens: TokenStream = code.parse().expect("Rust");
    let mut found = Vec::new();
    file(&tokens).collect(&tokens, &mut found);
    let line = |level: &str, target: &str, text: &str, fields: &[&str]| LogLine {
        level: level.to_owned(),
        target: target.to_owned(),
        text: text.to_owned(),
        fields: fields.iter().map(|&field| field.to_owned()).collect(),
    };
    let expected = [
        line("warn", "ringseal::here", "one line", &["error", "path"]),
        line("trace", "elsewhere", "another", &["kind", "event"]),
        line("info span", "a::b", "name", &["peer"]),
    ];
    assert_eq!(found, expected);
}
