//! How well membranes separate cells, with the measures of the ISBI 2012 challenge (Arganda-Carreras
//! et al., "Crowdsourcing the creation of image segmentation algorithms for connectomics", Frontiers
//! in Neuroanatomy 2015).
//!
//! In all planes here `true` is the inside of a cell and `false` is membrane.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::contingency::contingency;
use super::thin::thin;
use super::warping::warping_error;
use crate::train::components::components;
use crate::train::plane::Plane;

/// Scores of an image, or their means over several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// How well cells are separated; `None` if the truth shows no cell.
    pub separation: Option<Separation>,
    /// Share of annotated pixels that are wrong, `0..=1`.
    pub pixel_error: f64,
    /// See [`warping_error`]; a share of the same pixels.
    pub warping_error: f64,
}

impl Scores {
    /// Scores of one image. So many of its pixels are `ignored`: nobody has annotated them, and they are
    /// membrane in both.
    pub fn of(truth: &Plane<bool>, found: &Plane<bool>, ignored: usize) -> Self {
        let pixels = truth.data.len();
        let annotated = pixels.saturating_sub(ignored).max(1);
        let pairs = truth.data.iter().zip(&found.data);
        let wrong = pairs.filter(|(truth, found)| truth != found).count();
        Scores {
            separation: Separation::of(&components(truth), &thin(found)),
            pixel_error: wrong as f64 / annotated as f64,
            warping_error: warping_error(truth, found) * (pixels as f64 / annotated as f64),
        }
    }

    /// The scores by name.
    pub fn named(&self) -> BTreeMap<String, f64> {
        let separation = self
            .separation
            .map(|Separation { v_rand, v_info }| [("V_rand", v_rand), ("V_info", v_info)]);
        let errors = [
            ("pixel error", self.pixel_error),
            ("warping error", self.warping_error),
        ];
        separation
            .into_iter()
            .flatten()
            .chain(errors)
            .map(|(name, score)| (name.to_owned(), score))
            .collect()
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Separation { v_rand, v_info }) = self.separation {
            write!(f, "V_rand {v_rand:.4}  V_info {v_info:.4}  ")?;
        }
        write!(f, "pixel error {:.4}", self.pixel_error)
    }
}

/// How well cells are separated, each in `0..=1`, higher is better. One cell that covers everything, and cells of one
/// pixel each, both score low.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Separation {
    /// Foreground-restricted Rand score: how often two pixels in the same cell of one labelling are so in the other,
    /// with the mean of both directions in the denominator (alpha = 0.5). The challenge's Rand error is 1 - V_rand.
    pub v_rand: f64,
    /// Foreground-restricted information-theoretic score: the mutual information of both labellings, divided by their
    /// mean entropy.
    pub v_info: f64,
}

impl Separation {
    /// Compares two labellings over the pixels that are in a cell in `truth`; label 0 of `found` counts as a cell.
    /// `None` if `truth` is 0 everywhere.
    pub fn of(truth: &Plane<u32>, found: &Plane<u32>) -> Option<Self> {
        let mut shared = contingency(truth, found);
        shared.retain(|(cell, _), _| *cell != 0);
        let total = shared.values().sum::<u64>() as f64;
        if total == 0.0 {
            return None;
        }
        let (mut of_truth, mut of_found) = (BTreeMap::new(), BTreeMap::new());
        for ((cell, other), pixels) in &shared {
            *of_truth.entry(cell).or_default() += pixels;
            *of_found.entry(other).or_default() += pixels;
        }
        let share = |pixels: &u64| *pixels as f64 / total;
        let both: Vec<f64> = shared.values().map(share).collect();
        let truth: Vec<f64> = of_truth.values().map(share).collect();
        let found: Vec<f64> = of_found.values().map(share).collect();
        let entropies = entropy(&truth) + entropy(&found);
        Some(Separation {
            v_rand: squares(&both) / (0.5 * squares(&truth) + 0.5 * squares(&found)),
            v_info: if entropies > 0.0 {
                (entropies - entropy(&both)) / (0.5 * entropies)
            } else {
                // One cell in both: they agree.
                1.0
            },
        })
    }
}

fn squares(shares: &[f64]) -> f64 {
    shares.iter().map(|share| share * share).sum()
}

/// Entropy in nats; shares are above 0.
fn entropy(shares: &[f64]) -> f64 {
    -shares.iter().map(|share| share * share.ln()).sum::<f64>()
}

/// Sums over images, each with the same weight.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    images: usize,
    separated: usize,
    sums: Scores,
}

