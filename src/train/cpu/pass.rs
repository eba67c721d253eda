//! The layers of a network on the way forward and back.

use std::iter::{Rev, Zip};
use std::slice::Iter;

use rayon::prelude::*;

use super::convolve::{Finish, Source, Target, convolve};
use super::feature_map::{Map, Pixel};
use super::pack::{Kernel, Packed};
use super::pool;
use super::weight_gradients::weight_gradients;
use crate::onnx::export::Parameters;
use crate::unet::{Kind, Layer};

/// Layers with their weights and biases.
pub type Layers<'a> = Zip<Iter<'a, Layer>, Iter<'a, Parameters>>;

/// The way through the layers.
pub struct Forward<'a> {
    /// Pixels that a 3x3 convolution reads beyond the edge.
    pub padding: usize,
    /// The layers to come.
    pub layers: Layers<'a>,
    /// Room.
    pub packed: &'a mut Packed,
}

impl<'a> Forward<'a> {
    /// A 3x3 convolution with ReLU of maps, of which so many pixels are cropped.
    pub fn convolve<const N: usize>(&mut self, sources: [(&Map, usize); N], to: &mut Map) {
        let values = self.next(Kind::Convolution);
        let inputs = sources.map(|(map, _)| map.channels);
        let kernel = Kernel::new(Kind::Convolution, to.channels, inputs);
        kernel.pack(&values.weight, self.packed);
        let sources = sources.map(|(map, crop)| read(map, crop, self.padding));
        let finish = Finish::Rectified(&values.bias);
        convolve(&sources, kernel.side(), self.packed, whole(to), finish);
    }

    /// A 2x2 up-convolution: what each pixel becomes, then side by side.
    pub fn up_convolve(&mut self, from: &Map, phases: &mut Map, to: &mut Map) {
        let values = self.next(Kind::UpConvolution);
        let kernel = Kernel::new(Kind::UpConvolution, to.channels, [from.channels]);
        self.point(kernel, values, from, phases);
        pool::interleave(phases, to);
    }

    /// The 1x1 convolution to the classes.
    pub fn classify(&mut self, from: &Map, to: &mut Map) {
        let values = self.next(Kind::Last);
        let kernel = Kernel::new(Kind::Last, to.channels, [from.channels]);
        self.point(kernel, values, from, to);
    }

    fn point(&mut self, kernel: Kernel, values: &Parameters, from: &Map, to: &mut Map) {
        kernel.pack(&values.weight, self.packed);
        let biases = kernel.biases(&values.bias);
        let sources = [read(from, 0, 0)];
        convolve(&sources, 1, self.packed, whole(to), Finish::Bias(&biases));
    }

    fn next(&mut self, kind: Kind) -> &'a Parameters {
        let (layer, values) = self.layers.next().expect("a layer for every step");
        debug_assert_eq!(layer.kind, kind);
        values
    }
}

/// The way back.
pub struct Backward<'a> {
    /// Pixels that a 3x3 convolution has read beyond the edge.
    pub padding: usize,
    /// The layers to come, from the end.
    pub layers: Rev<Layers<'a>>,
    /// Room.
    pub packed: &'a mut Packed,
    /// What was found, from the end.
    pub found: Vec<Found>,
}

/// Gradients of weights and biases as they were computed.
pub struct Found {
    kernel: Kernel,
    weights: Packed,
    biases: Vec<Pixel>,
}

/// Where the gradient of maps goes.
pub struct Of<'a> {
    map: &'a mut Map,
    /// What the gradient is multiplied by where the maps are positive; `None` if they are not what ReLU has
    /// left.
    scale: Option<f32>,
}

impl<'a> Of<'a> {
    /// The gradient before ReLU, times `scale`.
    pub fn rectified(map: &'a mut Map, scale: f32) -> Self {
        Of {
            map,
            scale: Some(scale),
        }
    }

    /// The gradient of maps as they are.
    pub fn plain(map: &'a mut Map) -> Self {
        Of { map, scale: None }
    }
}

