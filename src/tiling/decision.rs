//! Turns the network's scores into classes and probabilities, one row of pixels at a time.

use super::score::{ScoreRow, exp, logistic};
use crate::contract::Activation;

/// How the network's output is turned into classes and the probability of the foreground.
///
/// | activation | outputs | foreground if | its probability |
/// | --- | --- | --- | --- |
/// | sigmoid | 1 | a > logit(t) | logistic(a) |
/// | softmax | 2 | a1 > a0 + logit(t) | logistic(a1 - a0) |
/// | none | 1 | p > t | p |
/// | none | 2 | p1 (1 - t) > p0 t | p1 / (p0 + p1) |
/// | softmax, none | more | class of the largest | share of all classes but the first |
///
/// `t` is the threshold. At 0.5, two classes are decided exactly as by the largest score. Ties go to the class of
/// lower number, and NaN to the background.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Whether the scores already are probabilities.
    probabilities: bool,
    outputs: usize,
    threshold: f32,
}

impl Decision {
    /// For a network of `outputs` channels, at least 1; `threshold` is a probability, `0..=1`, and
    /// used only where there are two classes.
    pub fn new(activation: Activation, outputs: usize, threshold: f32) -> Self {
        Decision {
            probabilities: activation == Activation::None,
            outputs,
            threshold,
        }
    }

    /// Output channels of the network.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The probabilities of all channels from scores \[outputs\]\[pixels\], in the same order.
    pub fn probabilities(&self, scores: &[f32]) -> Vec<f32> {
        if self.probabilities {
            return scores.to_vec();
        }
        if self.outputs == 1 {
            return scores.iter().map(|score| logistic(*score)).collect();
        }
        let pixels = scores.len() / self.outputs;
        let row = ScoreRow::new(scores, pixels, 0, pixels);
        let (mut total, mut largest) = (vec![0.0; pixels], vec![0.0; pixels]);
        self.totals(row, &mut total, &mut largest);
        let of_pixels = || total.iter().zip(&largest);
        (0..self.outputs)
            .flat_map(|output| row.of(output).iter().zip(of_pixels()))
            .map(|(score, (total, largest))| exp(score - largest) / total)
            .collect()
    }

    /// Writes the class of each pixel, and the probability that it is not background, from scores
    /// \[outputs\]\[pixels\].
    ///
    /// # Panics
    /// If there are fewer scores or probabilities than pixels in `mask`.
    pub fn decide(&self, scores: &[f32], mask: &mut [u8], probability: &mut [f32]) {
        let pixels = mask.len();
        let row = ScoreRow::new(scores, pixels, 0, pixels);
        let mut space = vec![0.0; pixels];
        self.classes(row, &mut space, mask);
        self.foreground(row, &mut space, &mut probability[..pixels]);
    }

    /// Writes the class of each pixel. `best` is working memory, at least as long.
    pub(super) fn classes(&self, scores: ScoreRow, best: &mut [f32], mask: &mut [u8]) {
        let t = self.threshold;
        let logit = (t / (1.0 - t)).ln();
        match (self.outputs, self.probabilities) {
            (1, probabilities) => {
                let least = if probabilities { t } else { logit };
                for (class, score) in mask.iter_mut().zip(scores.of(0)) {
                    *class = u8::from(*score > least);
                }
            }
            (2, false) => {
                let pairs = scores.of(0).iter().zip(scores.of(1));
                for (class, (a0, a1)) in mask.iter_mut().zip(pairs) {
                    *class = u8::from(*a1 > a0 + logit);
                }
            }
            (2, true) => {
                let pairs = scores.of(0).iter().zip(scores.of(1));
                for (class, (p0, p1)) in mask.iter_mut().zip(pairs) {
                    *class = u8::from(p1 * (1.0 - t) > p0 * t);
                }
            }
            _ => self.largest(scores, best, mask),
        }
    }

    fn largest(&self, scores: ScoreRow, best: &mut [f32], mask: &mut [u8]) {
        let best = &mut best[..mask.len()];
        best.copy_from_slice(scores.of(0));
        mask.fill(0);
        for index in 1..self.outputs {
            let pixels = mask.iter_mut().zip(best.iter_mut());
            for ((class, best), score) in pixels.zip(scores.of(index)) {
                // Selecting instead of branching vectorizes.
                let better = *score > *best;
                *best = if better { *score } else { *best };
                *class = if better { index as u8 } else { *class };
            }
        }
    }

