//! The judgement behind `benches/instructions`: which counts pass and which do not. That the
//! guard as a whole fails where it must is tried by `.ci/run`, since it needs valgrind.

#[path = "../benches/instructions/baseline.rs"]
mod baseline;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use baseline::{Baseline, OTHER_TOOLS, TOOLS, Verdict};

fn map<T: Clone>(entries: &[(&str, T)]) -> BTreeMap<String, T> {
    entries
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn versions(rustc: &str, library: &str) -> BTreeMap<String, String> {
    map(&[
        ("rustc", rustc.to_owned()),
        ("aws-lc-sys", library.to_owned()),
    ])
}

fn baseline(workloads: &[(&str, u64)]) -> Baseline {
    Baseline {
        tolerance_percent: 2.0,
        made_with: versions("1.95.0", "0.47.0"),
        workloads: map(workloads),
    }
}

fn verdict(expected: u64, measured: u64) -> Verdict {
    let lines = baseline(&[("seal", expected)]).judge(&map(&[("seal", measured)]), 2.0, |_| true);
    assert_eq!(lines.len(), 1);
    lines[0].verdict
}

#[test]
fn the_tolerance_holds_both_ways_and_no_further() {
    // 2 %, and one more for rounding.
    assert_eq!(verdict(10_000, 10_201), Verdict::Same);
    assert_eq!(verdict(10_000, 10_202), Verdict::More);
    assert_eq!(verdict(10_000, 9_799), Verdict::Same);
    assert_eq!(verdict(10_000, 9_798), Verdict::Fewer);
    assert_eq!(verdict(10, 11), Verdict::Same);
    assert_eq!(verdict(10, 12), Verdict::More);
    assert_eq!(verdict(10, 0), Verdict::Fewer);
}

#[test]
fn a_workload_that_came_or_went_is_noticed_if_it_was_asked_for() {
    let baseline = baseline(&[("open", 1), ("seal", 1)]);
    let measured = map(&[("open", 1), ("frame", 1)]);
    let all: Vec<_> = baseline
        .judge(&measured, 2.0, |_| true)
        .into_iter()
        .map(|line| (line.name, line.verdict))
        .collect();
    let expected = [
        ("frame".to_owned(), Verdict::New),
        ("open".to_owned(), Verdict::Same),
        ("seal".to_owned(), Verdict::Gone),
    ];
    assert_eq!(all, expected);
    let some = baseline.judge(&measured, 2.0, |name| name == "open");
    assert_eq!(some.len(), 1);
}

#[test]
fn another_compiler_widens_the_tolerance_and_another_library_does_not() {
    let baseline = baseline(&[]);
    let tolerance = |rustc, library| baseline.tolerance(&versions(rustc, library));
    assert_eq!(tolerance("1.95.0", "0.47.0"), 2.0);
    assert_eq!(tolerance("1.95.0", "0.48.0"), 2.0);
    assert_eq!(tolerance("1.96.0", "0.47.0"), 2.0 * OTHER_TOOLS);
    // A version that is not known is another one.
    assert_eq!(tolerance("", "0.47.0"), 2.0 * OTHER_TOOLS);
    let here = versions("1.96.0", "0.48.0");
    assert_eq!(baseline.differences(&here), ["aws-lc-sys", "rustc"]);
}

#[test]
fn a_line_of_the_table_says_how_much_and_what() {
    let baseline = baseline(&[("seal", 1_000)]);
    let lines = baseline.judge(&map(&[("seal", 1_100), ("open", 7)]), 2.0, |_| true);
    let table: Vec<_> = lines.iter().map(ToString::to_string).collect();
    assert!(table[0].starts_with("open "), "{}", table[0]);
    assert!(table[0].ends_with("7         -  NOT IN THE BASELINE"));
    assert!(table[1].ends_with("1000         1100  +10.00 %  MORE"));
}

#[test]
fn the_committed_baseline_tells_what_it_was_made_with() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.json");
    let text = fs::read_to_string(path).expect("the committed baseline");
    let committed: Baseline = serde_json::from_str(&text).expect("a baseline");
    for name in TOOLS.into_iter().chain(["aws-lc-sys", "target"]) {
        assert!(committed.made_with.contains_key(name), "{name}");
    }
    assert!(committed.tolerance_percent > 0.0);
    for work in ["seal/", "open/", "frame/", "deframe/", "handshake/"] {
        let counted = committed.workloads.keys();
        assert!(
            counted.into_iter().any(|name| name.starts_with(work)),
            "{work}"
        );
    }
}
