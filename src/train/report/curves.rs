//! Plots of loss, scores and learning rate over a run.

use std::convert::Infallible;
use std::ops::Range;

use image::RgbImage;
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::PathElement;
use plotters::series::LineSeries;
use plotters::style::{Color, IntoTextStyle, RGBColor, WHITE};

use super::plot_canvas::PlotCanvas;
use crate::train::average::Average;
use crate::train::log::Log;

/// Width and height of the image.
const SIZE: (u32, u32) = (960, 840);

/// Width of the legends, which are beside the curves and so cover none of them.
const LEGEND: u32 = 116;

/// Scores to draw; errors, for which lower is better, would squeeze these together.
const SCORES: [&str; 6] = ["SEG", "F1@0.5", "AP@0.5", "IoU", "V_rand", "V_info"];

/// Colours that most colour-blind people can tell apart (Okabe and Ito).
const COLORS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

/// Values beyond this are not drawn: an axis up to infinity would never be finished.
const LARGEST: f64 = 1e300;

/// Why curves can't be drawn.
pub type PlotError = DrawingAreaErrorKind<Infallible>;

/// A curve: steps, and a value for each.
struct Curve {
    name: String,
    color: RGBColor,
    /// Opacity, 0 to 1.
    opacity: f64,
    /// Radius of the dot at each point, in pixels; 0 for none.
    dot_radius: u32,
    points: Vec<(f64, f64)>,
}

/// Loss, scores and learning rate over the steps, one above the other.
pub fn draw(log: &Log) -> Result<RgbImage, PlotError> {
    let mut image = RgbImage::new(SIZE.0, SIZE.1);
    let canvas = PlotCanvas(&mut image).into_drawing_area();
    canvas.fill(&WHITE)?;
    let last = log.steps.last().map_or(1, |line| line.step) as f64;
    let panels = canvas.split_evenly((3, 1));
    let loss = losses(log);
    let scores = scores(log);
    let rate = learning_rates(log);
    // A few steps of a very large loss, mostly at the beginning, would flatten all others.
    let highest_loss = quantile(&loss[0].points, 0.99).max(highest(&loss[1].points));
    let lowest_score = scores.iter().map(|curve| lowest(&curve.points));
    let lowest_score = lowest_score.fold(1.0, f64::min);
    let lowest_tenth = ((lowest_score * 10.0).floor() / 10.0).clamp(0.0, 0.9);
    let highest_rate = highest(&rate[0].points);
    for (panel, (title, curves, values)) in panels.iter().zip([
        ("loss", loss, 0.0..highest_loss * 1.05),
        ("scores on the images held back", scores, lowest_tenth..1.0),
        ("learning rate", rate, 0.0..highest_rate * 1.05),
    ]) {
        plot(panel, title, &curves, (last, values))?;
    }
    canvas.present()?;
    drop(panels);
    drop(canvas);
    Ok(image)
}

fn plot(
    panel: &DrawingArea<PlotCanvas, Shift>,
    title: &str,
    curves: &[Curve],
    (last, values): (f64, Range<f64>),
) -> Result<(), PlotError> {
    let values = if values.is_empty() { 0.0..1.0 } else { values };
    let (plot, legend) = panel.split_horizontally(SIZE.0 - LEGEND);
    let mut chart = ChartBuilder::on(&plot)
        .margin(12)
        .caption(title, ("monospace", 13))
        .x_label_area_size(22)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..last, values)?;
    let digits = |value: &f64| match value.abs() {
        0.0 => "0".to_owned(),
        other if !(0.01..1e6).contains(&other) => format!("{value:.1e}"),
        _ => format!("{value:.2}"),
    };
    chart
        .configure_mesh()
        .x_label_formatter(&|step| format!("{step:.0}"))
        .y_label_formatter(&digits)
        .y_labels(6)
        .light_line_style(WHITE)
        .draw()?;
    let letters = ("monospace", 13).into_text_style(&legend);
    for (curve, y) in curves.iter().zip((40_i32..).step_by(18)) {
        let style = curve.color.mix(curve.opacity).stroke_width(1);
        let points = curve.points.iter().copied();
        chart.draw_series(LineSeries::new(points, style).point_size(curve.dot_radius))?;
        if curves.len() > 1 {
            legend.draw(&PathElement::new([(0, y), (16, y)], style))?;
            legend.draw_text(&curve.name, &letters, (22, y - 6))?;
        }
    }
    Ok(())
}

