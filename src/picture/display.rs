//! Display range: the camera counts shown as black and as white.

use std::fmt;
use std::str::FromStr;

use super::codes::{self, CHUNK, Channel};
use super::frame::Frame;
use super::histogram::Histogram;

/// The range of values in which a grey picture of more than 8 bits is displayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DisplayRange {
    /// The range of nearly all pixels of the last frames.
    #[default]
    Auto,
    /// These camera counts become black and white.
    Fixed {
        /// This and lower counts become black.
        low: u16,
        /// This and higher counts become white; more than `low`.
        high: u16,
    },
}

/// A text is not a [`DisplayRange`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a display range: give \"auto\" or two counts from 0 to 65535, the lower one first, such as \
     \"100,4095\""
)]
pub struct DisplayRangeError(String);

impl FromStr for DisplayRange {
    type Err = DisplayRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "auto" {
            return Ok(DisplayRange::Auto);
        }
        let count = |text: &str| text.trim().parse::<u16>().ok();
        text.split_once(',')
            .and_then(|(low, high)| Some((count(low)?, count(high)?)))
            .filter(|(low, high)| low < high)
            .map(|(low, high)| DisplayRange::Fixed { low, high })
            .ok_or_else(|| DisplayRangeError(text.to_owned()))
    }
}

impl fmt::Display for DisplayRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DisplayRange::Auto => write!(f, "auto"),
            DisplayRange::Fixed { low, high } => write!(f, "{low},{high}"),
        }
    }
}

/// Maps grey values to 8 bits, linearly between two limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    low: u16,
    high: u16,
    /// Change of the output for a step of one.
    gain: f32,
}

impl Levels {
    /// Leaves 8 bits unchanged.
    pub const IDENTITY: Levels = Levels {
        low: 0,
        high: 255,
        gain: 1.0,
    };

    /// `low` becomes 0 and `high` 255; a range of less than one count is widened to one.
    pub fn new(low: u16, high: u16) -> Self {
        let low = low.min(u16::MAX - 1);
        let high = high.max(low + 1);
        Levels {
            low,
            high,
            gain: 255.0 / f32::from(high - low),
        }
    }

    /// The 8 bits of a grey value.
    pub(super) fn apply(self, code: u16) -> u8 {
        // Adding 2^23 rounds to an integer, which then lies in the lowest bits. Unlike a conversion
        // the compiler can do this to several pixels at once.
        const ROUND: f32 = 8_388_608.0;
        let above = f32::from(code.clamp(self.low, self.high) - self.low);
        (above * self.gain + ROUND).to_bits() as u8
    }
}

/// Finds the levels of each frame.
///
/// Automatic levels are two percentiles of each frame, smoothed over time, so that neither hot pixels nor
/// noise make the picture flicker. Smoothing starts again with a frame whose range doesn't overlap the
/// previous levels, as after a change of exposure.
#[derive(Clone, Debug)]
pub struct LevelTracker {
    range: DisplayRange,
    histogram: Histogram,
    smoothed: Option<(f64, f64)>,
}

impl LevelTracker {
    /// Percentile that becomes black.
    const LOW: f64 = 0.5;
    /// Percentile that becomes white.
    const HIGH: f64 = 99.8;
    /// Weight of the new frame in the smoothed levels: after ten frames two thirds of a change are visible.
    const SHARE: f64 = 0.1;
    /// Approximate number of pixels used for the percentiles.
    const SAMPLES: usize = 1 << 16;
    /// Fewest rows used for them.
    const ROWS: usize = 64;

    /// A tracker for the range set by the user.
    pub fn new(range: DisplayRange) -> Self {
        LevelTracker {
            range,
            histogram: Histogram::default(),
            smoothed: None,
        }
    }

    /// The range set by the user.
    pub fn range(&self) -> DisplayRange {
        self.range
    }

    /// The levels for displaying a frame. Pictures of 8 bits, and colour pictures, are displayed unchanged.
    pub fn levels(&mut self, frame: &Frame) -> Levels {
        if frame.format().depth() == 8 {
            return Levels::IDENTITY;
        }
        match self.range {
            DisplayRange::Fixed { low, high } => Levels::new(low, high),
            DisplayRange::Auto => {
                let (low, high) = self.smooth(frame);
                Levels::new(low.round() as u16, high.round() as u16)
            }
        }
    }

