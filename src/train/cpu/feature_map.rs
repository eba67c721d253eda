//! Feature maps in a memory layout for vectors.

use std::ops::{Deref, DerefMut};

use rayon::prelude::*;

/// Channels of a pixel that are contiguous in memory: as many as the widest vectors hold.
pub const BLOCK: usize = 16;

/// A block of channels of one pixel. It fills one cache line: a vector that crosses two takes twice as long to load.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub struct Pixel([f32; BLOCK]);

impl Pixel {
    /// Zero in all channels.
    pub const ZERO: Self = Pixel([0.0; BLOCK]);
}

impl Deref for Pixel {
    type Target = [f32; BLOCK];

    #[inline(always)]
    fn deref(&self) -> &[f32; BLOCK] {
        &self.0
    }
}

impl DerefMut for Pixel {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32; BLOCK] {
        &mut self.0
    }
}

/// The feature maps of a batch: \[batch, blocks of channels, rows, columns, 16\], so that the channels of a
/// pixel fill vectors and pixels are a constant number of bytes apart.
///
/// Unused channels of the last block are 0. Each plane has a border of zeros, which nothing writes to.
#[derive(Clone, Debug, Default)]
pub struct FeatureMap {
    /// Pictures in the batch.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Rows without the border.
    pub height: usize,
    /// Columns without the border.
    pub width: usize,
    /// Width of the border in pixels.
    pub border: usize,
    pixels: Vec<Pixel>,
}

impl FeatureMap {
    /// Feature maps of zeros.
    pub fn new(
        batch: usize,
        channels: usize,
        (height, width): (usize, usize),
        border: usize,
    ) -> Self {
        let mut map = FeatureMap {
            batch,
            channels,
            height,
            width,
            border,
            pixels: Vec::new(),
        };
        map.pixels = vec![Pixel::ZERO; batch * map.blocks() * map.plane()];
        map
    }

    /// Fills the maps with numbers \[batch, channels, height, width\].
    pub fn write(&mut self, numbers: &[f32]) {
        let (channels, blocks, border) = (self.channels, self.blocks(), self.border);
        let (height, width) = (self.height, self.width);
        self.par_bands_mut(1).for_each(|(plane, row, band)| {
            let (picture, block) = (plane / blocks, plane % blocks);
            for channel in 0..BLOCK.min(channels - block * BLOCK) {
                let plane = picture * channels + block * BLOCK + channel;
                let from = &numbers[(plane * height + row) * width..][..width];
                for (to, from) in band[border..].iter_mut().zip(from) {
                    to[channel] = *from;
                }
            }
        });
    }

    /// The numbers of the maps, \[batch, channels, height, width\].
    pub fn read(&self) -> Vec<f32> {
        let mut numbers = Vec::with_capacity(self.batch * self.channels * self.height * self.width);
        for picture in 0..self.batch {
            for channel in 0..self.channels {
                let plane = self.block(picture, channel / BLOCK);
                for row in 0..self.height {
                    let from = &plane[(row + self.border) * self.stride() + self.border..];
                    numbers.extend(from[..self.width].iter().map(|x| x[channel % BLOCK]));
                }
            }
        }
        numbers
    }

    /// Blocks of channels.
    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(BLOCK)
    }

    /// Pixels from one row to the next: the columns with the border.
    pub fn stride(&self) -> usize {
        self.width + 2 * self.border
    }

    /// Pixels of a plane, which is one block of channels of one picture, with the border.
    pub fn plane(&self) -> usize {
        (self.height + 2 * self.border) * self.stride()
    }

    /// The plane of a block of channels of a picture, \[rows, columns\] with the border.
    pub fn block(&self, picture: usize, block: usize) -> &[Pixel] {
        let plane = self.plane();
        &self.pixels[(picture * self.blocks() + block) * plane..][..plane]
    }

    /// All planes \[rows, columns\] with the border: the blocks of channels, picture after picture.
    pub fn planes_mut(&mut self) -> impl Iterator<Item = &mut [Pixel]> {
        let plane = self.plane();
        self.pixels.chunks_exact_mut(plane)
    }

    /// Bands of so many `rows` for threads, each with the number of its plane, counted over all pictures, and its own
    /// number in the plane. A band is \[rows, stride\]: it has the border on the left and right, not above and below.
    pub fn par_bands_mut(
        &mut self,
        rows: usize,
    ) -> impl ParallelIterator<Item = (usize, usize, &mut [Pixel])> {
        let (plane, stride) = (self.plane(), self.stride());
        let (border, height) = (self.border, self.height);
        let planes = self.pixels.par_chunks_exact_mut(plane).enumerate();
        planes.flat_map(move |(index, plane)| {
            let inner = &mut plane[border * stride..][..height * stride];
            let bands = inner.par_chunks_exact_mut(rows * stride).enumerate();
            bands.map(move |(band, pixels)| (index, band, pixels))
        })
    }

    /// All pixels.
    pub fn pixels_mut(&mut self) -> &mut [Pixel] {
        &mut self.pixels
    }

    /// Sets all pixels to zero.
    pub fn clear(&mut self) {
        let stride = self.stride().max(1);
        self.pixels
            .par_chunks_mut(stride)
            .for_each(|row| row.fill(Pixel::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_a_round_trip() {
        let mut map = FeatureMap::new(2, 18, (3, 5), 2);
        let numbers: Vec<f32> = (1..=2 * 18 * 15).map(|x| x as f32).collect();
        map.write(&numbers);
        assert_eq!(map.read(), numbers);
        let values = map.pixels.iter().flat_map(|pixel| pixel.iter());
        let zeros = values.filter(|x| **x == 0.0).count();
        assert_eq!(map.pixels.len() * BLOCK - zeros, numbers.len());
    }
}
