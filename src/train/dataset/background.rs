//! Tells masks in which background is 0 from others, such as those of programs that number classes from 1.

use super::DatasetError;
use super::page::Page;
use crate::train::plane::Plane;

/// Refuses masks if none of them has background, but one has cells: background would be learned as a cell.
pub fn check<'a>(
    masks: impl Iterator<Item = (&'a Plane<u32>, &'a Page)>,
    ignore: Option<u32>,
) -> Result<(), DatasetError> {
    let mut first = None;
    for (mask, page) in masks {
        if mask.data.contains(&0) {
            return Ok(());
        }
        if mask.data.iter().any(|value| Some(*value) != ignore) {
            first.get_or_insert(page);
        }
    }
    match first {
        Some(page) => Err(DatasetError::NoBackground {
            mask: Page::clone(page),
        }),
        None => Ok(()),
    }
}
