//! What the library tells through `tracing`, as `RUST_LOG` asks for it, on standard error.

use std::env;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::log::{self, EventWriter};
use crate::log_format::LogFormat;

/// What asks for events.
const VARIABLE: &str = "RUST_LOG";
/// How much of what it holds is shown, in characters.
const MAX_SHOWN: usize = 80;
/// Warnings, but for those of starting a ring, which `start` gives in words for users.
const DEFAULT: &str = "warn,ringseal::driver=error,ringseal::driver::unix_path=warn";

/// Has events printed from here on.
pub fn start() {
    let filter = env::var_os(VARIABLE).filter(|text| !text.is_empty());
    let (filter, problem) = match filter {
        None => (EnvFilter::new(default_filter(LogFormat::current())), None),
        Some(text) => parse(&text.to_string_lossy()),
    };
    // Fails only when there is one already, and this is called once.
    let _ = match LogFormat::current() {
        LogFormat::Text => tracing::subscriber::set_global_default(subscriber(filter)),
        LogFormat::Json => tracing::subscriber::set_global_default(json_subscriber(filter)),
    };
    if let Some(problem) = problem {
        log::line(&problem);
    }
}

fn subscriber(filter: EnvFilter) -> impl Subscriber + Send + Sync {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(|| EventWriter)
        .with_env_filter(filter)
        .finish()
}

/// A JSON object an event. The span of a connection is `span` in there.
fn json_subscriber(filter: EnvFilter) -> impl Subscriber + Send + Sync {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(|| EventWriter)
        .with_env_filter(filter)
        .finish()
}

/// What is printed by default. In JSON each event of a connection says which one it is.
fn default_filter(format: LogFormat) -> String {
    match format {
        LogFormat::Text => DEFAULT.to_owned(),
        LogFormat::Json => format!("{DEFAULT},ringseal::connection=info"),
    }
}

/// A filter, and what is wrong with the text if it is the default one.
fn parse(text: &str) -> (EnvFilter, Option<String>) {
    let problem = match (unknown_word(text), EnvFilter::builder().parse(text)) {
        (None, Ok(filter)) => return (filter, None),
        (Some(word), _) => format!("`{word}` is no level"),
        (None, Err(error)) => error.to_string(),
    };
    let text: String = text.chars().take(MAX_SHOWN).collect();
    let problem = format!(
        "{VARIABLE} is `{text}` and has no effect: {problem}; write a level (error, warn, info, \
         debug, trace, off), or levels of modules, as in `info` or `ringseal=debug`"
    );
    (EnvFilter::new(DEFAULT), Some(problem))
}

/// Finds a word that stands alone, as a level does, and is none. It would count as the name of a
/// module, of which there is none, and all warnings would be gone.
fn unknown_word(text: &str) -> Option<&str> {
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let is_module = |word: &str| word.starts_with("ringseal");
    let is_plain = |word: &str| {
        word.chars()
            .all(|it| it.is_ascii_alphanumeric() || it == '_')
    };
    let words = text.split(',').map(str::trim);
    let mut unknown = words
        .filter(|word| !word.is_empty() && is_plain(word) && !is_level(word) && !is_module(word));
    unknown.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_found_and_everything_else_is_left_to_the_filter() {
        for text in [
            "debug",
            "WARN",
            "off",
            "2",
            "ringseal",
            "ringseal_cli,info",
            "ringseal=debug,hyper=off",
            "ringseal::wire",
            "[connection]=debug",
            "",
        ] {
            assert_eq!(unknown_word(text), None, "{text}");
        }
        for (text, word) in [("loud", "loud"), ("info, verbos", "verbos"), ("7", "7")] {
            assert_eq!(unknown_word(text), Some(word), "{text}");
            let (_, problem) = parse(text);
            assert!(problem.is_some_and(|problem| problem.contains("no level")));
        }
    }

    #[test]
    fn a_long_text_is_cut_off() {
        let (_, problem) = parse(&"loud,".repeat(1000));
        assert!(problem.is_some_and(|problem| problem.len() < 400));
    }
}
