//! Feature ranges of the training pictures of a model.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::picture::{ImageFeature, ImageFeatures};

/// How far a feature may lie outside the range of the training pictures, as a share of the width of the range, and
/// as a share of its larger end. Augmentation varies focus, noise and gain in training, so networks tolerate somewhat
/// more than the range. `docs/training.md` reports what these limits find in real pictures.
const BEYOND_RANGE: f32 = 0.5;
const BEYOND_VALUE: f32 = 0.25;

/// Smallest and largest value of each feature in the training pictures of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeatureRanges(BTreeMap<ImageFeature, (f32, f32)>);

/// A feature of a picture, compared with the training pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeatureComparison {
    /// The feature.
    pub feature: ImageFeature,
    /// Its value in the picture.
    pub value: f32,
    /// Its smallest and largest value in the training pictures.
    pub range: (f32, f32),
}

impl FeatureComparison {
    /// Whether the value is far outside the range.
    pub fn is_unlike(&self) -> bool {
        let (low, high) = self.range;
        let beyond = BEYOND_RANGE * (high - low) + BEYOND_VALUE * low.abs().max(high.abs());
        !(low - beyond..=high + beyond).contains(&self.value)
    }
}

/// For people.
impl fmt::Display for FeatureComparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FeatureComparison {
            feature,
            value,
            range: (low, high),
        } = self;
        write!(f, "{feature} {value:.2}, in training {low:.2} to {high:.2}")
    }
}

impl FeatureRanges {
    /// Whether the ranges are unknown.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Extends the ranges by the features of a picture.
    pub fn add(&mut self, features: &ImageFeatures) {
        for feature in ImageFeature::ALL {
            let value = features.get(feature);
            let (low, high) = self.0.entry(feature).or_insert((value, value));
            (*low, *high) = (low.min(value), high.max(value));
        }
    }

    /// Extends the ranges by those of other pictures.
    pub fn join(&mut self, other: &FeatureRanges) {
        for (feature, (least, most)) in other.ranges() {
            let (low, high) = self.0.entry(feature).or_insert((least, most));
            (*low, *high) = (low.min(least), high.max(most));
        }
    }

    /// Compares the features of a picture with the ranges; yields nothing if these are unknown.
    pub fn compare<'a>(
        &'a self,
        features: &'a ImageFeatures,
    ) -> impl Iterator<Item = FeatureComparison> + 'a {
        self.0.iter().map(|(feature, range)| FeatureComparison {
            feature: *feature,
            value: features.get(*feature),
            range: *range,
        })
    }

    /// The features with their smallest and largest value.
    pub fn ranges(&self) -> impl Iterator<Item = (ImageFeature, (f32, f32))> + '_ {
        self.0.iter().map(|(feature, range)| (*feature, *range))
    }

    /// Checks that the ranges are valid; the error says what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_range = |(low, high): (f32, f32)| low.is_finite() && high.is_finite() && low <= high;
        match self.ranges().find(|(_, range)| !is_range(*range)) {
            Some((feature, (low, high))) => Err(format!(
                "feature {} of the pictures has no valid range: {low} to {high}",
                feature.name()
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::FeatureExtractor;

    fn features(gain: f32) -> ImageFeatures {
        let plane: Vec<f32> = (0..6400).map(|at| gain * (at % 80) as f32).collect();
        let features = FeatureExtractor::default().of_planes([&plane[..]], 80);
        features.unwrap()
    }

    fn unlike(ranges: &FeatureRanges, features: ImageFeatures) -> Vec<ImageFeature> {
        let compared = ranges.compare(&features);
        let unlike = compared.filter(FeatureComparison::is_unlike);
        unlike.map(|compared| compared.feature).collect()
    }

    #[test]
    fn values_far_outside_are_unlike() {
        let mut ranges = FeatureRanges::default();
        assert!(ranges.is_empty() && unlike(&ranges, features(1.0)).is_empty());
        ranges.add(&features(1.0));
        ranges.add(&features(2.0));
        for gain in [0.9, 1.0, 1.5, 2.0, 2.9] {
            assert!(unlike(&ranges, features(gain)).is_empty(), "{gain}");
        }
        assert!(unlike(&ranges, features(4.0)).contains(&ImageFeature::Fine));
        assert!(unlike(&ranges, features(-1.0)).contains(&ImageFeature::Middle));
        ranges.add(&features(4.0));
        assert!(unlike(&ranges, features(4.0)).is_empty());
    }

    #[test]
    fn names_are_those_of_messages() {
        let mut ranges = FeatureRanges::default();
        ranges.add(&features(1.0));
        let json = serde_json::to_string(&ranges).unwrap();
        for feature in ImageFeature::ALL {
            assert!(json.contains(&format!("\"{}\":", feature.name())), "{json}");
        }
        assert_eq!(
            serde_json::from_str::<FeatureRanges>(&json).unwrap(),
            ranges
        );
    }
}
