//! The network on a CPU: forward pass, loss and backward pass, in a memory layout made for vectors.
//!
//! burn computes the same, layer by layer, on any device, but on a CPU it takes several times as long. This is faster
//! because sums of many pixels and channels stay in registers ([`convolve_rows`], [`weight_gradients`]); the layout
//! needs no unfolding, cropping or concatenation ([`feature_map`]); bias, ReLU and its gradient are part of the
//! convolutions; and all feature maps are kept from step to step ([`workspace`]).

mod convolve;
mod convolve_rows;
mod feature_map;
mod loss;
pub mod optimizer;
mod pack;
mod pass;
mod pool;
mod vectors;
mod weight_gradients;
mod workspace;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

pub use feature_map::BLOCK;
use feature_map::FeatureMap;
use pack::Packed;
use pass::{Backward, Forward, GradientTarget};
use workspace::{Borders, Shape, Workspace};

use crate::onnx::export::Parameters;
use crate::unet::{Layer, UNet};

/// The network's input.
#[derive(Clone, Copy, Debug)]
pub struct InputBatch<'a> {
    /// \[batch, channels, height, width\]
    pub numbers: &'a [f32],
    /// Number of pictures.
    pub batch: usize,
    /// Height and width of the pictures, legal for the network.
    pub size: (usize, usize),
}

/// The targets of the loss, \[batch, height, width\] of the output.
#[derive(Clone, Copy, Debug)]
pub struct Targets<'a> {
    /// The true class of each pixel.
    pub classes: &'a [u8],
    /// The weight of each pixel in the loss.
    pub weights: &'a [f32],
}

/// Dropout at the end of the contracting path.
#[derive(Clone, Debug)]
pub struct Dropout {
    /// Share of values that are dropped.
    pub share: f64,
    /// Draws them.
    pub rng: StdRng,
}

/// Computes a network. It keeps its feature maps, so that more pictures of the same size need no allocations.
#[derive(Debug)]
pub struct Engine {
    unet: UNet,
    layers: Vec<Layer>,
    maps: Workspace,
    gradients: Workspace,
    packed: Packed,
}

impl Engine {
    /// An engine for networks of shape `unet`.
    pub fn new(unet: UNet) -> Self {
        Engine {
            unet,
            layers: unet.layers(),
            maps: Workspace::default(),
            gradients: Workspace::default(),
            packed: Vec::new(),
        }
    }

    /// The scores \[batch, classes, height - 2 margin, width - 2 margin\] before softmax, of a network with
    /// these `values`, one for each of [`UNet::layers`].
    pub fn scores(&mut self, values: &[Parameters], pictures: InputBatch) -> Vec<f32> {
        self.forward(values, pictures, None);
        self.maps.scores.read()
    }

    /// The loss, and the gradients of each layer's `values`.
    pub fn loss_and_gradients(
        &mut self,
        values: &[Parameters],
        pictures: InputBatch,
        targets: Targets,
        dropout: Dropout,
    ) -> (f32, Vec<Parameters>) {
        let scale = (1.0 / (1.0 - dropout.share)) as f32;
        self.forward(values, pictures, Some(dropout));
        self.gradients.fit(Shape {
            unet: self.unet,
            batch: pictures.batch,
            size: pictures.size,
            // The backward pass of a convolution reads the gradient of its output with a border.
            borders: Borders {
                output: 2 - padding(&self.unet),
                input: 0,
            },
        });
        let loss = loss::loss(
            &self.maps.scores,
            targets.classes,
            targets.weights,
            &mut self.gradients.scores,
        );
        (loss, self.backward(values, scale))
    }

    fn forward(
        &mut self,
        values: &[Parameters],
        pictures: InputBatch,
        mut dropout: Option<Dropout>,
    ) {
        let unet = self.unet;
        let border = padding(&unet);
        self.maps.fit(Shape {
            unet,
            batch: pictures.batch,
            size: pictures.size,
            borders: Borders {
                output: border,
                input: border,
            },
        });
        let mut pass = Forward {
            padding: border,
            layers: self.layers.iter().zip(values),
            packed: &mut self.packed,
        };
        let maps = &mut self.maps;
        maps.image.write(pictures.numbers);
        for level in 0..=unet.depth {
            let (above, here) = maps.down.split_at_mut(level);
            let input = above.last().map_or(&maps.image, |above| &above.pooled);
            let here = &mut here[0];
            pass.convolve([(input, 0)], &mut here.first);
            pass.convolve([(&here.first, 0)], &mut here.second);
            // "Drop-out layers at the end of the contracting path" (section 3.1): here and at the bottom.
            if let Some(dropout) = &mut dropout
                && level + 1 >= unet.depth
            {
                dropout.apply(&mut here.second);
            }
            if level < unet.depth {
                pool::max_pool(&here.second, &mut here.pooled);
            }
        }
        for level in (0..unet.depth).rev() {
            let (here, below) = maps.up.split_at_mut(level + 1);
            let here = &mut here[level];
            let bottom = &maps.down[unet.depth].second;
            let below = below.first().map_or(bottom, |below| &below.second);
            pass.up_convolve(below, &mut here.phases, &mut here.up);
            let skipped = (&maps.down[level].second, unet.crop(level));
            pass.convolve([skipped, (&here.up, 0)], &mut here.first);
            pass.convolve([(&here.first, 0)], &mut here.second);
        }
        pass.classify(&maps.up[0].second, &mut maps.scores);
    }

