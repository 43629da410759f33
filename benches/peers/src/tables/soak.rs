//! What the soak that is kept came to.

use std::path::Path;

use ringseal_cli::envelope::Envelope;
use ringseal_cli::pictures;
use serde_json::Value;

use crate::PEER_LIBRARIES;
use crate::numbers::grouped_count;
use crate::results::{self, SOAK, json};

use super::{heading_by, markdown, short_commit, svg};

/// What the document says where none is kept.
pub(super) const NONE: &str = "Nobody has kept the result of a soak yet.";

const MEBIBYTE: f64 = 1_048_576.0;

/// A soak that has come to its end.
pub(super) struct Soak {
    run: Value,
    envelope: Envelope,
}

impl Soak {
    /// Reads the one that a directory has. One that found a mistake, or is of sources that nobody has,
    /// is refused.
    pub(super) fn kept(directory: &Path) -> Result<Option<Self>, String> {
        let path = directory.join(SOAK);
        if !path.exists() {
            return Ok(None);
        }
        let name = path.display().to_string();
        let run = json(&path)?;
        let mut envelope = Envelope::of(&run)
            .map_err(|field| format!("{name} has no proper {field}: write it by `record`"))?;
        results::commit(&name, &envelope)?;
        // No peer takes part.
        for (peer, _) in PEER_LIBRARIES {
            envelope.libraries.remove(peer);
        }
        if run["result"]["passed"] != true {
            return Err(format!("{name} has no result of a soak that has passed"));
        }
        Ok(Some(Self { run, envelope }))
    }

    pub(super) fn table(&self) -> Result<String, String> {
        let rows = self
            .rows()
            .map_err(|field| format!("{SOAK} has no proper {field}"))?;
        let columns = ["what", "came to"].map(str::to_owned);
        Ok(format!(
            "{}\n\n{}",
            heading_by(&self.envelope, &self.envelope.command),
            markdown(&columns, &rows)
        ))
    }

    pub(super) fn chart(&self) -> Result<String, String> {
        let minutes = self.run["result"]["seconds"].as_f64().unwrap_or_default() / 60.0;
        let title = format!("Soak of {minutes:.1} minutes, seed {}", self.run["seed"]);
        let (processor, commit) = (&self.envelope.processor, short_commit(&self.envelope));
        let note = format!("{processor}; commit {commit}");
        svg(&pictures::soak(self.states(), title, note))
    }

    fn states(&self) -> &[Value] {
        self.run["states"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The most that there was at any time.
    fn most(&self, field: &'static str) -> Result<u64, &'static str> {
        let values = self.states().iter().map(|state| state[field].as_u64());
        values.max().flatten().ok_or(field)
    }

    /// By how much the heap has grown for each connection after a third of the time, if that is known.
    fn heap_since_settled(&self) -> String {
        let [settled, last] = ["settled_rest", "last_rest"].map(|rest| {
            let rest = &self.run["result"][rest];
            let field = |field: &str| rest[field].as_i64();
            field("heap_bytes").zip(field("connections_ended"))
        });
        let (Some((heap_before, ended_before)), Some((heap, ended))) = (settled, last) else {
            return String::new();
        };
        #[expect(clippy::cast_precision_loss, reason = "a size to be read by people")]
        let each = (heap - heap_before) as f64 / (ended - ended_before).max(1) as f64;
        format!("; {each:+.1} bytes for each connection after a third of the time")
    }

    fn rows(&self) -> Result<Vec<Vec<String>>, &'static str> {
        let result = &self.run["result"];
        let count = |field: &'static str| result[field].as_u64().ok_or(field);
        let [first, last] = ["first_rest", "last_rest"].map(|rest| &result[rest]);
        let at_rests = |field: &'static str, shown: &dyn Fn(u64) -> String| -> Result<_, &str> {
            let [first, last] = [first, last].map(|rest| rest[field].as_u64().map(shown));
            Ok(format!(
                "{} at the first rest, {} at the last",
                first.ok_or(field)?,
                last.ok_or(field)?
            ))
        };
        let seconds = result["seconds"].as_f64().ok_or("seconds")?;
        let drivers = result["drivers"].as_array().ok_or("drivers")?;
        let drivers: Vec<&str> = drivers.iter().filter_map(Value::as_str).collect();
        let kinds = result["by_kind"].as_object().ok_or("by_kind")?;
        let of_kind = |name: &'static str| kinds.get(name).and_then(Value::as_u64).ok_or(name);
        let by_kind: Vec<String> = kinds
            .iter()
            .map(|(name, count)| format!("{} {name}", grouped_count(count.as_u64().unwrap_or(0))))
            .collect();
        let slots = self
            .states()
            .first()
            .and_then(|state| state["slots"].as_u64());
        let rows = [
            ("duration", format!("{:.1} minutes", seconds / 60.0)),
            ("seed", self.run["seed"].to_string()),
            ("drivers, all at once", drivers.join(", ")),
            (
                "connections",
                format!(
                    "{}: {}",
                    grouped_count(count("connections")?),
                    by_kind.join(", ")
                ),
            ),
            (
                "cuts",
                format!(
                    "{} by a relay, {} by an end that gave up",
                    grouped_count(of_kind("cut")?),
                    grouped_count(of_kind("give-up")?)
                ),
            ),
            (
                "messages, each byte checked",
                grouped_count(count("messages")?),
            ),
            ("bytes", grouped_count(count("bytes")?)),
            ("key updates", grouped_count(count("key_updates")?)),
            (
                "resident memory",
                format!(
                    "{} at most; {}",
                    mebibytes(self.most("resident_bytes")?),
                    at_rests("resident_bytes", &mebibytes)?
                ),
            ),
            (
                "heap",
                format!(
                    "{} at most; {}{}",
                    mebibytes(self.most("heap_bytes")?),
                    at_rests("heap_bytes", &mebibytes)?,
                    self.heap_since_settled(),
                ),
            ),
            (
                "slots in use",
                format!(
                    "{} of {} at most; {}",
                    grouped_count(self.most("slots_in_use")?),
                    grouped_count(slots.ok_or("slots")?),
                    at_rests("slots_in_use", &grouped_count)?
                ),
            ),
            (
                "descriptors",
                format!(
                    "{} at most; {}",
                    grouped_count(self.most("descriptors")?),
                    at_rests("descriptors", &grouped_count)?
                ),
            ),
            (
                "rests, with all connections ended",
                grouped_count(count("rests")?),
            ),
            // Behind the first one there is no result.
            ("mistakes", "none".to_owned()),
        ];
        Ok(Vec::from(
            rows.map(|(what, came_to)| vec![what.to_owned(), came_to]),
        ))
    }
}

fn mebibytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a size to be read by people")]
    let mebibytes = bytes as f64 / MEBIBYTE;
    format!("{mebibytes:.1} MiB")
}
