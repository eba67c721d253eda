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

    /// A sentence about two numbers in `masks` that may mean something else than they are taken for, such as pixels to
    /// ignore: two that count as foreground, while more are those of foreground that was smoothed; or two that count as
    /// cells, although no mask has others and one is the largest of 8 bits.
    pub fn ambiguous<'a>(
        &self,
        mut masks: impl Iterator<Item = (&'a Plane<u32>, &'a Page)>,
    ) -> Option<String> {
        let name = &self.names[1];
        let numbers = |mask: &Plane<u32>| {
            let counts = |number: &u32| *number != 0 && Some(*number) != self.ignore;
            mask.data.iter().copied().filter(counts).collect()
        };
        match self.kind {
            MaskKind::Binary | MaskKind::Membranes => masks.find_map(|(mask, page)| {
                let [first, second] = pair(&numbers(mask))?;
                Some(format!(
                    "in {page}, both {first} and {second} count as {name}: if one marks pixels to ignore, add --ignore {second}"
                ))
            }),
            MaskKind::Instances => {
                let all = masks.flat_map(|(mask, _)| numbers(mask)).collect();
                let [first, second] = pair(&all).filter(|[_, second]| *second == 255)?;
                Some(format!(
                    "no mask has numbers other than {first} and {second}, each of which counts as one {name}: if 255 marks pixels to ignore, add --ignore 255; if both are foreground, --kind binary"
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

/// The two numbers, if there are no more and no fewer.
fn pair(numbers: &BTreeSet<u32>) -> Option<[u32; 2]> {
    let mut numbers = numbers.iter().copied();
    let pair = [numbers.next()?, numbers.next()?];
    numbers.next().is_none().then_some(pair)
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
