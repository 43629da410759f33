//! Charts as plain SVG text: panels below each other, each with lines over one horizontal axis.
//!
//! Shared by all that draw, so that their pictures look alike; `pictures` says what is on them.

use core::fmt::Write;
use std::{fs, io};

use crate::failure::Failure;

const WIDTH: f64 = 960.0;
const PANEL_HEIGHT: f64 = 260.0;
/// What is left of a panel for the names of its lines.
const LEGEND: f64 = 250.0;
const LEFT: f64 = 80.0;
const TOP: f64 = 58.0;
/// Between two panels: the marks and the name of the horizontal axis.
const GAP: f64 = 62.0;
/// Marks on a linear axis, about.
const MARKS: f64 = 5.0;

/// Told apart by color-blind people too.
const COLORS: [&str; 8] = [
    "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#800000", "#000000",
];

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly, from zero.
    Linear,
    /// By their logarithm; values that are not above zero are left out.
    Logarithmic,
}

/// An axis of a panel.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What is shown, with its unit.
    pub label: String,
    /// How it is spread.
    pub scale: Scale,
}

impl Axis {
    /// An axis that begins at zero.
    pub fn linear(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            scale: Scale::Linear,
        }
    }

    /// An axis of powers of ten.
    pub fn logarithmic(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            scale: Scale::Logarithmic,
        }
    }
}

/// One line of a panel. Its color comes from its place among the lines.
#[derive(Clone, Debug)]
pub struct Line {
    /// What the legend says.
    pub name: String,
    /// Horizontal and vertical values, in this order.
    pub points: Vec<(f64, f64)>,
}

/// Lines over one horizontal axis.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The horizontal axis.
    pub across: Axis,
    /// The vertical axis.
    pub up: Axis,
    /// What is drawn, in the order of the legend.
    pub lines: Vec<Line>,
}

/// A whole picture.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The heading.
    pub title: String,
    /// How it was measured and on what.
    pub note: String,
    /// From top to bottom.
    pub panels: Vec<Panel>,
}

/// The values that an axis covers, and where they lie.
#[derive(Clone, Copy, Debug)]
struct Range {
    scale: Scale,
    least: f64,
    most: f64,
}

impl Range {
    /// Covers all of `values`; `None` where there is nothing to show.
    fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Option<Self> {
        let shown = values.filter(|value| is_shown(scale, *value));
        let (least, most) = shown.fold(
            (f64::INFINITY, f64::NEG_INFINITY),
            |(least, most), value| (least.min(value), most.max(value)),
        );
        if least > most {
            return None;
        }
        Some(match scale {
            Scale::Linear => {
                let step = step(most.max(f64::MIN_POSITIVE));
                Self {
                    scale,
                    least: 0.0,
                    most: (most / step).ceil().max(1.0) * step,
                }
            }
            Scale::Logarithmic => Self {
                scale,
                least: 10_f64.powf(least.log10().floor()),
                most: 10_f64.powf((least.log10().floor() + 1.0).max(most.log10().ceil())),
            },
        })
    }

    /// Where `value` lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.least) / (self.most - self.least),
            Scale::Logarithmic => (value / self.least).log10() / (self.most / self.least).log10(),
        }
    }

    /// The values that are marked.
    fn marks(&self) -> Vec<f64> {
        let mut marks = Vec::new();
        match self.scale {
            Scale::Linear => {
                let step = step(self.most);
                let mut mark = 0.0;
                while mark <= self.most * 1.001 {
                    marks.push(mark);
                    mark += step;
                }
            }
            Scale::Logarithmic => {
                let mut mark = self.least;
                while mark <= self.most * 1.001 {
                    marks.push(mark);
                    mark *= 10.0;
                }
            }
        }
        marks
    }
}

/// Writes a file that is there as a whole or not at all. What is no file is written to as it is.
fn write_whole(path: &str, text: &str) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, text);
    }
    let beside = format!("{path}.part");
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first failure is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn is_shown(scale: Scale, value: f64) -> bool {
    value.is_finite() && (scale == Scale::Linear || value > 0.0)
}

/// A round distance of marks on an axis up to `most`.
fn step(most: f64) -> f64 {
    let rough = most / MARKS;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= rough);
    factor.unwrap_or(10.0) * power
}

