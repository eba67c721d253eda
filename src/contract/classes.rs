//! The classes that the values of a mask represent.

use serde::{Deserialize, Serialize};

use crate::picture::{Color, default_color};

/// One value of the mask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Its colour in the overlay.
    pub color: Color,
}

/// Classes of a model that names none: `background`, then `foreground`, or `class 1`, `class 2` and
/// so on if there is more than one.
pub fn unnamed_classes(count: usize) -> Vec<Class> {
    let name = |index| match (index, count) {
        (0, _) => "background".to_owned(),
        (1, 2) => "foreground".to_owned(),
        _ => format!("class {index}"),
    };
    (0..count)
        .map(|index| Class {
            name: name(index),
            color: default_color(index),
        })
        .collect()
}
