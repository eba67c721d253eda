//! Finds the blocks of a frame that differ by more than noise from the frame they were inferred on.

use std::ops::Range;

use super::grid::Grid;
use crate::contract::Channels;
use crate::picture::{Frame, Scaling, channel_count, code_scale, for_each_chunk};

/// Side of the squares whose means are compared, in pixels: large enough to average noise, small enough to detect
/// moving texture.
const SQUARE: usize = 4;

/// Brightness levels for which noise is measured separately: photon noise grows with brightness.
const LEVELS: usize = 16;

/// Fewest squares for measuring the noise of a level.
const MIN_SQUARES: usize = 64;

/// Threshold for the mean square difference of a block, in units of the noise. For 16 squares of normal noise it has
/// a mean of 1 and exceeds 4 once in nine million times.
const LIMIT: f32 = 4.0;

/// The same as a number of standard deviations of a normal distribution.
const DEVIATIONS: f32 = 5.1;

/// The threshold for a block of so many squares: with fewer than 16, as at the edges of a frame, the mean varies more.
/// The approximation of Wilson and Hilferty (1931) to the chi-square distribution, for the same rate of false alarms.
fn limit(squares: usize) -> f32 {
    let spread = 2.0 / (9.0 * squares as f32);
    let limit = (1.0 - spread + DEVIATIONS * spread.sqrt()).powi(3);
    limit.max(LIMIT)
}

/// Smallest noise, as a fraction of one step of the pixels' codes: means of 16 pixels rounded to whole codes differ by
/// this much between frames.
const ROUNDING: f64 = 0.1;

/// Median of the absolute value of normal noise, in units of its standard deviation.
const MEDIAN: f32 = 0.6745;

/// Compares the means of all squares, in units of the network's input, so that a flickering lamp makes no change
/// if normalization removes it.
pub struct NoiseModel {
    /// Rows and columns of the frame.
    size: [usize; 2],
    /// Means of the current frame, \[channels\]\[rows\]\[columns\] of squares.
    current: Vec<f32>,
    /// Means at the time each square was inferred.
    inferred: Vec<f32>,
    /// Roughness of each square in the current frame: the third difference of its upper row.
    rough: Vec<f32>,
    /// Working memory.
    sorted: Vec<f32>,
    min_deviation: f32,
}

impl NoiseModel {
    /// A model for frames of `height` x `width` pixels.
    pub fn new(height: usize, width: usize) -> Self {
        NoiseModel {
            size: [height, width],
            current: Vec::new(),
            inferred: Vec::new(),
            rough: Vec::new(),
            sorted: Vec::new(),
            min_deviation: 0.0,
        }
    }

    /// Number of rows and columns of squares.
    fn squares(&self) -> [usize; 2] {
        self.size.map(|pixels| pixels.div_ceil(SQUARE))
    }

    /// Measures the current frame.
    pub fn measure(&mut self, frame: &Frame, channels: Channels, scaling: Scaling) {
        let [height, width] = self.size;
        let [rows, columns] = self.squares();
        let count = channel_count(frame, channels) * rows * columns;
        if self.current.len() != count {
            self.current.resize(count, 0.0);
            self.inferred.resize(count, 0.0);
            self.rough.resize(count, 0.0);
            self.sorted.reserve_exact(count);
        }
        self.current.fill(0.0);
        for_each_chunk(frame, channels, |channel, y, x, codes| {
            let start = (channel * rows + y / SQUARE) * columns + x / SQUARE;
            let sums = self.current[start..].iter_mut();
            for (sum, codes) in sums.zip(codes.chunks(SQUARE)) {
                *sum += codes.iter().map(|code| f32::from(*code)).sum::<f32>();
            }
            if y % SQUARE == 0 {
                let (pieces, _) = codes.as_chunks::<SQUARE>();
                for (rough, codes) in self.rough[start..].iter_mut().zip(pieces) {
                    let [a, b, c, d] = codes.map(f32::from);
                    *rough = (a - 3.0 * b + 3.0 * c - d).abs();
                }
            }
        });
        let (zero, step) = code_scale(frame, channels);
        for (at, sum) in self.current.iter_mut().enumerate() {
            let pixels = part(at / columns % rows, height) * part(at % columns, width);
            *sum = scaling.apply(zero + step * f64::from(*sum / pixels)) as f32;
        }
        // The third difference of four numbers has 20 times their variance; the difference of two means of 16 has an
        // eighth of it.
        let of_means = (step * scaling.gain.abs() / (20.0_f64 * 8.0).sqrt()) as f32;
        self.rough.iter_mut().for_each(|rough| *rough *= of_means);
        self.min_deviation = (ROUNDING * step * scaling.gain.abs()) as f32;
    }

