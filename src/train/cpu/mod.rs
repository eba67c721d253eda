//! The network on a CPU: forward pass, loss and backward pass, in an order of memory made for vectors.
//!
//! burn computes the same, layer by layer, on any device; on a CPU it takes several times as long. What
//! makes the difference: sums of many pixels and channels stay in registers ([`sums`], [`weight_gradients`]); the
//! maps lie so that nothing is unfolded, cropped or joined before it is read ([`feature_map`]); bias, ReLU and the
//! way back through it are part of the convolutions; and all maps are kept from step to step ([`workspace`]).

mod convolve;
mod feature_map;
mod loss;
pub mod optimizer;
mod pack;
mod pass;
mod pool;
mod sums;
mod vectors;
mod weight_gradients;
mod workspace;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

pub use feature_map::BLOCK;
use feature_map::Map;
use pack::Packed;
use pass::{Backward, Forward, Of};
use workspace::{Borders, Maps, Shape};

use crate::onnx::export::Parameters;
use crate::unet::{Layer, UNet};

/// What the network is shown.
#[derive(Clone, Copy, Debug)]
pub struct Pictures<'a> {
    /// \[batch, channels, height, width\]
    pub numbers: &'a [f32],
    /// How many.
    pub batch: usize,
    /// Rows and columns, legal for the network.
    pub size: (usize, usize),
}

/// What it should answer: for each pixel of the result, \[batch, height, width\],
#[derive(Clone, Copy, Debug)]
pub struct Answers<'a> {
    /// the true class,
    pub classes: &'a [u8],
    /// and its weight in the loss.
    pub weights: &'a [f32],
}

/// Which values learning leaves out at the end of the contracting path.
#[derive(Clone, Debug)]
pub struct Dropout {
    /// Their share.
    pub share: f64,
    /// Where they are drawn from.
    pub rng: StdRng,
}

/// Computes a network. It keeps its maps, so that the next pictures of the same size need no memory.
#[derive(Debug)]
pub struct Engine {
    unet: UNet,
    layers: Vec<Layer>,
    maps: Maps,
    gradients: Maps,
    packed: Packed,
}

impl Engine {
    /// For networks of shape `unet`.
    pub fn new(unet: UNet) -> Self {
        Engine {
            unet,
            layers: unet.layers(),
            maps: Maps::default(),
            gradients: Maps::default(),
            packed: Vec::new(),
        }
    }

    /// The scores \[batch, classes, height - 2 margin, width - 2 margin\] before softmax, of a network with
    /// these `values`, one for each of [`UNet::layers`].
    pub fn scores(&mut self, values: &[Parameters], pictures: Pictures) -> Vec<f32> {
        self.forward(values, pictures, None);
        self.maps.scores.read()
    }

    /// The loss, and the gradients of each layer's values.
    pub fn learn(
        &mut self,
        values: &[Parameters],
        pictures: Pictures,
        answers: Answers,
        dropout: Dropout,
    ) -> (f32, Vec<Parameters>) {
        let scale = (1.0 / (1.0 - dropout.share)) as f32;
        self.forward(values, pictures, Some(dropout));
        self.gradients.fit(Shape {
            unet: self.unet,
            batch: pictures.batch,
            size: pictures.size,
            // What a convolution reads on its way back.
            borders: Borders {
                made: 2 - padding(&self.unet),
                read: 0,
            },
        });
        let loss = loss::loss(
            &self.maps.scores,
            answers.classes,
            answers.weights,
            &mut self.gradients.scores,
        );
        (loss, self.backward(values, scale))
    }

