//! A chart of series of points over two logarithmic axes, with a legend.

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::element::{Drawable, PointCollection};
use plotters::prelude::*;
use plotters_backend::DrawingErrorKind;

use crate::report::record::mib_label;

const SIZE: (u32, u32) = (1120, 600);
const LEGEND_WIDTH: u32 = 300;
const FONT: &str = "sans-serif";

/// Distinguishable in print and by most colour-blind readers (Okabe, Ito).
pub(super) const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Log, Log>>;

/// One line or set of points.
pub(super) struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    colour: RGBColor,
    mark: Mark,
}

#[derive(Clone, Copy)]
pub(super) enum Mark {
    /// Filled circles joined by a line.
    Line,
    /// Triangles joined by a dashed line.
    Dashes,
    /// Filled circles.
    Circle,
    /// Open circles.
    Ring,
    /// Triangles.
    Triangle,
    /// Crosses.
    Cross,
}

impl Mark {
    /// Of lines, by their number of threads.
    pub(super) fn of_threads(threads: usize) -> Self {
        if threads == 1 {
            Self::Line
        } else {
            Self::Dashes
        }
    }
}

/// Adds a point to the series of that name.
pub(super) fn push(
    series: &mut Vec<Series>,
    name: String,
    colour: RGBColor,
    mark: Mark,
    point: (f64, f64),
) {
    match series.iter_mut().find(|series| series.name == name) {
        Some(series) => series.points.push(point),
        None => series.push(Series {
            name,
            points: vec![point],
            colour,
            mark,
        }),
    }
}

/// What an axis shows, and where it has ticks.
pub(super) struct Axis {
    title: &'static str,
    ticks: Ticks,
}

impl Axis {
    pub(super) const fn new(title: &'static str, ticks: Ticks) -> Self {
        Self { title, ticks }
    }

    /// A range that holds the values with some room.
    fn range(&self, values: impl Iterator<Item = f64> + Clone) -> Log {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low <= high {
            (low, high)
        } else {
            (1.0, 10.0)
        };
        // Labels are to the right of their points.
        let (below, above) = match self.ticks {
            Ticks::Decades => (1.4, 2.0),
            Ticks::Powers | Ticks::Mib => (1.2, 1.2),
        };
        Log {
            low: low / below,
            high: high * above,
            ticks: self.ticks,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Ticks {
    /// 1, 2 and 5 times powers of ten.
    Decades,
    /// Powers of two.
    Powers,
    /// Powers of two, MiB or GiB.
    Mib,
}

/// A logarithmic axis with ticks that people would choose.
#[derive(Clone)]
struct Log {
    low: f64,
    high: f64,
    ticks: Ticks,
}

impl Ranged for Log {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        let all: Vec<f64> = match self.ticks {
            Ticks::Decades => (-6..9)
                .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)))
                .collect(),
            Ticks::Powers | Ticks::Mib => (0..40).map(|power| 2f64.powi(power)).collect(),
        };
        let shown = |tick: &f64| (self.low..=self.high).contains(tick);
        all.into_iter().filter(shown).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Log {
    fn format_ext(&self, value: &f64) -> String {
        match self.ticks {
            Ticks::Mib => mib_label(*value as u64),
            // As few digits as say the number.
            Ticks::Powers | Ticks::Decades => format!("{:.6}", value)
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned(),
        }
    }
}

/// Draws series over two logarithmic axes, with labels at some points.
pub(super) fn draw(
    title: &str,
    x: Axis,
    y: Axis,
    series: &[Series],
    labels: &[(String, (f64, f64))],
) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw_on(&root, title, &x, &y, series, labels)
            .and_then(|()| root.present())
            .with_context(|| format!("can't draw {title:?}"))?;
    }
    Ok(svg)
}

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw_on(
    root: &Canvas<'_>,
    title: &str,
    x: &Axis,
    y: &Axis,
    series: &[Series],
    labels: &[(String, (f64, f64))],
) -> Drawn {
    root.fill(&WHITE)?;
    let (area, legend) = root.split_horizontally(SIZE.0 - LEGEND_WIDTH);
    let points = series.iter().flat_map(|series| &series.points);
    let x_range = x.range(points.clone().map(|point| point.0));
    let y_range = y.range(points.map(|point| point.1));
    let mut chart = ChartBuilder::on(&area)
        .caption(title, (FONT, 22))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(x_range, y_range)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .label_style((FONT, 14))
        .axis_desc_style((FONT, 16))
        .x_desc(x.title)
        .y_desc(y.title)
        .draw()?;
    for series in series {
        draw_series(&mut chart, series)?;
    }
    for (text, at) in labels {
        chart
            .draw_series([EmptyElement::at(*at) + Text::new(text.clone(), (10, -6), (FONT, 14))])?;
    }
    draw_legend(&legend, series)
}

