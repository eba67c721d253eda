use burn::module::ParamId;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::train::loss::weighted_cross_entropy;
use crate::train::network::Network;
use crate::train::weights::initial;

const SMALL: UNet = UNet {
    channels: 1,
    classes: 2,
    width: 4,
    depth: 2,
    padded: false,
};

fn random(count: usize, rng: &mut StdRng) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn assert_near(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (found - expected).abs();
        assert!(
            off <= 1e-4 * largest.max(1e-3),
            "{what}, {at}: {found} for {expected}, largest {largest}"
        );
    }
}

/// A network, a batch of pictures and targets for it.
struct Case {
    unet: UNet,
    values: Vec<Parameters>,
    numbers: Vec<f32>,
    classes: Vec<u8>,
    weights: Vec<f32>,
    batch: usize,
    size: (usize, usize),
}

/// The results of burn for a [`Case`].
struct Expected {
    scores: Vec<f32>,
    loss: f32,
    /// Of the weights and the biases of each layer.
    gradients: Vec<[Vec<f32>; 2]>,
}

impl Case {
    /// Pictures of at least `rows` x `columns` pixels, all of which have the weight 1 in the loss.
    fn new(unet: UNet, batch: usize, (rows, columns): (usize, usize)) -> Self {
        let rng = &mut StdRng::seed_from_u64(5);
        let size = unet.geometry().legal(rows, columns).unwrap();
        let margin = unet.geometry().margin;
        let pixels = batch * (size.0 - 2 * margin) * (size.1 - 2 * margin);
        let classes = unet.classes as u8;
        Case {
            unet,
            values: initial(&unet, rng),
            numbers: random(batch * unet.channels * size.0 * size.1, rng),
            classes: (0..pixels).map(|_| rng.random_range(0..classes)).collect(),
            weights: vec![1.0; pixels],
            batch,
            size,
        }
    }

    /// The same with random biases, and weights of pixels between 0.5 and 2.5.
    fn with_biases_and_weights(mut self) -> Self {
        let rng = &mut StdRng::seed_from_u64(3);
        for parameters in &mut self.values {
            parameters.bias = random(parameters.bias.len(), rng);
        }
        let weights = random(self.weights.len(), rng);
        self.weights = weights.iter().map(|x| x + 1.5).collect();
        self
    }

    fn pictures(&self) -> InputBatch<'_> {
        InputBatch {
            numbers: &self.numbers,
            batch: self.batch,
            size: self.size,
        }
    }

    /// Loss and gradients, where a share of values is dropped, always the same ones.
    fn learn(&self, values: &[Parameters], share: f64) -> (f32, Vec<Parameters>) {
        let targets = Targets {
            classes: &self.classes,
            weights: &self.weights,
        };
        let rng = StdRng::seed_from_u64(9);
        let dropout = Dropout { share, rng };
        Engine::new(self.unet).loss_and_gradients(values, self.pictures(), targets, dropout)
    }

    fn by_burn(&self) -> Expected {
        let device = Device::flex().autodiff();
        let network = Network::new(self.unet, &self.values, 0.0, &device);
        let (height, width) = self.size;
        let shape = [self.batch, self.unet.channels, height, width];
        let data = TensorData::new(self.numbers.clone(), shape);
        let scores = network.forward(Tensor::from_data(data, &device));
        let targets = TensorData::new(self.planes_of_weights(), scores.dims());
        let loss = weighted_cross_entropy(scores.clone(), Tensor::from_data(targets, &device));
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        let floats = |data: TensorData| data.iter::<f32>().collect::<Vec<_>>();
        let of_layer = |[weight, bias]: [ParamId; 2]| {
            let weight = gradients.get::<4>(weight).unwrap();
            let bias = gradients.get::<1>(bias).unwrap();
            [floats(weight.into_data()), floats(bias.into_data())]
        };
        Expected {
            gradients: network.parameter_ids().map(of_layer).collect(),
            scores: floats(scores.into_data()),
            loss: loss.into_scalar::<f32>(),
        }
    }

    /// For each class a plane with the weights of its pixels, and 0 for the others.
    fn planes_of_weights(&self) -> Vec<f32> {
        let classes = self.unet.classes;
        let pixels = self.classes.len() / self.batch;
        let weight = |index: usize| {
            let (plane, pixel) = (index / pixels, index % pixels);
            let (picture, class) = (plane / classes, plane % classes);
            let at = picture * pixels + pixel;
            if usize::from(self.classes[at]) == class {
                self.weights[at]
            } else {
                0.0
            }
        };
        (0..classes * self.classes.len()).map(weight).collect()
    }
}

