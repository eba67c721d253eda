//! The layers of a network in the forward and the backward pass.

use std::iter::{Rev, Zip};
use std::slice::Iter;

use rayon::prelude::*;

use super::convolve::{Destination, Epilogue, Source, convolve};
use super::feature_map::{FeatureMap, Pixel};
use super::pack::{Kernel, Packed};
use super::pool;
use super::weight_gradients::weight_gradients;
use crate::onnx::export::Parameters;
use crate::unet::{Layer, LayerKind};

/// Layers with their values.
pub type Layers<'a> = Zip<Iter<'a, Layer>, Iter<'a, Parameters>>;

/// The forward pass through the layers.
pub struct Forward<'a> {
    /// Pixels that a 3x3 convolution reads beyond the edge.
    pub padding: usize,
    /// The remaining layers.
    pub layers: Layers<'a>,
    /// Buffer for weights.
    pub packed: &'a mut Packed,
}

impl<'a> Forward<'a> {
    /// A 3x3 convolution with ReLU of the concatenated `sources`, each with the number of pixels to crop on each side.
    /// An output of \[batch, channels, height, width\] reads \[batch, inputs, height + 2 - 2 padding, width + 2 - 2
    /// padding\].
    pub fn convolve<const N: usize>(
        &mut self,
        sources: [(&FeatureMap, usize); N],
        to: &mut FeatureMap,
    ) {
        let values = self.next(LayerKind::Convolution);
        let inputs = sources.map(|(map, _)| map.channels);
        let kernel = Kernel::new(LayerKind::Convolution, to.channels, inputs);
        kernel.pack(&values.weight, self.packed);
        let sources = sources.map(|(map, crop)| source(map, crop, self.padding));
        let epilogue = Epilogue::BiasRelu(&values.bias);
        convolve(&sources, kernel.side(), self.packed, whole(to), epilogue);
    }

    /// A 2x2 up-convolution from \[batch, inputs, height, width\] to \[batch, channels, 2 height, 2 width\]; `phases`
    /// is the [result before interleaving](pool::interleave).
    pub fn up_convolve(&mut self, from: &FeatureMap, phases: &mut FeatureMap, to: &mut FeatureMap) {
        let values = self.next(LayerKind::UpConvolution);
        let kernel = Kernel::new(LayerKind::UpConvolution, to.channels, [from.channels]);
        self.pointwise(kernel, values, from, phases);
        pool::interleave(phases, to);
    }

    /// The 1x1 convolution to the scores, from \[batch, inputs, height, width\] to \[batch, classes, height, width\].
    pub fn classify(&mut self, from: &FeatureMap, to: &mut FeatureMap) {
        let values = self.next(LayerKind::Last);
        let kernel = Kernel::new(LayerKind::Last, to.channels, [from.channels]);
        self.pointwise(kernel, values, from, to);
    }

    /// A 1x1 convolution without ReLU.
    fn pointwise(
        &mut self,
        kernel: Kernel,
        values: &Parameters,
        from: &FeatureMap,
        to: &mut FeatureMap,
    ) {
        kernel.pack(&values.weight, self.packed);
        let biases = kernel.biases(&values.bias);
        let sources = [source(from, 0, 0)];
        convolve(&sources, 1, self.packed, whole(to), Epilogue::Bias(&biases));
    }

    fn next(&mut self, kind: LayerKind) -> &'a Parameters {
        let (layer, values) = self.layers.next().expect("a layer for every step");
        debug_assert_eq!(layer.kind, kind);
        values
    }
}

/// The backward pass through the layers.
pub struct Backward<'a> {
    /// Pixels that a 3x3 convolution has read beyond the edge.
    pub padding: usize,
    /// The remaining layers, from the last to the first.
    pub layers: Rev<Layers<'a>>,
    /// Buffer for weights.
    pub packed: &'a mut Packed,
    /// The gradients of the layers' values so far, from the last layer on.
    pub found: Vec<PackedGradients>,
}

/// The gradients of a layer's values, packed.
pub struct PackedGradients {
    kernel: Kernel,
    weights: Packed,
    biases: Vec<Pixel>,
}

/// Where to write the gradient of a layer's input.
pub struct GradientTarget<'a> {
    map: &'a mut FeatureMap,
    /// The factor where the input is positive, if it is the output of ReLU.
    scale: Option<f32>,
}

impl<'a> GradientTarget<'a> {
    /// For an input that is the output of ReLU: the gradient before ReLU, times `scale`.
    pub fn before_relu(map: &'a mut FeatureMap, scale: f32) -> Self {
        GradientTarget {
            map,
            scale: Some(scale),
        }
    }

    /// For any other input: its gradient.
    pub fn plain(map: &'a mut FeatureMap) -> Self {
        GradientTarget { map, scale: None }
    }
}

