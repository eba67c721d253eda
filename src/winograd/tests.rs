use std::thread;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Pictures and a convolution of them.
struct Case {
    shape: Shape,
    pictures: usize,
    size: (usize, usize),
    input: Vec<f32>,
    weights: Vec<f32>,
    biases: Vec<f32>,
}

impl Case {
    fn new(
        [inputs, outputs]: [usize; 2],
        padding: usize,
        size: (usize, usize),
        pictures: usize,
    ) -> Self {
        Case {
            shape: Shape {
                inputs,
                outputs,
                padding,
                rectified: padding == 0,
            },
            pictures,
            size,
            input: random(pictures * inputs * size.0 * size.1, 1),
            weights: random(outputs * inputs * 9, 2),
            biases: random(outputs, 3),
        }
    }

    /// The output, computed on so many threads; `None` if the processor can't.
    fn output(&self, threads: usize) -> Option<Vec<f32>> {
        let convolution =
            Convolution::new(self.shape, &self.weights, Some(&self.biases)).unwrap()?;
        let (rows, columns) = convolution.output_size(self.size).unwrap();
        let mut output = vec![f32::NAN; self.pictures * self.shape.outputs * rows * columns];
        let pool = ScratchPool::default();
        let on_threads = |work: &(dyn Fn() + Sync)| {
            thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(work);
                }
            });
        };
        let threads = (threads, &pool);
        convolution
            .compute(&self.input, self.size, &mut output, threads, on_threads)
            .unwrap();
        Some(output)
    }

    /// The same as sums of products in 64 bits.
    fn expected(&self) -> Vec<f64> {
        let Shape {
            inputs,
            outputs,
            padding,
            rectified,
        } = self.shape;
        let (rows, columns) = self.size;
        let left = |length: usize| length + 2 * padding - 2;
        let mut all = Vec::new();
        for picture in 0..self.pictures {
            for output in 0..outputs {
                for y in 0..left(rows) {
                    for x in 0..left(columns) {
                        let mut sum = f64::from(self.biases[output]);
                        for input in 0..inputs {
                            for at in 0..9 {
                                let (y, x) = (y + at / 3, x + at % 3);
                                let inside =
                                    |at: usize, length| (padding..length + padding).contains(&at);
                                if inside(y, rows) && inside(x, columns) {
                                    let plane = (picture * inputs + input) * rows;
                                    let pixel = (plane + y - padding) * columns + x - padding;
                                    let weight = self.weights[(output * inputs + input) * 9 + at];
                                    sum += f64::from(self.input[pixel]) * f64::from(weight);
                                }
                            }
                        }
                        all.push(if rectified { sum.max(0.0) } else { sum });
                    }
                }
            }
        }
        all
    }
}

#[test]
fn outputs_are_those_of_sums_of_products() {
    for (channels, padding, size, pictures) in [
        ([8, 16], 0, (20, 21), 1),
        ([16, 16], 0, (3, 3), 1),
        ([12, 20], 1, (9, 33), 2),
        ([64, 40], 1, (30, 41), 1),
        ([9, 8], 0, (5, 300), 3),
        ([16, 16], 1, (1, 1), 1),
    ] {
        let case = Case::new(channels, padding, size, pictures);
        let Some(output) = case.output(2) else {
            return eprintln!("Skipped: this processor has no AVX2.");
        };
        let expected = case.expected();
        assert_eq!(output.len(), expected.len());
        let largest = expected.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        for (at, (found, expected)) in output.iter().zip(&expected).enumerate() {
            let off = (f64::from(*found) - expected).abs();
            assert!(
                off <= 1e-5 * largest,
                "{:?} {at}: {found} for {expected}",
                case.shape
            );
        }
    }
}

#[test]
fn outputs_do_not_depend_on_how_many_threads_there_are() {
    let case = Case::new([24, 32], 1, (70, 90), 1);
    assert!(case.output(1) == case.output(3));
}

#[test]
fn an_input_that_is_not_finite_shows() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut case = Case::new([8, 8], 0, (20, 20), 1);
        case.input[5 * 20 + 5] = value;
        if let Some(output) = case.output(1) {
            assert!(output.iter().any(|x| !x.is_finite()), "{value}");
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let case = Case::new([8, 8], 0, (6, 6), 1);
    assert!(Convolution::new(case.shape, &case.weights[1..], None).is_err());
    let Some(convolution) = Convolution::new(case.shape, &case.weights, None).unwrap() else {
        return;
    };
    let pool = ScratchPool::default();
    let compute = |size, values: usize| {
        let mut output = vec![0.0; values];
        convolution.compute(&case.input, size, &mut output, (1, &pool), |work| work())
    };
    compute((6, 6), 8 * 16).unwrap();
    assert!(matches!(
        compute((6, 6), 8 * 15),
        Err(ConvolutionError::Length { .. })
    ));
    assert!(matches!(
        compute((18, 2), 8 * 16),
        Err(ConvolutionError::Small(..))
    ));
}
