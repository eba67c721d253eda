//! Tells masks in which background is 0 from others, such as those of programs that number classes from 1.

use std::fmt;

use super::DatasetError;
use super::page::Page;
use crate::train::plane::Plane;

/// Pixels among which a mask that has background has at least one of it.
const ONE_OF: usize = 100;

/// Masks with hardly any background, although others have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub first: Page,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Odd { count, first } = self;
        write!(
            f,
            "{count} mask(s) have hardly any background, which is 0, such as {first}: if another number means background there, renumber them"
        )
    }
}

/// Refuses masks if none of them has background, but one has cells: background would be learned as a cell. Those with
/// hardly any are returned, if there are any: in some pictures cells leave no room.
pub fn check<'a>(
    masks: impl Iterator<Item = (&'a Plane<u32>, &'a Page)>,
    ignore: Option<u32>,
) -> Result<Option<Odd>, DatasetError> {
    let mut found = false;
    let mut odd = Vec::new();
    for (mask, page) in masks {
        let background = mask.data.iter().filter(|value| **value == 0).count();
        found |= background > 0;
        let has_cells = |value: &u32| *value != 0 && Some(*value) != ignore;
        if background * ONE_OF < mask.data.len() && mask.data.iter().any(has_cells) {
            odd.push(page);
        }
    }
    match odd.first() {
        Some(page) if !found => Err(DatasetError::NoBackground {
            mask: Page::clone(page),
        }),
        first => Ok(first.map(|first| Odd {
            count: odd.len(),
            first: Page::clone(first),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_with_hardly_any_background_are_named() {
        let mask = |background: usize| Plane {
            height: 1,
            width: 200,
            data: (0..200).map(|at| u32::from(at >= background)).collect(),
        };
        let pages = ["a", "b", "c"].map(|file| Page {
            file: file.into(),
            index: None,
        });
        let checked = |masks: [Plane<u32>; 3], ignore| check(masks.iter().zip(&pages), ignore);
        let odd = |count, at: usize| {
            Some(Odd {
                count,
                first: pages[at].clone(),
            })
        };
        assert_eq!(checked([2, 3, 200].map(mask), None).unwrap(), None);
        assert_eq!(checked([2, 1, 0].map(mask), None).unwrap(), odd(2, 1));
        assert_eq!(checked([200, 0, 0].map(mask), Some(1)).unwrap(), None);
        let error = checked([0, 0, 0].map(mask), None).unwrap_err().to_string();
        assert!(error.starts_with("a has no background"), "{error}");
    }
}
