//! Throughput by message size as an SVG, both axes logarithmic, one line a contender.

use std::error::Error;

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use crate::measured::Measured;
use crate::numbers::bytes;

/// The message sizes of a chart.
pub(crate) const SIZES: [usize; 8] = [64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576];

const WIDTH: u32 = 1080;
const HEIGHT: u32 = 600;
const LEGEND_WIDTH: u32 = 330;
const LEGEND_LINE: i32 = 34;
const LEGEND_STEP: i32 = 26;

/// Contrast enough on white.
const GRID: RGBColor = RGBColor(205, 205, 205);
const FAINT_GRID: RGBColor = RGBColor(238, 238, 238);

// They are told apart by color-blind people too.
const VERMILION: RGBColor = RGBColor(213, 94, 0);
const DARK_RED: RGBColor = RGBColor(128, 0, 0);
const BLUE: RGBColor = RGBColor(0, 114, 178);
const SKY: RGBColor = RGBColor(86, 180, 233);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const PINK: RGBColor = RGBColor(204, 121, 167);
const GRAY: RGBColor = RGBColor(120, 120, 120);

/// Whose line is drawn, and how.
struct Look {
    peer: &'static str,
    /// By its own batching instead of one message at a time.
    is_batched: bool,
    color: RGBColor,
    width: u32,
    is_dashed: bool,
}

const fn look(
    peer: &'static str,
    is_batched: bool,
    color: RGBColor,
    width: u32,
    is_dashed: bool,
) -> Look {
    Look {
        peer,
        is_batched,
        color,
        width,
        is_dashed,
    }
}

/// Ours, and each of the others by what it does best. More would be a tangle.
const LOOKS: [Look; 15] = [
    look("ringseal native AES", false, DARK_RED, 4, false),
    look(
        "ringseal by batch calls native AES",
        true,
        DARK_RED,
        2,
        true,
    ),
    look("ringseal V1", false, VERMILION, 4, false),
    look("commonware tokio V1", true, BLUE, 2, false),
    look("commonware io_uring V1", true, SKY, 2, false),
    look("rustls AES-256-GCM", false, GREEN, 2, true),
    look("rustls AES-256-GCM", true, GREEN, 2, false),
    look("rustls AES-256-GCM coalesced", false, SKY, 2, true),
    look("rustls compio AES-256-GCM", true, ORANGE, 2, false),
    look("quinn AES-256-GCM, 1 stream", true, PINK, 2, false),
    look("quinn AES-256-GCM, 4 streams", true, PINK, 2, true),
    look("tonic TLS AES-256-GCM", true, BLUE, 2, true),
    look("snow Noise XX ChaChaPoly", true, ORANGE, 2, true),
    look("plain TCP coalesced", false, GRAY, 2, false),
    look("packed pipeline AES", false, BLACK, 2, true),
];

/// The line of one contender: megabytes a second by message size.
struct Line {
    name: String,
    style: ShapeStyle,
    is_dashed: bool,
    points: Vec<(f64, f64)>,
}

/// Draws the streams that were measured. `note` says how.
pub(crate) fn draw(measured: &[Measured], note: &str) -> Result<String, Box<dyn Error>> {
    let lines = lines(measured);
    let rates = || lines.iter().flat_map(|line| &line.points);
    if lines.iter().all(|line| line.points.len() < 2) {
        return Err("fewer than two message sizes were measured".into());
    }
    let lowest = rates().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let highest = rates().map(|point| point.1).fold(0.0, f64::max);
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, HEIGHT)).into_drawing_area();
        root.fill(&WHITE)?;
        let root = root
            .margin(8, 0, 0, 0)
            .titled("Throughput by message size", ("sans-serif", 24))?;
        let root = root.titled(note, ("sans-serif", 14))?;
        let (left, right) = root.split_horizontally(WIDTH - LEGEND_WIDTH);
        let mut chart = ChartBuilder::on(&left)
            .margin(12)
            .x_label_area_size(46)
            .y_label_area_size(70)
            .build_cartesian_2d(
                // Marks at the powers of 4 from 64 bytes on are the sizes themselves.
                (56.0..1_200_000.0).log_scale().base(4.0),
                (lowest * 0.7..highest * 1.4).log_scale(),
            )?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(FAINT_GRID)
            .x_labels(SIZES.len())
            .x_max_light_lines(1)
            .y_labels(4)
            .x_label_formatter(&|size| bytes(mark(*size)))
            .y_label_formatter(&|rate| format!("{rate}"))
            .x_desc("message size")
            .y_desc("MB/s received")
            .label_style(("sans-serif", 15))
            .axis_desc_style(("sans-serif", 16))
            .draw()?;
        // Ours last, on top of the others.
        for line in lines.iter().rev() {
            if line.is_dashed {
                let points = line.points.clone();
                chart.draw_series([DashedPathElement::new(points, 8, 5, line.style)])?;
            } else {
                chart.draw_series([PathElement::new(line.points.clone(), line.style)])?;
            }
            let dot = line.style.filled();
            chart.draw_series(line.points.iter().map(|&point| Circle::new(point, 4, dot)))?;
        }
        legend(&right, lines)?;
        root.present()?;
    }
    Ok(text)
}

