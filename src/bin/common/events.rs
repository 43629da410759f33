//! What the library tells through `tracing`, as `RUST_LOG` asks for it, on standard error.

use std::env;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;

use crate::log::{self, EventWriter};

/// What asks for events.
const VARIABLE: &str = "RUST_LOG";
/// Warnings, but for those of starting a ring, which `start` gives in words for users.
const DEFAULT: &str = "warn,ringseal::driver=error,ringseal::driver::unix_path=warn";

/// Has events printed from here on.
pub fn start() {
    let filter = env::var_os(VARIABLE).filter(|text| !text.is_empty());
    let (filter, problem) = match filter {
        None => (EnvFilter::new(DEFAULT), None),
        Some(text) => parse(&text.to_string_lossy()),
    };
    // Fails only when there is one already, and this is called once.
    let _ = tracing::subscriber::set_global_default(subscriber(filter));
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

/// A filter, and what is wrong with the text if it is the default one.
fn parse(text: &str) -> (EnvFilter, Option<String>) {
    match EnvFilter::builder().parse(text) {
        Ok(filter) => (filter, None),
        Err(error) => (
            EnvFilter::new(DEFAULT),
            Some(format!(
                "{VARIABLE} is `{text}` and has no effect: {error}; write a level, or levels of \
                 modules, as in `info` or `ringseal=debug`"
            )),
        ),
    }
}
