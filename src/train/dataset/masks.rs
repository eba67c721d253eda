//! The meaning of the numbers in masks.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::page::Page;
use super::{DatasetError, MaskKind, Source};
use crate::train::components::components;
use crate::train::plane::Plane;
use crate::train::target::Truth;

/// The meaning of the masks of a data set.
#[derive(Clone, Debug)]
pub struct Meaning {
    /// The meaning of their numbers.
    pub kind: MaskKind,
    /// Names of the classes.
    names: Vec<String>,
    /// The number of pixels to ignore.
    ignore: Option<u32>,
    /// Where the masks are, for messages.
    folder: PathBuf,
}

impl Meaning {
    /// The meaning that `source` gives, or else that the masks suggest, all of which are in `folder`.
    pub fn of<'a>(
        source: &Source,
        folder: PathBuf,
        masks: impl IntoIterator<Item = &'a Plane<u32>>,
    ) -> Self {
        let two_valued = |mask: &Plane<u32>| {
            let counts = |value: &&u32| **value != 0 && Some(**value) != source.ignore;
            let mut values = mask.data.iter().filter(counts);
            let first = values.next();
            values.all(|value| Some(value) == first)
        };
        let kind = match source.kind {
            Some(kind) => kind,
            None if source.classes.len() > 2 => MaskKind::Classes,
            None if masks.into_iter().all(two_valued) => MaskKind::Binary,
            None => MaskKind::Instances,
        };
        Meaning {
            kind,
            names: source.class_names(),
            ignore: source.ignore,
            folder,
        }
    }

    /// Refuses masks of classes none of which has the first one: they may be numbered from 1.
    pub fn check_first_class<'a>(
        &self,
        mut masks: impl Iterator<Item = &'a Plane<u32>>,
    ) -> Result<(), DatasetError> {
        if masks.any(|mask| mask.data.contains(&0)) {
            return Ok(());
        }
        Err(DatasetError::NoFirstClass {
            masks: self.folder.clone(),
            name: self.names[0].clone(),
        })
    }

    /// A sentence about a number in `masks` that may mean something else than it is taken for, such as pixels to
    /// ignore: one of two that count as foreground, while more are those of foreground that was smoothed; or 255 in
    /// several masks that number cells, although no mask has as many cells.
    pub fn ambiguous<'a>(
        &self,
        mut masks: impl Iterator<Item = (&'a Plane<u32>, &'a Page)>,
    ) -> Option<String> {
        let name = &self.names[1];
        let numbers = |mask: &Plane<u32>| {
            let counts = |number: &u32| *number != 0 && Some(*number) != self.ignore;
            let numbers = mask.data.iter().copied().filter(counts);
            numbers.collect::<BTreeSet<u32>>()
        };
        match self.kind {
            MaskKind::Binary | MaskKind::Membranes => masks.find_map(|(mask, page)| {
                let numbers = Vec::from_iter(numbers(mask));
                let [first, second] = numbers[..] else {
                    return None;
                };
                Some(format!(
                    "in {page}, both {first} and {second} count as {name}: if one marks pixels to ignore, add --ignore {second}"
                ))
            }),
            MaskKind::Instances => {
                let (mut count, mut example) = (0, None);
                for (mask, page) in masks {
                    let numbers = numbers(mask);
                    if numbers.contains(&254) {
                        return None;
                    }
                    if numbers.contains(&255) && numbers.len() > 1 {
                        count += 1;
                        example.get_or_insert(page);
                    }
                }
                let page = example.filter(|_| count > 1)?;
                Some(format!(
                    "255 counts as one {name} in {count} masks, such as {page}, but none has 254: if it marks pixels to ignore, add --ignore 255"
                ))
            }
            MaskKind::Classes => None,
        }
    }

    /// The truth in the mask that is `page`.
    pub fn truth(&self, mask: &Plane<u32>, page: &Page) -> Result<Truth, DatasetError> {
        let is_ignored = |value| Some(value) == self.ignore;
        let judged = mask.map(|value| if is_ignored(value) { 0 } else { value });
        let mut classes = None;
        let cells = match self.kind {
            MaskKind::Instances => judged,
            MaskKind::Binary | MaskKind::Membranes => components(&judged.map(|value| value != 0)),
            MaskKind::Classes => {
                classes = Some(self.classes(&judged, page)?);
                components(&judged.map(|value| value != 0))
            }
        };
        let ignored = mask.map(is_ignored);
        Ok(Truth {
            cells,
            classes,
            ignored: ignored.data.contains(&true).then_some(ignored),
        })
    }

    fn classes(&self, mask: &Plane<u32>, page: &Page) -> Result<Plane<u8>, DatasetError> {
        let classes = self.names.len();
        match mask
            .data
            .iter()
            .position(|value| *value as usize >= classes)
        {
            Some(at) => Err(DatasetError::Class {
                mask: page.clone(),
                value: mask.data[at],
                row: at / mask.width,
                column: at % mask.width,
                classes,
            }),
            // There are at most 256 classes.
            None => Ok(mask.map(|value| value as u8)),
        }
    }

    /// Refuses masks that nothing can be learned from.
    pub fn check<'a>(
        &self,
        truths: impl Iterator<Item = &'a Truth> + Clone,
    ) -> Result<(), DatasetError> {
        let masks = self.folder.clone();
        let all_ignored = |truth: &Truth| {
            let ignored = truth.ignored.as_ref();
            ignored.is_some_and(|ignored| !ignored.data.contains(&false))
        };
        if let Some(value) = self.ignore.filter(|_| truths.clone().all(all_ignored)) {
            return Err(DatasetError::AllIgnored { masks, value });
        }
        if !truths.clone().any(Truth::shows_cells) {
            return Err(DatasetError::NoCells(masks));
        }
        match unseen(self.names.len(), truths) {
            Some(value) => Err(DatasetError::Unseen {
                masks,
                name: self.names[value].clone(),
                value,
            }),
            None => Ok(()),
        }
    }
}

/// The first of so many classes, other than the background, that no truth shows, if the truths have classes.
pub fn unseen<'a>(classes: usize, truths: impl Iterator<Item = &'a Truth>) -> Option<usize> {
    let mut planes = truths.filter_map(|truth| truth.classes.as_ref()).peekable();
    planes.peek()?;
    let mut seen = vec![false; classes];
    for class in planes.flat_map(|plane| &plane.data) {
        seen[usize::from(*class)] = true;
    }
    (1..classes).find(|class| !seen[*class])
}
