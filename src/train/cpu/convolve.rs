//! Convolutions of feature maps, cut into tasks for threads.

use pulp::Arch;
use rayon::prelude::*;

use super::convolve_rows::{ConvolveRows, Task};
use super::feature_map::{FeatureMap, Pixel};

/// The least number of tasks that a convolution is cut into, if it is large enough.
const TASKS: usize = 16;
/// Bytes of the maps that one task reads, about, so that they fit into the second-level cache of its core.
const CACHED: usize = 1 << 19;

/// Feature maps to read from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The maps.
    pub map: &'a FeatureMap,
    /// Row and column, counted with the border, that the first weight reads for the first output pixel.
    pub origin: usize,
}

/// What is done to the sums before they are written.
#[derive(Clone, Copy)]
pub enum Epilogue<'a> {
    /// The bias of the channel is added.
    Bias(&'a [f32]),
    /// The bias of the channel is added, then ReLU is applied.
    BiasRelu(&'a [f32]),
    /// The gradient of ReLU: multiplied by `scale` where the `activations` are positive, else 0.
    ReluGradient {
        /// The output of ReLU.
        activations: Source<'a>,
        /// The factor.
        scale: f32,
    },
}

/// Feature maps to write to.
pub struct Destination<'a> {
    /// The maps.
    pub map: &'a mut FeatureMap,
    /// Row and column, counted with the border, of the first output pixel.
    pub origin: usize,
    /// Rows and columns of the output.
    pub size: (usize, usize),
}

/// Convolves the `sources`, as if their channels were concatenated, with kernels of `side` x `side` weights, packed by
/// [`pack`](super::pack) as \[output blocks, input blocks, side x side, 16 inputs, 16 outputs\]. An output of \[rows,
/// columns\] reads \[rows + side - 1, columns + side - 1\] pixels of each source, from its origin on.
pub fn convolve(
    sources: &[Source],
    side: usize,
    packed: &[Pixel],
    destination: Destination,
    epilogue: Epilogue,
) {
    let arch = Arch::new();
    let columns = destination.size.1;
    let tasks = tasks(sources, destination);
    tasks.into_par_iter().for_each(|task| {
        arch.dispatch(ConvolveRows {
            sources,
            side,
            packed,
            columns,
            epilogue,
            task,
        });
    });
}

fn tasks<'a>(sources: &[Source], destination: Destination<'a>) -> Vec<Task<'a>> {
    let Destination {
        map,
        origin,
        size: (rows, _),
    } = destination;
    let (blocks, stride) = (map.blocks(), map.stride());
    let pairs = map.batch * blocks.div_ceil(2);
    let bytes = |source: &Source| source.map.plane() * source.map.blocks() * size_of::<Pixel>();
    let bytes: usize = sources.iter().map(bytes).sum();
    let parts = TASKS.div_ceil(pairs).max(bytes.div_ceil(CACHED));
    let rows_per_task = rows.div_ceil(parts).max(1);
    let mut planes = map.planes_mut().enumerate().peekable();
    let mut tasks = Vec::new();
    while let Some((index, first)) = planes.next() {
        let (picture, block) = (index / blocks, index % blocks);
        let second = planes.next_if(|(next, _)| next / blocks == picture);
        let pair = [Some(first), second.map(|(_, plane)| plane)];
        let mut parts: Vec<_> = pair
            .into_iter()
            .flatten()
            .map(|plane| {
                let output = &mut plane[origin * stride..][..rows * stride];
                output.chunks_mut(rows_per_task * stride)
            })
            .collect();
        for row in (0..rows).step_by(rows_per_task) {
            tasks.push(Task {
                picture,
                block,
                row,
                stride,
                column: origin,
                outputs: parts.iter_mut().filter_map(Iterator::next).collect(),
            });
        }
    }
    tasks
}
