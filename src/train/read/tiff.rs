//! TIFF files of one or several pictures.

use std::fs::File;
use std::io::BufReader;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::{PhotometricInterpretation, Tag};

use super::png::bits;
use super::{Coding, MAX_BYTES, Raster, ReadError, check_size};

/// What an image or a mask in a TIFF file should be.
const EXPECTED: &str = "grey or RGB with 8 or 16 bits per channel is read, and grey with 1 to 32 bits; save it as one of these";

/// An open TIFF file.
pub struct Stack {
    decoder: Decoder<BufReader<File>>,
    /// Directories that hold a picture of full size.
    pages: Vec<usize>,
}

impl Stack {
    /// Opens a file and counts its pictures.
    pub fn open(file: BufReader<File>) -> Result<Self, ReadError> {
        let mut limits = Limits::default();
        limits.decoding_buffer_size = MAX_BYTES;
        limits.intermediate_buffer_size = MAX_BYTES;
        let mut decoder = Decoder::new(file)?.with_limits(limits);
        let mut pages = Vec::new();
        for directory in 0.. {
            // Bit 0 marks a smaller copy of another page: a preview, or a level of a pyramid.
            let kind: Option<u32> = decoder.find_tag_unsigned(Tag::NewSubfileType)?;
            if kind.is_none_or(|kind| kind & 1 == 0) {
                pages.push(directory);
            }
            if !decoder.more_images() {
                break;
            }
            decoder.next_image()?;
        }
        if pages.is_empty() {
            pages.push(0);
        }
        Ok(Stack { decoder, pages })
    }

    /// Number of pictures.
    pub fn count(&self) -> usize {
        self.pages.len()
    }

    /// Reads picture `index`.
    pub fn read(&mut self, index: usize) -> Result<Raster, ReadError> {
        let decoder = &mut self.decoder;
        decoder.seek_to_image(self.pages[index])?;
        let (width, height) = decoder.dimensions()?;
        let (width, height) = (width as usize, height as usize);
        let inverted = decoder.find_tag_unsigned(Tag::PhotometricInterpretation)?
            == Some(PhotometricInterpretation::WhiteIsZero.to_u16());
        let (channels, depth) = pixels(decoder)?;
        check_size((height, width), channels, depth)?;
        let mut buffer = DecodingResult::U8(Vec::new());
        let layout = decoder.read_image_to_buffer(&mut buffer)?;
        let (samples, float) = numbers(buffer);
        let samples = match depth {
            1 | 2 | 4 => {
                let row = (width * channels * depth).div_ceil(8).max(1);
                let bytes: Vec<u8> = samples.iter().map(|byte| *byte as u8).collect();
                let rows = bytes.chunks_exact(row);
                rows.flat_map(|row| bits(row, depth, width * channels))
                    .collect()
            }
            _ if layout.planes > 1 => interleaved(&samples, channels),
            _ => samples,
        };
        if samples.len() != height * width * channels {
            return Err(ReadError::CutOff);
        }
        Ok(Raster {
            height,
            width,
            channels,
            depth,
            samples,
            coding: match (float, inverted) {
                (true, inverted) => Coding::Float { inverted },
                (false, true) => Coding::Inverted((depth as f64).exp2() - 1.0),
                (false, false) => Coding::Whole,
            },
        })
    }
}

/// Number of samples of a pixel and bits of a sample, of a kind that is read.
fn pixels(decoder: &mut Decoder<BufReader<File>>) -> Result<(usize, usize), ReadError> {
    let palette = Some(PhotometricInterpretation::RGBPalette.to_u16());
    if decoder.find_tag_unsigned(Tag::PhotometricInterpretation)? == palette {
        return Err(ReadError::Pixels {
            found: "indices into a palette (a look-up table)".into(),
            expected: "save the file as grey: in Fiji choose Image > Lookup Tables > Grays first",
        });
    }
    let color = decoder.colortype()?;
    let depth = usize::from(color.bit_depth());
    match (color, depth) {
        (ColorType::Gray(_), 1 | 2 | 4 | 8 | 16 | 32 | 64) => Ok((1, depth)),
        (ColorType::RGB(_), 8 | 16 | 32) => Ok((3, depth)),
        (ColorType::RGBA(_), 8 | 16 | 32) => Ok((4, depth)),
        _ => Err(ReadError::Pixels {
            found: words(color),
            expected: EXPECTED,
        }),
    }
}

/// A kind of pixels in words.
fn words(color: ColorType) -> String {
    let depth = color.bit_depth();
    match color {
        ColorType::Multiband { num_samples, .. } => {
            format!("of {num_samples} channels with {depth} bits each")
        }
        color => {
            let text = format!("{color:?}");
            let name = text.split('(').next().unwrap_or_default();
            format!("of the kind {name} with {depth} bits per channel")
        }
    }
}

/// The samples, and whether they are floating-point numbers.
fn numbers(buffer: DecodingResult) -> (Vec<f64>, bool) {
    fn widen<T>(samples: Vec<T>, number: impl Fn(T) -> f64) -> Vec<f64> {
        samples.into_iter().map(number).collect()
    }
    match buffer {
        DecodingResult::U8(samples) => (widen(samples, f64::from), false),
        DecodingResult::U16(samples) => (widen(samples, f64::from), false),
        DecodingResult::U32(samples) => (widen(samples, f64::from), false),
        DecodingResult::U64(samples) => (widen(samples, |s| s as f64), false),
        DecodingResult::I8(samples) => (widen(samples, f64::from), false),
        DecodingResult::I16(samples) => (widen(samples, f64::from), false),
        DecodingResult::I32(samples) => (widen(samples, f64::from), false),
        DecodingResult::I64(samples) => (widen(samples, |s| s as f64), false),
        DecodingResult::F16(samples) => (widen(samples, |s| s.to_f64()), true),
        DecodingResult::F32(samples) => (widen(samples, f64::from), true),
        DecodingResult::F64(samples) => (samples, true),
    }
}

/// Reorders samples from channel by channel to pixel by pixel.
fn interleaved(planes: &[f64], channels: usize) -> Vec<f64> {
    let count = planes.len() / channels;
    let pixels = (0..count).flat_map(|at| (0..channels).map(move |channel| channel * count + at));
    pixels.map(|at| planes[at]).collect()
}