    /// Sets the blocks of `changed` that have changed by more than noise since they were inferred.
    pub fn compare(&mut self, changed: &mut Grid<bool>) {
        let ([height, width], [rows, columns]) = (self.size, self.squares());
        let (low, high) = self
            .inferred
            .iter()
            .fold((f32::MAX, f32::MIN), |(low, high), mean| {
                (low.min(*mean), high.max(*mean))
            });
        let variance = self.variance(low, high);
        changed.fill(false);
        let per_side = changed.side / SQUARE;
        let channels = self.current.len() / (rows * columns).max(1);
        for row in 0..changed.rows {
            for column in 0..changed.columns {
                let down = row * per_side..((row + 1) * per_side).min(rows);
                let across = column * per_side..((column + 1) * per_side).min(columns);
                let limit = limit(down.len() * across.len());
                let (mut sum, mut count) = (0.0, 0.0);
                for (channel, y) in (0..channels).flat_map(|c| down.clone().map(move |y| (c, y))) {
                    let line = (channel * rows + y) * columns;
                    for x in across.clone() {
                        // A square at the edge averages fewer pixels.
                        let share = part(y, height) * part(x, width) / (SQUARE * SQUARE) as f32;
                        let (now, before) = (self.current[line + x], self.inferred[line + x]);
                        sum += (now - before).powi(2) * share / variance.of(before);
                        count += 1.0;
                    }
                }
                changed.row_mut(row)[column] = sum > limit * count;
            }
        }
    }

    /// The noise of squares whose means lie between `low` and `high`: a line fitted to the variances of all brightness
    /// levels, the form of photon noise plus a camera's read noise.
    fn variance(&mut self, low: f32, high: f32) -> NoiseVariance {
        let step = (high - low).max(f32::MIN_POSITIVE) / LEVELS as f32;
        let mut fit = LineFit::default();
        for level in 0..LEVELS {
            let start = low + level as f32 * step;
            if let Some((deviation, count)) = self.deviation(start, start + step) {
                let middle = f64::from(start + step / 2.0);
                fit.add(middle, f64::from(deviation).powi(2), count as f64);
            }
        }
        let (constant, slope) = fit.line();
        NoiseVariance {
            constant,
            slope,
            min: self.min_deviation * self.min_deviation,
        }
    }

    /// The standard deviation of the noise of the squares whose means lie between `low` and `high`, and their number.
    /// `None` if there are too few.
    ///
    /// Squares that the frame's edge cuts off are left out: they average fewer pixels.
    ///
    /// There are two estimates, both medians, which ignore rare values: the difference from the inferred frame, which
    /// may include motion, and the difference from one pixel to the next, which may include texture. The smaller one
    /// is used.
    fn deviation(&mut self, low: f32, high: f32) -> Option<(f32, usize)> {
        let [rows, columns] = self.squares();
        let whole = self.size.map(|pixels| pixels / SQUARE);
        let NoiseModel {
            current,
            inferred,
            rough,
            sorted,
            ..
        } = self;
        let is_whole = |at: usize| at / columns % rows < whole[0] && at % columns < whole[1];
        let counts = |at: usize, mean: f32| (low..=high).contains(&mean) && is_whole(at);
        let differences = current.iter().zip(&*inferred).enumerate();
        let differences = differences.filter(|(at, (_, inferred))| counts(*at, **inferred));
        let in_time = median(
            sorted,
            differences.map(|(_, (current, inferred))| (current - inferred).abs()),
        )?;
        let rough = rough.iter().zip(&*inferred).enumerate();
        let rough = rough.filter(|(at, (_, inferred))| counts(*at, **inferred));
        let in_space = median(sorted, rough.map(|(_, (rough, _))| *rough))?;
        Some((in_time.min(in_space) / MEDIAN, sorted.len()))
    }

    /// Marks these rows and columns of pixels as inferred on the current frame.
    pub fn mark_inferred(&mut self, rows: &Range<usize>, columns: &Range<usize>) {
        let [height, width] = self.squares();
        let squares = |pixels: &Range<usize>| pixels.start / SQUARE..pixels.end.div_ceil(SQUARE);
        let (rows, columns) = (squares(rows), squares(columns));
        let channels = self.current.len() / (height * width).max(1);
        for line in (0..channels).flat_map(|c| rows.clone().map(move |y| c * height + y)) {
            let range = line * width + columns.start..line * width + columns.end;
            self.inferred[range.clone()].copy_from_slice(&self.current[range]);
        }
    }
}

/// How many of the `length` pixels of an axis lie in the square at this place.
fn part(at: usize, length: usize) -> f32 {
    SQUARE.min(length - at * SQUARE) as f32
}

/// The median of at least [`MIN_SQUARES`] values, which are left in `space`.
fn median(space: &mut Vec<f32>, values: impl Iterator<Item = f32>) -> Option<f32> {
    space.clear();
    space.extend(values);
    if space.len() < MIN_SQUARES {
        return None;
    }
    let middle = space.len() / 2;
    let (_, median, _) = space.select_nth_unstable_by(middle, f32::total_cmp);
    Some(*median)
}

