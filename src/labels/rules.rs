//! What counts as an object.

use super::components::Connectivity;
use super::watershed::SplitCriterion;

/// What counts as an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObjectRules {
    /// Which pixels are connected.
    pub connectivity: Connectivity,
    /// Whether background enclosed by an object is a part of it.
    pub fill_holes: bool,
    /// How touching objects are separated.
    pub split: Split,
    /// Two pieces of a region are two objects if the neck between them is lower than the lower of both peaks by more
    /// than this share, `0..=1`.
    pub split_depth: f32,
    /// Probability above which pixels belong to the core of an object, for [`Split::Cores`], `0..=1`.
    pub core_threshold: f32,
    /// Smallest area of an object, and of a core, in pixels.
    pub min_area: usize,
    /// Largest area of an object, in pixels.
    pub max_area: usize,
    /// Whether objects that touch the edge of the frame are excluded.
    pub exclude_border: bool,
}

impl Default for ObjectRules {
    fn default() -> Self {
        ObjectRules {
            connectivity: Connectivity::default(),
            fill_holes: false,
            split: Split::default(),
            split_depth: 0.25,
            core_threshold: 0.75,
            min_area: 0,
            max_area: usize::MAX,
            exclude_border: false,
        }
    }
}

impl ObjectRules {
    /// Whether objects by these rules may differ from the connected components of the mask.
    pub fn filters_or_splits(&self) -> bool {
        self.fill_holes
            || self.split != Split::Off
            || self.min_area > 1
            || self.max_area < usize::MAX
            || self.exclude_border
    }

    /// When touching pieces of a region stay separate, if it is divided at all; cores need probabilities.
    pub(super) fn criterion(&self, has_probability: bool) -> Option<SplitCriterion> {
        match self.split {
            Split::Off => None,
            Split::Distance | Split::Probability => Some(SplitCriterion::Depth(self.split_depth)),
            Split::Cores => has_probability.then_some(SplitCriterion::Cores {
                level: self.core_threshold,
                area: self.min_area,
            }),
        }
    }
}

/// How touching objects are separated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// Not at all.
    #[default]
    Off,
    /// Where they are narrow: by a watershed of the distance from the edge.
    Distance,
    /// Where the network is less certain: by a watershed of the probability.
    Probability,
    /// Each grows downhill in the probability from a core of which the network is certain; without a core there is no
    /// object.
    Cores,
}
