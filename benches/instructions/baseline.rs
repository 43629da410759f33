//! The committed counts and how new ones are judged against them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What code is made by and run under. Where one of these is another one than for the baseline,
/// counts move by a few percent though nobody changed anything here.
pub(crate) const TOOLS: [&str; 3] = ["cc", "rustc", "valgrind"];

/// By how much the tolerance is multiplied when a tool is another one. Still far below what one
/// more copy or allocation adds to a workload without cipher.
pub(crate) const OTHER_TOOLS: f64 = 5.0;

/// Counts are whole numbers, so that a percentage of a small one says too little.
const ROUNDING: f64 = 1.0;

/// The committed file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// By how many percent a count may differ either way.
    pub(crate) tolerance_percent: f64,
    /// Versions of what the counts depend on, by name.
    pub(crate) made_with: BTreeMap<String, String>,
    /// Instructions a message, by workload.
    pub(crate) workloads: BTreeMap<String, u64>,
}

/// What became of one workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Within the tolerance.
    Same,
    /// More instructions than the tolerance allows.
    More,
    /// Fewer, by more than the tolerance.
    Fewer,
    /// The baseline does not know it.
    New,
    /// The baseline knows it, but it was not measured.
    Gone,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// The workload.
    pub(crate) name: String,
    /// What the baseline says.
    pub(crate) expected: Option<u64>,
    /// What was measured.
    pub(crate) measured: Option<u64>,
    /// What became of it.
    pub(crate) verdict: Verdict,
}

impl Line {
    /// By how many percent the count differs from the baseline.
    pub(crate) fn percent(&self) -> Option<f64> {
        let (expected, measured) = (self.expected? as f64, self.measured? as f64);
        Some((measured - expected) / expected * 100.0)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: Option<u64>| count.map_or_else(|| "-".into(), |n| n.to_string());
        write!(
            formatter,
            "{:<34} {:>12} {:>12} {:>9}{}",
            self.name,
            count(self.expected),
            count(self.measured),
            self.percent()
                .map_or_else(|| "-".into(), |percent| format!("{percent:+.2} %")),
            match self.verdict {
                Verdict::Same => "",
                Verdict::More => "  MORE",
                Verdict::Fewer => "  FEWER",
                Verdict::New => "  NOT IN THE BASELINE",
                Verdict::Gone => "  NOT MEASURED",
            },
        )
    }
}

impl Baseline {
    /// The names of what is another one here than for the baseline.
    pub(crate) fn differences(&self, here: &BTreeMap<String, String>) -> Vec<String> {
        let mut names: Vec<&String> = self.made_with.keys().chain(here.keys()).collect();
        names.sort();
        names.dedup();
        names
            .into_iter()
            .filter(|name| self.made_with.get(*name) != here.get(*name))
            .cloned()
            .collect()
    }

    /// The tolerance in percent for counts made with what is `here`.
    pub(crate) fn tolerance(&self, here: &BTreeMap<String, String>) -> f64 {
        let other = self
            .differences(here)
            .iter()
            .any(|name| TOOLS.contains(&name.as_str()));
        self.tolerance_percent * if other { OTHER_TOOLS } else { 1.0 }
    }

    /// Judges what was measured, of the workloads that `selected` says yes to.
    pub(crate) fn judge(
        &self,
        measured: &BTreeMap<String, u64>,
        tolerance_percent: f64,
        selected: impl Fn(&str) -> bool,
    ) -> Vec<Line> {
        let mut names: Vec<&String> = self.workloads.keys().chain(measured.keys()).collect();
        names.sort();
        names.dedup();
        names
            .into_iter()
            .filter(|name| selected(name))
            .map(|name| {
                let expected = self.workloads.get(name).copied();
                let measured = measured.get(name).copied();
                let verdict = match (expected, measured) {
                    (Some(expected), Some(measured)) => {
                        let allowed = expected as f64 * tolerance_percent / 100.0 + ROUNDING;
                        let difference = measured as f64 - expected as f64;
                        if difference > allowed {
                            Verdict::More
                        } else if -difference > allowed {
                            Verdict::Fewer
                        } else {
                            Verdict::Same
                        }
                    }
                    (None, _) => Verdict::New,
                    (_, None) => Verdict::Gone,
                };
                Line {
                    name: name.clone(),
                    expected,
                    measured,
                    verdict,
                }
            })
            .collect()
    }
}
