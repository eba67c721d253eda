//! The ranges that the values of a network's feature maps have on pictures.

use std::collections::HashMap;

use crate::inference::ModelError;
use crate::inference::trace::Trace;
use crate::onnx::quantize::Range;

/// Bins of a histogram.
const BINS: usize = 2048;

/// The network's input for a part of a picture.
pub struct NetworkInput {
    /// \[channels\]\[height\]\[width\]
    pub pixels: Vec<f32>,
    /// Channels, height and width.
    pub shape: [usize; 3],
}

/// The range of each output of `trace` on `inputs` that 8 bits represent best: outliers are clipped where that makes
/// the steps for all other values so much finer that the mean squared error falls.
pub fn ranges(
    trace: &mut Trace,
    inputs: &[NetworkInput],
) -> Result<HashMap<String, Range>, ModelError> {
    let mut extremes: HashMap<String, Range> = HashMap::new();
    for input in inputs {
        trace.run(&input.pixels, input.shape, |name, values| {
            let none = Range { min: 0.0, max: 0.0 };
            let range = extremes.entry(name.into()).or_insert(none);
            for value in values {
                range.min = range.min.min(*value);
                range.max = range.max.max(*value);
            }
        })?;
    }
    let histogram = |(name, range): (&String, &Range)| (name.clone(), Histogram::new(*range));
    let mut histograms: HashMap<_, _> = extremes.iter().map(histogram).collect();
    for input in inputs {
        trace.run(&input.pixels, input.shape, |name, values| {
            if let Some(histogram) = histograms.get_mut(name) {
                histogram.add(values);
            }
        })?;
    }
    let best = |(name, histogram): (String, Histogram)| (name, histogram.best());
    Ok(histograms.into_iter().map(best).collect())
}

/// How often values occur, except 0, which every range represents exactly.
struct Histogram {
    range: Range,
    counts: Vec<u64>,
}

impl Histogram {
    fn new(range: Range) -> Self {
        Histogram {
            range,
            counts: vec![0; BINS],
        }
    }

    /// The width of a bin.
    fn width(&self) -> f32 {
        ((self.range.max - self.range.min) / BINS as f32).max(f32::MIN_POSITIVE)
    }

    fn add(&mut self, values: &[f32]) {
        let width = self.width();
        for value in values.iter().filter(|value| **value != 0.0) {
            let bin = ((value - self.range.min) / width) as usize;
            self.counts[bin.min(BINS - 1)] += 1;
        }
    }

    /// The range with the smallest mean squared error.
    fn best(&self) -> Range {
        let shares = (20..=100).map(|percent| percent as f32 / 100.0);
        let ranges = shares.map(|share| Range {
            min: self.range.min * share,
            max: self.range.max * share,
        });
        let best = ranges.min_by(|a, b| self.error(*a).total_cmp(&self.error(*b)));
        best.unwrap_or(self.range)
    }

    /// The squared error of all values in 8 bits of `range`: of rounding, or of clipping beyond it.
    fn error(&self, range: Range) -> f64 {
        let rounding = f64::from(range.step()).powi(2) / 12.0;
        let width = self.width();
        let bins = self.counts.iter().enumerate();
        bins.filter(|(_, count)| **count > 0)
            .map(|(bin, count)| {
                let value = self.range.min + (bin as f32 + 0.5) * width;
                let beyond = f64::from(value - value.clamp(range.min, range.max));
                let error = if beyond == 0.0 {
                    rounding
                } else {
                    beyond * beyond
                };
                *count as f64 * error
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_outliers_are_clipped_and_many_are_not() {
        let best = |outliers: usize| {
            let mut histogram = Histogram::new(Range {
                min: 0.0,
                max: 100.0,
            });
            let usual: Vec<f32> = (1..=100_000).map(|n| n as f32 / 10_000.0).collect();
            histogram.add(&usual);
            histogram.add(&vec![100.0; outliers]);
            histogram.best()
        };
        assert_eq!(best(0).max, 20.0);
        assert!(best(1).max < 100.0);
        assert_eq!(best(10_000).max, 100.0);
        assert_eq!(best(0).min, 0.0);
    }
}
