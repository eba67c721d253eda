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
        let rng = &mut StdRng::seed_from_u64(3);
        let mut values = initial(&unet, rng);
        for parameters in &mut values {
            parameters.bias = random(parameters.bias.len(), rng);
        }
        let (height, width) = unet.geometry().legal(1, 20).unwrap();
        let margin = unet.geometry().margin;
        let (rows, columns) = (height - 2 * margin, width - 2 * margin);
        let batch = 2;
        let numbers = random(batch * unet.channels * height * width, rng);
        let classes: Vec<u8> = (0..batch * rows * columns)
            .map(|_| rng.random_range(0..unet.classes as u8))
            .collect();
        let importance: Vec<f32> = random(classes.len(), rng).iter().map(|x| x + 1.5).collect();

        let device = Device::flex().autodiff();
        let network = Network::new(unet, &values, 0.0, &device);
        let data = TensorData::new(numbers.clone(), [batch, unet.channels, height, width]);
        let scores = network.forward(Tensor::from_data(data, &device));
        let targets: Vec<f32> = (0..batch * unet.classes * rows * columns)
            .map(|index| {
                let (place, pixel) = (index / (rows * columns), index % (rows * columns));
                let (picture, class) = (place / unet.classes, place % unet.classes);
                let at = picture * rows * columns + pixel;
                match usize::from(classes[at]) == class {
                    true => importance[at],
                    false => 0.0,
                }
            })
            .collect();
        let data = TensorData::new(targets, [batch, unet.classes, rows, columns]);
        let loss = weighted_cross_entropy(scores.clone(), Tensor::from_data(data, &device));
        let gradients = GradientsParams::from_grads(loss.backward(), &network);

        let layers = unet.layers();
        let mut engine = Engine::new(unet);
        let pictures = Pictures {
            numbers: &numbers,
            batch,
            size: (height, width),
        };
        let what = format!("{unet:?}");
        let floats = |data: TensorData| data.iter::<f32>().collect::<Vec<_>>();
        let expected = floats(scores.into_data());
        assert_near(&engine.scores(&values, pictures), &expected, &what);
        let answers = Answers {
            classes: &classes,
            weights: &importance,
        };
        let dropout = Dropout {
            share: 0.0,
            rng: StdRng::seed_from_u64(1),
        };
        let (found, of_layers) = engine.learn(&values, pictures, answers, dropout);
        assert_near(&[found], &[loss.into_scalar::<f32>()], &what);
        assert_eq!(of_layers.len(), layers.len());
        for (layer, (found, [weight, bias])) in layers
            .iter()
            .zip(of_layers.iter().zip(network.parameter_ids()))
        {
            let what = format!("{what} {}", layer.name);
            let expected = floats(gradients.get::<4>(weight).unwrap().into_data());
            assert_near(&found.weight, &expected, &what);
            let expected = floats(gradients.get::<1>(bias).unwrap().into_data());
            assert_near(&found.bias, &expected, &format!("{what} bias"));
        }
    }
}

/// A network, a picture and answers for it.
struct Case {
    unet: UNet,
    values: Vec<Parameters>,
    numbers: Vec<f32>,
    classes: Vec<u8>,
    weights: Vec<f32>,
    size: (usize, usize),
}

impl Case {
    fn new(unet: UNet) -> Self {
        let rng = &mut StdRng::seed_from_u64(5);
        let size = unet.geometry().legal(40, 40).unwrap();
        let margin = unet.geometry().margin;
        let pixels = (size.0 - 2 * margin) * (size.1 - 2 * margin);
        Case {
            unet,
            values: initial(&unet, rng),
            numbers: random(size.0 * size.1, rng),
            classes: (0..pixels).map(|_| rng.random_range(0..2)).collect(),
            weights: vec![1.0; pixels],
            size,
        }
    }

    /// Loss and gradients, where a share of values is dropped, always the same ones.
    fn learn(&self, values: &[Parameters], share: f64) -> (f32, Vec<Parameters>) {
        let pictures = Pictures {
            numbers: &self.numbers,
            batch: 1,
            size: self.size,
        };
        let answers = Answers {
            classes: &self.classes,
            weights: &self.weights,
        };
        let rng = StdRng::seed_from_u64(9);
        Engine::new(self.unet).learn(values, pictures, answers, Dropout { share, rng })
    }
}

#[test]
fn gradients_go_through_what_is_not_dropped() {
    let case = Case::new(UNet {
        padded: true,
        ..SMALL
    });
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

#[test]
fn results_do_not_depend_on_how_many_threads_there_are() {
    let case = Case::new(UNet { width: 20, ..SMALL });
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
