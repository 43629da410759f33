//! The words of the library's errors, which speak to programmers, as they are for users.

use std::sync::OnceLock;

/// What stands in the library's texts, and what stands here instead of it; longer ones first.
pub type Terms = [(&'static str, &'static str)];

/// The options of `ringseal`.
pub const TOOL: &Terms = &[
    ("Config::max_message_size", "--max-message-size"),
    ("Config::handshake_deadline", "--handshake-timeout"),
    ("Config::idle_timeout", "--idle-timeout"),
    ("Config::progress_timeout", "--progress-timeout"),
    ("Config::max_handshakes", "--max-handshakes"),
    ("Config::max_lifetime", "--max-lifetime"),
    (
        "ServerLimits::connections_per_peer",
        "--max-connections-per-key",
    ),
    (
        "ServerLimits::connections_per_source",
        "--max-connections-per-address",
    ),
    ("ServerLimits::connections", "--max-connections"),
    (
        "ServerLimits::handshakes_per_second",
        "--max-handshakes-per-second",
    ),
];

/// The options of `ringseal-bench`.
pub const BENCH: &Terms = &[
    ("raise Config::max_message_size", "raise --size"),
    ("lower Config::max_message_size", "lower --size"),
    ("Config::handshake_deadline", "5 seconds"),
    ("Config::idle_timeout", "--time-limit"),
    ("Config::progress_timeout", "--time-limit"),
    (
        "(Config::max_handshakes sets the limit)",
        "(256 at a time is the limit)",
    ),
    ("Config::max_lifetime allows", "it may"),
    ("ServerLimits::connections_per_peer allows", "it may have"),
    ("ServerLimits::connections_per_source allows", "it may have"),
    ("ServerLimits::connections allows", "it may have"),
    ("Config::max_handshakes", "the limit of handshakes"),
    (
        "ServerLimits::connections_per_peer",
        "the limit of connections for each key",
    ),
    (
        "ServerLimits::connections_per_source",
        "the limit of connections for each address",
    ),
    ("ServerLimits::connections", "the limit of connections"),
    (
        "ServerLimits::handshakes_per_second",
        "the limit of handshakes in a second",
    ),
];

/// What neither has an option for.
const BOTH: &Terms = &[
    ("Config::first_message_timeout", "2 seconds"),
    (
        "call ServerBuilder::bind or ServerBuilder::listen_on",
        "give an address",
    ),
    ("Config::host_timeout", "60 seconds"),
    (", or take it with Receiver::recv_stream", ""),
    (
        "; use Sender::send, or Wire::native on both ends",
        "; take --wire native on both ends",
    ),
    ("; use Sender::send", ""),
    (", or set allow_self if it is meant", ""),
    ("outside Runtime::block_on", "outside the runtime"),
    ("Runtime::block_on was called", "a runtime was entered"),
    (
        "Admission::filter does not let in",
        "the filter of addresses does not let in",
    ),
];

/// What this program takes.
static TERMS: OnceLock<&'static Terms> = OnceLock::new();

/// Has texts speak of the options of another program than `ringseal`.
pub fn speak_of(terms: &'static Terms) {
    // Fails only when it was said before, and each program says it once.
    let _ = TERMS.set(terms);
}

/// Whether a text may speak to programmers. Few do.
pub fn has_names(text: &str) -> bool {
    text.contains("Config::") || text.contains("ServerLimits::")
}

/// The same text in words for users.
pub fn for_users(text: &str) -> String {
    translate(text, TERMS.get().copied().unwrap_or(TOOL))
}

fn translate(text: &str, terms: &Terms) -> String {
    let all = terms.iter().chain(BOTH);
    all.fold(text.to_owned(), |text, (name, words)| {
        text.replace(name, words)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use ringseal::Config;

    use super::*;

    /// The literals of source text but for those of its tests, joined where they are broken.
    fn literals(source: &str) -> Vec<String> {
        let source = source.split("#[cfg(test)]\nmod tests").next();
        let mut rest = source.unwrap_or_default();
        let mut literals = Vec::new();
        while let Some(at) = rest.find(['"', '/', '\'']) {
            rest = &rest[at..];
            if rest.starts_with("//") {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
            } else if let Some(behind) = rest.strip_prefix("'\"'") {
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix('"') {
                let (literal, behind) = literal(behind);
                literals.push(literal);
                rest = behind;
            } else {
                rest = &rest[1..];
            }
        }
        literals
    }

    /// A literal up to its closing quote, and what is behind that.
    fn literal(text: &str) -> (String, &str) {
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['"', '\\']) {
            literal.push_str(&rest[..at]);
            let is_end = rest[at..].starts_with('"');
            rest = &rest[at + 1..];
            if is_end {
                break;
            }
            rest = match rest.strip_prefix('\n') {
                Some(line) => line.trim_start(),
                None => &rest[rest.len().min(1)..],
            };
        }
        (literal, rest)
    }

    /// Calls `look` with each literal of the library.
    fn each_literal(directory: &Path, look: &mut impl FnMut(&Path, &str)) {
        for entry in fs::read_dir(directory).expect("the sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                each_literal(&path, look);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).expect("text");
                for literal in literals(&source) {
                    look(&path, &literal);
                }
            }
        }
    }

    /// Whether it names something of a type: `Type::name`.
    fn names_an_item(text: &str) -> bool {
        text.match_indices("::").any(|(at, _)| {
            let before = text[..at].rsplit(|c: char| !c.is_alphanumeric()).next();
            let starts_high = before.is_some_and(|name| name.starts_with(char::is_uppercase));
            starts_high && text[at + 2..].starts_with(char::is_lowercase)
        })
    }

    // HAZARDS F16: no user reads a name of Rust.
    #[test]
    fn no_text_of_the_library_names_its_items_to_users() {
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = 0;
        for directory in ["net", "driver", "memory", "protocol", "server"] {
            each_literal(&library.join(directory), &mut |path, literal| {
                // The forms that are for programmers, by `{:?}`.
                let is_shown = [
                    "Admission::any",
                    "Admission::allow_list",
                    "Admission::check",
                    "Admission::key_list",
                    "KeyFile::admission",
                ];
                if !names_an_item(literal) || is_shown.contains(&literal) {
                    return;
                }
                found += 1;
                for terms in [TOOL, BENCH] {
                    let text = translate(literal, terms);
                    assert!(
                        !names_an_item(&text),
                        "{}: no word for: {text}",
                        path.display()
                    );
                }
            });
        }
        assert!(found > 10, "only {found} texts were looked at");
    }

    #[test]
    fn figures_are_those_that_nobody_can_change() {
        let seconds = |text: &str| {
            let words = translate(text, TOOL);
            words.trim_end_matches(" seconds").parse().ok()
        };
        let first = Config::DEFAULT_FIRST_MESSAGE_TIMEOUT.as_secs();
        assert_eq!(seconds("Config::first_message_timeout"), Some(first));
        let host = Config::DEFAULT_HOST_TIMEOUT.as_secs();
        assert_eq!(seconds("Config::host_timeout"), Some(host));
        let handshakes = translate("(Config::max_handshakes sets the limit)", BENCH);
        let limit = format!("({} at a time", Config::DEFAULT_MAX_HANDSHAKES);
        assert!(handshakes.starts_with(&limit), "{handshakes}");
        let deadline = format!("{} seconds", Config::DEFAULT_HANDSHAKE_DEADLINE.as_secs());
        assert_eq!(translate("Config::handshake_deadline", BENCH), deadline);
    }
}
