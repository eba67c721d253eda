//! Images and masks from PNG and TIFF files.

use std::path::Path;

use image::{DynamicImage, ImageError, ImageReader};

use super::plane::Plane;

/// Why a file can't be used as an image or a mask.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file can't be opened or is not an image.
    #[error("{0}")]
    Image(#[from] ImageError),
    /// A kind of pixels that has no meaning here.
    #[error("its pixels are {found}; {expected}")]
    Pixels {
        /// What the file holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
}

/// Reads a picture as brightness, in counts of the file. Colour becomes (77 R + 150 G + 29 B) / 256
/// rounded down, as the element does it.
pub fn image(path: &Path) -> Result<Plane<f32>, ReadError> {
    let (height, width, data) = match decode(path)? {
        DynamicImage::ImageLuma8(p) => (p.height(), p.width(), widen(p.into_raw())),
        DynamicImage::ImageLuma16(p) => (p.height(), p.width(), widen(p.into_raw())),
        DynamicImage::ImageLumaA8(p) => (p.height(), p.width(), brightness(p.into_raw(), 2)),
        DynamicImage::ImageLumaA16(p) => (p.height(), p.width(), brightness(p.into_raw(), 2)),
        DynamicImage::ImageRgb8(p) => (p.height(), p.width(), brightness(p.into_raw(), 3)),
        DynamicImage::ImageRgb16(p) => (p.height(), p.width(), brightness(p.into_raw(), 3)),
        DynamicImage::ImageRgba8(p) => (p.height(), p.width(), brightness(p.into_raw(), 4)),
        DynamicImage::ImageRgba16(p) => (p.height(), p.width(), brightness(p.into_raw(), 4)),
        other => {
            return Err(ReadError::Pixels {
                found: format!("{:?}", other.color()),
                expected: "an image has 8 or 16 bits a channel, grey or RGB",
            });
        }
    };
    Ok(Plane {
        height: height as usize,
        width: width as usize,
        data,
    })
}

/// Reads a mask as it is in the file: 0 for the background, one number for each instance.
pub fn mask(path: &Path) -> Result<Plane<u32>, ReadError> {
    let (height, width, data) = match decode(path)? {
        DynamicImage::ImageLuma8(p) => (p.height(), p.width(), widen(p.into_raw())),
        DynamicImage::ImageLuma16(p) => (p.height(), p.width(), widen(p.into_raw())),
        other => {
            return Err(ReadError::Pixels {
                found: format!("{:?}", other.color()),
                expected: "a mask is grey with 8 or 16 bits, one number for each cell",
            });
        }
    };
    Ok(Plane {
        height: height as usize,
        width: width as usize,
        data,
    })
}

fn decode(path: &Path) -> Result<DynamicImage, ReadError> {
    let reader = ImageReader::open(path).map_err(ImageError::IoError)?;
    // By its first bytes: a file's name may lie.
    let reader = reader.with_guessed_format().map_err(ImageError::IoError)?;
    Ok(reader.decode()?)
}

fn widen<T, U: From<T>>(samples: Vec<T>) -> Vec<U> {
    samples.into_iter().map(U::from).collect()
}

/// Brightness of pixels of `channels` samples each; with two or four the last one is opacity.
fn brightness<T: Copy + Into<u32>>(samples: Vec<T>, channels: usize) -> Vec<f32> {
    let pixels = samples.chunks_exact(channels);
    let luma = |pixel: &[T]| match *pixel {
        [r, g, b, ..] => (77 * r.into() + 150 * g.into() + 29 * b.into()) >> 8,
        [grey, ..] => grey.into(),
        // Not reached: a chunk is never empty.
        [] => 0,
    };
    pixels.map(|pixel| luma(pixel) as f32).collect()
}
