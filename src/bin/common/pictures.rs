//! The charts of what `ringseal-bench` measures, drawn from its JSON: by the program itself, and for the
//! documents from what was kept.

use serde_json::Value;

use crate::chart::{Axis, Chart, Line, Panel, mark};

/// With fewer connections what they cost is lost among what else is allocated.
pub const COUNTED_FROM: u64 = 100;

/// Percentiles by the names that are drawn, and where rows have them.
const PERCENTILES: [(&str, &str); 6] = [
    ("p50", "p50_us"),
    ("p90", "p90_us"),
    ("p99", "p99_us"),
    ("p99.9", "p99_9_us"),
    ("p99.99", "p99_99_us"),
    ("max", "max_us"),
];

const MEBIBYTE: f64 = 1_048_576.0;

/// Latency by rate: a panel for each wire, a line for each percentile.
pub fn latency(figures: &Value, note: String) -> Chart {
    let rows = list(&figures["rows"]);
    let panels = distinct(rows, |row| row["wire"].as_str()).into_iter();
    let panels = panels.map(|wire| {
        let lines = PERCENTILES.map(|(name, field)| Line {
            name: name.to_owned(),
            points: (rows.iter())
                .filter(|row| row["wire"] == wire)
                .filter_map(|row| Some((row["rate"].as_f64()?, row[field].as_f64()?)))
                .collect(),
        });
        let mut across = format!("messages a second, {wire}");
        let mut ends = list(&figures["saturation"]).iter();
        if let Some(end) = ends.find(|end| end["wire"] == wire)
            && let Some(rate) = end["saturated_at"].as_f64()
        {
            across.push_str(&format!(": saturated at {}", mark(rate)));
        }
        Panel {
            across: Axis::logarithmic(across),
            up: Axis::logarithmic("microseconds"),
            lines: Vec::from(lines),
        }
    });
    Chart {
        title: "Latency from the intended time of sending".to_owned(),
        note,
        panels: panels.collect(),
    }
}

/// A server by its number of connections: a line for each wire on each number of threads.
pub fn scale(figures: &Value, note: String) -> Chart {
    let rows = list(&figures["rows"]);
    let kinds = distinct(rows, |row| {
        Some((row["wire"].as_str()?, row["threads"].as_u64()?))
    });
    let panel = |up: &str, value: &dyn Fn(&Value) -> Option<f64>| {
        let lines = kinds.iter().map(|&(wire, threads)| {
            let plural = if threads == 1 { "" } else { "s" };
            Line {
                name: format!("{wire}, {threads} thread{plural}"),
                points: (rows.iter())
                    .filter(|row| row["wire"] == wire && row["threads"] == threads)
                    .filter_map(|row| Some((row["connections"].as_f64()?, value(row)?)))
                    .collect(),
            }
        });
        Panel {
            across: Axis::logarithmic("connections"),
            up: Axis::linear(up),
            lines: lines.collect(),
        }
    };
    let mut panels = vec![
        panel("messages a second", &|row| {
            row["messages_per_second"]["median"].as_f64()
        }),
        panel("us of processor a message", &|row| {
            row["cpu_us_per_message"]["median"].as_f64()
        }),
    ];
    let memory = |row: &Value| {
        let is_counted = row["connections"].as_u64()? >= COUNTED_FROM;
        let bytes = row["idle"]["server_heap_bytes_per_connection"].as_f64();
        bytes.filter(|_| is_counted)
    };
    if rows.iter().any(|row| memory(row).is_some()) {
        panels.push(panel("bytes of heap, idle connection", &memory));
    }
    Chart {
        title: "A server by number of connections".to_owned(),
        note,
        panels,
    }
}

