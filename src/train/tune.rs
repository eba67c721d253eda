//! Finds the threshold and the smallest object that suit a network, on images that it doesn't learn
//! from; both go into its [contract](crate::contract::Contract).

use super::components::objects;
use super::metrics::cells::Overlaps;
use super::metrics::{Tally, membranes};
use super::plane::Plane;

/// Thresholds that are tried, in twentieths: all but the certain ones.
const TWENTIETHS: std::ops::Range<u8> = 1..20;

/// Smallest objects that are tried, in pixels; 0 leaves all.
const AREAS: [usize; 11] = [0, 4, 8, 16, 32, 64, 96, 128, 192, 256, 512];

/// What suits a network best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    /// Probability above which a pixel is foreground, in `0..1`.
    pub threshold: f32,
    /// Pixels of the smallest object that counts; `None` where leaving out small ones gains nothing.
    pub min_area: Option<usize>,
    /// What was maximised, with these two.
    pub worth: f64,
}

impl Tuned {
    fn new(threshold: f32, min_area: usize, worth: f64) -> Self {
        Tuned {
            threshold,
            min_area: (min_area > 0).then_some(min_area),
            worth,
        }
    }
}

/// Maximises F1@0.5 + SEG over `images`: the probability that a pixel is foreground, and the true
/// cells, one number for each.
///
/// All pairs of threshold and smallest object are tried. Of those that are equally good the threshold
/// nearest 0.5 and the smallest object are taken; without images these are 0.5 and none.
pub fn cells(images: &[(Plane<f32>, Plane<u32>)]) -> Tuned {
    best(thresholds().flat_map(|threshold| {
        let mut tallies = [Tally::default(); AREAS.len()];
        for (probability, truth) in images {
            let mask = mask(probability, threshold);
            let mut overlaps = Overlaps::of(truth, &objects(&mask, 0));
            for (tally, area) in tallies.iter_mut().zip(AREAS) {
                overlaps.drop_small(area);
                tally.count(&overlaps);
            }
        }
        let worth = |tally: &Tally| {
            let scores = tally.scores();
            scores.f1 + scores.seg
        };
        let worths = tallies.map(|tally| worth(&tally));
        AREAS
            .into_iter()
            .zip(worths)
            .map(move |(area, worth)| Tuned::new(threshold, area, worth))
    }))
}

/// Maximises V_rand over `images`: the probability that a pixel is inside a cell, and where it truly
/// is.
///
/// The threshold is looked for first, then, at this threshold, the smallest object; equals are decided
/// as for [`cells()`].
pub fn membranes(images: &[(Plane<f32>, Plane<bool>)]) -> Tuned {
    let tuned = |threshold, area| {
        let mut tally = membranes::Tally::default();
        for (probability, truth) in images {
            let found = objects(&mask(probability, threshold), area);
            let found = found.map(|object| object != 0);
            tally.add(&membranes::Scores::of(truth, &found));
        }
        let separation = tally.scores().separation;
        Tuned::new(threshold, area, separation.map_or(0.0, |s| s.v_rand))
    };
    let Tuned { threshold, .. } = best(thresholds().map(|threshold| tuned(threshold, 0)));
    best(AREAS.into_iter().map(|area| tuned(threshold, area)))
}

/// From 0.5 outwards.
fn thresholds() -> impl Iterator<Item = f32> {
    let mut all: Vec<u8> = TWENTIETHS.collect();
    all.sort_by_key(|twentieths| twentieths.abs_diff(10));
    all.into_iter()
        .map(|twentieths| f32::from(twentieths) / 20.0)
}

/// The first of the best.
fn best(tried: impl Iterator<Item = Tuned>) -> Tuned {
    let better = |best: Tuned, other: Tuned| match other.worth > best.worth {
        true => other,
        false => best,
    };
    tried.reduce(better).unwrap_or(Tuned::new(0.5, 0, 0.0))
}

fn mask(probability: &Plane<f32>, threshold: f32) -> Plane<u8> {
    probability.map(|p| u8::from(p > threshold))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities in tenths.
    fn tenths(rows: &[&str]) -> Plane<f32> {
        plane(rows, |digit| f32::from(digit - b'0') / 10.0)
    }

    fn plane<T>(rows: &[&str], value: impl Fn(u8) -> T) -> Plane<T> {
        Plane {
            height: rows.len(),
            width: rows[0].len(),
            data: rows.concat().bytes().map(value).collect(),
        }
    }

    #[test]
    fn a_network_that_is_too_sure_gets_a_higher_threshold() {
        // Only above 0.7 are the cells apart, and at 0.9 and more nothing is left.
        let probability = tenths(&["09997999", "09997999", "09997999"]);
        let truth = plane(&["01110222", "01110222", "01110222"], |digit| {
            u32::from(digit - b'0')
        });
        let tuned = cells(&[(probability, truth)]);
        assert_eq!((tuned.threshold, tuned.min_area), (0.7, None));
        assert_eq!(tuned.worth, 2.0);
    }

    #[test]
    fn specks_are_left_out_where_that_helps() {
        // A speck as sure as the cell, and a pale cell that a higher threshold would lose.
        let probability = tenths(&["900666666", "000666666", "090666666"]);
        let truth = plane(&["000111111", "000111111", "000111111"], |digit| {
            u32::from(digit - b'0')
        });
        let tuned = cells(&[(probability, truth)]);
        assert_eq!((tuned.threshold, tuned.min_area), (0.5, Some(4)));
        assert_eq!(tuned.worth, 2.0);
    }

    #[test]
    fn without_images_nothing_is_changed() {
        for tuned in [cells(&[]), membranes(&[])] {
            assert_eq!((tuned.threshold, tuned.min_area), (0.5, None));
        }
    }

    #[test]
    fn membranes_are_tuned_to_close() {
        // The membrane is pale in one place, where the cells run together up to 0.6; in the left cell
        // an invented one sits in a ring of membrane.
        let probability = tenths(&[
            "999999909999",
            "900099909999",
            "909099969999",
            "900099909999",
            "999999909999",
        ]);
        let truth = plane(&["111111101111"; 5], |digit| digit == b'1');
        let tuned = membranes(&[(probability, truth)]);
        assert_eq!((tuned.threshold, tuned.min_area), (0.6, Some(4)));
        assert_eq!(tuned.worth, 1.0);
    }
}
