//! Normalization: from pixel values to the numbers a network was trained on.

use super::frame::Frame;
use super::statistics::Statistics;
use crate::contract::{Channels, Normalization};

/// A value x becomes (x - `center`) * `gain`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// The value that becomes 0.
    pub center: f64,
    /// The factor.
    pub gain: f64,
}

impl Scaling {
    /// Leaves values unchanged.
    pub const IDENTITY: Scaling = Scaling {
        center: 0.0,
        gain: 1.0,
    };

    /// `mean` becomes 0, and a standard deviation of `std` becomes 1, or less if it is near 0.
    pub fn z_score(mean: f64, std: f64) -> Self {
        Scaling {
            center: mean,
            gain: 1.0 / (std + 1e-6),
        }
    }

    /// Scales a value.
    pub fn apply(self, value: f64) -> f64 {
        (value - self.center) * self.gain
    }

    /// `low` becomes 0 and `high` becomes 1; everything becomes 0 if they are equal.
    fn between(low: f64, high: f64) -> Self {
        // A larger gain would leave the range of single precision.
        const MAX_GAIN: f64 = 1e30;
        let span = high - low;
        Scaling {
            center: low,
            gain: if span > 0.0 {
                (1.0 / span).min(MAX_GAIN)
            } else {
                0.0
            },
        }
    }
}

/// The scaling that normalizes a frame with these statistics. The result is finite for every frame; one
/// with a single value becomes 0 everywhere, unless the range is fixed.
///
/// If two percentiles coincide, as they do on a dark frame with few bright spots, the smallest and the
/// largest value replace them, so that the spots are not lost.
pub fn scaling(normalization: &Normalization, statistics: &Statistics) -> Scaling {
    let Statistics {
        mean,
        std,
        min,
        max,
        ..
    } = *statistics;
    match *normalization {
        Normalization::ZScore => Scaling::z_score(mean, std),
        Normalization::Percentile { low, high } => {
            let (low, high) = (statistics.percentile(low), statistics.percentile(high));
            if high > low {
                Scaling::between(low, high)
            } else {
                Scaling::between(min, max)
            }
        }
        Normalization::MinMax => Scaling::between(min, max),
        Normalization::Fixed { low, high } => Scaling::between(low, high),
    }
}

/// Finds the scaling of each frame, measuring no more than is needed.
#[derive(Clone, Debug)]
pub struct Normalizer {
    normalization: Normalization,
    statistics: Statistics,
}

impl Normalizer {
    /// A normalizer for `normalization`.
    pub fn new(normalization: Normalization) -> Self {
        Normalizer {
            normalization,
            statistics: Statistics::default(),
        }
    }

    /// The kind of normalization.
    pub fn normalization(&self) -> Normalization {
        self.normalization
    }

    /// The scaling that normalizes the frame for a network of `channels`.
    pub fn scaling(&mut self, frame: &Frame, channels: Channels) -> Scaling {
        match self.normalization {
            Normalization::Fixed { .. } => {}
            Normalization::Percentile { .. } => self.statistics.measure(frame, channels, true),
            Normalization::ZScore | Normalization::MinMax => {
                self.statistics.measure(frame, channels, false);
            }
        }
        scaling(&self.normalization, &self.statistics)
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::Format;
    use super::super::testing::{Picture, noise, places};
    use super::super::yuv::YuvCoding;
    use super::*;

    const KINDS: [Normalization; 4] = [
        Normalization::ZScore,
        Normalization::MinMax,
        Normalization::Percentile {
            low: 1.0,
            high: 99.8,
        },
        Normalization::Fixed {
            low: 0.0,
            high: 1e-300,
        },
    ];

    #[test]
    fn frames_of_one_value_become_0_and_stay_finite() {
        for format in Format::ALL {
            for value in [0, 77, 255] {
                let picture = Picture::gray(format, (5, 3), YuvCoding::BT601, |_, _| value);
                for kind in KINDS {
                    for channels in [Channels::Gray, Channels::Rgb] {
                        let scaling = Normalizer::new(kind).scaling(&picture.frame(), channels);
                        assert!(scaling.gain.is_finite());
                        if !matches!(kind, Normalization::Fixed { .. }) {
                            // The one value is the centre, except for rounding of luma to codes.
                            assert!((scaling.center - f64::from(value)).abs() <= 0.6);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn ranges_become_0_to_1() {
        let picture = Picture::gray(Format::Gray16Le, (40, 25), YuvCoding::BT601, noise);
        let frame = picture.frame();
        let mut values: Vec<f64> = places((40, 25))
            .map(|(y, x)| f64::from(noise(x, y)))
            .collect();
        values.sort_by(f64::total_cmp);
        let between = |low, high| Scaling {
            center: low,
            gain: 1.0 / (high - low),
        };
        let got = |kind| Normalizer::new(kind).scaling(&frame, Channels::Gray);
        assert_eq!(got(Normalization::MinMax), between(values[0], values[999]));
        let percentile = |percent: f64| {
            let place = percent / 100.0 * 999.0;
            let (low, high) = (values[place as usize], values[place as usize + 1]);
            low + place.fract() * (high - low)
        };
        let (low, high) = (10.0, 90.0);
        assert_eq!(
            got(Normalization::Percentile { low, high }),
            between(percentile(low), percentile(high))
        );
        let (low, high) = (100.0, 4100.0);
        assert_eq!(got(Normalization::Fixed { low, high }), between(low, high));
    }

    #[test]
    fn bright_spots_on_a_dark_frame_are_not_lost() {
        let spot = |x, _| if x == 3 { 4000 } else { 100 };
        let picture = Picture::gray(Format::Gray16Be, (1000, 1), YuvCoding::BT601, spot);
        let kind = Normalization::Percentile {
            low: 1.0,
            high: 99.0,
        };
        let scaling = Normalizer::new(kind).scaling(&picture.frame(), Channels::Gray);
        assert_eq!(scaling, Scaling::between(100.0, 4000.0));
    }
}
