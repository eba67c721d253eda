//! Pictures in memory, in the formats of the element's frames.

use super::turn::Turn;
use crate::contract::{Channels, Contract, Normalization};
use crate::picture::{
    Format, Frame, FrameError, FrameMut, Plane, PlaneMut, Scaling, YuvCoding, fill_tile_input,
};
use crate::tiling::{Size, Span, mirror};
use crate::train::read::{Raster, ReadError, fit};

/// A picture in one of the formats that the element accepts, without padding between rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    format: Format,
    size: Size,
    bytes: Vec<u8>,
}

impl Picture {
    /// A picture of the given bytes.
    pub fn new(format: Format, size: Size, bytes: Vec<u8>) -> Result<Self, FrameError> {
        let picture = Picture {
            format,
            size,
            bytes,
        };
        picture.frame().map(|_| ())?;
        Ok(picture)
    }

    /// A picture from a file, for the network of `contract`. 8-bit grey stays as it is, any other grey becomes
    /// 16-bit; 8-bit colour stays colour.
    ///
    /// The element has no format for the rest. Colour of more bits becomes 16-bit brightness for a network of
    /// one channel, and 8-bit colour for one of three. Values that the format can't hold (fractions, negative
    /// ones, counts beyond 65535) are scaled to its whole range, which makes no difference to a network that
    /// normalizes by statistics of the frame.
    pub fn of(raster: &Raster, contract: &Contract) -> Result<Self, ReadError> {
        let is_color =
            raster.is_color() && (raster.depth == 8 || contract.channels == Channels::Rgb);
        let channels = if is_color {
            Channels::Rgb
        } else {
            Channels::Gray
        };
        let mut planes = raster.image(channels)?;
        let is_deep = !is_color && raster.depth != 8;
        let most = f32::from(if is_deep { u16::MAX } else { u8::MAX.into() });
        let was_fitted = fit(&mut planes, most);
        if was_fitted && matches!(contract.normalization, Normalization::Fixed { .. }) {
            return Err(ReadError::Pixels {
                found: format!("not whole numbers from 0 to {most}"),
                expected: "the model has a fixed range of counts, which can't hold other values",
            });
        }
        let pixels = 0..raster.height * raster.width;
        let samples = pixels.flat_map(|at| planes.iter().map(move |plane| plane.data[at]));
        let (format, bytes) = match (is_color, is_deep) {
            (true, _) => (Format::Rgb, samples.map(|x| x as u8).collect()),
            (false, false) => (Format::Gray8, samples.map(|x| x as u8).collect()),
            (false, true) => (
                Format::Gray16Le,
                samples.flat_map(|x| (x as u16).to_le_bytes()).collect(),
            ),
        };
        Ok(Picture {
            format,
            size: Size {
                width: raster.width,
                height: raster.height,
            },
            bytes,
        })
    }

