//! One tile of a frame as the network's input: read, converted, normalized and mirrored in one pass.

use super::codes::{self, CHUNK, Channel};
use super::frame::Frame;
use super::normalize::Scaling;
use crate::contract::Channels;
use crate::tiling::{Size, Span, mirror, mirrored_runs};

/// Fills `tensor`, \[channels\]\[height\]\[width\] of `outer`, with the network's input for the tile whose
/// spans are `rows` and `columns`.
///
/// # Panics
/// If `tensor` is shorter than `channels` planes of `outer`.
pub fn fill_tile_input(
    frame: &Frame,
    channels: Channels,
    scaling: Scaling,
    (rows, columns): (&Span, &Span),
    outer: Size,
    tensor: &mut [f32],
) {
    let tensor = &mut tensor[..channels.count() * outer.area()];
    let seen = codes::channels(frame, channels);
    for (channel, plane) in seen.iter().zip(tensor.chunks_exact_mut(outer.area())) {
        let scaling = CodeScaling::new(frame, *channel, scaling);
        let lines = plane.chunks_exact_mut(outer.width);
        for (y, line) in (rows.outer_start..).zip(lines) {
            let y = mirror(y, frame.height());
            fill_line(frame, *channel, scaling, y, columns.outer_start, line);
        }
    }
    let (first, others) = tensor.split_at_mut(outer.area());
    if seen.len() == 1 {
        for plane in others.chunks_exact_mut(outer.area()) {
            plane.copy_from_slice(first);
        }
    }
}

/// Fills a line of the tensor from row `y` of the frame, from column `start` on.
fn fill_line(
    frame: &Frame,
    channel: Channel,
    scaling: CodeScaling,
    y: usize,
    start: isize,
    line: &mut [f32],
) {
    let mut rest = line;
    for run in mirrored_runs(start, rest.len(), frame.width()) {
        let part;
        (part, rest) = rest.split_at_mut(run.source.len());
        let mut space = [0; CHUNK];
        for (x, values) in run.source.step_by(CHUNK).zip(part.chunks_mut(CHUNK)) {
            let codes = &mut space[..values.len()];
            codes::read(frame, channel, y, x, codes);
            scaling.apply(codes, values);
        }
        if run.reversed {
            part.reverse();
        }
    }
}

/// A [`Scaling`] of codes, in single precision.
///
/// A code c becomes (c - `center`) * `gain` + `offset`. The centre is an integer near the code that becomes
/// 0, so that the difference is exact even for camera counts far from 0.
#[derive(Clone, Copy)]
struct CodeScaling {
    center: f32,
    gain: f32,
    offset: f32,
}

impl CodeScaling {
    fn new(frame: &Frame, channel: Channel, scaling: Scaling) -> Self {
        let (zero, step) = codes::scale(frame, channel);
        let center = ((scaling.center - zero) / step)
            .round()
            .clamp(0.0, 65_535.0);
        CodeScaling {
            center: center as f32,
            gain: (step * scaling.gain) as f32,
            offset: ((zero + center * step - scaling.center) * scaling.gain) as f32,
        }
    }

