//! What a picture is like, in the few numbers by which unlike ones are told apart.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::codes;
use super::frame::Frame;
use super::normalize::Scaling;
use crate::contract::Channels;

/// Rows of a picture that are looked at, at most: they tell as much as all of them, for less time.
const ROWS: usize = 64;

/// Pictures of fewer pixels on a side are not measured: a few values say nothing.
const LEAST_SIDE: usize = 32;

/// What pictures are compared by. All are made of what the network sees, after normalizing, so that
/// with z-score the unit is a standard deviation of the picture and exposure or bits make no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trait {
    /// The value below which a hundredth of the pixels lie.
    Dark,
    /// The median.
    Middle,
    /// The value above which a hundredth of the pixels lie.
    Bright,
    /// Root mean square of the difference of neighbouring pixels: noise, and how sharp the focus is.
    Fine,
    /// The same of pixels eight apart: how large things are.
    Coarse,
}

impl Trait {
    /// Every trait.
    pub const ALL: [Trait; 5] = [
        Trait::Dark,
        Trait::Middle,
        Trait::Bright,
        Trait::Fine,
        Trait::Coarse,
    ];

    /// Its name, as files and messages have it.
    pub const fn name(self) -> &'static str {
        match self {
            Trait::Dark => "dark",
            Trait::Middle => "middle",
            Trait::Bright => "bright",
            Trait::Fine => "fine",
            Trait::Coarse => "coarse",
        }
    }
}

/// For people.
impl fmt::Display for Trait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trait::Dark => "dark parts",
            Trait::Middle => "median",
            Trait::Bright => "bright parts",
            Trait::Fine => "fine detail",
            Trait::Coarse => "coarse detail",
        })
    }
}

/// The traits of a picture, in the order of [`Trait::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traits([f32; Trait::ALL.len()]);

impl Traits {
    /// The value of one.
    pub fn get(&self, which: Trait) -> f32 {
        self.0[which as usize]
    }
}

/// Measures the traits of picture after picture. From the second one of a size on it allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    codes: Vec<u16>,
    values: Vec<f32>,
}

impl Gauge {
    /// The traits of a frame, as a network of `channels` sees it by `scaling`; none of a frame of fewer
    /// than 32 pixels on a side.
    pub fn frame(&mut self, frame: &Frame, channels: Channels, scaling: Scaling) -> Option<Traits> {
        let (height, width) = (frame.height(), frame.width());
        self.codes.resize(width, 0);
        self.values.clear();
        for channel in codes::channels(frame, channels) {
            let (zero, step) = codes::values(frame, *channel);
            let value = |code: &u16| scaling.apply(zero + f64::from(*code) * step) as f32;
            for y in rows(height) {
                codes::read(frame, *channel, y, 0, &mut self.codes);
                self.values.extend(self.codes.iter().map(value));
            }
        }
        self.measured(height, width)
    }

    /// The traits of a picture whose channels, each of `width` pixels in a row, the network sees as they are.
    pub fn planes<'a>(
        &mut self,
        planes: impl IntoIterator<Item = &'a [f32]>,
        width: usize,
    ) -> Option<Traits> {
        self.values.clear();
        let mut height = 0;
        for plane in planes {
            height = plane.len() / width.max(1);
            for y in rows(height) {
                self.values.extend(&plane[y * width..][..width]);
            }
        }
        self.measured(height, width)
    }

    fn measured(&mut self, height: usize, width: usize) -> Option<Traits> {
        if height.min(width) < LEAST_SIDE {
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
        Some(Traits([dark, median, bright, fine, coarse]))
    }
}

/// The rows that are looked at, spread evenly.
fn rows(height: usize) -> impl Iterator<Item = usize> {
    let count = ROWS.min(height);
    (0..count).map(move |row| (2 * row + 1) * height / (2 * count))
}

/// Root mean square of the differences of values `apart` places from each other in their row.
fn difference(values: &[f32], width: usize, apart: usize) -> f32 {
    let (mut sum, mut count) = (0.0, 0_usize);
    for row in values.chunks_exact(width) {
        let pairs = row.iter().zip(&row[apart..]);
        // Single precision is enough for a row, and what vectors are made of.
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
    fn traits_are_what_they_are_said_to_be() {
        let (width, height) = (400, 200);
        let plane: Vec<f32> = (0..height * width).map(|at| stripes(at % width)).collect();
        let traits = Gauge::default().planes([&plane[..]], width).unwrap();
        assert_eq!(traits.get(Trait::Dark), 0.0);
        assert!([0.0, 100.0].contains(&traits.get(Trait::Middle)));
        assert_eq!(traits.get(Trait::Bright), 1000.0);
        let expected = |apart: usize| {
            let squares = (0..width - apart).map(|x| (stripes(x) - stripes(x + apart)).powi(2));
            (squares.sum::<f32>() / (width - apart) as f32).sqrt()
        };
        for (which, apart) in [(Trait::Fine, 1), (Trait::Coarse, 8)] {
            let (got, expected) = (traits.get(which), expected(apart));
            assert!(
                (got - expected).abs() < 1e-3 * expected,
                "{which}: {got} {expected}"
            );
        }
    }

    #[test]
    fn a_frame_has_the_traits_of_the_planes_that_are_made_of_it() {
        for format in [Format::Gray8, Format::Gray16Be, Format::Rgb, Format::I420] {
            let size = (150, 90);
            let picture = Picture::gray(format, size, YuvCoding::BT601, |x, y| noise(x, y) & 0xff);
            let scaling =
                Normalizer::new(Normalization::ZScore).scaling(&picture.frame(), Channels::Gray);
            let mut gauge = Gauge::default();
            let of_frame = gauge
                .frame(&picture.frame(), Channels::Gray, scaling)
                .unwrap();
            let mut plane = vec![0.0; size.0 * size.1];
            codes::for_each_row(&picture.frame(), Channels::Gray, |_, y, x, codes| {
                let (zero, step) = codes::value_of_codes(&picture.frame(), Channels::Gray);
                for (at, code) in codes.iter().enumerate() {
                    let value = zero + f64::from(*code) * step;
                    plane[y * size.0 + x + at] = scaling.apply(value) as f32;
                }
            });
            let of_plane = gauge.planes([&plane[..]], size.0).unwrap();
            assert_eq!(of_frame, of_plane, "{format:?}");
        }
    }

    #[test]
    fn small_pictures_are_not_measured() {
        let plane = vec![0.0; 31 * 100];
        assert_eq!(Gauge::default().planes([&plane[..]], 31), None);
        assert_eq!(Gauge::default().planes([&plane[..]], 100), None);
        assert_eq!(Gauge::default().planes([], 100), None);
        let picture = Picture::gray(Format::Gray8, (31, 40), YuvCoding::BT601, |_, _| 7);
        let traits = Gauge::default().frame(&picture.frame(), Channels::Gray, Scaling::IDENTITY);
        assert_eq!(traits, None);
    }
}
