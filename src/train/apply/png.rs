//! Results as PNG files.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError};

use super::picture::Picture;
use crate::picture::{
    Color, DisplayRange, Format, FrameError, LevelTracker, Style, WriteError, draw,
    write_probability,
};
use crate::train::plane::Plane;

/// A picture to be written.
pub struct Png {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    color: ExtendedColorType,
    /// Row by row; 16-bit samples in native byte order.
    pub bytes: Vec<u8>,
}

/// Why a result can't be drawn.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The picture can't be used.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It does not fit the picture.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Png {
    /// The bytes of the file.
    pub fn encode(&self) -> Result<Vec<u8>, ImageError> {
        let mut png = Vec::new();
        // A picture that was read has sides of less than 2^32 pixels.
        let (width, height) = (self.width as u32, self.height as u32);
        PngEncoder::new(&mut png).write_image(&self.bytes, width, height, self.color)?;
        Ok(png)
    }

    /// This colour picture, with another one of the same height to its right.
    pub fn beside(&self, right: &Png) -> Png {
        let rows = |png: &Png| 3 * png.width;
        let lines = self.bytes.chunks_exact(rows(self));
        let lines = lines.zip(right.bytes.chunks_exact(rows(right)));
        Png {
            width: self.width + right.width,
            height: self.height,
            color: ExtendedColorType::Rgb8,
            bytes: lines
                .flat_map(|(left, right)| [left, right].concat())
                .collect(),
        }
    }
}

/// 0 and 255 for two classes, which every viewer shows, else the number of the class.
pub fn mask(mask: &Plane<u8>, classes: usize) -> Png {
    let factor = if classes == 2 { 255 } else { 1 };
    Png {
        width: mask.width,
        height: mask.height,
        color: ExtendedColorType::L8,
        bytes: mask.data.iter().map(|class| class * factor).collect(),
    }
}

/// The numbers of objects; `None` for more than 16 bits can number.
pub fn labels(objects: &Plane<u32>) -> Option<Png> {
    let numbers = objects
        .data
        .iter()
        .map(|number| u16::try_from(*number).ok());
    let numbers: Option<Vec<u16>> = numbers.collect();
    Some(Png {
        width: objects.width,
        height: objects.height,
        color: ExtendedColorType::L16,
        bytes: numbers?.into_iter().flat_map(u16::to_ne_bytes).collect(),
    })
}

/// 0 to 65535 for 0 to 1.
pub fn probability(probability: &Plane<f32>, picture: &Picture) -> Result<Png, DrawError> {
    let format = if cfg!(target_endian = "big") {
        Format::Gray16Be
    } else {
        Format::Gray16Le
    };
    let mut target = Picture::new(format, picture.size(), vec![0; 2 * probability.data.len()])?;
    write_probability(&probability.data, &mut target.frame_mut()?)?;
    Ok(Png {
        width: probability.width,
        height: probability.height,
        color: ExtendedColorType::L16,
        bytes: target.into_bytes(),
    })
}

/// The picture with the classes drawn over it, as the element draws them.
pub fn overlay(
    picture: &Picture,
    mask: &Plane<u8>,
    colors: &[Color],
    opacity: f32,
    display_range: DisplayRange,
) -> Result<Png, DrawError> {
    let frame = picture.frame()?;
    // For each image alone: the images of a folder need not be frames of one video.
    let levels = LevelTracker::new(display_range).levels(&frame);
    let (mut target, source) = if picture.format().is_gray() {
        let black = vec![0; 3 * mask.data.len()];
        let target = Picture::new(Format::Rgb, picture.size(), black)?;
        (target, Some(&frame))
    } else {
        (picture.clone(), None)
    };
    let drawn_upon = &mut target.frame_mut()?;
    let style = Style {
        opacity,
        ..Style::default()
    };
    draw(source, drawn_upon, &mask.data, colors, style, levels)?;
    Ok(Png {
        width: mask.width,
        height: mask.height,
        color: ExtendedColorType::Rgb8,
        bytes: target.into_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_objects_than_16_bits_can_number_are_refused() {
        let numbered = |count| Plane {
            height: 1,
            width: 2,
            data: vec![0, count],
        };
        let png = labels(&numbered(65_535)).unwrap();
        assert_eq!(png.bytes[2..], u16::MAX.to_ne_bytes());
        assert!(labels(&numbered(65_536)).is_none());
    }
}
