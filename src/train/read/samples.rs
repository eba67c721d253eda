//! Converts the numbers of a file to an image or a mask.

use super::{Coding, Raster, ReadError};
use crate::contract::Channels;
use crate::picture::LUMA;
use crate::train::plane::Plane;

impl Raster {
    /// The picture as the input of a network of `channels` before it is normalised, in the numbers of the file:
    /// one plane of brightness, or one each of red, green and blue.
    ///
    /// As in the element, brightness has the weights [`LUMA`] and is rounded down, grey is all three colours, and
    /// opacity is ignored.
    pub fn image(&self, channels: Channels) -> Result<Vec<Plane<f32>>, ReadError> {
        let is_refused = |sample: &f64| !(*sample as f32).is_finite();
        if let Some(at) = self.samples.iter().position(is_refused) {
            let pixel = at / self.channels;
            return Err(ReadError::NotFinite {
                value: self.samples[at],
                row: pixel / self.width,
                column: pixel % self.width,
            });
        }
        Ok(match channels {
            Channels::Gray => vec![self.plane(|pixel| self.brightness(pixel))],
            Channels::Rgb => (0..3)
                .map(|channel| self.plane(|pixel| self.color(pixel)[channel]))
                .collect(),
        })
    }

    /// The same as the element would give it to a network: in whole numbers of 8 bits if it is in colour or its file
    /// has 8 bits, of 16 if it is grey. Other values are [fitted](fit); apart from rounding, this does not matter to the
    /// network, whose input is normalised by statistics of the picture.
    pub fn shown(&self, channels: Channels) -> Result<Vec<Plane<f32>>, ReadError> {
        let mut planes = self.image(channels)?;
        let in_color = self.is_color() && channels == Channels::Rgb;
        let most = if in_color || self.depth == 8 {
            u8::MAX.into()
        } else {
            u16::MAX.into()
        };
        fit(&mut planes, most);
        Ok(planes)
    }

    /// Whether there is more than grey in it.
    pub fn is_color(&self) -> bool {
        self.channels >= 3 || matches!(self.coding, Coding::Palette(_))
    }

    /// The picture as a mask: the numbers in the file, those of a palette its indices.
    pub fn labels(&self) -> Result<Plane<u32>, ReadError> {
        let refused = |found: &str, expected| ReadError::Pixels {
            found: found.into(),
            expected,
        };
        let has_opacity = self.channels.is_multiple_of(2);
        let mut opacity = self.pixels().filter(|_| has_opacity).map(<[f64]>::last);
        let first = opacity.next();
        if opacity.any(|opacity| Some(opacity) != first) {
            return Err(refused(
                "partly transparent",
                "a mask holds one number for each pixel; save it without an alpha channel",
            ));
        }
        let grey = |pixel: &[f64]| match pixel {
            [r, g, b, ..] => r == g && g == b,
            _ => true,
        };
        if !self.pixels().all(grey) {
            return Err(refused(
                "coloured",
                "a mask is grey, with one number for each cell or class; colours as labels are not read",
            ));
        }
        let numbers = self.pixels().map(|pixel| match self.coding {
            Coding::Inverted(largest) => largest - pixel[0],
            Coding::Float { inverted: true } => 1.0 - pixel[0],
            _ => pixel[0],
        });
        let label = |(at, value): (usize, f64)| {
            let whole = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
            if whole {
                return Ok(value as u32);
            }
            Err(ReadError::Label {
                value,
                row: at / self.width,
                column: at % self.width,
            })
        };
        Ok(Plane {
            height: self.height,
            width: self.width,
            data: numbers.enumerate().map(label).collect::<Result<_, _>>()?,
        })
    }

    fn pixels(&self) -> impl Iterator<Item = &[f64]> {
        self.samples.chunks_exact(self.channels)
    }

    fn plane(&self, value: impl Fn(&[f64]) -> f64) -> Plane<f32> {
        Plane {
            height: self.height,
            width: self.width,
            data: self.pixels().map(|pixel| value(pixel) as f32).collect(),
        }
    }

    fn color(&self, pixel: &[f64]) -> [f64; 3] {
        match (&self.coding, pixel) {
            // An index beyond the palette is black, as in other readers.
            (Coding::Palette(colors), [index, ..]) => colors
                .get(*index as usize)
                .map_or([0.0; 3], |color| color.map(f64::from)),
            (_, [r, g, b, ..]) => [*r, *g, *b],
            (_, pixel) => [pixel[0]; 3],
        }
    }

    fn brightness(&self, pixel: &[f64]) -> f64 {
        let color = self.color(pixel);
        let weighted = color.iter().zip(LUMA);
        let sum: f64 = weighted
            .map(|(value, weight)| value * f64::from(weight))
            .sum();
        match (&self.coding, color) {
            // A sum of rounded products would not be the number itself.
            (Coding::Float { .. }, [r, g, b]) if r == g && g == b => r,
            (Coding::Float { .. }, _) => sum / 256.0,
            _ => (sum / 256.0).floor(),
        }
    }
}

/// Scales values to whole numbers in `0..=most`, the smallest to 0 and the largest to `most`, and returns true; leaves
/// them as they are and returns false if they are such numbers already.
pub fn fit(planes: &mut [Plane<f32>], most: f32) -> bool {
    let values = || planes.iter().flat_map(|plane| plane.data.iter().copied());
    if values().all(|x| x.fract() == 0.0 && (0.0..=most).contains(&x)) {
        return false;
    }
    let low = values().fold(f32::INFINITY, f32::min);
    let high = values().fold(f32::NEG_INFINITY, f32::max);
    let span = f64::from(high) - f64::from(low);
    let fitted = |x: f32| {
        if span > 0.0 {
            ((f64::from(x) - f64::from(low)) / span * f64::from(most)).round() as f32
        } else {
            0.0
        }
    };
    for plane in planes {
        plane.data.iter_mut().for_each(|x| *x = fitted(*x));
    }
    true
}
