//! Which blocks of a frame differ from the one that was answered by more than noise.

use std::ops::Range;

use super::grid::Grid;
use crate::contract::Channels;
use crate::picture::{Frame, Scaling, for_each_row, seen_channels, value_of_codes};

/// Side of the squares whose means are compared, in pixels: large enough to average noise, small enough to
/// see texture move.
const SQUARE: usize = 4;

/// Intervals of brightness in which noise is looked at: that of light grows with it.
const LEVELS: usize = 16;

/// Squares by which the noise of a level is known.
const ENOUGH: usize = 64;

/// What the mean square of a block's differences has to be, in units of the noise. That of 16 squares of
/// normal noise has a mean of 1 and exceeds 4 once in half a million times.
const LIMIT: f32 = 4.0;

/// Least noise, as a part of one step of the pixels' codes: means of 16 pixels that are rounded to whole
/// codes differ by so much between frames.
const ROUNDING: f64 = 0.1;

/// Median of the absolute value of normal noise, in units of its standard deviation.
const MEDIAN: f32 = 0.6745;

/// The means of all squares, in units of the network's input, so that a lamp that flickers changes nothing
/// where the network doesn't see it.
pub struct Noise {
    /// Rows and columns of the frame.
    size: [usize; 2],
    /// Of the frame at hand, \[channels\]\[rows\]\[columns\] of squares.
    now: Vec<f32>,
    /// Of what was answered last.
    answered: Vec<f32>,
    /// How rough each square is in the frame at hand: the third difference of its upper row.
    rough: Vec<f32>,
    /// Working space.
    sorted: Vec<f32>,
    least: f32,
}

impl Noise {
    /// For frames of `height` x `width` pixels.
    pub fn new(height: usize, width: usize) -> Self {
        Noise {
            size: [height, width],
            now: Vec::new(),
            answered: Vec::new(),
            rough: Vec::new(),
            sorted: Vec::new(),
            least: 0.0,
        }
    }

    /// Rows and columns of squares.
    fn squares(&self) -> [usize; 2] {
        self.size.map(|pixels| pixels.div_ceil(SQUARE))
    }

