//! PNG files.

use std::io::{BufRead, Seek};

use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};

use super::{Coding, MAX_BYTES, Raster, ReadError, check_size};

/// Reads the first picture of a PNG file.
pub fn read(file: impl BufRead + Seek) -> Result<Raster, ReadError> {
    let mut decoder = Decoder::new_with_limits(file, Limits { bytes: MAX_BYTES });
    decoder.set_transformations(Transformations::IDENTITY);
    let header = decoder.read_header_info()?;
    check_size(
        (header.height as usize, header.width as usize),
        header.color_type.samples(),
        header.bit_depth as usize,
    )?;
    let mut reader = decoder.read_info()?;
    let mut bytes = vec![0; reader.output_buffer_size().ok_or(ReadError::TooLarge)?];
    let frame = reader.next_frame(&mut bytes)?;
    let (height, width) = (frame.height as usize, frame.width as usize);
    let (channels, palette) = match frame.color_type {
        ColorType::Grayscale => (1, None),
        ColorType::GrayscaleAlpha => (2, None),
        ColorType::Rgb => (3, None),
        ColorType::Rgba => (4, None),
        ColorType::Indexed => (1, reader.info().palette.as_deref()),
    };
    let count = width * channels;
    let rows = bytes[..frame.buffer_size()].chunks_exact(frame.line_size.max(1));
    Ok(Raster {
        height,
        width,
        channels,
        depth: match palette {
            Some(_) => 8,
            None => frame.bit_depth as usize,
        },
        samples: rows
            .flat_map(|row| unpack(row, frame.bit_depth, count))
            .collect(),
        coding: match palette {
            Some(palette) => Coding::Palette(palette.as_chunks().0.to_vec()),
            None => Coding::Whole,
        },
    })
}

/// An error in words, with the name of a chunk in place of all its properties.
pub(super) fn words(error: &DecodingError) -> String {
    let text = error.to_string();
    let text = text.trim_end_matches('.');
    let named = text
        .split_once("ChunkType { type: ")
        .and_then(|(before, rest)| {
            let (name, rest) = rest.split_once(',')?;
            let (_, after) = rest.split_once('}')?;
            Some(format!("{before}{name}{after}"))
        });
    named.unwrap_or_else(|| text.into())
}

/// The `count` samples of a row.
fn unpack(row: &[u8], depth: BitDepth, count: usize) -> Vec<f64> {
    match depth {
        BitDepth::Sixteen => {
            let (samples, _) = row.as_chunks();
            samples
                .iter()
                .map(|s| u16::from_be_bytes(*s).into())
                .collect()
        }
        depth => bits(row, depth as usize, count),
    }
}

/// The first `count` samples of `depth` bits, which divides 8, from the highest bits of each byte on.
pub(super) fn bits(row: &[u8], depth: usize, count: usize) -> Vec<f64> {
    let in_byte = 8 / depth;
    let sample = |at: usize| {
        let shift = 8 - depth * (at % in_byte + 1);
        let mask = (1_u16 << depth) - 1;
        f64::from(u16::from(row[at / in_byte]) >> shift & mask)
    };
    (0..count).map(sample).collect()
}