/// Writes the names from the highest line to the lowest, as they end on the right.
fn legend(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    mut lines: Vec<Line>,
) -> Result<(), Box<dyn Error>> {
    let end = |line: &Line| line.points.last().map_or(0.0, |point| point.1);
    lines.sort_by(|left, right| end(right).total_cmp(&end(left)));
    let mut height = 40;
    for line in lines {
        let points = vec![(4, height), (4 + LEGEND_LINE, height)];
        if line.is_dashed {
            area.draw(&DashedPathElement::new(points, 8, 5, line.style))?;
        } else {
            area.draw(&PathElement::new(points, line.style))?;
        }
        let middle = (4 + LEGEND_LINE / 2, height);
        area.draw(&Circle::new(middle, 4, line.style.filled()))?;
        let place = (12 + LEGEND_LINE, height - 8);
        area.draw(&Text::new(line.name, place, ("sans-serif", 15)))?;
        height += LEGEND_STEP;
    }
    Ok(())
}

fn lines(measured: &[Measured]) -> Vec<Line> {
    let lines = LOOKS.iter().filter_map(|look| {
        let points = points(measured, look);
        let way = if look.is_batched { ", batched" } else { "" };
        (!points.is_empty()).then(|| Line {
            name: format!("{}{way}", look.peer),
            style: look.color.stroke_width(look.width),
            is_dashed: look.is_dashed,
            points,
        })
    });
    lines.collect()
}

/// By size. Where messages are so long that there are no batches, one at a time stands for them.
#[expect(clippy::cast_precision_loss, reason = "a place on a chart")]
fn points(measured: &[Measured], look: &Look) -> Vec<(f64, f64)> {
    let of_peer = || measured.iter().filter(|row| row.peer == look.peer);
    let mut sizes: Vec<usize> = of_peer().filter_map(|row| row.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let point = |size| {
        let rows = || of_peer().filter(move |row| row.size == Some(size));
        let batched = rows().find(|row| row.batch.is_some_and(|batch| 1 < batch));
        let single = rows().find(|row| row.batch == Some(1));
        let row = if look.is_batched {
            batched.or(single)
        } else {
            single
        };
        Some((size as f64, row?.median * size as f64 / 1e6))
    };
    sizes.into_iter().filter_map(point).collect()
}

/// The whole number that a mark of the axis is at.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "marks are at whole sizes within the axis"
)]
fn mark(size: f64) -> usize {
    size.round() as usize
}

#[cfg(test)]
mod tests {
    use ringseal_peers::contender::Contender;

    use super::*;

    fn row(peer: &str, size: usize, batch: usize) -> Measured {
        Measured {
            work: format!("{size} B, messages/s"),
            size: Some(size),
            batch: Some(batch),
            peer: peer.to_owned(),
            call: None,
            median: 1000.0,
            least: 1000.0,
            most: 1000.0,
            processor: None,
        }
    }

    #[test]
    fn every_line_and_every_size_is_on_the_chart() {
        let rows: Vec<Measured> = LOOKS
            .iter()
            .flat_map(|look| {
                SIZES.map(|size| row(look.peer, size, if look.is_batched { 64 } else { 1 }))
            })
            .collect();
        let text = draw(&rows, "a note").expect("it is drawn");
        for look in &LOOKS {
            assert!(text.contains(look.peer), "{}", look.peer);
        }
        for size in SIZES {
            assert!(text.contains(&format!("\n{}\n", bytes(size))), "{size}");
        }
    }

    #[test]
    fn a_line_is_of_somebody_who_can_be_measured() {
        let names: Vec<String> = Contender::ALL.iter().map(|peer| peer.name()).collect();
        let optional = ["rustls compio", "quinn", "tonic"];
        for look in &LOOKS {
            let is_optional = optional.iter().any(|name| look.peer.starts_with(name));
            let is_known = names.iter().any(|name| name == look.peer);
            assert!(is_known || is_optional, "{}", look.peer);
        }
    }

    #[test]
    fn a_single_size_makes_no_line() {
        let rows = [row("ringseal V1", 64, 1), row("ringseal V1", 1024, 16)];
        assert_eq!(lines(&rows)[0].points.len(), 1);
        assert!(draw(&rows, "").is_err());
    }
}