/// The variance of noise as a function of brightness.
struct NoiseVariance {
    constant: f32,
    slope: f32,
    min: f32,
}

impl NoiseVariance {
    /// The variance for a square of this brightness; never 0.
    fn of(&self, mean: f32) -> f32 {
        let variance = self.constant + self.slope * mean;
        variance.max(self.min).max(f32::MIN_POSITIVE)
    }
}

/// Weighted least-squares fit of a line.
#[derive(Default)]
struct LineFit {
    count: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

impl LineFit {
    fn add(&mut self, x: f64, y: f64, count: f64) {
        self.count += count;
        self.x += count * x;
        self.y += count * y;
        self.xx += count * x * x;
        self.xy += count * x * y;
    }

    /// The value at 0, and the slope, which is never negative.
    fn line(&self) -> (f32, f32) {
        if self.count == 0.0 {
            return (0.0, 0.0);
        }
        let (x, y) = (self.x / self.count, self.y / self.count);
        let spread = self.xx / self.count - x * x;
        let slope = if spread > 0.0 {
            ((self.xy / self.count - x * y) / spread).max(0.0)
        } else {
            0.0
        };
        ((y - slope * x) as f32, slope as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Format, Plane, YuvCoding};

    /// Pseudo-random numbers with an approximately normal distribution.
    fn normal(state: &mut u32) -> f64 {
        let mut uniform = || {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(*state >> 8) / f64::from(1 << 24)
        };
        (0..12).map(|_| uniform()).sum::<f64>() - 6.0
    }

    /// A picture that gets brighter to the right, with photon noise, and its middle `lifted`.
    fn picture(state: &mut u32, side: usize, lifted: f64) -> Vec<u8> {
        let pixels = (0..side * side).map(|at| {
            let (y, x) = (at / side, at % side);
            let middle = (60..68).contains(&x) && (60..68).contains(&y);
            let value = 20.0 + x as f64 + if middle { lifted } else { 0.0 };
            let noisy = value + normal(state) * (value / 4.0).sqrt();
            noisy.round().clamp(0.0, 255.0) as u8
        });
        pixels.collect()
    }

    fn measure(noise: &mut NoiseModel, picture: &[u8], (channels, scaling): (Channels, Scaling)) {
        let [_, side] = noise.size;
        let plane = Plane {
            data: picture,
            stride: side,
        };
        let frame = Frame::new(Format::Gray8, side, side, &[plane], YuvCoding::default());
        noise.measure(&frame.unwrap(), channels, scaling);
    }

    /// Also for a network that sees three colours of a grey picture, and where the edge of the frame cuts blocks and
    /// squares off.
    #[test]
    fn noise_is_not_change_at_any_brightness() {
        let sides = [128, 129, 130, 135];
        let kinds = sides.map(|side| (Channels::Gray, side));
        for (channels, side) in kinds.into_iter().chain([(Channels::Rgb, 128)]) {
            let how = (channels, Scaling::IDENTITY);
            let mut state = 1;
            let mut noise = NoiseModel::new(side, side);
            let mut changed = Grid::new(side, side, 16, false);
            measure(&mut noise, &picture(&mut state, side, 0.0), how);
            noise.mark_inferred(&(0..side), &(0..side));
            let mut false_alarms = 0;
            for _ in 0..50 {
                measure(&mut noise, &picture(&mut state, side, 0.0), how);
                noise.compare(&mut changed);
                false_alarms += changed.iter().filter(|changed| **changed).count();
            }
            assert!(false_alarms <= 1, "{false_alarms} with a side of {side}");
            measure(&mut noise, &picture(&mut state, side, 16.0), how);
            noise.compare(&mut changed);
            // Four blocks overlap the middle.
            let blocks = changed.iter().filter(|changed| **changed).count();
            assert_eq!(blocks, 4, "{channels:?}, {side}");
            assert!(changed.any_within(&(60..68), &(60..68)));
        }
    }

    #[test]
    fn a_flickering_lamp_changes_nothing() {
        let mut state = 1;
        let mut noise = NoiseModel::new(128, 128);
        let mut changed = Grid::new(128, 128, 16, false);
        let still = picture(&mut state, 128, 0.0);
        let scaling = |gain: f64| Scaling {
            center: 80.0 * gain,
            gain: 1.0 / gain,
        };
        measure(&mut noise, &still, (Channels::Gray, scaling(1.0)));
        noise.mark_inferred(&(0..128), &(0..128));
        let bright: Vec<u8> = still
            .iter()
            .map(|value| (f64::from(*value) * 1.2) as u8)
            .collect();
        measure(&mut noise, &bright, (Channels::Gray, scaling(1.2)));
        noise.compare(&mut changed);
        assert!(!changed.iter().any(|changed| *changed));
    }
}
