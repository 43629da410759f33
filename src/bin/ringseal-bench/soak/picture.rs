//! A run as a chart.

use ringseal_cli::chart::{Axis, Chart, Line, Panel};

use super::state::State;

const MEBIBYTE: f64 = 1_048_576.0;

/// Draws all states of a run over time.
pub(crate) fn chart(title: String, note: String, states: &[State]) -> Chart {
    let line = |name: &str, value: &dyn Fn(&State) -> Option<f64>, rests: bool| Line {
        name: name.to_owned(),
        points: (states.iter())
            .filter(|state| state.is_rest == rests)
            .filter_map(|state| Some((state.seconds, value(state)?)))
            .collect(),
    };
    let panel = |up: &str, lines: Vec<Line>| Panel {
        across: Axis::linear("seconds"),
        up: Axis::linear(up),
        lines,
    };
    let resident = |state: &State| Some(state.resident as f64 / MEBIBYTE);
    let heap = |state: &State| Some(state.heap? as f64 / MEBIBYTE);
    let slots = |state: &State| Some(state.held.slots_in_use as f64);
    let descriptors = |state: &State| Some(state.descriptors as f64);
    Chart {
        title,
        note,
        panels: vec![
            panel(
                "MiB",
                vec![
                    line("resident", &resident, false),
                    line("heap in use", &heap, false),
                    line("resident, at rest", &resident, true),
                    line("heap in use, at rest", &heap, true),
                ],
            ),
            panel(
                "slots and descriptors",
                vec![
                    line("slots in use", &slots, false),
                    line("descriptors", &descriptors, false),
                    line("slots in use, at rest", &slots, true),
                    line("descriptors, at rest", &descriptors, true),
                ],
            ),
            panel(
                "a second, since the last state",
                vec![
                    rates("thousand messages", states, &|state| {
                        state.amount.messages as f64 / 1e3
                    }),
                    rates("MB", states, &|state| state.amount.bytes as f64 / 1e6),
                ],
            ),
        ],
    }
}

fn rates(name: &str, states: &[State], value: &dyn Fn(&State) -> f64) -> Line {
    let points = states.windows(2).filter_map(|two| {
        let seconds = two[1].seconds - two[0].seconds;
        let rate = (value(&two[1]) - value(&two[0])) / seconds;
        // Two states that were taken at about the same time say nothing.
        (seconds > 0.5).then_some((two[1].seconds, rate))
    });
    Line {
        name: name.to_owned(),
        points: points.collect(),
    }
}