    fn forward(&mut self, values: &[Parameters], pictures: Pictures, mut dropout: Option<Dropout>) {
        let unet = self.unet;
        let border = padding(&unet);
        self.maps.fit(Shape {
            unet,
            batch: pictures.batch,
            size: pictures.size,
            borders: Borders {
                made: border,
                read: border,
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

    /// The gradients of the layers' values, from those of the scores. What learning has not dropped at the
    /// end of the contracting path counts `kept` times.
    fn backward(&mut self, values: &[Parameters], kept: f32) -> Vec<Parameters> {
        let unet = self.unet;
        let kept = move |level| if level + 1 >= unet.depth { kept } else { 1.0 };
        let mut back = Back {
            unet,
            maps: &self.maps,
            gradients: &mut self.gradients,
            pass: Backward {
                padding: padding(&unet),
                layers: self.layers.iter().zip(values).rev(),
                packed: &mut self.packed,
                found: Vec::with_capacity(values.len()),
            },
            kept,
        };
        back.through_expanding_path();
        back.through_contracting_path();
        back.pass.gradients()
    }
}

/// The way back through the two paths of the network.
struct Back<'a, F> {
    unet: UNet,
    maps: &'a Maps,
    gradients: &'a mut Maps,
    pass: Backward<'a>,
    /// How often what has not been dropped at a level counts.
    kept: F,
}

impl<F: Fn(usize) -> f32> Back<'_, F> {
    fn through_expanding_path(&mut self) {
        let Back {
            unet,
            maps,
            gradients,
            pass,
            kept,
        } = self;
        let of_top = Of::rectified(&mut gradients.up[0].second, 1.0);
        pass.classify(&maps.up[0].second, &gradients.scores, of_top);
        for level in 0..unet.depth {
            let here = &maps.up[level];
            let (of_here, of_below) = gradients.up.split_at_mut(level + 1);
            let of_here = &mut of_here[level];
            let of_first = Of::rectified(&mut of_here.first, 1.0);
            pass.convolve([(&here.first, 0, Some(of_first))], &of_here.second);
            let skipped = &maps.down[level].second;
            let of_skipped = &mut gradients.down[level].second;
            // What was cropped has no gradient from here.
            if unet.crop(level) > 0 {
                of_skipped.clear();
            }
            let of_skipped = Of::rectified(of_skipped, kept(level));
            let of_up = Of::plain(&mut of_here.up);
            pass.convolve(
                [
                    (skipped, unet.crop(level), Some(of_skipped)),
                    (&here.up, 0, Some(of_up)),
                ],
                &of_here.first,
            );
            let (below, of_below) = match of_below.first_mut() {
                Some(of_below) => (
                    &maps.up[level + 1].second,
                    Of::rectified(&mut of_below.second, 1.0),
                ),
                None => (
                    &maps.down[unet.depth].second,
                    Of::rectified(&mut gradients.down[unet.depth].second, kept(unet.depth)),
                ),
            };
            pass.up_convolve(below, &of_here.up, &mut of_here.phases, of_below);
        }
    }

    fn through_contracting_path(&mut self) {
        let Back {
            unet,
            maps,
            gradients,
            pass,
            kept,
        } = self;
        for level in (0..=unet.depth).rev() {
            let here = &maps.down[level];
            let (of_above, of_here) = gradients.down.split_at_mut(level);
            let of_here = &mut of_here[0];
            if level < unet.depth {
                let (pooled, of_second) = (&of_here.pooled, &mut of_here.second);
                pool::max_pool_gradient(&here.second, pooled, kept(level), of_second);
            }
            let of_first = Of::rectified(&mut of_here.first, 1.0);
            pass.convolve([(&here.first, 0, Some(of_first))], &of_here.second);
            // Nothing learns from the gradient of the picture.
            let above = match of_above.last_mut() {
                Some(of_above) => (
                    &maps.down[level - 1].pooled,
                    0,
                    Some(Of::plain(&mut of_above.pooled)),
                ),
                None => (&maps.image, 0, None),
            };
            pass.convolve([above], &of_here.first);
        }
    }
}

/// Pixels that a 3x3 convolution reads beyond the border.
fn padding(unet: &UNet) -> usize {
    usize::from(unet.padded)
}

impl Dropout {
    /// Drops values, and enlarges the others so that sums are the same in the mean.
    fn apply(&mut self, map: &mut Map) {
        if self.share == 0.0 {
            return;
        }
        let kept = (1.0 / (1.0 - self.share)) as f32;
        let plane = map.plane();
        let planes = map.pixels_mut().chunks_exact_mut(plane);
        let planes: Vec<_> = planes.map(|plane| (self.rng.random(), plane)).collect();
        // Each draws numbers of its own, whatever thread it is on.
        planes.into_par_iter().for_each(|(seed, plane)| {
            let mut rng = StdRng::seed_from_u64(seed);
            for value in plane.iter_mut().flat_map(|pixel| pixel.iter_mut()) {
                *value *= match rng.random_bool(self.share) {
                    true => 0.0,
                    false => kept,
                };
            }
        });
    }
}

#[cfg(test)]
mod tests;
