//! Convolutions of maps: sums over the pixels around each pixel and over all channels.

use pulp::Arch;
use rayon::prelude::*;

use super::feature_map::{Map, Pixel};
use super::sums::{Sums, Task};

/// Tasks that a convolution is cut into at least, where it is large enough.
const TASKS: usize = 16;
/// Bytes of the maps that one task reads, about, so that they stay in the second cache of its core.
const CACHED: usize = 1 << 19;

/// Maps that are read.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The maps.
    pub map: &'a Map,
    /// Row and column, counted with the border, that the first weight of the first result reads.
    pub origin: usize,
}

/// What becomes of the sums.
#[derive(Clone, Copy)]
pub enum Finish<'a> {
    /// Plus the bias of their channel.
    Bias(&'a [f32]),
    /// Plus the bias of their channel, and not below 0.
    Rectified(&'a [f32]),
    /// Times `scale` where a map is positive, 0 elsewhere.
    Where {
        /// The map.
        positive: Source<'a>,
        /// The factor.
        scale: f32,
    },
}

/// Where results go.
pub struct Target<'a> {
    /// The maps.
    pub map: &'a mut Map,
    /// Row and column, counted with the border, of the first result.
    pub origin: usize,
    /// Rows and columns of results.
    pub size: (usize, usize),
}

/// The convolution of the `sources` one after the other, as if their channels were those of one map, with a
/// square of `side` x `side` weights, packed by [`pack`](super::pack).
pub fn convolve(sources: &[Source], side: usize, packed: &[Pixel], target: Target, finish: Finish) {
    let arch = Arch::new();
    let columns = target.size.1;
    tasks(sources, target).into_par_iter().for_each(|task| {
        arch.dispatch(Sums {
            sources,
            side,
            packed,
            columns,
            finish,
            task,
        });
    });
}

fn tasks<'a>(sources: &[Source], target: Target<'a>) -> Vec<Task<'a>> {
    let Target {
        map,
        origin,
        size: (rows, _),
    } = target;
    let (blocks, stride) = (map.blocks(), map.stride());
    let pairs = map.batch * blocks.div_ceil(2);
    let bytes = |source: &Source| source.map.plane() * source.map.blocks() * size_of::<Pixel>();
    let bytes: usize = sources.iter().map(bytes).sum();
    let parts = TASKS.div_ceil(pairs).max(bytes.div_ceil(CACHED));
    let together = rows.div_ceil(parts).max(1);
    let mut planes = map.planes_mut().enumerate().peekable();
    let mut tasks = Vec::new();
    while let Some((index, first)) = planes.next() {
        let (picture, block) = (index / blocks, index % blocks);
        let second = planes.next_if(|(next, _)| next / blocks == picture);
        let pair = [Some(first), second.map(|(_, plane)| plane)];
        let mut parts: Vec<_> = pair
            .into_iter()
            .flatten()
            .map(|plane| plane[origin * stride..][..rows * stride].chunks_mut(together * stride))
            .collect();
        for row in (0..rows).step_by(together) {
            tasks.push(Task {
                picture,
                block,
                row,
                stride,
                column: origin,
                targets: parts.iter_mut().filter_map(Iterator::next).collect(),
            });
        }
    }
    tasks
}