    /// Writes the probability that a pixel is not background. `total` is working memory, at least as long as the row.
    pub(super) fn foreground(&self, scores: ScoreRow, total: &mut [f32], probability: &mut [f32]) {
        match (self.outputs, self.probabilities) {
            (1, true) => probability.copy_from_slice(scores.of(0)),
            (1, false) => {
                for (p, a) in probability.iter_mut().zip(scores.of(0)) {
                    *p = logistic(*a);
                }
            }
            (2, false) => {
                let pairs = scores.of(0).iter().zip(scores.of(1));
                for (p, (a0, a1)) in probability.iter_mut().zip(pairs) {
                    *p = logistic(a1 - a0);
                }
            }
            _ => {
                let total = &mut total[..probability.len()];
                self.totals(scores, total, probability);
                for ((p, total), first) in probability.iter_mut().zip(total).zip(scores.of(0)) {
                    let background = if self.probabilities {
                        *first
                    } else {
                        exp(first - *p)
                    };
                    // If all probabilities are 0, nothing is foreground.
                    *p = if *total == 0.0 {
                        0.0
                    } else {
                        1.0 - background / *total
                    };
                }
            }
        }
    }

    /// Writes the largest score of each pixel, which keeps the softmax from overflowing, and the sum of all classes'
    /// shares.
    fn totals(&self, scores: ScoreRow, total: &mut [f32], largest: &mut [f32]) {
        largest.copy_from_slice(scores.of(0));
        for index in 1..self.outputs {
            for (largest, score) in largest.iter_mut().zip(scores.of(index)) {
                *largest = if *score > *largest { *score } else { *largest };
            }
        }
        total.fill(0.0);
        for index in 0..self.outputs {
            let pixels = total.iter_mut().zip(largest.iter());
            for ((total, largest), score) in pixels.zip(scores.of(index)) {
                *total += if self.probabilities {
                    *score
                } else {
                    exp(score - largest)
                };
            }
        }
    }

    /// Number of planes that [`add`](Self::add) adds to: one for the foreground with scores of two classes, else one
    /// per channel.
    fn planes(&self) -> usize {
        if self.outputs == 2 && !self.probabilities {
            1
        } else {
            self.outputs
        }
    }

    /// The decision for the complete sums of [`add`](Self::add), and for means of such sums.
    pub fn of_sums(&self) -> Self {
        Decision {
            probabilities: true,
            outputs: self.planes(),
            threshold: self.threshold,
        }
    }