    fn smooth(&mut self, frame: &Frame) -> (f64, f64) {
        let (low, high) = self.percentiles(frame);
        let smoothed = match self.smoothed {
            Some((old_low, old_high)) if low <= old_high && high >= old_low => (
                old_low + (low - old_low) * Self::SHARE,
                old_high + (high - old_high) * Self::SHARE,
            ),
            _ => (low, high),
        };
        self.smoothed = Some(smoothed);
        smoothed
    }

    /// Measured on rows spread evenly over the frame.
    fn percentiles(&mut self, frame: &Frame) -> (f64, f64) {
        let (width, height) = (frame.width(), frame.height());
        let rows = (Self::SAMPLES / width).max(Self::ROWS);
        let mut space = [0; CHUNK];
        self.histogram.reset(frame.format().depth());
        for y in (0..height).step_by(height.div_ceil(rows)) {
            for x in (0..width).step_by(CHUNK) {
                let codes = &mut space[..CHUNK.min(width - x)];
                codes::read(frame, Channel::Luma, y, x, codes);
                self.histogram.add(codes);
            }
        }
        let percentile = |percent| self.histogram.percentile(percent);
        (percentile(Self::LOW), percentile(Self::HIGH))
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::Format;
    use super::super::testing::Picture;
    use super::super::yuv::YuvCoding;
    use super::*;

    #[test]
    fn text_comes_back() {
        for text in ["auto", "0,4095", "32978,36863"] {
            assert_eq!(text.parse::<DisplayRange>().unwrap().to_string(), text);
        }
        assert_eq!(
            " 1 , 2 ".parse(),
            Ok(DisplayRange::Fixed { low: 1, high: 2 })
        );
        for wrong in ["", "Auto", "5", "5,5", "9,2", "-1,5", "0,65536", "1,2,3"] {
            let error = wrong.parse::<DisplayRange>().unwrap_err();
            assert!(error.to_string().contains(&format!("\"{wrong}\"")));
        }
    }

    #[test]
    fn levels_end_at_black_and_white() {
        let levels = Levels::new(100, 4195);
        let shown = [0, 100, 2148, 4195, 65_535].map(|code| levels.apply(code));
        assert_eq!(shown, [0, 0, 128, 255, 255]);
        for span in 1..=65_535 {
            assert_eq!(Levels::new(0, span).apply(span), 255, "{span}");
        }
        assert_eq!(Levels::new(7, 7).apply(8), 255);
        assert_eq!(Levels::new(65_535, 65_535).apply(65_535), 255);
        for code in 0..=255 {
            assert_eq!(u16::from(Levels::IDENTITY.apply(code)), code);
        }
    }

    /// A frame of the values from `first` on, one a column.
    fn ramp(first: u16) -> Picture {
        let value = |x, _| first + x as u16;
        Picture::gray(Format::Gray16Le, (1001, 3), YuvCoding::BT601, value)
    }

    #[test]
    fn automatic_levels_follow_slowly_and_jump_if_ranges_do_not_overlap() {
        let mut tracker = LevelTracker::new(DisplayRange::Auto);
        let mut levels = |first| {
            let Levels { low, high, .. } = tracker.levels(&ramp(first).frame());
            (low, high)
        };
        assert_eq!(levels(1000), (1005, 1998));
        assert_eq!(levels(1000), (1005, 1998));
        assert_eq!(levels(1100), (1015, 2008));
        assert_eq!(levels(1100), (1024, 2017));
        assert_eq!(levels(9000), (9005, 9998));
    }

    #[test]
    fn a_hot_pixel_does_not_darken_the_picture() {
        let value = |x, y| {
            if (x, y) == (5, 1) {
                65_535
            } else {
                1000 + x as u16
            }
        };
        let picture = Picture::gray(Format::Gray16Be, (1001, 3), YuvCoding::BT601, value);
        let levels = LevelTracker::new(DisplayRange::Auto).levels(&picture.frame());
        assert!(levels.high < 2001);
    }

    #[test]
    fn the_range_is_for_more_than_8_bits() {
        let fixed = DisplayRange::Fixed { low: 10, high: 20 };
        let picture = Picture::gray(Format::Gray8, (2, 2), YuvCoding::BT601, |_, _| 15);
        let levels = LevelTracker::new(fixed).levels(&picture.frame());
        assert_eq!(levels, Levels::IDENTITY);
        let levels = LevelTracker::new(fixed).levels(&ramp(0).frame());
        assert_eq!(levels, Levels::new(10, 20));
    }
}