    /// Columns and rows.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The pixel format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The picture as input of the segmenter.
    pub fn frame(&self) -> Result<Frame<'_>, FrameError> {
        let plane = Plane {
            data: &self.bytes,
            stride: self.size.width * self.pixel(),
        };
        let Size { width, height } = self.size;
        Frame::new(self.format, width, height, &[plane], YuvCoding::default())
    }

    /// The picture to draw upon.
    pub fn frame_mut(&mut self) -> Result<FrameMut<'_>, FrameError> {
        let stride = self.size.width * self.pixel();
        let Size { width, height } = self.size;
        let plane = PlaneMut {
            data: &mut self.bytes,
            stride,
        };
        FrameMut::new(self.format, width, height, [plane], YuvCoding::default())
    }

    /// The bytes, row by row.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The picture turned, with itself mirrored beyond its edges.
    pub fn turned(&self, turn: Turn) -> Picture {
        let channels = match self.format {
            Format::Gray16Le | Format::Gray16Be => 1,
            _ => self.pixel(),
        };
        let size = turn.size(self.size);
        let mut bytes = Vec::with_capacity(size.area() * self.pixel());
        for place in turn.places(self.size) {
            for channel in 0..channels {
                let sample = |at: usize| self.sample(at * channels + channel);
                let value = place.value(self.size, sample).round() as u16;
                match self.format {
                    Format::Gray16Le => bytes.extend(value.to_le_bytes()),
                    Format::Gray16Be => bytes.extend(value.to_be_bytes()),
                    _ => bytes.push(value as u8),
                }
            }
        }
        Picture {
            format: self.format,
            size,
            bytes,
        }
    }

    /// A sample by its index among those of all pixels.
    fn sample(&self, index: usize) -> f64 {
        let deep = || [self.bytes[2 * index], self.bytes[2 * index + 1]];
        f64::from(match self.format {
            Format::Gray16Le => u16::from_le_bytes(deep()),
            Format::Gray16Be => u16::from_be_bytes(deep()),
            _ => u16::from(self.bytes[index]),
        })
    }

    /// Its first `size` pixels, mirrored where it has fewer.
    pub fn part(&self, size: Size) -> Picture {
        let pixel = self.pixel();
        let line = |index: usize, length| mirror(index as isize, length);
        let rows = (0..size.height).map(|y| line(y, self.size.height) * self.size.width);
        let places = rows
            .flat_map(|row| (0..size.width).map(move |x| (row + line(x, self.size.width)) * pixel));
        Picture {
            format: self.format,
            size,
            bytes: places
                .flat_map(|at| &self.bytes[at..][..pixel])
                .copied()
                .collect(),
        }
    }

    /// The network's input for the whole picture, \[channels, height, width\].
    pub fn network_input(
        &self,
        channels: Channels,
        scaling: Scaling,
    ) -> Result<Vec<f32>, FrameError> {
        let whole = Span {
            outer_start: 0,
            target: 0..0,
            source: 0,
            weights: Vec::new(),
        };
        let mut values = vec![0.0; channels.count() * self.size.area()];
        fill_tile_input(
            &self.frame()?,
            channels,
            scaling,
            (&whole, &whole),
            self.size,
            &mut values,
        );
        Ok(values)
    }

    /// Bytes of a pixel.
    fn pixel(&self) -> usize {
        match self.format {
            Format::Gray8 => 1,
            Format::Gray16Le | Format::Gray16Be => 2,
            Format::Rgb | Format::Bgr => 3,
            // Files never become planar formats.
            _ => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::read::Coding;
    use crate::unet::UNet;

    fn contract(channels: usize, normalization: Normalization) -> Contract {
        let unet = UNet {
            channels,
            classes: 2,
            width: 1,
            depth: 1,
            padded: true,
        };
        Contract {
            normalization,
            ..unet.contract("any")
        }
    }

    const FLOAT: Coding = Coding::Float { inverted: false };

    fn raster(channels: usize, depth: usize, coding: Coding, samples: &[f64]) -> Raster {
        Raster {
            height: 1,
            width: samples.len() / channels,
            channels,
            depth,
            samples: samples.to_vec(),
            coding,
        }
    }

    fn made(raster: &Raster, channels: usize) -> (Format, Vec<u8>) {
        let picture = Picture::of(raster, &contract(channels, Normalization::ZScore)).unwrap();
        (picture.format, picture.bytes)
    }

    #[test]
    fn values_are_kept_where_a_format_can_hold_them() {
        let grey = raster(1, 8, Coding::Whole, &[3.0, 255.0]);
        assert_eq!(made(&grey, 3), (Format::Gray8, vec![3, 255]));
        let opacity = raster(2, 8, Coding::Whole, &[3.0, 9.0]);
        assert_eq!(made(&opacity, 1), (Format::Gray8, vec![3]));
        let deep = raster(1, 16, Coding::Whole, &[259.0, 1.0]);
        assert_eq!(made(&deep, 1), (Format::Gray16Le, vec![3, 1, 1, 0]));
        let few = raster(1, 2, Coding::Whole, &[3.0, 1.0]);
        assert_eq!(made(&few, 1), (Format::Gray16Le, vec![3, 0, 1, 0]));
        let counts = raster(1, 32, FLOAT, &[259.0, 1.0]);
        assert_eq!(made(&counts, 1), made(&deep, 1));
        // Colour stays colour for the overlay, whatever the network sees.
        let color = raster(4, 8, Coding::Whole, &[1.0, 2.0, 3.0, 9.0]);
        assert_eq!(made(&color, 1), (Format::Rgb, vec![1, 2, 3]));
        let palette = raster(1, 8, Coding::Palette(vec![[0; 3], [7, 8, 9]]), &[1.0]);
        assert_eq!(made(&palette, 1), (Format::Rgb, vec![7, 8, 9]));
    }

    #[test]
    fn other_values_are_scaled() {
        let fractions = raster(1, 32, FLOAT, &[-0.5, 0.0, 0.5]);
        let expected = [0_u16, 32_768, 65_535].map(u16::to_le_bytes).concat();
        assert_eq!(made(&fractions, 1), (Format::Gray16Le, expected));
        let flat = raster(1, 32, FLOAT, &[0.5, 0.5]);
        assert_eq!(made(&flat, 1), (Format::Gray16Le, vec![0; 4]));
        let color = raster(3, 16, Coding::Whole, &[0.0, 2000.0, 4000.0]);
        assert_eq!(made(&color, 3), (Format::Rgb, vec![0, 128, 255]));
        // (150 * 2000 + 29 * 4000) / 256 = 1625
        assert_eq!(
            made(&color, 1),
            (Format::Gray16Le, 1625_u16.to_le_bytes().to_vec())
        );
        let fixed = Normalization::Fixed {
            low: 0.0,
            high: 9.0,
        };
        let error = Picture::of(&fractions, &contract(1, fixed)).unwrap_err();
        assert!(
            error.to_string().contains("fixed range of counts"),
            "{error}"
        );
        assert!(Picture::of(&flat, &contract(1, Normalization::MinMax)).is_ok());
    }

    #[test]
    fn one_value_stays_so_in_every_turn() {
        let size = Size {
            width: 7,
            height: 4,
        };
        for (format, pixel) in [
            (Format::Gray8, vec![200]),
            (Format::Gray16Le, vec![3, 130]),
            (Format::Gray16Be, vec![130, 3]),
            (Format::Rgb, vec![10, 20, 30]),
        ] {
            let picture = Picture::new(format, size, pixel.repeat(size.area())).unwrap();
            for turn in Turn::all(7, true) {
                let turned = picture.turned(turn);
                assert_eq!(turned.size(), turn.size(size));
                let expected = pixel.repeat(turned.size().area());
                assert_eq!(turned.into_bytes(), expected, "{format:?}, {turn:?}");
            }
        }
    }
}