/// A number as short as a mark can be.
pub(crate) fn mark(value: f64) -> String {
    let (value, unit) = match value.abs() {
        above if above >= 1e9 => (value / 1e9, " G"),
        above if above >= 1e6 => (value / 1e6, " M"),
        above if above >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    // Away with what adding up steps has left.
    let rounded = (value * 1e6).round() / 1e6;
    format!("{rounded}{unit}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

impl Chart {
    /// Writes it to a file.
    ///
    /// # Errors
    ///
    /// As for [`to_svg`](Self::to_svg), and when the file cannot be written.
    pub fn write(&self, path: &str) -> Result<(), Failure> {
        let text = self.to_svg()?;
        write_whole(path, &text)
            .map_err(|error| Failure::new(format!("cannot write the chart {path}: {error}")))
    }

    /// The text of the picture.
    ///
    /// # Errors
    ///
    /// When a panel has nothing to show.
    pub fn to_svg(&self) -> Result<String, Failure> {
        let height = TOP + (PANEL_HEIGHT + GAP) * self.panels.len() as f64;
        let mut svg = String::new();
        let mut body = String::new();
        for (index, panel) in self.panels.iter().enumerate() {
            let top = TOP + (PANEL_HEIGHT + GAP) * index as f64;
            panel.draw(top, &mut body)?;
        }
        // Writing to a string cannot fail.
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"18\">{}</text>\n\
             <text x=\"{LEFT}\" y=\"43\" font-size=\"12\">{}</text>\n{body}</svg>\n",
            escaped(&self.title),
            escaped(&self.note),
        );
        Ok(svg)
    }
}

impl Panel {
    fn draw(&self, top: f64, svg: &mut String) -> Result<(), Failure> {
        let values = || self.lines.iter().flat_map(|line| &line.points);
        let both = || values().filter(|point| self.shows(point));
        let across = Range::of(self.across.scale, both().map(|point| point.0));
        let up = Range::of(self.up.scale, both().map(|point| point.1));
        let (Some(across), Some(up)) = (across, up) else {
            return Err(Failure::new(format!(
                "there is nothing to draw of {}",
                self.up.label
            )));
        };
        let (width, bottom) = (WIDTH - LEFT - LEGEND, top + PANEL_HEIGHT);
        let x = |value: f64| LEFT + width * across.place(value);
        let y = |value: f64| bottom - PANEL_HEIGHT * up.place(value);
        for value in up.marks() {
            let (at, right) = (y(value), LEFT + width);
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 7.0,
                at + 4.0,
                mark(value)
            );
        }
        for value in across.marks() {
            let at = x(value);
            let _ = writeln!(
                svg,
                "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"#ddd\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 17.0,
                mark(value)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            LEFT + width / 2.0,
            bottom + 36.0,
            escaped(&self.across.label),
            f64::midpoint(top, bottom),
            escaped(&self.up.label),
        );
        for (index, line) in self.lines.iter().enumerate() {
            self.draw_line(line, index, top, svg, |point| (x(point.0), y(point.1)));
        }
        Ok(())
    }

    fn draw_line(
        &self,
        line: &Line,
        index: usize,
        top: f64,
        svg: &mut String,
        place: impl Fn(&(f64, f64)) -> (f64, f64),
    ) {
        let color = COLORS[index % COLORS.len()];
        // With more lines than colors the later ones are dashed.
        let dash = if index < COLORS.len() {
            ""
        } else {
            " stroke-dasharray=\"6 4\""
        };
        let shown: Vec<_> = line
            .points
            .iter()
            .filter(|point| self.shows(point))
            .collect();
        let points: Vec<String> = (shown.iter())
            .map(|point| {
                let (x, y) = place(point);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"{dash}/>",
            points.join(" ")
        );
        // Dots would hide a line of hundreds of points.
        if shown.len() <= 40 {
            for point in shown {
                let (x, y) = place(point);
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>"
                );
            }
        }
        let (left, at) = (WIDTH - LEGEND + 16.0, top + 10.0 + 20.0 * index as f64);
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {at}h24\" stroke=\"{color}\" stroke-width=\"3\"{dash}/>\
             <text x=\"{}\" y=\"{}\">{}</text>",
            left + 31.0,
            at + 4.0,
            escaped(&line.name)
        );
    }

    fn shows(&self, point: &(f64, f64)) -> bool {
        is_shown(self.across.scale, point.0) && is_shown(self.up.scale, point.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(lines: Vec<Line>) -> Chart {
        Chart {
            title: "a < b & c".to_owned(),
            note: "a note".to_owned(),
            panels: vec![Panel {
                across: Axis::logarithmic("connections"),
                up: Axis::linear("messages a second"),
                lines,
            }],
        }
    }

    fn line(name: &str, points: &[(f64, f64)]) -> Line {
        Line {
            name: name.to_owned(),
            points: points.to_vec(),
        }
    }

    #[test]
    fn every_line_and_every_point_is_on_the_chart() {
        let lines =
            (0..10).map(|index| line(&format!("line {index}"), &[(1.0, 5.0), (1000.0, 7.5e6)]));
        let svg = chart(lines.collect()).to_svg().expect("it is drawn");
        for index in 0..10 {
            assert!(svg.contains(&format!("line {index}<")));
        }
        assert_eq!(svg.matches("<circle").count(), 20);
        assert_eq!(svg.matches("stroke-dasharray").count(), 4);
        assert!(svg.contains("a &lt; b &amp; c") && !svg.contains("NaN") && !svg.contains("inf"));
        // Marks of both axes.
        assert!(svg.contains(">1000<") && svg.contains(">8 M<"), "{svg}");
    }

    #[test]
    fn points_lie_where_their_values_say() {
        let svg = chart(vec![line("one", &[(1.0, 0.0), (10.0, 10.0), (100.0, 5.0)])]);
        let svg = svg.to_svg().expect("it is drawn");
        let (left, right) = (LEFT, WIDTH - LEGEND);
        let (top, bottom) = (TOP, TOP + PANEL_HEIGHT);
        let expected = format!(
            "points=\"{left:.1},{bottom:.1} {:.1},{top:.1} {right:.1},{:.1}\"",
            f64::midpoint(left, right),
            f64::midpoint(top, bottom)
        );
        assert!(svg.contains(&expected), "{expected} is not in {svg}");
    }

    #[test]
    fn what_a_logarithm_does_not_have_is_left_out_and_nothing_is_refused() {
        let svg = chart(vec![line(
            "one",
            &[(0.0, 1.0), (1.0, f64::NAN), (1.0, 2.0)],
        )]);
        assert_eq!(
            svg.to_svg()
                .expect("it is drawn")
                .matches("<circle")
                .count(),
            1
        );
        assert!(chart(vec![line("one", &[])]).to_svg().is_err());
        // All values the same, or zero.
        for value in [0.0, 3.0] {
            let svg = chart(vec![line("one", &[(1.0, value)])])
                .to_svg()
                .expect("it is drawn");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