    /// The gradients of the layers' `values`, from those of the scores. Dropout has multiplied the values that it kept
    /// by `scale`.
    fn backward(&mut self, values: &[Parameters], scale: f32) -> Vec<Parameters> {
        let unet = self.unet;
        let dropout_scale = move |level| if level + 1 >= unet.depth { scale } else { 1.0 };
        let mut backward = BackwardPass {
            unet,
            maps: &self.maps,
            gradients: &mut self.gradients,
            pass: Backward {
                padding: padding(&unet),
                layers: self.layers.iter().zip(values).rev(),
                packed: &mut self.packed,
                found: Vec::with_capacity(values.len()),
            },
            dropout_scale,
        };
        backward.through_expanding_path();
        backward.through_contracting_path();
        backward.pass.gradients()
    }
}

/// The backward pass through the two paths of the network.
struct BackwardPass<'a, F> {
    unet: UNet,
    maps: &'a Workspace,
    gradients: &'a mut Workspace,
    pass: Backward<'a>,
    /// The factor by which dropout has multiplied the second convolution's output at a level of the contracting path.
    dropout_scale: F,
}

impl<F: Fn(usize) -> f32> BackwardPass<'_, F> {
    fn through_expanding_path(&mut self) {
        let BackwardPass {
            unet,
            maps,
            gradients,
            pass,
            dropout_scale,
        } = self;
        let of_top = GradientTarget::before_relu(&mut gradients.up[0].second, 1.0);
        pass.classify(&maps.up[0].second, &gradients.scores, of_top);
        for level in 0..unet.depth {
            let here = &maps.up[level];
            let (of_here, of_below) = gradients.up.split_at_mut(level + 1);
            let of_here = &mut of_here[level];
            let of_first = GradientTarget::before_relu(&mut of_here.first, 1.0);
            pass.convolve([(&here.first, 0, Some(of_first))], &of_here.second);
            let skipped = &maps.down[level].second;
            let of_skipped = &mut gradients.down[level].second;
            // The cropped pixels have no gradient from here.
            if unet.crop(level) > 0 {
                of_skipped.clear();
            }
            let of_skipped = GradientTarget::before_relu(of_skipped, dropout_scale(level));
            let of_up = GradientTarget::plain(&mut of_here.up);
            pass.convolve(
                [
                    (skipped, unet.crop(level), Some(of_skipped)),
                    (&here.up, 0, Some(of_up)),
                ],
                &of_here.first,
            );
            let (below, of_below, scale) = match of_below.first_mut() {
                Some(of_below) => (&maps.up[level + 1].second, &mut of_below.second, 1.0),
                None => (
                    &maps.down[unet.depth].second,
                    &mut gradients.down[unet.depth].second,
                    dropout_scale(unet.depth),
                ),
            };
            let of_below = GradientTarget::before_relu(of_below, scale);
            pass.up_convolve(below, &of_here.up, &mut of_here.phases, of_below);
        }
    }

    fn through_contracting_path(&mut self) {
        let BackwardPass {
            unet,
            maps,
            gradients,
            pass,
            dropout_scale,
        } = self;
        for level in (0..=unet.depth).rev() {
            let here = &maps.down[level];
            let (of_above, of_here) = gradients.down.split_at_mut(level);
            let of_here = &mut of_here[0];
            if level < unet.depth {
                let (pooled, of_second) = (&of_here.pooled, &mut of_here.second);
                pool::max_pool_gradient(&here.second, pooled, dropout_scale(level), of_second);
            }
            let of_first = GradientTarget::before_relu(&mut of_here.first, 1.0);
            pass.convolve([(&here.first, 0, Some(of_first))], &of_here.second);
            // The gradient of the picture is not needed.
            let above = match of_above.last_mut() {
                Some(of_above) => (
                    &maps.down[level - 1].pooled,
                    0,
                    Some(GradientTarget::plain(&mut of_above.pooled)),
                ),
                None => (&maps.image, 0, None),
            };
            pass.convolve([above], &of_here.first);
        }
    }
}

/// Pixels that a 3x3 convolution reads beyond the edge.
fn padding(unet: &UNet) -> usize {
    usize::from(unet.padded)
}

impl Dropout {
    /// Drops values, and scales the others up so that the mean stays the same.
    fn apply(&mut self, map: &mut FeatureMap) {
        if self.share == 0.0 {
            return;
        }
        let scale = (1.0 / (1.0 - self.share)) as f32;
        let plane = map.plane();
        let planes = map.pixels_mut().chunks_exact_mut(plane);
        let planes: Vec<_> = planes.map(|plane| (self.rng.random(), plane)).collect();
        // Each plane has its own random numbers, whatever thread it is on.
        planes.into_par_iter().for_each(|(seed, plane)| {
            let mut rng = StdRng::seed_from_u64(seed);
            for value in plane.iter_mut().flat_map(|pixel| pixel.iter_mut()) {
                *value *= if rng.random_bool(self.share) {
                    0.0
                } else {
                    scale
                };
            }
        });
    }
}

#[cfg(test)]
mod tests;