    /// Adds the probabilities of a row, times the weight of the row and of each pixel, to the same row of each plane
    /// of `sums`. `total` and `largest` are working memory.
    pub(super) fn add<'a>(
        &self,
        scores: ScoreRow,
        (weight, weights): (f32, &[f32]),
        [total, largest]: [&mut [f32]; 2],
        sums: impl Iterator<Item = &'a mut [f32]>,
    ) {
        let (total, largest) = (&mut total[..weights.len()], &mut largest[..weights.len()]);
        if self.planes() == 1 {
            self.foreground(scores, total, largest);
            for sums in sums {
                for ((sum, p), w) in sums.iter_mut().zip(largest.iter()).zip(weights) {
                    *sum += *p * (weight * w);
                }
            }
            return;
        }
        self.totals(scores, total, largest);
        for (index, sums) in sums.enumerate() {
            let pixels = scores.of(index).iter().zip(weights);
            let pixels = pixels.zip(total.iter().zip(largest.iter()));
            for (sum, ((score, w), (total, largest))) in sums.iter_mut().zip(pixels) {
                let p = if self.probabilities {
                    *score
                } else {
                    exp(score - largest) / total
                };
                *sum += p * (weight * w);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Classes and foreground probabilities of pixels given as their channels' scores.
    fn decide<const N: usize>(decision: Decision, pixels: &[[f32; N]]) -> (Vec<u8>, Vec<f32>) {
        let channel = |channel| pixels.iter().map(move |pixel| pixel[channel]);
        let tensor: Vec<f32> = (0..N).flat_map(channel).collect();
        let (mut mask, mut p) = (vec![9; pixels.len()], vec![f32::NAN; pixels.len()]);
        decision.decide(&tensor, &mut mask, &mut p);
        (mask, p)
    }

    fn close(got: &[f32], expected: &[f32]) {
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "{got} for {expected}");
        }
    }

    #[test]
    fn two_scores_tie_to_the_background() {
        let decision = Decision::new(Activation::Softmax, 2, 0.5);
        let pixels = [[0.0, 0.0], [1.0, 1.000_000_1], [3.0, -2.0], [f32::NAN, 0.0]];
        let (mask, p) = decide(decision, &pixels);
        assert_eq!(mask, [0, 1, 0, 0]);
        close(&p[..3], &[0.5, 0.5, 0.006_692_85]);
    }

    #[test]
    fn thresholds_are_probabilities() {
        for (threshold, expected) in [(0.0, [1, 1]), (0.7, [0, 1]), (0.9, [0, 0]), (1.0, [0, 0])] {
            // 0.3 and 0.8 in each kind of output.
            let logit = |p: f32| (p / (1.0 - p)).ln();
            let scores = [logit(0.3), logit(0.8)];
            let one = |activation, scores: [f32; 2]| {
                decide(
                    Decision::new(activation, 1, threshold),
                    &scores.map(|a| [a]),
                )
            };
            let two = |activation, pixels: [[f32; 2]; 2]| {
                decide(Decision::new(activation, 2, threshold), &pixels)
            };
            for (mask, p) in [
                one(Activation::Sigmoid, scores),
                one(Activation::None, [0.3, 0.8]),
                two(Activation::Softmax, scores.map(|a| [5.0, 5.0 + a])),
                two(Activation::None, [[0.7, 0.3], [0.2, 0.8]]),
            ] {
                assert_eq!(mask, expected, "at {threshold}");
                close(&p, &[0.3, 0.8]);
            }
        }
    }

    #[test]
    fn more_classes_go_to_the_largest() {
        let pixels = [[1.0, 1.0, 1.0], [0.0, 2.0, 3.0], [200.0, 0.0, -200.0]];
        let (mask, p) = decide(Decision::new(Activation::Softmax, 3, 0.9), &pixels);
        assert_eq!(mask, [0, 2, 0]);
        let e = std::f32::consts::E;
        close(&p, &[2.0 / 3.0, 1.0 - 1.0 / (1.0 + e * e + e * e * e), 0.0]);
        let pixels = [[0.0, 0.0, 0.0], [0.2, 0.5, 0.3], [0.1, 0.1, 0.0]];
        let (mask, p) = decide(Decision::new(Activation::None, 3, 0.9), &pixels);
        assert_eq!(mask, [0, 1, 0]);
        close(&p, &[0.0, 0.8, 0.5]);
    }

    #[test]
    fn probabilities_match_their_definition() {
        let of = |activation, outputs, scores: &[f32]| {
            Decision::new(activation, outputs, 0.5).probabilities(scores)
        };
        close(&of(Activation::Sigmoid, 1, &[0.0, 2.0]), &[0.5, 0.880_797]);
        assert_eq!(of(Activation::None, 2, &[0.3, 0.7]), [0.3, 0.7]);
        let found = of(Activation::Softmax, 2, &[0.0, 1.0, 2.0, -1.0]);
        close(&found, &[0.119_203, 0.880_797, 0.880_797, 0.119_203]);
        // Three classes, and scores whose exponentials would overflow.
        let found = of(
            Activation::Softmax,
            3,
            &[1.0, 900.0, 1.0, 900.0, 1.0, -900.0],
        );
        let third = 1.0 / 3.0;
        close(&found, &[third, 0.5, third, 0.5, third, 0.0]);
    }

    #[test]
    fn one_sum_with_full_weight_decides_like_the_scores() {
        let pixels: [[f32; 3]; 3] = [[0.3, 1.0, 2.0], [4.0, 2.0, 4.5], [50.0, 60.0, 9.0]];
        for activation in [Activation::Softmax, Activation::None] {
            let decision = Decision::new(activation, 3, 0.5);
            let tensor: Vec<f32> = (0..3).flat_map(|c| pixels.map(|pixel| pixel[c])).collect();
            let row = ScoreRow::new(&tensor, 3, 0, 3);
            let (mut total, mut largest) = ([0.0; 3], [0.0; 3]);
            let mut sums = [[0.0; 3]; 3];
            let space = [&mut total[..], &mut largest[..]];
            let planes = sums.iter_mut().map(|plane| &mut plane[..]);
            decision.add(row, (0.5, &[2.0; 3]), space, planes);
            let mut averaged = [[0.0; 3]; 3];
            for (index, plane) in sums.iter().enumerate() {
                for (pixel, p) in averaged.iter_mut().zip(plane) {
                    pixel[index] = *p;
                }
            }
            let (mask, p) = decide(decision, &pixels);
            let (mask_of_sums, p_of_sums) = decide(decision.of_sums(), &averaged);
            assert_eq!(mask, mask_of_sums);
            close(&p_of_sums, &p);
        }
    }
}