#[test]
fn scores_loss_and_gradients_are_those_of_burn() {
    for unet in [
        SMALL,
        UNet { width: 16, ..SMALL },
        UNet {
            channels: 3,
            classes: 3,
            width: 12,
            depth: 1,
            ..SMALL
        },
        UNet {
            padded: true,
            width: 20,
            ..SMALL
        },
        UNet {
            width: 2,
            depth: 3,
            ..SMALL
        },
    ] {
        let case = Case::new(unet, 2, (1, 20)).with_biases_and_weights();
        let expected = case.by_burn();
        let what = format!("{unet:?}");
        let scores = Engine::new(unet).scores(&case.values, case.pictures());
        assert_near(&scores, &expected.scores, &what);
        let (loss, gradients) = case.learn(&case.values, 0.0);
        assert_near(&[loss], &[expected.loss], &what);
        let layers = unet.layers();
        assert_eq!(gradients.len(), layers.len());
        let of_layers = gradients.iter().zip(&expected.gradients);
        for (layer, (found, [weight, bias])) in layers.iter().zip(of_layers) {
            let what = format!("{what} {}", layer.name);
            assert_near(&found.weight, weight, &what);
            assert_near(&found.bias, bias, &format!("{what} bias"));
        }
    }
}

#[test]
fn gradients_pass_through_values_that_are_not_dropped() {
    let padded = UNet {
        padded: true,
        ..SMALL
    };
    let case = Case::new(padded, 1, (40, 40));
    let (whole, _) = case.learn(&case.values, 0.0);
    let (loss, gradients) = case.learn(&case.values, 0.5);
    assert_ne!(whole, loss);
    // Along the gradient the loss grows by the square of its length.
    let each = |x: &Parameters| x.weight.iter().chain(&x.bias).map(|g| g * g).sum::<f32>();
    let square: f32 = gradients.iter().map(each).sum();
    let moved = |by: f32| {
        let mut values = case.values.clone();
        for (values, gradients) in values.iter_mut().zip(&gradients) {
            let weights = values.weight.iter_mut().zip(&gradients.weight);
            let biases = values.bias.iter_mut().zip(&gradients.bias);
            weights.chain(biases).for_each(|(x, g)| *x += by * g);
        }
        case.learn(&values, 0.5).0
    };
    let step = 1e-2 / square.sqrt();
    let slope = (moved(step) - moved(-step)) / (2.0 * step);
    assert!((slope / square - 1.0).abs() < 0.02, "{slope} for {square}");
}

/// ReLU must not turn it into a zero, or the network would go on to learn with damaged weights.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_weight_that_is_nan_shows_in_the_loss() {
    let mut case = Case::new(SMALL, 1, (1, 20));
    assert!(case.learn(&case.values, 0.0).0.is_finite());
    case.values[0].weight[0] = f32::NAN;
    assert!(case.learn(&case.values, 0.0).0.is_nan());
}

#[test]
fn results_do_not_depend_on_how_many_threads_there_are() {
    let case = Case::new(UNet { width: 20, ..SMALL }, 1, (40, 40));
    let [one, three] = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let (loss, gradients) = pool
            .build()
            .unwrap()
            .install(|| case.learn(&case.values, 0.3));
        let bits = |x: &Parameters| -> Vec<u32> {
            let numbers = x.weight.iter().chain(&x.bias);
            numbers.map(|number| number.to_bits()).collect()
        };
        (
            loss.to_bits(),
            gradients.iter().map(bits).collect::<Vec<_>>(),
        )
    });
    assert!(one == three);
}
