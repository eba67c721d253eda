use std::thread;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const SKIPPED: &str = "Skipped: this processor has no AVX2.";

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Computes `output` on so many threads.
fn compute<A: Arithmetic>(
    convolution: &Convolution<A>,
    input: &[A::Value],
    size: (usize, usize),
    output: &mut [A::Value],
    threads: usize,
) {
    let pool = ScratchPool::default();
    let on_threads = |work: &(dyn Fn() + Sync)| {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    };
    convolution
        .compute(input, size, output, (threads, &pool), on_threads)
        .unwrap();
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

    fn convolution(&self) -> Option<Convolution<Floats>> {
        Convolution::<Floats>::new(self.shape, &self.weights, Some(&self.biases)).unwrap()
    }

    /// The output, computed on so many threads; `None` if the processor can't.
    fn output(&self, threads: usize) -> Option<Vec<f32>> {
        Some(self.output_of(&self.convolution()?, threads))
    }

    fn output_of(&self, convolution: &Convolution<Floats>, threads: usize) -> Vec<f32> {
        let (rows, columns) = convolution.output_size(self.size).unwrap();
        let mut output = vec![f32::NAN; self.pictures * self.shape.outputs * rows * columns];
        compute(convolution, &self.input, self.size, &mut output, threads);
        output
    }

    /// The same as sums of products in 64 bits.
    fn expected(&self) -> Vec<f64> {
        let biases: Vec<f64> = self.biases.iter().copied().map(f64::from).collect();
        let (rows, columns) = self.size;
        let plane = rows * columns;
        let input = |picture: usize, channel: usize, [y, x]: [usize; 2]| {
            let at = (picture * self.shape.inputs + channel) * plane + y * columns + x;
            f64::from(self.input[at])
        };
        let weight = |at: usize| f64::from(self.weights[at]);
        let sums = sums(self.shape, (self.pictures, self.size), input, weight);
        let per_channel = sums.len() / (self.pictures * self.shape.outputs);
        let biased = sums.iter().enumerate().map(|(at, sum)| {
            let value = sum + biases[at / per_channel % self.shape.outputs];
            if self.shape.rectified {
                value.max(0.0)
            } else {
                value
            }
        });
        biased.collect()
    }
}

