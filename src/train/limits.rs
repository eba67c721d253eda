//! The limits that decide which pixels are objects: the threshold, the smallest object and the cores of objects; and
//! the search for the best ones of a network, on images that it doesn't learn from. All become part of its
//! [contract](crate::contract::Contract).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::components::{components, objects};
use super::metrics::cells::{self, Overlaps};
use super::metrics::membranes::Separation;
use super::metrics::{Measure, Scores, thin};
use super::plane::Plane;
use super::target::Truth;
use super::validate::Prediction;

/// Thresholds that are tried, in twentieths: all but 0 and 1.
const TWENTIETHS: std::ops::Range<u8> = 1..20;

/// Smallest objects that are tried, in pixels; 0 keeps all.
const AREAS: [usize; 14] = [0, 4, 8, 16, 32, 64, 96, 128, 192, 256, 512, 768, 1024, 1536];

/// Core thresholds that are tried.
const CORES: [f32; 7] = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9];

/// How much cores must add to [`Tuned::selection_score`] to be used: they cost time in every frame.
const WORTHWHILE: f64 = 0.001;

/// The limits of objects; see [`Contract`](crate::contract::Contract).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Probability above which a pixel is foreground, in `0..=1`.
    pub threshold: f32,
    /// Number of pixels of the smallest object that counts; `None` for all.
    pub min_area: Option<usize>,
    /// Probability above which pixels belong to the core of an object, if objects grow from cores.
    #[serde(default)]
    pub core_threshold: Option<f32>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            threshold: 0.5,
            min_area: None,
            core_threshold: None,
        }
    }
}

impl Limits {
    /// A description, for a network of so many classes: with more than two the likeliest one decides, not a threshold.
    pub fn description(&self, classes: usize) -> String {
        let threshold = (classes == 2).then(|| format!("threshold {}", self.threshold));
        // Objects that grow from cores have a smallest size of at least 1, which is no limit.
        let area = self.min_area.filter(|area| *area > 1);
        let area = area.map(|area| format!("objects of at least {area} pixels"));
        let parts: Vec<_> = threshold.into_iter().chain(area).collect();
        let text = if parts.is_empty() {
            "objects of any size".to_owned()
        } else {
            parts.join(", ")
        };
        match self.core_threshold {
            Some(core) => format!("{text} with cores above {core}"),
            None => text,
        }
    }
}

/// The best limits of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    /// The limits.
    pub limits: Limits,
    /// The maximum of [`Scores::selection_score`], which they have.
    pub selection_score: f64,
}

impl Tuned {
    /// The default limits.
    const NONE: Tuned = Tuned::new(0.5, 0, 0.0);

    const fn new(threshold: f32, min_area: usize, selection_score: f64) -> Self {
        Tuned {
            limits: Limits {
                threshold,
                min_area: match min_area {
                    0 => None,
                    area => Some(area),
                },
                core_threshold: None,
            },
            selection_score,
        }
    }
}

/// Finds the best limits of a network with these predictions, each with the truth.
///
/// Networks of more than two classes have no threshold: the largest score decides.
pub fn tune(predictions: &[(Prediction, &Truth)], measure: Measure) -> Tuned {
    let mut thresholds = thresholds();
    if let [(Prediction::Classes(_), _), ..] = predictions {
        thresholds.truncate(1);
    }
    match measure {
        Measure::Cells => {
            let whole = of_cells(predictions, &thresholds);
            let grown = with_cores(predictions, whole);
            if grown.selection_score > whole.selection_score + WORTHWHILE {
                grown
            } else {
                whole
            }
        }
        Measure::Membranes => of_membranes(predictions, &thresholds),
    }
}

/// Tries all pairs of threshold and smallest object. Among equally good ones, the first threshold and the smallest
/// object are chosen.
fn of_cells(predictions: &[(Prediction, &Truth)], thresholds: &[f32]) -> Tuned {
    let truths: Vec<_> = predictions
        .iter()
        .map(|(_, truth)| truth.objects())
        .collect();
    best(thresholds.iter().flat_map(|threshold| {
        let mut tallies = [cells::Tally::default(); AREAS.len()];
        for ((found, truth), cells) in predictions.iter().zip(&truths) {
            let limits = Limits {
                threshold: *threshold,
                ..Limits::default()
            };
            let found = truth.judged(found.objects(limits));
            let mut overlaps = Overlaps::of(cells, &found);
            for (tally, area) in tallies.iter_mut().zip(AREAS) {
                overlaps.drop_small(area);
                tally.count(&overlaps);
            }
        }
        let scores = tallies.map(|tally| Scores::Cells(tally.scores()).selection_score());
        let pairs = AREAS.into_iter().zip(scores);
        pairs.map(|(area, score)| Tuned::new(*threshold, area, score))
    }))
}

