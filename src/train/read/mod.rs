//! Reads pictures from PNG and TIFF files with the numbers that are in the file: a palette keeps its indices, and
//! nothing is scaled.

mod png;
mod samples;
mod tiff;

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek};
use std::path::Path;

use ::png::DecodingError;
use ::tiff::TiffError;
pub use samples::fit;

/// A picture as it is in its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Raster {
    /// Rows.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Samples of a pixel: grey, grey and opacity, RGB, or RGB and opacity (1 to 4).
    pub channels: usize,
    /// Bits of a sample, or of a colour of the palette.
    pub depth: usize,
    /// The samples, pixel by pixel and row by row. Every whole number up to 2^53 is exact.
    pub samples: Vec<f64>,
    /// The meaning of the samples.
    pub coding: Coding,
}

/// Most samples of a picture. In memory each takes eight bytes, whereas a small file can hold any number of them.
const MAX_SAMPLES: usize = 1 << 29;

/// Most bytes of a decoded picture.
const MAX_BYTES: usize = 1 << 30;

/// The meaning of the samples of a [`Raster`].
#[derive(Clone, Debug, PartialEq)]
pub enum Coding {
    /// Whole numbers that rise with the brightness.
    Whole,
    /// Whole numbers that a TIFF file inverts ("white is zero"). The samples rise with the brightness; this minus a
    /// sample is the number in the file.
    Inverted(f64),
    /// Floating-point numbers; if they are inverted, too, 1 minus a sample is the number in the file.
    Float { inverted: bool },
    /// Indices into these colours.
    Palette(Vec<[u8; 3]>),
}

/// Why a file can't be used as an image or a mask.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file can't be opened or read.
    #[error("{0}")]
    Io(std::io::Error),
    /// Its first bytes are those of another format.
    #[error("it is no picture: its content is neither PNG nor TIFF, whatever its name says")]
    Content,
    /// It ends in the middle of the picture.
    #[error("the file ends too early: it was cut off when it was written or copied")]
    CutOff,
    /// More pixels than are read.
    #[error(
        "it is larger than {} numbers (width x height x channels), or {} MiB decoded: cut it into parts",
        self::MAX_SAMPLES,
        MAX_BYTES >> 20
    )]
    TooLarge,
    /// The PNG decoder gave up.
    #[error("the PNG file is damaged ({}): copy it again, or save it anew", png::words(.0))]
    Png(DecodingError),
    /// The TIFF decoder gave up.
    #[error(
        "the TIFF file is damaged, or of a kind that is not read ({0}): save it anew, without compression or as PNG"
    )]
    Tiff(TiffError),
    /// No pixels.
    #[error("it has no pixels: it is {width}x{height} large")]
    NoPixels {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// Several pictures where there should be one.
    #[error("it holds {0} pages, and each frame must be one picture: volumes are not read")]
    Stack(usize),
    /// A kind of pixels that has no meaning here.
    #[error("its pixels are {found}; {expected}")]
    Pixels {
        /// What the file holds.
        found: String,
        /// What it should hold, or what to do.
        expected: &'static str,
    },
    /// NaN, infinity, or a number beyond single precision, in which networks compute.
    #[error(
        "the pixel at row {row}, column {column} is {value:e}: only finite numbers of 32 bits are grey values. Replace such pixels, or remove the image"
    )]
    NotFinite {
        /// The value.
        value: f64,
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
    },
    /// A mask whose value is no label.
    #[error(
        "the mask's value at row {row}, column {column} is {value}: labels are whole numbers from 0 to {}. Save the mask with such numbers; if it was resized, resize it without smoothing (nearest neighbour)",
        u32::MAX
    )]
    Label {
        /// The value.
        value: f64,
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
    },
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => ReadError::CutOff,
            _ => ReadError::Io(error),
        }
    }
}

impl From<DecodingError> for ReadError {
    fn from(error: DecodingError) -> Self {
        match error {
            DecodingError::IoError(error) => error.into(),
            DecodingError::LimitsExceeded => ReadError::TooLarge,
            error => ReadError::Png(error),
        }
    }
}

impl From<TiffError> for ReadError {
    fn from(error: TiffError) -> Self {
        match error {
            TiffError::IoError(error) => error.into(),
            // Including limits that a damaged tag exceeds; large pictures are refused by `check_size`.
            error => ReadError::Tiff(error),
        }
    }
}

/// Refuses a picture of so many bits a sample that would fill the memory, before anything is allocated for it.
fn check_size(
    (height, width): (usize, usize),
    channels: usize,
    depth: usize,
) -> Result<(), ReadError> {
    let pixels = height.checked_mul(width);
    let samples = pixels.and_then(|pixels| pixels.checked_mul(channels));
    let bytes = samples.and_then(|samples| samples.checked_mul(depth.div_ceil(8)));
    match (samples, bytes) {
        (Some(..=MAX_SAMPLES), Some(..=MAX_BYTES)) => Ok(()),
        _ => Err(ReadError::TooLarge),
    }
}

/// An open file of one picture, or of several in a row (a stack).
pub enum Pages {
    /// One picture.
    Png(Box<BufReader<File>>),
    /// One or more.
    Tiff(Box<tiff::Stack>),
}

impl Pages {
    /// Opens a file. Its content decides about its format, not its name.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let mut file = BufReader::new(File::open(path)?);
        let mut start = Vec::new();
        file.by_ref().take(8).read_to_end(&mut start)?;
        file.rewind()?;
        // TIFF and, with 43 for 42, its variant for files beyond 4 GiB.
        const TIFF: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
        if start.starts_with(b"\x89PNG\r\n\x1a\n") {
            Ok(Pages::Png(file.into()))
        } else if TIFF.iter().any(|magic| start.starts_with(magic)) {
            Ok(Pages::Tiff(tiff::Stack::open(file)?.into()))
        } else {
            Err(ReadError::Content)
        }
    }

    /// Number of pictures in the file; at least one.
    pub fn count(&self) -> usize {
        match self {
            Pages::Png(_) => 1,
            Pages::Tiff(stack) => stack.count(),
        }
    }

    /// Reads picture `index`, counted from 0 and less than [`count`](Self::count).
    pub fn read(&mut self, index: usize) -> Result<Raster, ReadError> {
        let raster = match self {
            Pages::Png(file) => {
                file.rewind()?;
                png::read(file)?
            }
            Pages::Tiff(stack) => stack.read(index)?,
        };
        match raster.height.min(raster.width) {
            0 => Err(ReadError::NoPixels {
                width: raster.width,
                height: raster.height,
            }),
            _ => Ok(raster),
        }
    }
}

#[cfg(test)]
mod tests;