impl Tally {
    /// Adds an image.
    pub fn add(&mut self, scores: &Scores) {
        self.images += 1;
        self.sums.pixel_error += scores.pixel_error;
        self.sums.warping_error += scores.warping_error;
        if let Some(Separation { v_rand, v_info }) = scores.separation {
            self.separated += 1;
            let sums = self.sums.separation.get_or_insert_default();
            sums.v_rand += v_rand;
            sums.v_info += v_info;
        }
    }

    /// The means so far. Images without a cell in the truth don't count for the separation.
    pub fn scores(&self) -> Scores {
        let images = self.images.max(1) as f64;
        let separated = self.separated.max(1) as f64;
        let separation = |sums: Separation| Separation {
            v_rand: sums.v_rand / separated,
            v_info: sums.v_info / separated,
        };
        Scores {
            separation: self.sums.separation.map(separation),
            pixel_error: self.sums.pixel_error / images,
            warping_error: self.sums.warping_error / images,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(labels: &[u32]) -> Plane<u32> {
        Plane {
            height: 1,
            width: labels.len(),
            data: labels.to_vec(),
        }
    }

    fn separation(truth: &[u32], found: &[u32]) -> Separation {
        Separation::of(&line(truth), &line(found)).unwrap()
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} and {b}");
    }

    #[test]
    fn one_cell_in_two_halves_scores_as_computed_by_hand() {
        // Shares: truth 1; found 1/2, 1/2; both 1/2, 1/2. The pixel that is membrane in the truth is
        // excluded.
        let split = separation(&[1, 1, 0, 1, 1], &[1, 1, 1, 2, 2]);
        close(split.v_rand, 0.5 / (0.5 + 0.25));
        close(split.v_info, 0.0);
        // Two cells merged, the same the other way round.
        let merged = separation(&[1, 1, 0, 2, 2], &[1, 1, 1, 1, 1]);
        assert_eq!(merged, split);
    }

    #[test]
    fn a_membrane_in_the_wrong_place_counts_as_a_cell() {
        // Shares: truth 1/2, 1/2; found 1/4, 1/4, 1/2; both the same.
        let scores = separation(&[1, 1, 2, 2], &[1, 0, 2, 2]);
        let found = 0.0625 + 0.0625 + 0.25;
        close(scores.v_rand, found / (0.5 * 0.5 + 0.5 * found));
        let (ln2, of_found) = (2_f64.ln(), 1.5 * 2_f64.ln());
        close(scores.v_info, ln2 / (0.5 * ln2 + 0.5 * of_found));
    }

    #[test]
    fn the_right_answer_scores_1_with_any_labels() {
        let right = Separation {
            v_rand: 1.0,
            v_info: 1.0,
        };
        assert_eq!(separation(&[1, 1, 0, 2, 2], &[7, 7, 0, 3, 3]), right);
        assert_eq!(separation(&[1, 1], &[2, 2]), right);
        assert!(Separation::of(&line(&[0, 0]), &line(&[1, 2])).is_none());
    }

    #[test]
    fn a_thick_membrane_costs_pixels_but_no_separation() {
        let mask = |text: &str| Plane {
            height: 1,
            width: text.len(),
            data: text.bytes().map(|b| b == b'o').collect(),
        };
        let (truth, found) = (mask("ooooo.ooooo"), mask("ooo.....ooo"));
        let scores = Scores::of(&truth, &found, 0);
        let separation = scores.separation.unwrap();
        assert_eq!((separation.v_rand, separation.v_info), (1.0, 1.0));
        close(scores.pixel_error, 4.0 / 11.0);
        assert_eq!(scores.warping_error, 0.0);
        // Without the pixel of the membrane, which nobody has annotated.
        close(Scores::of(&truth, &found, 1).pixel_error, 4.0 / 10.0);
    }

    #[test]
    fn images_have_the_same_weight() {
        let scores = |v_rand: Option<f64>, error| Scores {
            separation: v_rand.map(|v_rand| Separation {
                v_rand,
                v_info: v_rand / 2.0,
            }),
            pixel_error: error,
            warping_error: error / 2.0,
        };
        let mut tally = Tally::default();
        tally.add(&scores(Some(0.5), 0.1));
        tally.add(&scores(Some(1.0), 0.0));
        tally.add(&scores(None, 0.2));
        let mean = tally.scores();
        close(mean.separation.unwrap().v_rand, 0.75);
        close(mean.separation.unwrap().v_info, 0.375);
        close(mean.pixel_error, 0.1);
        close(mean.warping_error, 0.05);
    }
}