/// Grows objects from cores: searches for the core threshold first, with the threshold and the smallest object of
/// `whole`, then for the smallest core. The threshold stays, so the mask itself stays as good.
fn with_cores(predictions: &[(Prediction, &Truth)], whole: Tuned) -> Tuned {
    let truths: Vec<_> = predictions
        .iter()
        .map(|(_, truth)| truth.objects())
        .collect();
    let tuned = |core: f32, min_area: usize| {
        let limits = Limits {
            min_area: Some(min_area),
            core_threshold: Some(core),
            ..whole.limits
        };
        let overlaps = |((found, truth), cells): (&(Prediction, &Truth), _)| {
            Overlaps::of(cells, &truth.judged(found.objects(limits)))
        };
        let overlaps: Vec<_> = predictions.par_iter().zip(&truths).map(overlaps).collect();
        let mut tally = cells::Tally::default();
        overlaps.iter().for_each(|overlaps| tally.count(overlaps));
        let selection_score = Scores::Cells(tally.scores()).selection_score();
        Tuned {
            limits,
            selection_score,
        }
    };
    let two_classes = matches!(predictions, [(Prediction::Foreground(_), _), ..]);
    let min_area = whole.limits.min_area.unwrap_or(1);
    let levels = CORES
        .into_iter()
        .filter(|core| *core > whole.limits.threshold);
    let Some(core) = best(
        levels
            .filter(|_| two_classes)
            .map(|core| tuned(core, min_area)),
    )
    .limits
    .core_threshold
    else {
        return Tuned::NONE;
    };
    best(AREAS.into_iter().map(|area| tuned(core, area.max(1))))
}

/// Searches for the threshold first, then, at this threshold, for the smallest object; among equally good ones it
/// chooses as [`of_cells`] does.
fn of_membranes(predictions: &[(Prediction, &Truth)], thresholds: &[f32]) -> Tuned {
    let inside = |objects: Plane<u32>| objects.map(|object| object != 0);
    let cells = |truth: &Truth| components(&inside(truth.objects()));
    let truths: Vec<_> = predictions.iter().map(|(_, truth)| cells(truth)).collect();
    let tuned = |threshold: f32, area| {
        let v_rand = |((found, truth), cells): (&(Prediction, &Truth), _)| {
            let found = truth.judged(objects(&found.mask(threshold), area));
            Separation::of(cells, &thin(&inside(found))).map(|separation| separation.v_rand)
        };
        // In parallel, for thinning is slow; in order, so that rounding is always the same.
        let scores = predictions.par_iter().zip(&truths).map(v_rand);
        let scores: Vec<_> = scores.collect::<Vec<_>>().into_iter().flatten().collect();
        let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
        Tuned::new(threshold, area, mean)
    };
    let Tuned { limits, .. } = best(thresholds.iter().map(|threshold| tuned(*threshold, 0)));
    best(AREAS.into_iter().map(|area| tuned(limits.threshold, area)))
}

/// From 0.5 outwards, so that among equally good ones the one nearest 0.5 is chosen.
fn thresholds() -> Vec<f32> {
    let mut all: Vec<u8> = TWENTIETHS.collect();
    all.sort_by_key(|twentieths| twentieths.abs_diff(10));
    let share = |twentieths| f32::from(twentieths) / 20.0;
    all.into_iter().map(share).collect()
}

