//! Throughput by message size as an SVG, both axes logarithmic, one line a contender.

use std::error::Error;

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use ringseal_peers::commonware::RuntimeKind;
use ringseal_peers::contender::Contender;
use ringseal_peers::ringseal_peer::{Drive, Spoken};
use ringseal_peers::tls::Suite;

use crate::case::{Case, Row};

/// The message sizes of a chart.
pub(crate) const SIZES: [usize; 8] = [64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576];

const WIDTH: u32 = 1080;
const HEIGHT: u32 = 600;
const LEGEND_WIDTH: u32 = 260;
const LEGEND_LINE: i32 = 34;
const LEGEND_STEP: i32 = 26;

/// Contrast enough on white.
const GRID: RGBColor = RGBColor(205, 205, 205);
const FAINT_GRID: RGBColor = RGBColor(238, 238, 238);

/// The line of one contender: megabytes a second by message size.
struct Line {
    name: String,
    style: ShapeStyle,
    dashed: bool,
    points: Vec<(f64, f64)>,
}

/// Draws the streams of one message a call that are among `rows`. `note` says how they were
/// measured.
pub(crate) fn draw(path: &str, rows: &[Row], note: &str) -> Result<(), Box<dyn Error>> {
    let lines = lines(rows);
    let rates = || lines.iter().flat_map(|line| &line.points);
    if lines.iter().all(|line| line.points.len() < 2) {
        return Err("fewer than two message sizes were measured".into());
    }
    let lowest = rates().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let highest = rates().map(|point| point.1).fold(0.0, f64::max);
    let root = SVGBackend::new(path, (WIDTH, HEIGHT)).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.margin(8, 0, 0, 0).titled(
        "Throughput by message size, one message a call",
        ("sans-serif", 24),
    )?;
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
        .x_label_formatter(&|size| bytes(*size))
        .y_label_formatter(&|rate| format!("{rate}"))
        .x_desc("message size")
        .y_desc("MB/s received")
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 16))
        .draw()?;
    // Ours last, on top of the others.
    for line in lines.iter().rev() {
        if line.dashed {
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
    Ok(())
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
        if line.dashed {
            area.draw(&DashedPathElement::new(points, 8, 5, line.style))?;
        } else {
            area.draw(&PathElement::new(points, line.style))?;
        }
        let middle = (4 + LEGEND_LINE / 2, height);
        area.draw(&Circle::new(middle, 4, line.style.filled()))?;
        let place = (12 + LEGEND_LINE, height - 8);
        area.draw(&Text::new(line.name, place, ("sans-serif", 16)))?;
        height += LEGEND_STEP;
    }
    Ok(())
}

fn lines(rows: &[Row]) -> Vec<Line> {
    Contender::ALL
        .into_iter()
        .filter_map(|contender| {
            let mut points: Vec<(f64, f64)> = rows
                .iter()
                .filter(|row| row.contender == contender)
                .filter_map(point)
                .collect();
            points.sort_by(|left, right| left.0.total_cmp(&right.0));
            let (color, width, dashed) = look(contender);
            (!points.is_empty()).then(|| Line {
                name: contender.name(),
                style: color.stroke_width(width),
                dashed,
                points,
            })
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a place on a chart")]
fn point(row: &Row) -> Option<(f64, f64)> {
    match row.case {
        Case::Stream(work) if work.batch == 1 => {
            let size = work.size as f64;
            Some((size, row.median * size / 1e6))
        }
        _ => None,
    }
}

/// Color, width, and whether dashed. The colors are told apart by color-blind people too.
fn look(contender: Contender) -> (RGBColor, u32, bool) {
    match contender {
        Contender::Ringseal(Drive::Native, spoken @ (Spoken::V0 | Spoken::V1)) => {
            (RGBColor(213, 94, 0), 4, spoken == Spoken::V0)
        }
        Contender::Ringseal(Drive::Native, spoken) => {
            (RGBColor(128, 0, 0), 4, spoken == Spoken::NativeChaCha)
        }
        Contender::Ringseal(Drive::BatchCalls, _) => (RGBColor(0, 158, 115), 2, true),
        Contender::Ringseal(Drive::BusyPolling, _) => (RGBColor(230, 159, 0), 2, false),
        Contender::Ringseal(Drive::TokioUring, _) => (RGBColor(230, 159, 0), 2, true),
        Contender::Ringseal(Drive::Epoll, _) => (RGBColor(213, 94, 0), 2, true),
        Contender::Commonware(RuntimeKind::Tokio, version) => {
            (RGBColor(0, 114, 178), 2, version == 0)
        }
        Contender::Commonware(RuntimeKind::IoUring, version) => {
            (RGBColor(86, 180, 233), 2, version == 0)
        }
        Contender::Tls(Suite::ChaCha20Poly1305) => (RGBColor(0, 158, 115), 2, false),
        Contender::Tls(Suite::Aes256Gcm) => (RGBColor(0, 158, 115), 2, true),
        Contender::Noise => (RGBColor(204, 121, 167), 2, false),
        Contender::PlainTcp => (RGBColor(120, 120, 120), 2, false),
        Contender::BarePipeline => (BLACK, 2, true),
        Contender::PackedPipeline(suite) => (BLACK, 1, suite == Suite::ChaCha20Poly1305),
    }
}

fn bytes(size: f64) -> String {
    if size >= 1_048_576.0 {
        format!("{:.0} MiB", size / 1_048_576.0)
    } else if size >= 1024.0 {
        format!("{:.0} KiB", size / 1024.0)
    } else {
        format!("{size:.0} B")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringseal_peers::work::Work;

    use super::*;

    fn row(contender: Contender, size: usize, batch: usize) -> Row {
        let work = Work {
            size,
            batch,
            duration: Duration::ZERO,
        };
        Row {
            case: Case::Stream(work),
            contender,
            rounds: 1,
            median: 1000.0,
            least: 1000.0,
            most: 1000.0,
            ratio: None,
            processor: None,
        }
    }

    #[test]
    fn every_contender_and_every_size_is_on_the_chart() {
        let rows: Vec<Row> = Contender::ALL
            .into_iter()
            .flat_map(|contender| SIZES.map(|size| row(contender, size, 1)))
            .collect();
        let path = std::env::temp_dir().join(format!("ringseal-chart-{}.svg", std::process::id()));
        draw(path.to_str().expect("a plain path"), &rows, "a note").expect("it is drawn");
        let text = std::fs::read_to_string(&path).expect("it is there");
        std::fs::remove_file(&path).expect("it is there");
        for contender in Contender::ALL {
            assert!(text.contains(&contender.name()), "{}", contender.name());
        }
        for size in [
            "64 B", "256 B", "1 KiB", "4 KiB", "16 KiB", "64 KiB", "256 KiB", "1 MiB",
        ] {
            assert!(text.contains(&format!("\n{size}\n")), "{size}");
        }
    }

    #[test]
    fn a_single_size_makes_no_line() {
        let rows = [
            row(Contender::Noise, 64, 1),
            row(Contender::Noise, 1024, 16),
        ];
        assert!(draw("/nonexistent/chart.svg", &rows, "").is_err());
        assert_eq!(lines(&rows)[0].points.len(), 1);
    }
}
