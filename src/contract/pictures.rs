//! What the pictures are like that a model learned from.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::picture::{Trait, Traits};

/// How far a trait may lie outside what was learned from, as a share of the width of that range, and as a
/// share of the larger of its ends. Training varies focus, noise and gain besides, so that networks bear somewhat
/// more than they were shown. `docs/training.md` tells what these find in real pictures.
const BEYOND_RANGE: f32 = 0.5;
const BEYOND_VALUE: f32 = 0.25;

/// Of each trait the smallest and the largest value in the pictures that a model learned from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pictures(BTreeMap<Trait, (f32, f32)>);

/// A trait of a picture beside those of the pictures learned from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// Which.
    pub which: Trait,
    /// What it is in the picture.
    pub value: f32,
    /// Its smallest and largest value in the pictures learned from.
    pub range: (f32, f32),
}

impl Compared {
    /// Whether the value is far outside the range.
    pub fn is_unlike(&self) -> bool {
        let (low, high) = self.range;
        let beyond = BEYOND_RANGE * (high - low) + BEYOND_VALUE * low.abs().max(high.abs());
        !(low - beyond..=high + beyond).contains(&self.value)
    }
}

/// For people.
impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compared {
            which,
            value,
            range: (low, high),
        } = self;
        write!(f, "{which} {value:.2}, there {low:.2} to {high:.2}")
    }
}

impl Pictures {
    /// Whether nothing is known of them.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in one more picture.
    pub fn add(&mut self, traits: &Traits) {
        for which in Trait::ALL {
            let value = traits.get(which);
            let (low, high) = self.0.entry(which).or_insert((value, value));
            (*low, *high) = (low.min(value), high.max(value));
        }
    }

    /// Takes in what is known of other pictures.
    pub fn join(&mut self, other: &Pictures) {
        for (which, (least, most)) in other.ranges() {
            let (low, high) = self.0.entry(which).or_insert((least, most));
            (*low, *high) = (low.min(least), high.max(most));
        }
    }

    /// Traits beside those of the pictures learned from; nothing where nothing is known of these.
    pub fn compare<'a>(&'a self, traits: &'a Traits) -> impl Iterator<Item = Compared> + 'a {
        self.0.iter().map(|(which, range)| Compared {
            which: *which,
            value: traits.get(*which),
            range: *range,
        })
    }

    /// Traits with their smallest and largest value.
    pub fn ranges(&self) -> impl Iterator<Item = (Trait, (f32, f32))> + '_ {
        self.0.iter().map(|(which, range)| (*which, *range))
    }

    /// What is wrong with them.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_range = |(low, high): (f32, f32)| low.is_finite() && high.is_finite() && low <= high;
        match self.ranges().find(|(_, range)| !is_range(*range)) {
            Some((which, (low, high))) => {
                Err(format!("pictures have {} {low} to {high}", which.name()))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Gauge;

    fn traits(gain: f32) -> Traits {
        let plane: Vec<f32> = (0..6400).map(|at| gain * (at % 80) as f32).collect();
        Gauge::default().planes([&plane[..]], 80).unwrap()
    }

    fn unlike(pictures: &Pictures, traits: Traits) -> Vec<Trait> {
        let compared = pictures.compare(&traits);
        let unlike = compared.filter(Compared::is_unlike);
        unlike.map(|compared| compared.which).collect()
    }

    #[test]
    fn what_lies_far_outside_is_unlike() {
        let mut pictures = Pictures::default();
        assert!(pictures.is_empty() && unlike(&pictures, traits(1.0)).is_empty());
        pictures.add(&traits(1.0));
        pictures.add(&traits(2.0));
        for gain in [0.9, 1.0, 1.5, 2.0, 2.9] {
            assert!(unlike(&pictures, traits(gain)).is_empty(), "{gain}");
        }
        assert!(unlike(&pictures, traits(4.0)).contains(&Trait::Fine));
        assert!(unlike(&pictures, traits(-1.0)).contains(&Trait::Middle));
        pictures.add(&traits(4.0));
        assert!(unlike(&pictures, traits(4.0)).is_empty());
    }

    #[test]
    fn names_are_those_of_messages() {
        let mut pictures = Pictures::default();
        pictures.add(&traits(1.0));
        let json = serde_json::to_string(&pictures).unwrap();
        for which in Trait::ALL {
            assert!(json.contains(&format!("\"{}\":", which.name())), "{json}");
        }
        assert_eq!(serde_json::from_str::<Pictures>(&json).unwrap(), pictures);
    }
}