impl<'a> Backward<'a> {
    /// Through a 3x3 convolution of `sources`, each with the pixels that were cropped of it and where its
    /// gradient goes, to the maps that have this `gradient`.
    pub fn convolve<const N: usize>(
        &mut self,
        sources: [(&Map, usize, Option<Of>); N],
        gradient: &Map,
    ) {
        let values = self.next(Kind::Convolution);
        let inputs = sources.each_ref().map(|(map, ..)| map.channels);
        let kernel = Kernel::new(Kind::Convolution, gradient.channels, inputs);
        let views = sources
            .each_ref()
            .map(|(map, crop, _)| read(map, *crop, self.padding));
        self.find(&kernel, &views, gradient);
        let mut first = 0;
        for (source, crop, of) in sources {
            let channels = (first, source.channels);
            first += source.channels;
            let Some(of) = of else { continue };
            kernel.pack_turned(&values.weight, channels, self.packed);
            let grown = 2 - 2 * self.padding;
            let size = (gradient.height + grown, gradient.width + grown);
            let gradient = Source {
                map: gradient,
                origin: 0,
            };
            back(gradient, 3, self.packed, (source, crop, of), size);
        }
    }

    /// Through an up-convolution of maps `from` to those that have this `gradient`.
    pub fn up_convolve(&mut self, from: &Map, gradient: &Map, phases: &mut Map, of_from: Of) {
        let values = self.next(Kind::UpConvolution);
        pool::separate(gradient, phases);
        let kernel = Kernel::new(Kind::UpConvolution, gradient.channels, [from.channels]);
        self.point(kernel, values, from, phases, of_from);
    }

    /// Through the 1x1 convolution of maps `from` to the scores that have this `gradient`.
    pub fn classify(&mut self, from: &Map, gradient: &Map, of_from: Of) {
        let values = self.next(Kind::Last);
        let kernel = Kernel::new(Kind::Last, gradient.channels, [from.channels]);
        self.point(kernel, values, from, gradient, of_from);
    }

    fn point(
        &mut self,
        kernel: Kernel,
        values: &Parameters,
        from: &Map,
        gradient: &Map,
        of_from: Of,
    ) {
        self.find(&kernel, &[read(from, 0, 0)], gradient);
        kernel.pack_turned(&values.weight, (0, from.channels), self.packed);
        let size = (from.height, from.width);
        back(
            read(gradient, 0, 0),
            1,
            self.packed,
            (from, 0, of_from),
            size,
        );
    }

    /// Finds the gradients of a layer's values.
    fn find(&mut self, kernel: &Kernel, sources: &[Source], gradient: &Map) {
        let size = (gradient.height, gradient.width);
        let (weights, biases) =
            weight_gradients(sources, kernel.side(), read(gradient, 0, 0), size);
        self.found.push(Found {
            kernel: kernel.clone(),
            weights,
            biases,
        });
    }

    /// The gradients of all layers, in the layers' order.
    pub fn gradients(self) -> Vec<Parameters> {
        let unpack = |found: &Found| Parameters {
            weight: found.kernel.unpack(&found.weights),
            bias: found.kernel.sums(&found.biases),
        };
        self.found.par_iter().rev().map(unpack).collect()
    }

    fn next(&mut self, kind: Kind) -> &'a Parameters {
        let (layer, values) = self.layers.next().expect("a layer for every step");
        debug_assert_eq!(layer.kind, kind);
        values
    }
}

/// Takes a gradient to the maps `from`.
fn back(
    gradient: Source,
    side: usize,
    packed: &[Pixel],
    (from, crop, of): (&Map, usize, Of),
    size: (usize, usize),
) {
    let finish = match of.scale {
        Some(scale) => Finish::Where {
            positive: read(from, crop, 0),
            scale,
        },
        None => Finish::Bias(&[]),
    };
    let target = Target {
        origin: of.map.border + crop,
        map: of.map,
        size,
    };
    convolve(&[gradient], side, packed, target, finish);
}

/// Maps as they are read from the pixel on that is `crop` pixels inside and `padding` outside.
fn read(map: &Map, crop: usize, padding: usize) -> Source<'_> {
    Source {
        map,
        origin: map.border + crop - padding,
    }
}

/// Maps as they are written.
fn whole(map: &mut Map) -> Target<'_> {
    Target {
        origin: map.border,
        size: (map.height, map.width),
        map,
    }
}