    /// Takes in the frame at hand.
    pub fn measure(&mut self, frame: &Frame, channels: Channels, scaling: Scaling) {
        let [height, width] = self.size;
        let [rows, columns] = self.squares();
        let count = seen_channels(frame, channels) * rows * columns;
        if self.now.len() != count {
            self.now.resize(count, 0.0);
            self.answered.resize(count, 0.0);
            self.rough.resize(count, 0.0);
            self.sorted.reserve_exact(count);
        }
        self.now.fill(0.0);
        for_each_row(frame, channels, |channel, y, x, codes| {
            let start = (channel * rows + y / SQUARE) * columns + x / SQUARE;
            let sums = self.now[start..].iter_mut();
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
        let (zero, step) = value_of_codes(frame, channels);
        let part = |at: usize, length: usize| SQUARE.min(length - at * SQUARE) as f32;
        for (at, sum) in self.now.iter_mut().enumerate() {
            let pixels = part(at / columns % rows, height) * part(at % columns, width);
            *sum = scaling.apply(zero + step * f64::from(*sum / pixels)) as f32;
        }
        // The third difference of four numbers has 20 times their variance; the difference of two means of
        // 16 has an eighth of it.
        let of_means = (step * scaling.gain.abs() / (20.0_f64 * 8.0).sqrt()) as f32;
        self.rough.iter_mut().for_each(|rough| *rough *= of_means);
        self.least = (ROUNDING * step * scaling.gain.abs()) as f32;
    }

    /// Sets the blocks of `changed` that differ from what was answered by more than noise.
    pub fn compare(&mut self, changed: &mut Grid<bool>) {
        let [rows, columns] = self.squares();
        let (low, high) = self
            .answered
            .iter()
            .fold((f32::MAX, f32::MIN), |(low, high), mean| {
                (low.min(*mean), high.max(*mean))
            });
        let variance = self.variance(low, high);
        changed.fill(false);
        let per_side = changed.side / SQUARE;
        let channels = self.now.len() / (rows * columns).max(1);
        for row in 0..changed.rows {
            for column in 0..changed.columns {
                let (mut sum, mut count) = (0.0, 0.0);
                let down = row * per_side..((row + 1) * per_side).min(rows);
                let across = column * per_side..((column + 1) * per_side).min(columns);
                for line in (0..channels).flat_map(|c| down.clone().map(move |y| c * rows + y)) {
                    for at in line * columns + across.start..line * columns + across.end {
                        let difference = self.now[at] - self.answered[at];
                        sum += difference * difference / variance.of(self.answered[at]);
                        count += 1.0;
                    }
                }
                changed.row_mut(row)[column] = sum > LIMIT * count;
            }
        }
    }

    /// The noise of squares whose means lie between `low` and `high`: the line through the variances of all
    /// levels of brightness, as light and the read-out of a camera have it.
    fn variance(&mut self, low: f32, high: f32) -> Variance {
        let step = (high - low).max(f32::MIN_POSITIVE) / LEVELS as f32;
        let mut fit = Fit::default();
        for level in 0..LEVELS {
            let start = low + level as f32 * step;
            if let Some((deviation, count)) = self.deviation(start, start + step) {
                let middle = f64::from(start + step / 2.0);
                fit.add(middle, f64::from(deviation).powi(2), count as f64);
            }
        }
        let (constant, slope) = fit.line();
        Variance {
            constant,
            slope,
            least: self.least * self.least,
        }
    }

    /// The standard deviation of the noise of the squares whose means lie between `low` and `high`, and how
    /// many they are. `None` where they are few.
    ///
    /// Two things look like it, both by the median, which does not notice what is rare: what differs from what
    /// was answered, which may be motion, and what differs from one pixel to the next, which may be texture.
    /// The smaller one is taken.
    fn deviation(&mut self, low: f32, high: f32) -> Option<(f32, usize)> {
        let Noise {
            now,
            answered,
            rough,
            sorted,
            ..
        } = self;
        let is_of_level = |answered: f32| (low..=high).contains(&answered);
        let differences = now.iter().zip(&*answered);
        let differences = differences.filter(|(_, answered)| is_of_level(**answered));
        let in_time = median(
            sorted,
            differences.map(|(now, answered)| (now - answered).abs()),
        )?;
        let rough = rough.iter().zip(&*answered);
        let rough = rough.filter(|(_, answered)| is_of_level(**answered));
        let in_space = median(sorted, rough.map(|(rough, _)| *rough))?;
        Some((in_time.min(in_space) / MEDIAN, sorted.len()))
    }

    /// What lies in these rows and columns of pixels is answered as it is in the frame at hand.
    pub fn answered(&mut self, rows: &Range<usize>, columns: &Range<usize>) {
        let [height, width] = self.squares();
        let squares = |pixels: &Range<usize>| pixels.start / SQUARE..pixels.end.div_ceil(SQUARE);
        let (rows, columns) = (squares(rows), squares(columns));
        let channels = self.now.len() / (height * width).max(1);
        for line in (0..channels).flat_map(|c| rows.clone().map(move |y| c * height + y)) {
            let range = line * width + columns.start..line * width + columns.end;
            self.answered[range.clone()].copy_from_slice(&self.now[range]);
        }
    }
}

/// The median of at least [`ENOUGH`] values, which are left in `space`.
fn median(space: &mut Vec<f32>, values: impl Iterator<Item = f32>) -> Option<f32> {
    space.clear();
    space.extend(values);
    if space.len() < ENOUGH {
        return None;
    }
    let middle = space.len() / 2;
    let (_, median, _) = space.select_nth_unstable_by(middle, f32::total_cmp);
    Some(*median)
}

/// The variance of noise, which grows with brightness.
struct Variance {
    constant: f32,
    slope: f32,
    least: f32,
}

impl Variance {
    /// That of a square of this brightness; never 0.
    fn of(&self, mean: f32) -> f32 {
        let variance = self.constant + self.slope * mean;
        variance.max(self.least).max(f32::MIN_POSITIVE)
    }
}

/// A line through weighted points, by least squares.
#[derive(Default)]
struct Fit {
    count: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

impl Fit {
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
        let slope = match spread > 0.0 {
            true => ((self.xy / self.count - x * y) / spread).max(0.0),
            false => 0.0,
        };
        ((y - slope * x) as f32, slope as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Format, Plane, YuvCoding};

    const SIDE: usize = 128;

    /// Numbers that look random, and have a normal distribution or nearly so.
    fn normal(state: &mut u32) -> f64 {
        let mut uniform = || {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(*state >> 8) / f64::from(1 << 24)
        };
        (0..12).map(|_| uniform()).sum::<f64>() - 6.0
    }

    /// A picture that grows brighter to the right, with the noise of light, and its middle `lifted`.
    fn picture(state: &mut u32, lifted: f64) -> Vec<u8> {
        let pixels = (0..SIDE * SIDE).map(|at| {
            let (y, x) = (at / SIDE, at % SIDE);
            let middle = (60..68).contains(&x) && (60..68).contains(&y);
            let value = 20.0 + x as f64 + if middle { lifted } else { 0.0 };
            let noisy = value + normal(state) * (value / 4.0).sqrt();
            noisy.round().clamp(0.0, 255.0) as u8
        });
        pixels.collect()
    }

    fn measure(noise: &mut Noise, picture: &[u8], (channels, scaling): (Channels, Scaling)) {
        let plane = Plane {
            data: picture,
            stride: SIDE,
        };
        let frame = Frame::new(Format::Gray8, SIDE, SIDE, &[plane], YuvCoding::default());
        noise.measure(&frame.unwrap(), channels, scaling);
    }

    /// Also where the network sees three colours of a grey picture.
    #[test]
    fn noise_is_told_from_change_at_every_brightness() {
        for channels in [Channels::Gray, Channels::Rgb] {
            let how = (channels, Scaling::IDENTITY);
            let mut state = 1;
            let mut noise = Noise::new(SIDE, SIDE);
            let mut changed = Grid::new(SIDE, SIDE, 16, false);
            measure(&mut noise, &picture(&mut state, 0.0), how);
            noise.answered(&(0..SIDE), &(0..SIDE));
            let mut false_alarms = 0;
            for _ in 0..50 {
                measure(&mut noise, &picture(&mut state, 0.0), how);
                noise.compare(&mut changed);
                false_alarms += changed.iter().filter(|changed| **changed).count();
            }
            assert!(false_alarms <= 1, "{false_alarms} of {}", 50 * 64);
            measure(&mut noise, &picture(&mut state, 16.0), how);
            noise.compare(&mut changed);
            // Four blocks have a part of the middle.
            let blocks = changed.iter().filter(|changed| **changed).count();
            assert_eq!(blocks, 4, "{channels:?}");
            assert!(changed.any_within(&(60..68), &(60..68)));
        }
    }

    #[test]
    fn a_lamp_that_flickers_changes_nothing() {
        let mut state = 1;
        let mut noise = Noise::new(SIDE, SIDE);
        let mut changed = Grid::new(SIDE, SIDE, 16, false);
        let still = picture(&mut state, 0.0);
        let scaling = |gain: f64| Scaling {
            center: 80.0 * gain,
            gain: 1.0 / gain,
        };
        measure(&mut noise, &still, (Channels::Gray, scaling(1.0)));
        noise.answered(&(0..SIDE), &(0..SIDE));
        let bright: Vec<u8> = still
            .iter()
            .map(|value| (f64::from(*value) * 1.2) as u8)
            .collect();
        measure(&mut noise, &bright, (Channels::Gray, scaling(1.2)));
        noise.compare(&mut changed);
        assert!(!changed.iter().any(|changed| *changed));
    }
}
