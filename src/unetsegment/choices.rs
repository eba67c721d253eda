//! Values of the properties that define what counts as an object, and how objects are shown.

use crate::labels;

/// Which pixels are neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetSegmentConnectivity")]
#[repr(u32)]
pub enum Connectivity {
    #[default]
    #[enum_value(name = "The four that share an edge", nick = "edges")]
    Edges,
    #[enum_value(name = "The eight that share an edge or a corner", nick = "corners")]
    Corners,
}

impl From<Connectivity> for labels::Connectivity {
    fn from(connectivity: Connectivity) -> Self {
        match connectivity {
            Connectivity::Edges => Self::Edges,
            Connectivity::Corners => Self::Corners,
        }
    }
}

/// How touching objects are separated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetSegmentSplit")]
#[repr(u32)]
pub enum Split {
    #[default]
    #[enum_value(name = "As the model says: by cores, or not at all", nick = "model")]
    Model,
    #[enum_value(name = "Not at all", nick = "off")]
    Off,
    #[enum_value(name = "At narrow places", nick = "distance")]
    Distance,
    #[enum_value(name = "Where the network is less certain", nick = "probability")]
    Probability,
    #[enum_value(
        name = "Each object grows from a core of which the network is certain",
        nick = "cores"
    )]
    Cores,
}

impl Split {
    /// The rule for a model, which has cores if it has a `core_threshold`.
    pub fn resolve(self, core_threshold: Option<f32>) -> labels::Split {
        match (self, core_threshold) {
            (Split::Cores, _) | (Split::Model, Some(_)) => labels::Split::Cores,
            (Split::Off, _) | (Split::Model, None) => labels::Split::Off,
            (Split::Distance, _) => labels::Split::Distance,
            (Split::Probability, _) => labels::Split::Probability,
        }
    }
}

/// What the colours of the overlay show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetSegmentColorBy")]
#[repr(u32)]
pub enum ColorBy {
    #[default]
    #[enum_value(
        name = "The class, in the model's colours or those of palette",
        nick = "class"
    )]
    Class,
    #[enum_value(
        name = "The object, in one of seven colours or one of palette; it keeps its colour with track",
        nick = "object"
    )]
    Object,
}

/// Text on the overlay.
#[glib::flags(name = "GstUNetSegmentAnnotations")]
pub enum Annotations {
    #[flags_value(name = "The number of each object", nick = "numbers")]
    NUMBERS = 1 << 0,
    #[flags_value(
        name = "The classes and their colours, with color-by=class",
        nick = "legend"
    )]
    LEGEND = 1 << 1,
    #[flags_value(
        name = "A scale bar in micrometres, if the pixel size is known",
        nick = "scale-bar"
    )]
    SCALE_BAR = 1 << 2,
    #[flags_value(name = "The number of objects, and their coverage", nick = "count")]
    COUNT = 1 << 3,
    #[flags_value(name = "The age of the mask", nick = "age")]
    AGE = 1 << 4,
}

impl Default for Annotations {
    fn default() -> Self {
        Self::empty()
    }
}

/// A set of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes([u64; 4]);

impl Classes {
    /// Every class.
    pub const ALL: Self = Classes([u64::MAX; 4]);

    /// Whether it contains `class`.
    pub fn contains(&self, class: u8) -> bool {
        let word = self.0.get(usize::from(class / 64));
        word.is_some_and(|word| word & (1 << (class % 64)) != 0)
    }

    /// Its classes that a model of `count` classes lacks; none if it is [`Classes::ALL`].
    pub fn beyond(&self, count: usize) -> impl Iterator<Item = u8> {
        let named = *self != Self::ALL;
        let is_beyond = move |class: &u8| named && usize::from(*class) >= count;
        (0..=u8::MAX).filter(move |class| is_beyond(class) && self.contains(*class))
    }
}

impl std::str::FromStr for Classes {
    type Err = String;

    /// Numbers separated by commas; an empty text, or `all`, are all.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() || text.trim() == "all" {
            return Ok(Self::ALL);
        }
        let mut classes = Classes([0; 4]);
        for number in text.split(',') {
            // The background can't be shown.
            let class: std::num::NonZeroU8 = number.trim().parse().map_err(|_| {
                format!("{text:?} is not a list of classes: write numbers from 1 to 255 separated by commas, such as 1,3, or all")
            })?;
            let class = class.get();
            if let Some(word) = classes.0.get_mut(usize::from(class / 64)) {
                *word |= 1 << (class % 64);
            }
        }
        Ok(classes)
    }
}

impl std::fmt::Display for Classes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all");
        }
        let numbers = (0..=u8::MAX).filter(|class| self.contains(*class));
        let numbers: Vec<_> = numbers.map(|class| class.to_string()).collect();
        f.write_str(&numbers.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_beyond_those_of_a_model_are_found() {
        let beyond = |text: &str, count| {
            let classes: Classes = text.parse().unwrap();
            classes.beyond(count).collect::<Vec<_>>()
        };
        assert_eq!(beyond("1,2,200", 2), [2, 200]);
        assert_eq!(beyond("1,2,200", 3), [200]);
        assert!(beyond("1", 2).is_empty());
        assert!(beyond("255", 256).is_empty());
        assert!(beyond("all", 2).is_empty());
    }

    #[test]
    fn classes_are_read_as_they_are_written() {
        for text in ["all", "1", "1,3,200"] {
            assert_eq!(text.parse::<Classes>().unwrap().to_string(), text);
        }
        let some: Classes = " 1 , 64".parse().unwrap();
        assert!(some.contains(1) && some.contains(64) && !some.contains(2) && !some.contains(65));
        assert_eq!("".parse(), Ok(Classes::ALL));
        for wrong in ["cell", "1;2", "300", "1,,2", "0", "0,1"] {
            assert!(wrong.parse::<Classes>().is_err(), "{wrong}");
        }
    }
}
