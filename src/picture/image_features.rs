//! A few numbers that describe a picture, to detect pictures unlike those that a model was trained on.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::codes;
use super::frame::Frame;
use super::normalize::Scaling;
use crate::contract::Channels;

/// Most rows of a picture that are measured: they give the same result as all of them, in less time.
const ROWS: usize = 64;

/// Pictures with fewer pixels on a side are not measured: so few values mean nothing.
const MIN_SIDE: usize = 32;

/// A feature that pictures are compared by. All are computed from the network's input, after normalization,
/// so that with z-score the unit is a standard deviation of the picture, and exposure or bit depth make no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageFeature {
    /// The first percentile of the pixels.
    Dark,
    /// The median.
    Middle,
    /// The 99th percentile.
    Bright,
    /// Root mean square difference of neighbouring pixels: noise, and sharpness of the focus.
    Fine,
    /// The same for pixels eight apart: size of the structures.
    Coarse,
}

impl ImageFeature {
    /// All features.
    pub const ALL: [ImageFeature; 5] = [
        ImageFeature::Dark,
        ImageFeature::Middle,
        ImageFeature::Bright,
        ImageFeature::Fine,
        ImageFeature::Coarse,
    ];

    /// Its name in files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            ImageFeature::Dark => "dark",
            ImageFeature::Middle => "middle",
            ImageFeature::Bright => "bright",
            ImageFeature::Fine => "fine",
            ImageFeature::Coarse => "coarse",
        }
    }
}

/// For people.
impl fmt::Display for ImageFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ImageFeature::Dark => "dark parts",
            ImageFeature::Middle => "median",
            ImageFeature::Bright => "bright parts",
            ImageFeature::Fine => "fine detail",
            ImageFeature::Coarse => "coarse detail",
        })
    }
}

/// The features of a picture, in the order of [`ImageFeature::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ImageFeatures([f32; ImageFeature::ALL.len()]);

impl ImageFeatures {
    /// The value of a feature.
    pub fn get(&self, feature: ImageFeature) -> f32 {
        self.0[feature as usize]
    }
}

/// Measures the features of pictures. Keeps its working memory: only the first picture of a size allocates.
#[derive(Clone, Debug, Default)]
pub struct FeatureExtractor {
    codes: Vec<u16>,
    values: Vec<f32>,
}

impl FeatureExtractor {
    /// The features of a frame as a network of `channels` sees it after `scaling`; `None` for a frame with fewer
    /// than 32 pixels on a side.
    pub fn of_frame(
        &mut self,
        frame: &Frame,
        channels: Channels,
        scaling: Scaling,
    ) -> Option<ImageFeatures> {
        let (height, width) = (frame.height(), frame.width());
        self.codes.resize(width, 0);
        self.values.clear();
        for channel in codes::channels(frame, channels) {
            let (zero, step) = codes::scale(frame, *channel);
            let value = |code: &u16| scaling.apply(zero + f64::from(*code) * step) as f32;
            for y in rows(height) {
                codes::read(frame, *channel, y, 0, &mut self.codes);
                self.values.extend(self.codes.iter().map(value));
            }
        }
        self.measure(height, width)
    }

    /// The features of a picture whose channels, in rows of `width` pixels, are the network's input.
    pub fn of_planes<'a>(
        &mut self,
        planes: impl IntoIterator<Item = &'a [f32]>,
        width: usize,
    ) -> Option<ImageFeatures> {
        self.values.clear();
        let mut height = 0;
        for plane in planes {
            height = plane.len() / width.max(1);
            for y in rows(height) {
                self.values.extend(&plane[y * width..][..width]);
            }
        }
        self.measure(height, width)
    }

    fn measure(&mut self, height: usize, width: usize) -> Option<ImageFeatures> {
        if height.min(width) < MIN_SIDE {
            return None;
        }
        // Before the values are sorted.
        let [fine, coarse] = [1, 8].map(|apart| difference(&self.values, width, apart));
        let last = self.values.len() - 1;
        let place = |share: f64| (share * last as f64).round() as usize;
        let (low, middle, high) = (place(0.01), place(0.5), place(0.99));
        let (below, bright, _) = select(&mut self.values, high);
        let (below, median, _) = select(below, middle.min(below.len() - 1));
        let (_, dark, _) = select(below, low.min(below.len() - 1));
        Some(ImageFeatures([dark, median, bright, fine, coarse]))
    }
}

