//! How lines on standard error look: for people, or for a collector of logs.

use std::sync::OnceLock;

use clap::ValueEnum;
use serde_json::json;
use tracing::Level;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, time};

use crate::peer_fields::PeerFields;

/// What the process has chosen. Text until it has.
static CURRENT: OnceLock<LogFormat> = OnceLock::new();

/// How lines on standard error look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text.
    #[default]
    Text,
    /// A JSON object a line, with timestamp, level, target, message, and span.
    Json,
}

impl LogFormat {
    /// Has all lines from here on look like this.
    pub fn choose(self) {
        // The first choice holds, and there is one.
        let _ = CURRENT.set(self);
    }

    /// What was chosen.
    pub fn current() -> Self {
        CURRENT.get().copied().unwrap_or_default()
    }

    /// Returns the line, or the lines, that say `text`, with the end of the last.
    pub fn render(self, level: Level, text: &str) -> Vec<u8> {
        self.render_about(level, text, None)
    }

    /// Returns the same, about `peer`.
    pub(crate) fn render_about(
        self,
        level: Level,
        text: &str,
        peer: Option<&PeerFields>,
    ) -> Vec<u8> {
        match self {
            Self::Text => format!("ringseal: {text}\n").into_bytes(),
            Self::Json => {
                let mut line = json!({
                    "timestamp": timestamp(),
                    "level": level.as_str(),
                    "target": "ringseal_cli::log",
                    "message": text,
                });
                if let Some(peer) = peer {
                    line["span"] = peer.span();
                }
                format!("{line}\n").into_bytes()
            }
        }
    }
}

/// The time as events have it: UTC, as RFC 3339 writes it.
pub(crate) fn timestamp() -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = time().format_time(&mut Writer::new(&mut text));
    text
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn json_is_one_object_a_line_whatever_the_text() {
        let text = "a \"quoted\"\nline \u{1b}[2J";
        let line = LogFormat::Json.render(Level::WARN, text);
        let line = String::from_utf8(line).expect("text");
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
        let object: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(object["message"], text);
        assert_eq!(object["level"], "WARN");
        let timestamp = object["timestamp"].as_str().expect("a time");
        assert!(
            timestamp.starts_with("20") && timestamp.ends_with('Z'),
            "{timestamp}"
        );
    }
}