    fn apply(self, codes: &[u16], values: &mut [f32]) {
        for (value, code) in values.iter_mut().zip(codes) {
            *value = (f32::from(*code) - self.center) * self.gain + self.offset;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::Format;
    use super::super::normalize::Normalizer;
    use super::super::testing::{PACKED_FORMATS, Picture, noise, places};
    use super::super::yuv::{YuvCoding, YuvRange};
    use super::*;
    use crate::contract::{Geometry, Normalization, Sizes};
    use crate::tiling::{Blend, Plan, TileSize};

    const FULL: YuvCoding = YuvCoding {
        range: YuvRange::Full,
        ..YuvCoding::BT601
    };

    fn span(outer_start: isize) -> Span {
        Span {
            outer_start,
            target: 0..1,
            source: 0,
            weights: Vec::new(),
        }
    }

    /// Fills a tile of 19 x 13 pixels whose first pixel lies at (y, x).
    fn filled(
        picture: &Picture,
        channels: Channels,
        scaling: Scaling,
        (y, x): (isize, isize),
    ) -> Vec<f32> {
        let outer = Size {
            width: 19,
            height: 13,
        };
        let mut tensor = vec![f32::NAN; channels.count() * outer.area()];
        let spans = (&span(y), &span(x));
        fill_tile_input(
            &picture.frame(),
            channels,
            scaling,
            spans,
            outer,
            &mut tensor,
        );
        tensor
    }

    #[test]
    fn a_grey_picture_is_the_same_in_all_formats_and_mirrored() {
        for size in [(1, 1), (2, 1), (1, 7), (16, 9), (300, 20)] {
            let value = |x, y| noise(x, y) & 0xff;
            for place in [(-4, -3), (0, 0), (-40, 3), (2, -37), (5, 290)] {
                let expected: Vec<f32> = places((19, 13))
                    .map(|(y, x)| {
                        let y = mirror(place.0 + y as isize, size.1);
                        let x = mirror(place.1 + x as isize, size.0);
                        (f32::from(value(x, y)) - 100.0) * 0.125
                    })
                    .collect();
                let scaling = Scaling {
                    center: 100.0,
                    gain: 0.125,
                };
                for format in Format::ALL {
                    let picture = Picture::gray(format, size, FULL, value);
                    let got = filled(&picture, Channels::Gray, scaling, place);
                    assert_eq!(got, expected, "{format:?} {size:?} at {place:?}");
                    let got = filled(&picture, Channels::Rgb, scaling, place);
                    assert_eq!(got, [&expected[..]; 3].concat(), "{format:?} in colour");
                }
            }
        }
    }

    #[test]
    fn colours_lie_in_planes() {
        let size = (19, 13);
        let color = |x, y| [noise(x, y) as u8, (x * 13) as u8, (y * 19) as u8];
        let expected: Vec<f32> = (0..3)
            .flat_map(|channel| places(size).map(move |(y, x)| f32::from(color(x, y)[channel])))
            .collect();
        for format in PACKED_FORMATS {
            let picture = Picture::color(format, size, FULL, color);
            let got = filled(&picture, Channels::Rgb, Scaling::IDENTITY, (0, 0));
            assert_eq!(got, expected, "{format:?}");
        }
        // Colours constant over the four pixels that share chroma are preserved, except for rounding.
        for format in [Format::Nv12, Format::I420] {
            for coding in [FULL, YuvCoding::BT709] {
                let color = |x: usize, y: usize| color(x / 2, y / 2);
                let picture = Picture::color(format, size, coding, color);
                let got = filled(&picture, Channels::Rgb, Scaling::IDENTITY, (0, 0));
                let expected =
                    (0..3).flat_map(|channel| places(size).map(move |(y, x)| color(x, y)[channel]));
                for (got, expected) in got.into_iter().zip(expected) {
                    assert!(
                        (got - f32::from(expected)).abs() <= 3.0,
                        "{got} for {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn limited_luma_is_the_grey_it_encodes() {
        let picture = Picture::gray(Format::Nv12, (19, 13), YuvCoding::BT709, noise_byte);
        let got = filled(&picture, Channels::Gray, Scaling::IDENTITY, (0, 0));
        for (got, (y, x)) in got.into_iter().zip(places((19, 13))) {
            let expected = f32::from(noise_byte(x, y));
            assert!((got - expected).abs() <= 0.6, "{got} for {expected}");
        }
    }

    fn noise_byte(x: usize, y: usize) -> u16 {
        noise(x, y) & 0xff
    }

    #[test]
    fn z_scores_far_from_0_are_exact() {
        // Camera counts as in real time-lapses: a small range far from 0.
        let size = (64, 48);
        let value = |x, y| 33_000 + noise(x, y) % 120;
        let picture = Picture::gray(Format::Gray16Le, size, FULL, value);
        let values: Vec<f64> = places(size).map(|(y, x)| f64::from(value(x, y))).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        let scaling =
            Normalizer::new(Normalization::ZScore).scaling(&picture.frame(), Channels::Gray);
        let got = filled(&picture, Channels::Gray, scaling, (0, 0));
        for (got, (y, x)) in got.into_iter().zip(places((19, 13))) {
            let expected = (f64::from(value(x, y)) - mean) / (std + 1e-6);
            assert!(
                (f64::from(got) - expected).abs() < 1e-6,
                "{got} for {expected}"
            );
        }
    }

    #[test]
    fn one_value_gives_finite_input() {
        for format in Format::ALL {
            let picture = Picture::gray(format, (3, 2), YuvCoding::BT601, |_, _| 255);
            let scaling =
                Normalizer::new(Normalization::ZScore).scaling(&picture.frame(), Channels::Gray);
            for value in filled(&picture, Channels::Gray, scaling, (-5, -5)) {
                assert!(value.abs() < 1e-3, "{format:?}: {value}");
            }
        }
    }

    #[test]
    fn tiles_of_a_plan_hold_their_targets() {
        let geometry = Geometry {
            margin: 2,
            halo: 2,
            edge: Geometry::EDGE,
            stride: 4,
            sizes: Sizes::Steps { min: 8, step: 4 },
        };
        let frame = Size {
            width: 33,
            height: 20,
        };
        let plan = Plan::new(frame, &geometry, Blend::Crop, TileSize::Inner(16)).unwrap();
        let picture = Picture::gray(Format::Gray16Be, (33, 20), FULL, noise);
        let mut tensor = vec![0.0; plan.outer.area()];
        for (rows, columns) in plan.tiles() {
            fill_tile_input(
                &picture.frame(),
                Channels::Gray,
                Scaling::IDENTITY,
                (rows, columns),
                plan.outer,
                &mut tensor,
            );
            let first = geometry.margin + rows.source;
            let at = first * plan.outer.width + geometry.margin + columns.source;
            let expected = noise(columns.target.start, rows.target.start);
            assert_eq!(tensor[at], f32::from(expected));
        }
    }
}