/// Beside the chart, where it hides no point.
fn draw_legend(area: &Canvas<'_>, series: &[Series]) -> Drawn {
    let rows = (60..).step_by(24);
    for (series, y) in series.iter().zip(rows) {
        let (mark, colour) = (series.mark, series.colour);
        let at = (0, y);
        area.draw(&Key(Symbol { mark, colour, at }))?;
        area.draw(&Text::new(series.name.clone(), (30, y - 5), (FONT, 14)))?;
    }
    Ok(())
}

fn draw_series(chart: &mut Chart<'_, '_>, series: &Series) -> Drawn {
    let (colour, mark) = (series.colour, series.mark);
    let points = series.points.iter().copied();
    match mark {
        Mark::Line => {
            chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
        }
        Mark::Dashes => {
            let style = colour.stroke_width(2);
            chart.draw_series(DashedLineSeries::new(points.clone(), 6, 4, style))?;
        }
        Mark::Circle | Mark::Ring | Mark::Triangle | Mark::Cross => {}
    }
    chart.draw_series(points.map(|at| Symbol { mark, colour, at }))?;
    Ok(())
}

/// The mark of a point.
struct Symbol<At> {
    mark: Mark,
    colour: RGBColor,
    at: At,
}

impl<'a, At> PointCollection<'a, At> for &'a Symbol<At> {
    type Point = &'a At;
    type IntoIter = std::iter::Once<&'a At>;

    fn point_iter(self) -> Self::IntoIter {
        std::iter::once(&self.at)
    }
}

impl<At, DB: DrawingBackend> Drawable<DB> for Symbol<At> {
    fn draw<I: Iterator<Item = (i32, i32)>>(
        &self,
        at: I,
        backend: &mut DB,
        _: (u32, u32),
    ) -> Result<(), DrawingErrorKind<DB::ErrorType>> {
        let line = self.colour.stroke_width(2);
        for (x, y) in at {
            match self.mark {
                Mark::Line | Mark::Circle => backend.draw_circle((x, y), 4, &self.colour, true)?,
                Mark::Ring => backend.draw_circle((x, y), 4, &line, false)?,
                Mark::Dashes | Mark::Triangle => {
                    let corners = [(x, y - 6), (x + 5, y + 4), (x - 5, y + 4)];
                    backend.fill_polygon(corners, &self.colour)?;
                }
                Mark::Cross => {
                    backend.draw_line((x - 5, y - 5), (x + 5, y + 5), &line)?;
                    backend.draw_line((x - 5, y + 5), (x + 5, y - 5), &line)?;
                }
            }
        }
        Ok(())
    }
}

/// A series' mark, with a piece of its line, in the legend.
struct Key(Symbol<(i32, i32)>);

impl<'a> PointCollection<'a, (i32, i32)> for &'a Key {
    type Point = &'a (i32, i32);
    type IntoIter = std::iter::Once<&'a (i32, i32)>;

    fn point_iter(self) -> Self::IntoIter {
        self.0.point_iter()
    }
}

impl<DB: DrawingBackend> Drawable<DB> for Key {
    fn draw<I: Iterator<Item = (i32, i32)>>(
        &self,
        at: I,
        backend: &mut DB,
        size: (u32, u32),
    ) -> Result<(), DrawingErrorKind<DB::ErrorType>> {
        let Self(symbol) = self;
        let pieces: &[(i32, i32)] = match symbol.mark {
            Mark::Line => &[(0, 20)],
            Mark::Dashes => &[(0, 5), (15, 20)],
            Mark::Circle | Mark::Ring | Mark::Triangle | Mark::Cross => &[],
        };
        let line = symbol.colour.stroke_width(2);
        for (x, y) in at {
            for (from, to) in pieces {
                backend.draw_line((x + from, y), (x + to, y), &line)?;
            }
            symbol.draw(std::iter::once((x + 10, y)), backend, size)?;
        }
        Ok(())
    }
}