/// What a soak held and moved over time, from what it said of its state.
pub fn soak(states: &[Value], title: String, note: String) -> Chart {
    let at = |state: &Value| state["seconds"].as_f64();
    let line = |name: &str, field: &str, unit: f64, rests: bool| Line {
        name: name.to_owned(),
        points: (states.iter())
            .filter(|state| (state["kind"] == "rest") == rests)
            .filter_map(|state| Some((at(state)?, state[field].as_f64()? / unit)))
            .collect(),
    };
    let rate = |name: &str, field: &str, unit: f64| Line {
        name: name.to_owned(),
        points: (states.windows(2))
            .filter_map(|two| {
                let [before, now] = [&two[0], &two[1]];
                let seconds = at(now)? - at(before)?;
                let amount = now[field].as_f64()? - before[field].as_f64()?;
                // Two states that were taken at about the same time say nothing.
                (seconds > 0.5).then_some((at(now)?, amount / unit / seconds))
            })
            .collect(),
    };
    let panel = |up: &str, lines: Vec<Line>| Panel {
        across: Axis::linear("seconds"),
        up: Axis::linear(up),
        lines,
    };
    Chart {
        title,
        note,
        panels: vec![
            panel(
                "MiB",
                vec![
                    line("resident", "resident_bytes", MEBIBYTE, false),
                    line("heap in use", "heap_bytes", MEBIBYTE, false),
                    line("resident, at rest", "resident_bytes", MEBIBYTE, true),
                    line("heap in use, at rest", "heap_bytes", MEBIBYTE, true),
                ],
            ),
            panel(
                "slots and descriptors",
                vec![
                    line("slots in use", "slots_in_use", 1.0, false),
                    line("descriptors", "descriptors", 1.0, false),
                    line("slots in use, at rest", "slots_in_use", 1.0, true),
                    line("descriptors, at rest", "descriptors", 1.0, true),
                ],
            ),
            panel(
                "a second, since the last state",
                vec![
                    rate("thousand messages", "messages", 1e3),
                    rate("MB", "bytes", 1e6),
                ],
            ),
        ],
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What rows are told apart by, in their order.
fn distinct<'a, T: PartialEq>(rows: &'a [Value], of: impl Fn(&'a Value) -> Option<T>) -> Vec<T> {
    let mut found = Vec::new();
    for kind in rows.iter().filter_map(of) {
        if !found.contains(&kind) {
            found.push(kind);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_wire_has_a_panel_that_says_where_it_ends() {
        let row = |wire: &str, rate: u64, p99: Option<f64>| json!({ "wire": wire, "rate": rate, "p50_us": 10.0, "p99_us": p99, "max_us": 90.0 });
        let figures = json!({
            "rows": [row("one", 1000, None), row("one", 2000, Some(50.0)), row("two", 1000, None)],
            "saturation": [
                { "wire": "one", "saturated_at": 2000 },
                { "wire": "two", "saturated_at": null },
            ],
        });
        let chart = latency(&figures, String::new());
        let labels: Vec<&str> = chart
            .panels
            .iter()
            .map(|panel| &*panel.across.label)
            .collect();
        assert_eq!(
            labels,
            [
                "messages a second, one: saturated at 2000",
                "messages a second, two"
            ]
        );
        let lines = &chart.panels[0].lines;
        assert_eq!(lines[0].points, [(1000.0, 10.0), (2000.0, 10.0)]);
        // What too few messages lie above is left out.
        assert_eq!(
            (&*lines[2].name, &*lines[2].points),
            ("p99", &[(2000.0, 50.0)][..])
        );
        chart.to_svg().expect("it is drawn");
    }

    #[test]
    fn memory_is_drawn_of_so_many_connections_that_it_is_theirs() {
        let row = |connections: u64, threads: u64| {
            let median = json!({ "median": connections });
            json!({
                "wire": "one", "connections": connections, "threads": threads,
                "messages_per_second": median, "cpu_us_per_message": median,
                "idle": { "server_heap_bytes_per_connection": 4000 },
            })
        };
        let rows = json!([row(1, 1), row(1, 2), row(COUNTED_FROM, 1)]);
        let chart = scale(&json!({ "rows": rows }), String::new());
        let names: Vec<&str> = (chart.panels[0].lines.iter())
            .map(|line| &*line.name)
            .collect();
        assert_eq!(names, ["one, 1 thread", "one, 2 threads"]);
        assert_eq!(chart.panels.len(), 3);
        assert_eq!(chart.panels[2].lines[0].points, [(100.0, 4000.0)]);
        chart.to_svg().expect("it is drawn");
        let few = scale(&json!({ "rows": [row(1, 1)] }), String::new());
        assert_eq!(few.panels.len(), 2);
    }

    #[test]
    fn a_soak_is_drawn_by_state_and_by_rest() {
        let state = |kind: &str, seconds: f64, messages: u64| {
            json!({
                "kind": kind, "seconds": seconds, "resident_bytes": 3 << 20, "heap_bytes": null,
                "slots_in_use": 7, "descriptors": 9, "messages": messages, "bytes": 0,
            })
        };
        let states = [
            state("state", 1.0, 0),
            state("rest", 3.0, 8000),
            state("state", 3.1, 8001),
        ];
        let chart = soak(&states, "soak".to_owned(), String::new());
        let [memory, counts, rates] = &chart.panels[..] else {
            panic!("not three panels");
        };
        assert_eq!(memory.lines[0].points, [(1.0, 3.0), (3.1, 3.0)]);
        assert_eq!(memory.lines[1].points, []);
        assert_eq!(counts.lines[3].points, [(3.0, 9.0)]);
        assert_eq!(rates.lines[0].points, [(3.0, 4.0)]);
        chart.to_svg().expect("it is drawn");
    }
}