/// The rows that are measured, spread evenly.
fn rows(height: usize) -> impl Iterator<Item = usize> {
    let count = ROWS.min(height);
    (0..count).map(move |row| (2 * row + 1) * height / (2 * count))
}

/// Root mean square difference of values `apart` places from each other in a row.
fn difference(values: &[f32], width: usize, apart: usize) -> f32 {
    let (mut sum, mut count) = (0.0, 0_usize);
    for row in values.chunks_exact(width) {
        let pairs = row.iter().zip(&row[apart..]);
        // Single precision suffices for a row, and vectorizes.
        let squares: f32 = pairs.map(|(a, b)| (a - b) * (a - b)).sum();
        sum += f64::from(squares);
        count += row.len() - apart;
    }
    (sum / count as f64).sqrt() as f32
}

/// The smaller values, the one at `place` if they were sorted, and the larger ones.
fn select(values: &mut [f32], place: usize) -> (&mut [f32], f32, &mut [f32]) {
    let (smaller, value, larger) = values.select_nth_unstable_by(place, f32::total_cmp);
    (smaller, *value, larger)
}

#[cfg(test)]
mod tests {
    use super::super::format::Format;
    use super::super::normalize::Normalizer;
    use super::super::testing::{Picture, noise};
    use super::super::yuv::YuvCoding;
    use super::*;
    use crate::contract::Normalization;

    /// Stripes of eight pixels, 0 and 100, with a bright pixel in each fiftieth column.
    fn stripes(x: usize) -> f32 {
        match (x % 50, x / 8 % 2) {
            (0, _) => 1000.0,
            (_, 0) => 0.0,
            _ => 100.0,
        }
    }

    #[test]
    fn features_match_their_definitions() {
        let (width, height) = (400, 200);
        let plane: Vec<f32> = (0..height * width).map(|at| stripes(at % width)).collect();
        let features = FeatureExtractor::default().of_planes([&plane[..]], width);
        let features = features.unwrap();
        assert_eq!(features.get(ImageFeature::Dark), 0.0);
        assert!([0.0, 100.0].contains(&features.get(ImageFeature::Middle)));
        assert_eq!(features.get(ImageFeature::Bright), 1000.0);
        let expected = |apart: usize| {
            let squares = (0..width - apart).map(|x| (stripes(x) - stripes(x + apart)).powi(2));
            (squares.sum::<f32>() / (width - apart) as f32).sqrt()
        };
        for (feature, apart) in [(ImageFeature::Fine, 1), (ImageFeature::Coarse, 8)] {
            let (got, expected) = (features.get(feature), expected(apart));
            assert!(
                (got - expected).abs() < 1e-3 * expected,
                "{feature}: {got} {expected}"
            );
        }
    }

    #[test]
    fn a_frame_has_the_features_of_its_planes() {
        for format in [Format::Gray8, Format::Gray16Be, Format::Rgb, Format::I420] {
            let size = (150, 90);
            let picture = Picture::gray(format, size, YuvCoding::BT601, |x, y| noise(x, y) & 0xff);
            let scaling =
                Normalizer::new(Normalization::ZScore).scaling(&picture.frame(), Channels::Gray);
            let mut extractor = FeatureExtractor::default();
            let of_frame = extractor.of_frame(&picture.frame(), Channels::Gray, scaling);
            let mut plane = vec![0.0; size.0 * size.1];
            codes::for_each_chunk(&picture.frame(), Channels::Gray, |_, y, x, codes| {
                let (zero, step) = codes::code_scale(&picture.frame(), Channels::Gray);
                for (at, code) in codes.iter().enumerate() {
                    let value = zero + f64::from(*code) * step;
                    plane[y * size.0 + x + at] = scaling.apply(value) as f32;
                }
            });
            let of_plane = extractor.of_planes([&plane[..]], size.0);
            assert_eq!(of_frame.unwrap(), of_plane.unwrap(), "{format:?}");
        }
    }

    #[test]
    fn small_pictures_are_not_measured() {
        let plane = vec![0.0; 31 * 100];
        let mut extractor = FeatureExtractor::default();
        assert_eq!(extractor.of_planes([&plane[..]], 31), None);
        assert_eq!(extractor.of_planes([&plane[..]], 100), None);
        assert_eq!(extractor.of_planes([], 100), None);
        let picture = Picture::gray(Format::Gray8, (31, 40), YuvCoding::BT601, |_, _| 7);
        let features = extractor.of_frame(&picture.frame(), Channels::Gray, Scaling::IDENTITY);
        assert_eq!(features, None);
    }
}
