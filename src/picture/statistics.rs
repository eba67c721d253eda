//! Statistics of a whole frame.

use super::codes;
use super::frame::Frame;
use super::histogram::Histogram;
use crate::contract::Channels;

/// Statistics of the values that a network sees of a frame, over all channels together, before
/// normalization: 0..=255, or 0..=65535 for pictures of 16 bits.
///
/// Keeps its memory from frame to frame.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of the population: the sum of squares is divided by the number of values.
    pub std: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Codes, if percentiles were requested.
    histogram: Option<Histogram>,
    /// The value of code 0, and the step from one code to the next.
    scale: (f64, f64),
}

/// Exact sums over codes.
struct Sums {
    count: u64,
    sum: u64,
    /// Sum of squares; 2^32 pixels of 16 bits just fit.
    squares: u64,
    min: u16,
    max: u16,
}

impl Sums {
    const NONE: Sums = Sums {
        count: 0,
        sum: 0,
        squares: 0,
        min: u16::MAX,
        max: 0,
    };

    /// Adds at most [`CHUNK`](codes::CHUNK) codes.
    fn add(&mut self, codes: &[u16]) {
        let (mut sum, mut squares, mut min, mut max) = (0_u32, 0_u64, u16::MAX, 0);
        for code in codes {
            let wide = u32::from(*code);
            sum += wide;
            squares += u64::from(wide * wide);
            min = min.min(*code);
            max = max.max(*code);
        }
        self.count += codes.len() as u64;
        self.sum += u64::from(sum);
        self.squares += squares;
        self.min = self.min.min(min);
        self.max = self.max.max(max);
    }

    /// Mean and standard deviation.
    fn moments(&self) -> (f64, f64) {
        let [count, sum, squares] = [self.count, self.sum, self.squares].map(u128::from);
        // n * squares - sum^2 is exact in integers, and 0 for a constant picture.
        let spread = (count * squares - sum * sum) as f64;
        let count = count as f64;
        (sum as f64 / count, spread.sqrt() / count)
    }
}

impl Statistics {
    /// Measures a frame as a network of `channels` sees it. [`percentile`](Self::percentile) needs `percentiles`,
    /// which cost a histogram.
    pub fn measure(&mut self, frame: &Frame, channels: Channels, percentiles: bool) {
        let mut sums = Sums::NONE;
        let mut histogram = percentiles.then(|| self.histogram.take().unwrap_or_default());
        if let Some(histogram) = &mut histogram {
            histogram.reset(frame.format().depth());
        }
        let channels = codes::channels(frame, channels);
        for channel in channels {
            codes::for_chunks(frame, *channel, |_, _, codes| {
                sums.add(codes);
                if let Some(histogram) = &mut histogram {
                    histogram.add(codes);
                }
            });
        }
        let (mean, std) = sums.moments();
        self.scale = codes::scale(frame, channels[0]);
        let (_, step) = self.scale;
        self.mean = self.value(mean);
        self.std = std * step;
        self.min = self.value(f64::from(sums.min));
        self.max = self.value(f64::from(sums.max));
        if histogram.is_some() {
            self.histogram = histogram;
        }
    }

    /// The value below which `percent` of all lie, interpolated linearly; the smallest value if
    /// [`measure`](Self::measure) was never called with `percentiles`.
    pub fn percentile(&self, percent: f64) -> f64 {
        match &self.histogram {
            Some(histogram) => self.value(histogram.percentile(percent)),
            None => self.min,
        }
    }

    fn value(&self, code: f64) -> f64 {
        let (zero, step) = self.scale;
        zero + code * step
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::Format;
    use super::super::testing::{PACKED_FORMATS, Picture, noise, places};
    use super::super::yuv::{YuvCoding, YuvRange};
    use super::*;

    const FULL: YuvCoding = YuvCoding {
        range: YuvRange::Full,
        ..YuvCoding::BT709
    };

    /// Mean, standard deviation, minimum, maximum by their definitions.
    fn naive(values: &[f64]) -> [f64; 4] {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        [mean, variance.sqrt(), min, max]
    }

    fn measured(picture: &Picture, channels: Channels) -> [f64; 4] {
        let mut statistics = Statistics::default();
        statistics.measure(&picture.frame(), channels, false);
        [
            statistics.mean,
            statistics.std,
            statistics.min,
            statistics.max,
        ]
    }

    fn close(got: [f64; 4], expected: [f64; 4]) {
        for (got, expected) in got.into_iter().zip(expected) {
            assert!(
                (got - expected).abs() <= 1e-9 * expected.max(1.0),
                "{got} for {expected}"
            );
        }
    }

    #[test]
    fn equal_their_definitions() {
        // Wider than a chunk, and with values far from 0, where single precision would not suffice.
        let size = (700, 9);
        let value = |x, y| 60_000 + noise(x, y) % 50;
        let values: Vec<f64> = places(size).map(|(y, x)| f64::from(value(x, y))).collect();
        for format in [Format::Gray16Le, Format::Gray16Be] {
            let picture = Picture::gray(format, size, FULL, value);
            close(measured(&picture, Channels::Gray), naive(&values));
        }
    }

    #[test]
    fn a_grey_picture_is_the_same_in_all_formats() {
        let size = (37, 23);
        let value = |x, y| noise(x, y) & 0xff;
        let values: Vec<f64> = places(size).map(|(y, x)| f64::from(value(x, y))).collect();
        for format in Format::ALL {
            for channels in [Channels::Gray, Channels::Rgb] {
                let picture = Picture::gray(format, size, FULL, value);
                close(measured(&picture, channels), naive(&values));
            }
        }
    }

    #[test]
    fn limited_luma_fills_the_full_range() {
        let value = |x, _| if x == 0 { 0 } else { 255 };
        let mut picture = Picture::gray(Format::I420, (2, 1), YuvCoding::BT601, value);
        let expected = [127.5, 127.5, 0.0, 255.0];
        close(measured(&picture, Channels::Gray), expected);
        // Blacker than black and whiter than white.
        picture.bytes(0, 0)[..2].copy_from_slice(&[3, 250]);
        close(measured(&picture, Channels::Gray), expected);
    }

    #[test]
    fn colours_count_jointly_or_as_luma() {
        let size = (8, 6);
        let color = |x, y| [noise(x, y) as u8, (x * 30) as u8, (y * 40) as u8];
        let joint: Vec<f64> = places(size)
            .flat_map(|(y, x)| color(x, y).map(f64::from))
            .collect();
        let luma: Vec<f64> = places(size)
            .map(|(y, x)| {
                let [r, g, b] = color(x, y).map(f64::from);
                ((77.0 * r + 150.0 * g + 29.0 * b) / 256.0).floor()
            })
            .collect();
        for format in PACKED_FORMATS {
            let picture = Picture::color(format, size, FULL, color);
            close(measured(&picture, Channels::Rgb), naive(&joint));
            close(measured(&picture, Channels::Gray), naive(&luma));
        }
    }

    #[test]
    fn memory_is_used_again() {
        let mut statistics = Statistics::default();
        let dark = Picture::gray(Format::Gray16Le, (9, 9), FULL, |_, _| 7);
        let light = Picture::gray(Format::Gray8, (9, 9), FULL, |x, _| 200 + x as u16);
        for _ in 0..2 {
            statistics.measure(&dark.frame(), Channels::Gray, true);
            assert_eq!(statistics.percentile(99.0), 7.0);
            statistics.measure(&light.frame(), Channels::Gray, true);
            assert_eq!(statistics.percentile(0.0), 200.0);
            assert_eq!(statistics.percentile(50.0), 204.0);
        }
    }
}