/// The loss of each step, and the smoothed loss.
fn losses(log: &Log) -> Vec<Curve> {
    let raw: Vec<_> = log
        .steps
        .iter()
        .map(|line| (line.step as f64, f64::from(line.loss)))
        .filter(is_drawn)
        .collect();
    let mut average = Average::default();
    let smooth = raw.iter().map(|(step, loss)| (*step, average.add(*loss)));
    let smooth = smooth.collect();
    let curve = |name: &str, opacity, points| Curve {
        name: name.into(),
        color: COLORS[0],
        opacity,
        dot_radius: 0,
        points,
    };
    vec![
        curve("of each step", 0.25, raw),
        curve("smoothed", 1.0, smooth),
    ]
}

fn scores(log: &Log) -> Vec<Curve> {
    let points = |name: &str| -> Vec<(f64, f64)> {
        let lines = log.validations.iter();
        let point = lines.filter_map(|line| Some((line.step as f64, *line.values.get(name)?)));
        point.collect()
    };
    let drawn = SCORES.iter().map(|name| (name, points(name)));
    drawn
        .filter(|(_, points)| !points.is_empty())
        .zip(COLORS)
        .map(|((name, points), color)| Curve {
            name: (*name).into(),
            color,
            opacity: 1.0,
            // A single validation makes no line.
            dot_radius: 2,
            points,
        })
        .collect()
}

fn learning_rates(log: &Log) -> Vec<Curve> {
    let points = log.steps.iter();
    let points = points.map(|line| (line.step as f64, line.learning_rate));
    vec![Curve {
        name: "learning rate".into(),
        color: COLORS[0],
        opacity: 1.0,
        dot_radius: 0,
        points: points.filter(is_drawn).collect(),
    }]
}

fn is_drawn((_, value): &(f64, f64)) -> bool {
    value.abs() <= LARGEST
}

fn highest(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|(_, value)| *value).fold(0.0, f64::max)
}

fn lowest(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|(_, value)| *value).fold(1.0, f64::min)
}

/// The value below which a `share` of all values lies.
fn quantile(points: &[(f64, f64)], share: f64) -> f64 {
    let mut values: Vec<_> = points.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * share) as usize;
    values.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::train::log::{StepLine, ValidationLine};

    /// How many pixels of the image have exactly this colour.
    fn count(image: &RgbImage, color: RGBColor) -> usize {
        let RGBColor(r, g, b) = color;
        image
            .pixels()
            .filter(|pixel| **pixel == Rgb([r, g, b]))
            .count()
    }

    fn step(step: usize) -> StepLine {
        StepLine {
            step,
            loss: 1.0 / step as f32,
            learning_rate: 1e-3,
            seconds: 0.0,
        }
    }

    fn validation(step: usize, [seg, f1]: [f64; 2]) -> ValidationLine {
        ValidationLine {
            step,
            seconds: 0.0,
            values: [("SEG".to_owned(), seg), ("F1@0.5".to_owned(), f1)].into(),
        }
    }

    #[test]
    fn each_score_has_a_curve_of_its_own() {
        let validation = |step| validation(step, [0.5, 0.8]);
        let mut log = Log {
            steps: (1..=500).map(step).collect(),
            validations: vec![],
        };
        let before = draw(&log).unwrap();
        assert_eq!(before.dimensions(), SIZE);
        assert_eq!(count(&before, COLORS[1]), 0);
        log.validations = vec![validation(250)];
        assert!(count(&draw(&log).unwrap(), COLORS[1]) > 0);
        log.validations = (1..=5).map(|n| validation(100 * n)).collect();
        let after = draw(&log).unwrap();
        assert!(count(&after, COLORS[1]) > 300);
        assert_eq!(count(&after, COLORS[2]), 0);
        // A run without any step.
        draw(&Log::default()).unwrap();
    }

    #[test]
    fn the_legend_covers_no_curve() {
        let pixels = |score| {
            let validations = [100, 500].map(|step| validation(step, [0.01, score]));
            let log = Log {
                steps: vec![step(500)],
                validations: validations.into(),
            };
            count(&draw(&log).unwrap(), COLORS[1])
        };
        for score in [0.05, 0.95] {
            assert_eq!(pixels(score), pixels(0.5), "{score}");
        }
    }

    #[test]
    fn drawing_ends_whatever_the_values() {
        let wild = [f64::INFINITY, f64::MAX, 1e300, f64::NAN, 1e-3];
        let step = |(step, learning_rate): (usize, f64)| StepLine {
            step,
            loss: learning_rate as f32,
            learning_rate,
            seconds: 0.0,
        };
        for count in 1..=wild.len() {
            let log = Log {
                steps: (1..).zip(wild).take(count).map(step).collect(),
                validations: vec![],
            };
            assert_eq!(draw(&log).unwrap().dimensions(), SIZE);
        }
    }
}
