//! Pictures in memory, as the element would see them.

use image::DynamicImage;

use super::files::{self, FileError, Page};
use super::turn::Turn;
use crate::contract::Channels;
use crate::picture::{Format, Frame, FrameError, FrameMut, Plane, PlaneMut, YuvCoding};
use crate::tiling::Size;

/// A picture in one of the formats that the element takes, rows without gaps.
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

    /// Reads a picture for a network of `channels`. Grey stays grey with its bits, colour of 8 bits
    /// stays colour. Colour of 16 bits is a format that the element doesn't take; for a network of grey
    /// values it becomes brightness of 16 bits.
    pub fn read(page: &Page, channels: Channels) -> Result<Self, FileError> {
        let image = files::read(page)?;
        let size = Size {
            width: image.width() as usize,
            height: image.height() as usize,
        };
        let (format, bytes) = match image {
            DynamicImage::ImageLuma8(image) => (Format::Gray8, image.into_raw()),
            DynamicImage::ImageLumaA8(image) => (Format::Gray8, first(image.as_raw(), 2)),
            DynamicImage::ImageRgb8(image) => (Format::Rgb, image.into_raw()),
            DynamicImage::ImageRgba8(image) => (Format::Rgba, image.into_raw()),
            DynamicImage::ImageLuma16(image) => (Format::Gray16Le, bytes(image.as_raw())),
            DynamicImage::ImageLumaA16(image) => {
                (Format::Gray16Le, bytes(&first(image.as_raw(), 2)))
            }
            DynamicImage::ImageRgb16(image) if channels == Channels::Gray => {
                (Format::Gray16Le, bytes(&brightness(image.as_raw(), 3)))
            }
            DynamicImage::ImageRgba16(image) if channels == Channels::Gray => {
                (Format::Gray16Le, bytes(&brightness(image.as_raw(), 4)))
            }
            other => {
                return Err(FileError::Pixels {
                    page: Box::new(page.clone()),
                    found: format!("{:?}", other.color()),
                    expected: "a network of colours takes 8 bits a channel: save the picture as that",
                });
            }
        };
        Picture::new(format, size, bytes).map_err(|error| FileError::Pixels {
            page: Box::new(page.clone()),
            found: error.to_string(),
            expected: "it must hold at least a pixel",
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

    /// The picture as the segmenter takes it.
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

    /// The picture turned.
    pub fn turned(&self, turn: Turn) -> Picture {
        let pixel = self.pixel();
        let sources = turn.sources(self.size);
        Picture {
            format: self.format,
            size: turn.size(self.size),
            bytes: sources
                .flat_map(|at| &self.bytes[at * pixel..][..pixel])
                .copied()
                .collect(),
        }
    }

    /// Bytes of a pixel.
    fn pixel(&self) -> usize {
        match self.format {
            Format::Gray8 => 1,
            Format::Gray16Le | Format::Gray16Be => 2,
            Format::Rgb | Format::Bgr => 3,
            // Formats in several planes are not made from files.
            _ => 4,
        }
    }
}

/// The first sample of each pixel of `channels` samples.
fn first<T: Copy>(samples: &[T], channels: usize) -> Vec<T> {
    samples.iter().step_by(channels).copied().collect()
}

/// (77 R + 150 G + 29 B) / 256 rounded down, as the element and the training have it.
fn brightness(samples: &[u16], channels: usize) -> Vec<u16> {
    let luma = |pixel: &[u16]| {
        let weighted = pixel.iter().zip([77, 150, 29_u32]);
        let sum: u32 = weighted
            .map(|(sample, weight)| u32::from(*sample) * weight)
            .sum();
        (sum >> 8) as u16
    };
    samples.chunks_exact(channels).map(luma).collect()
}

fn bytes(samples: &[u16]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}