/// Sums of products \[pictures, outputs, rows, columns\] of an input, by picture, channel and pixel, with weights, by
/// their number.
fn sums(
    shape: Shape,
    (pictures, (rows, columns)): (usize, (usize, usize)),
    value: impl Fn(usize, usize, [usize; 2]) -> f64,
    weight: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let padding = shape.padding;
    let left = |length: usize| length + 2 * padding - 2;
    let inside = |at: usize, length: usize| (padding..length + padding).contains(&at);
    let mut all = Vec::new();
    for picture in 0..pictures {
        for output in 0..shape.outputs {
            for (y, x) in (0..left(rows)).flat_map(|y| (0..left(columns)).map(move |x| (y, x))) {
                let mut sum = 0.0;
                for (input, at) in (0..shape.inputs).flat_map(|i| (0..9).map(move |at| (i, at))) {
                    let (y, x) = (y + at / 3, x + at % 3);
                    if inside(y, rows) && inside(x, columns) {
                        let weight = weight((output * shape.inputs + input) * 9 + at);
                        sum += value(picture, input, [y - padding, x - padding]) * weight;
                    }
                }
                all.push(sum);
            }
        }
    }
    all
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
            return eprintln!("{SKIPPED}");
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
    assert!(Convolution::<Floats>::new(case.shape, &case.weights[1..], None).is_err());
    let Some(convolution) = Convolution::<Floats>::new(case.shape, &case.weights, None).unwrap()
    else {
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

/// Codes of pictures, and a convolution of them.
struct CodedCase {
    shape: Shape,
    pictures: usize,
    size: (usize, usize),
    codings: [Coding; 2],
    input: Vec<u8>,
    weights: Vec<i8>,
    steps: Vec<f32>,
    biases: Vec<f32>,
}

impl CodedCase {
    /// Of random codes, with an input `zero`.
    fn new(
        [inputs, outputs]: [usize; 2],
        padding: usize,
        size: (usize, usize),
        pictures: usize,
        zero: u8,
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(4);
        let count = outputs * inputs * 9;
        // Such that outputs use their codes.
        let step = 100.0 * (inputs as f32).sqrt();
        let output = Coding {
            step,
            zero: if padding == 0 { 0 } else { 120 },
        };
        CodedCase {
            shape: Shape {
                inputs,
                outputs,
                padding,
                rectified: padding == 0,
            },
            pictures,
            size,
            codings: [Coding { step: 0.5, zero }, output],
            input: (0..pictures * inputs * size.0 * size.1)
                .map(|_| rng.random())
                .collect(),
            weights: (0..count).map(|_| rng.random_range(-64..=64)).collect(),
            steps: (0..outputs).map(|_| rng.random_range(0.5..1.5)).collect(),
            biases: (0..outputs)
                .map(|_| step * rng.random_range(-20.0..20.0))
                .collect(),
        }
    }

    fn convolution(&self) -> Option<Convolution<Codes>> {
        let kernels = Kernels {
            codes: &self.weights,
            steps: &self.steps,
            biases: &self.biases,
        };
        Convolution::<Codes>::new(self.shape, kernels, self.codings).unwrap()
    }

    /// The codes of the output \[pictures, rows, columns, outputs\]; `None` if the processor can't.
    fn output(&self, threads: usize) -> Option<Vec<u8>> {
        Some(self.output_of(&self.convolution()?, threads))
    }

    fn output_of(&self, convolution: &Convolution<Codes>, threads: usize) -> Vec<u8> {
        let (rows, columns) = convolution.output_size(self.size).unwrap();
        let mut output = vec![77; self.pictures * self.shape.outputs * rows * columns];
        compute(convolution, &self.input, self.size, &mut output, threads);
        output
    }

    /// What these should be, in the same order, not yet rounded.
    fn expected(&self) -> Vec<f64> {
        let [input, output] = self.codings;
        let Shape {
            inputs,
            outputs,
            padding,
            rectified,
        } = self.shape;
        let (rows, columns) = self.size;
        let value = |picture: usize, channel: usize, [y, x]: [usize; 2]| {
            let at = ((picture * rows + y) * columns + x) * inputs + channel;
            f64::from(self.input[at]) - f64::from(input.zero)
        };
        let weight = |at: usize| f64::from(self.weights[at]);
        let sums = sums(self.shape, (self.pictures, self.size), value, weight);
        let per_channel = (rows + 2 * padding - 2) * (columns + 2 * padding - 2);
        let least = if rectified { output.zero } else { 0 };
        let mut expected = vec![0.0; sums.len()];
        for (at, sum) in sums.iter().enumerate() {
            let channel = at / per_channel % outputs;
            let step = f64::from(input.step) * f64::from(self.steps[channel]);
            let value = (sum * step + f64::from(self.biases[channel])) / f64::from(output.step);
            let picture = at / per_channel / outputs;
            let to = (picture * per_channel + at % per_channel) * outputs + channel;
            expected[to] = (value + f64::from(output.zero)).clamp(f64::from(least), 255.0);
        }
        expected
    }
}

/// By how much the codes of a case are off: in the root mean square, and at most. Rounding alone takes 0.29 and 0.5.
/// `None` if the processor can't.
fn errors(case: &CodedCase) -> Option<(f64, f64)> {
    let (output, expected) = (case.output(2)?, case.expected());
    assert_eq!(output.len(), expected.len());
    let off = output.iter().zip(&expected);
    let off = off.map(|(found, expected)| (f64::from(*found) - expected).abs());
    let squares: f64 = off.clone().map(|off| off * off).sum();
    let mean = (squares / output.len() as f64).sqrt();
    Some((mean, off.fold(0.0, f64::max)))
}

#[test]
fn codes_are_those_of_sums_of_products() {
    for (channels, padding, size, pictures, zero, limits) in [
        ([16, 16], 0, (20, 21), 1, 0, (0.3, 0.6)),
        ([16, 16], 0, (3, 3), 1, 255, (0.3, 0.6)),
        ([12, 20], 1, (9, 33), 2, 103, (0.3, 0.65)),
        ([64, 40], 1, (30, 41), 1, 128, (0.3, 0.8)),
        ([9, 8], 0, (5, 300), 3, 7, (0.3, 0.6)),
        ([16, 16], 1, (1, 1), 1, 9, (0.3, 0.6)),
        // The more channels, the fewer bits are left for each weight.
        ([256, 16], 1, (8, 8), 1, 130, (0.35, 1.5)),
        ([MOST_INPUTS, 16], 1, (8, 8), 1, 130, (0.6, 5.0)),
    ] {
        let case = CodedCase::new(channels, padding, size, pictures, zero);
        let Some((mean, most)) = errors(&case) else {
            return eprintln!("{SKIPPED}");
        };
        let is_close = mean <= limits.0 && most <= limits.1;
        assert!(is_close, "{:?}: {mean} {most}", case.shape);
    }
}

/// Sums stay within 32 bits whatever the codes are.
#[test]
fn no_codes_are_too_large() {
    for inputs in [8, 256, MOST_INPUTS] {
        for zero in [0, 128, 255] {
            let mut case = CodedCase::new([inputs, 8], 0, (6, 6), 1, zero);
            // As far as possible from zero, with the signs of one row and column of the transformation.
            for (pixel, codes) in case.input.chunks_exact_mut(inputs).enumerate() {
                let is_positive = (pixel / 6 % 2 == 0) == (pixel % 6 % 2 == 0);
                codes.fill(if is_positive { 255 } else { 0 });
            }
            case.weights.fill(64);
            case.codings[1].step = 1e3 * inputs as f32;
            let Some((_, most)) = errors(&case) else {
                return eprintln!("{SKIPPED}");
            };
            assert!(most <= 1.0, "{inputs}, {zero}: {most}");
        }
    }
    let case = CodedCase::new([8, 8], 0, (6, 6), 1, 0);
    let shape = Shape {
        inputs: MOST_INPUTS + 1,
        ..case.shape
    };
    let kernels = Kernels {
        codes: &vec![1; shape.weights()],
        steps: &case.steps,
        biases: &case.biases,
    };
    let refused = Convolution::<Codes>::new(shape, kernels, case.codings);
    assert!(matches!(refused, Err(ConvolutionError::Many(_)) | Ok(None)));
}

#[test]
fn codes_do_not_depend_on_how_many_threads_there_are() {
    let case = CodedCase::new([24, 32], 1, (70, 90), 1, 100);
    assert_eq!(case.output(1), case.output(3));
}

#[test]
fn wider_vectors_change_no_bit() {
    for (channels, size) in [
        ([8, 16], (6, 6)),
        ([24, 24], (18, 22)),
        ([40, 33], (30, 41)),
        ([16, 8], (43, 79)),
        ([16, 16], (3, 94)),
    ] {
        let case = Case::new(channels, 1, size, 1);
        let coded = CodedCase::new(channels, 1, size, 1, 100);
        let (Some(mut floats), Some(mut codes)) = (case.convolution(), coded.convolution()) else {
            return eprintln!("{SKIPPED}");
        };
        if floats.wide.is_none() {
            return eprintln!("Skipped: this processor has no AVX-512 with VNNI.");
        }
        let wide = (case.output_of(&floats, 1), coded.output_of(&codes, 1));
        (floats.wide, codes.wide) = (None, None);
        assert!(wide.0 == case.output_of(&floats, 1), "{channels:?}");
        assert_eq!(wide.1, coded.output_of(&codes, 1), "{channels:?}");
    }
}
