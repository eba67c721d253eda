//! The picture that a package is tested with, and the output for it.

use std::io;

use npyz::WriterBuilder;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::PackageError;
use crate::contract::Channels;
use crate::inference::Model;
use crate::picture::{Format, FrameError, Normalizer, Scaling};
use crate::tiling::{Decision, Size};
use crate::train::apply::picture::Picture;

/// Bright discs and rings on a dark, noisy ground.
pub fn drawn(size: Size, channels: Channels) -> Result<Picture, FrameError> {
    let mut random = StdRng::seed_from_u64(1);
    let discs: Vec<[f64; 3]> = (0..size.area() / 2500)
        .map(|_| {
            [
                random.random_range(0.0..size.height as f64),
                random.random_range(0.0..size.width as f64),
                random.random_range(5.0..14.0),
            ]
        })
        .collect();
    let mut values = Vec::with_capacity(size.area() * channels.count());
    for (y, x) in (0..size.height).flat_map(|y| (0..size.width).map(move |x| (y, x))) {
        let inside =
            |[row, column, radius]: &[f64; 3]| (y as f64 - row).hypot(x as f64 - column) < *radius;
        let bright = if discs.iter().any(inside) { 130 } else { 30 };
        let value: u8 = bright + random.random_range(0..25);
        values.extend((0..channels.count()).map(|_| value));
    }
    let format = match channels {
        Channels::Gray => Format::Gray8,
        Channels::Rgb => Format::Rgb,
    };
    Picture::new(format, size, values)
}

/// The raw picture and the output for it as NumPy files: float32, \[1, channels, height, width\].
pub fn test_tensors(
    model: &mut Model,
    picture: &Picture,
) -> Result<(Vec<u8>, Vec<u8>), PackageError> {
    let contract = model.contract().clone();
    let channels = contract.channels;
    let Size { width, height } = picture.size();
    let raw = picture.network_input(channels, Scaling::IDENTITY)?;
    let scaling = Normalizer::new(contract.normalization).scaling(&picture.frame()?, channels);
    model.shape(height, width)?;
    model
        .input()
        .copy_from_slice(&picture.network_input(channels, scaling)?);
    let outputs = model.outputs();
    // As the postprocessing of the package does.
    let decision = Decision::new(contract.activation, outputs, contract.threshold);
    let scores = decision.probabilities(model.run()?);
    let margin = 2 * contract.geometry.margin;
    let shape = [1, outputs, height - margin, width - margin];
    Ok((
        npy(&raw, [1, channels.count(), height, width])?,
        npy(&scores, shape)?,
    ))
}

fn npy(values: &[f32], shape: [usize; 4]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape.map(|length| length as u64))
        .writer(&mut bytes)
        .begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()?;
    Ok(bytes)
}
