//! Planes as coloured pictures, side by side.

use image::{Rgb, RgbImage};

use super::digits;
use crate::train::plane::Plane;

/// Colour of ignored pixels.
pub const GREY: [u8; 3] = [128; 3];
/// Colour between pictures.
const WHITE: [u8; 3] = [255; 3];
const BLACK: [u8; 3] = [0; 3];
/// Pixels between pictures.
const GAP: usize = 4;

/// Pictures side by side on white.
pub struct Canvas(Vec<Plane<[u8; 3]>>);

impl Canvas {
    /// A canvas with these pictures, from left to right.
    pub fn new(pictures: impl IntoIterator<Item = Plane<[u8; 3]>>) -> Self {
        Canvas(pictures.into_iter().collect())
    }

    /// The whole canvas as an image.
    pub fn image(&self) -> RgbImage {
        let height = self.0.iter().map(|picture| picture.height).max();
        let width: usize = self.0.iter().map(|picture| picture.width + GAP).sum();
        let size = (width.saturating_sub(GAP) as u32, height.unwrap_or(0) as u32);
        let mut image = RgbImage::from_pixel(size.0, size.1, Rgb(WHITE));
        let mut left = 0;
        for picture in &self.0 {
            for (row, line) in (0..).zip(picture.rows()) {
                for (column, color) in (left..).zip(line) {
                    image.put_pixel(column, row, Rgb(*color));
                }
            }
            left += (picture.width + GAP) as u32;
        }
        image
    }
}

/// The values that become black and white.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brightness {
    low: f32,
    high: f32,
}

impl Brightness {
    /// The range of these planes, without a thousandth of the pixels at each end.
    pub fn of<'a>(planes: impl IntoIterator<Item = &'a Plane<f32>>) -> Self {
        let mut values: Vec<f32> = planes.into_iter().flat_map(|p| p.data.clone()).collect();
        let excluded = values.len() / 1000;
        let last = values.len().saturating_sub(1);
        let mut at = |index: usize| {
            if values.is_empty() {
                0.0
            } else {
                *values.select_nth_unstable_by(index, f32::total_cmp).1
            }
        };
        Brightness {
            low: at(excluded),
            high: at(last - excluded),
        }
    }

    /// A picture of one grey plane, or of three planes of red, green and blue.
    pub fn draw(&self, channels: &[Plane<f32>]) -> Plane<[u8; 3]> {
        let span = (self.high - self.low).max(f32::MIN_POSITIVE);
        let byte = |value: f32| ((value - self.low) / span * 255.0).round() as u8;
        match channels {
            [red, green, blue] => Plane {
                height: red.height,
                width: red.width,
                data: (0..red.data.len())
                    .map(|at| [red, green, blue].map(|channel| byte(channel.data[at])))
                    .collect(),
            },
            channels => channels[0].map(|value| [byte(value); 3]),
        }
    }
}

/// A perceptually ordered colour for weights from 0 (black) to `most` (pale yellow).
pub fn weight_color(weight: f32, most: f32) -> [u8; 3] {
    let share = f64::from(weight / most.max(f32::MIN_POSITIVE));
    colorous::INFERNO
        .eval_continuous(share.clamp(0.0, 1.0))
        .as_array()
}

/// A colour bar for weights from `most` at the top to 0 at the bottom, at least `height` pixels high, with numbers.
pub fn scale(most: f32, height: usize) -> Plane<[u8; 3]> {
    /// Width of the bar, size of a pixel of a digit, and total width.
    const BAR: usize = 12;
    const ZOOM: usize = 2;
    const WIDTH: usize = BAR + GAP + 6 * 4 * ZOOM;
    let text_height = ZOOM * digits::SIZE.0;
    let height = height.max(5 * text_height);
    let mut scale = Plane::filled(height, WIDTH, WHITE);
    for row in 0..height {
        let share = 1.0 - row as f32 / (height - 1) as f32;
        scale.data[row * WIDTH..][..BAR].fill(weight_color(share * most, most));
    }
    for (share, top) in [
        (1.0, 0),
        (0.5, (height - text_height) / 2),
        (0.0, height - text_height),
    ] {
        let text = format!("{:.2}", share * most);
        for (row, column) in digits::pixels(&text) {
            for pixel in 0..ZOOM * ZOOM {
                let row = top + row * ZOOM + pixel / ZOOM;
                let column = BAR + GAP + column * ZOOM + pixel % ZOOM;
                if column < WIDTH {
                    scale.data[row * WIDTH + column] = BLACK;
                }
            }
        }
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_lie_side_by_side() {
        let one = Plane::filled(2, 1, [1, 2, 3]);
        let two = Plane::filled(1, 2, [4, 5, 6]);
        let image = Canvas::new([one, two]).image();
        assert_eq!(image.dimensions(), (1 + 4 + 2, 2));
        assert_eq!(image.get_pixel(0, 1).0, [1, 2, 3]);
        assert_eq!(image.get_pixel(1, 0).0, WHITE);
        assert_eq!(image.get_pixel(6, 0).0, [4, 5, 6]);
        assert_eq!(image.get_pixel(6, 1).0, WHITE);
    }

    #[test]
    fn brightness_runs_from_black_to_white() {
        let plane = Plane {
            height: 1,
            width: 3,
            data: vec![-1.0, 0.0, 3.0],
        };
        let drawn = Brightness::of([&plane]).draw(&[plane]);
        assert_eq!(drawn.data, [[0; 3], [64; 3], [255; 3]]);
        // A picture of one value has no contrast to show.
        let flat = Plane::filled(2, 2, 5.0);
        assert_eq!(Brightness::of([&flat]).draw(&[flat]).at(0, 0), [0; 3]);
    }

    #[test]
    fn weights_that_are_larger_look_brighter() {
        let brightness = |weight| {
            let [r, g, b] = weight_color(weight, 10.0).map(u32::from);
            77 * r + 150 * g + 29 * b
        };
        let steps: Vec<_> = (0..=20).map(|step| brightness(step as f32 / 2.0)).collect();
        assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
        let scale = scale(10.0, 100);
        assert_eq!(scale.at(0, 0), weight_color(10.0, 10.0));
        assert_eq!(scale.at(99, 0), weight_color(0.0, 10.0));
        assert!(scale.data.contains(&BLACK));
    }
}