impl<'a> Backward<'a> {
    /// Through a 3x3 convolution whose output has this `gradient`, to its `sources`, each with the number of pixels
    /// that were cropped on each side and the target of its gradient, if that is needed.
    pub fn convolve<const N: usize>(
        &mut self,
        sources: [(&FeatureMap, usize, Option<GradientTarget>); N],
        gradient: &FeatureMap,
    ) {
        let values = self.next(LayerKind::Convolution);
        let inputs = sources.each_ref().map(|(map, ..)| map.channels);
        let kernel = Kernel::new(LayerKind::Convolution, gradient.channels, inputs);
        let views = sources
            .each_ref()
            .map(|(map, crop, _)| source(map, *crop, self.padding));
        self.add_gradients(&kernel, &views, gradient);
        let mut first = 0;
        for (from, crop, target) in sources {
            let channels = (first, from.channels);
            first += from.channels;
            let Some(target) = target else { continue };
            kernel.pack_transposed(&values.weight, channels, self.packed);
            let margins = 2 - 2 * self.padding;
            let size = (gradient.height + margins, gradient.width + margins);
            let gradient = Source {
                map: gradient,
                origin: 0,
            };
            input_gradient(gradient, 3, self.packed, (from, crop, target), size);
        }
    }

    /// Through an up-convolution whose output has this `gradient`, to its input `from`. `phases` is a buffer of the
    /// size in [`Forward::up_convolve`].
    pub fn up_convolve(
        &mut self,
        from: &FeatureMap,
        gradient: &FeatureMap,
        phases: &mut FeatureMap,
        target: GradientTarget,
    ) {
        let values = self.next(LayerKind::UpConvolution);
        pool::separate(gradient, phases);
        let kernel = Kernel::new(LayerKind::UpConvolution, gradient.channels, [from.channels]);
        self.pointwise(kernel, values, from, phases, target);
    }

    /// Through the 1x1 convolution to the scores, which have this `gradient`, to its input `from`.
    pub fn classify(&mut self, from: &FeatureMap, gradient: &FeatureMap, target: GradientTarget) {
        let values = self.next(LayerKind::Last);
        let kernel = Kernel::new(LayerKind::Last, gradient.channels, [from.channels]);
        self.pointwise(kernel, values, from, gradient, target);
    }

    /// Through a 1x1 convolution without ReLU.
    fn pointwise(
        &mut self,
        kernel: Kernel,
        values: &Parameters,
        from: &FeatureMap,
        gradient: &FeatureMap,
        target: GradientTarget,
    ) {
        self.add_gradients(&kernel, &[source(from, 0, 0)], gradient);
        kernel.pack_transposed(&values.weight, (0, from.channels), self.packed);
        let size = (from.height, from.width);
        input_gradient(
            source(gradient, 0, 0),
            1,
            self.packed,
            (from, 0, target),
            size,
        );
    }

    /// Computes the gradients of a layer's values.
    fn add_gradients(&mut self, kernel: &Kernel, sources: &[Source], gradient: &FeatureMap) {
        let size = (gradient.height, gradient.width);
        let (weights, biases) =
            weight_gradients(sources, kernel.side(), source(gradient, 0, 0), size);
        self.found.push(PackedGradients {
            kernel: kernel.clone(),
            weights,
            biases,
        });
    }

    /// The gradients of all layers' values, from the first layer on.
    pub fn gradients(self) -> Vec<Parameters> {
        let unpack = |packed: &PackedGradients| Parameters {
            weight: packed.kernel.unpack(&packed.weights),
            bias: packed.kernel.bias_gradients(&packed.biases),
        };
        self.found.par_iter().rev().map(unpack).collect()
    }

    fn next(&mut self, kind: LayerKind) -> &'a Parameters {
        let (layer, values) = self.layers.next().expect("a layer for every step");
        debug_assert_eq!(layer.kind, kind);
        values
    }
}

/// The gradient of a layer's input `from`, of which so many pixels were cropped and `size` remained, from that of the
/// output and the [transposed](Kernel::pack_transposed) weights.
fn input_gradient(
    gradient: Source,
    side: usize,
    packed: &[Pixel],
    (from, crop, target): (&FeatureMap, usize, GradientTarget),
    size: (usize, usize),
) {
    let epilogue = match target.scale {
        Some(scale) => Epilogue::ReluGradient {
            activations: source(from, crop, 0),
            scale,
        },
        None => Epilogue::Bias(&[]),
    };
    let destination = Destination {
        origin: target.map.border + crop,
        map: target.map,
        size,
    };
    convolve(&[gradient], side, packed, destination, epilogue);
}

/// The source that starts `crop` pixels inside or `padding` pixels outside of the map.
fn source(map: &FeatureMap, crop: usize, padding: usize) -> Source<'_> {
    Source {
        map,
        origin: map.border + crop - padding,
    }
}

/// The whole map as a destination.
fn whole(map: &mut FeatureMap) -> Destination<'_> {
    Destination {
        origin: map.border,
        size: (map.height, map.width),
        map,
    }
}