/// The first of the best.
fn best(tried: impl Iterator<Item = Tuned>) -> Tuned {
    tried.fold(Tuned::NONE, |best, other| {
        if other.selection_score > best.selection_score {
            other
        } else {
            best
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_described_as_far_as_there_are_any() {
        let limits = Limits {
            threshold: 0.35,
            min_area: Some(16),
            core_threshold: None,
        };
        let expected = "threshold 0.35, objects of at least 16 pixels";
        assert_eq!(limits.description(2), expected);
        assert_eq!(limits.description(3), "objects of at least 16 pixels");
        let cores = Limits {
            core_threshold: Some(0.7),
            ..limits
        };
        assert_eq!(
            cores.description(2),
            format!("{expected} with cores above 0.7")
        );
        let unlimited = Limits {
            min_area: Some(1),
            ..cores
        };
        let expected = "threshold 0.35 with cores above 0.7";
        assert_eq!(unlimited.description(2), expected);
        assert_eq!(Limits::default().description(2), "threshold 0.5");
        assert_eq!(Limits::default().description(3), "objects of any size");
    }

    /// Probabilities in tenths, with the truth.
    fn answer(probability: &[&str], cells: &[&str]) -> (Prediction, Truth) {
        let probability = plane(probability, |digit| f32::from(digit - b'0') / 10.0);
        let truth = Truth {
            cells: plane(cells, |digit| u32::from(digit - b'0')),
            classes: None,
            ignored: None,
        };
        (Prediction::Foreground(probability), truth)
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
        let (found, truth) = answer(
            &["09997999", "09997999", "09997999"],
            &["01110222", "01110222", "01110222"],
        );
        let tuned = |found| tune(&[(found, &truth)], Measure::Cells);
        assert_eq!(tuned(found.clone()), Tuned::new(0.7, 0, 2.0));
        // Classes stay as they are: both cells in one.
        let tuned = tuned(Prediction::Classes(found.mask(0.5)));
        assert_eq!(tuned.limits, Limits::default());
        assert!(tuned.selection_score < 1.0, "{tuned:?}");
    }

    #[test]
    fn specks_are_left_out_where_that_helps() {
        // A speck as sure as the cell, and a pale cell that a higher threshold would lose.
        let (found, truth) = answer(
            &["900666666", "000666666", "090666666"],
            &["000111111", "000111111", "000111111"],
        );
        let tuned = tune(&[(found, &truth)], Measure::Cells);
        assert_eq!(tuned, Tuned::new(0.5, 4, 2.0));
    }

    #[test]
    fn ignored_pixels_do_not_count() {
        let (found, mut truth) = answer(
            &["966666669", "066666660", "066666660"],
            &["011111110", "011111110", "011111110"],
        );
        let corners = |at: usize| at.is_multiple_of(8) && at < 9;
        truth.ignored = Some(Plane {
            height: 3,
            width: 9,
            data: (0..27).map(corners).collect(),
        });
        let tuned = tune(&[(found, &truth)], Measure::Cells);
        assert_eq!(tuned, Tuned::new(0.5, 0, 2.0));
    }

    #[test]
    fn cells_that_touch_are_separated_by_their_cores() {
        // No threshold parts the upper two cells without losing the lower ones.
        let tuned = |lower: &str| {
            let (found, truth) = answer(
                &[
                    "099979990",
                    "099979990",
                    "000000000",
                    lower,
                    "000000000",
                    lower,
                ],
                &[
                    "011112220",
                    "011112220",
                    "000000000",
                    "033333330",
                    "000000000",
                    "044444440",
                ],
            );
            tune(&[(found, &truth)], Measure::Cells)
        };
        // Without cores of their own they would be lost here, too.
        assert_eq!(tuned("066666660").limits.core_threshold, None);
        let parted = tuned("066686660");
        assert_eq!(parted.limits.core_threshold, Some(0.7));
        assert_eq!(parted.selection_score, 2.0);
    }

    #[test]
    fn without_images_nothing_is_changed() {
        for tuned in [
            of_cells(&[], &thresholds()),
            of_membranes(&[], &thresholds()),
        ] {
            assert_eq!(tuned.limits, Limits::default());
        }
    }

    #[test]
    fn membranes_are_tuned_to_close() {
        // The membrane is pale in one place, where the cells run together up to 0.6; in the left cell
        // an invented one sits in a ring of membrane.
        let (found, truth) = answer(
            &[
                "999999909999",
                "900099909999",
                "909099969999",
                "900099909999",
                "999999909999",
            ],
            &["111111102222"; 5],
        );
        let tuned = tune(&[(found, &truth)], Measure::Membranes);
        assert_eq!(tuned, Tuned::new(0.6, 4, 1.0));
    }
}
