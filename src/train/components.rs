//! Objects in planes: connected components, or regions grown from cores.

use std::collections::{BTreeMap, BTreeSet};

use super::plane::Plane;
use crate::labels::{Components, Connectivity, LabelError, Labeller, ObjectRules, Split};

/// Numbers the 4-connected components of the pixels that are `true`: 1, 2, 3 and so on in the order
/// of their first pixel, row by row; 0 elsewhere.
pub fn components(mask: &Plane<bool>) -> Plane<u32> {
    objects(&mask.map(u8::from), 0)
}

/// Numbers the 4-connected components of one class other than 0, the background, that have at least
/// `min_area` pixels.
pub fn objects(mask: &Plane<u8>, min_area: usize) -> Plane<u32> {
    numbered(mask, min_area, Connectivity::Edges)
}

/// Numbers the 8-connected components of one class other than 0.
pub fn touching(mask: &Plane<u8>) -> Plane<u32> {
    numbered(mask, 0, Connectivity::Corners)
}

fn numbered(mask: &Plane<u8>, min_area: usize, connectivity: Connectivity) -> Plane<u32> {
    let mut labels = Plane::filled(mask.height, mask.width, 0);
    Components::new(connectivity)
        .label(&mask.data, mask.width, min_area, &mut labels.data)
        .expect("there is memory for the components of a picture that is in memory");
    labels
}

/// Bits of an object's number below its class, which is 0 for the first class that is not background: the only one of
/// a network of two classes.
const CLASS_SHIFT: u32 = 24;

/// Whether the numbers of two objects from [`with_classes`] have the same class.
pub fn same_class(one: u32, other: u32) -> bool {
    one >> CLASS_SHIFT == other >> CLASS_SHIFT
}

/// Removes the classes from the numbers.
pub fn without_classes(objects: &mut Plane<u32>) {
    let mask = (1 << CLASS_SHIFT) - 1;
    objects.data.iter_mut().for_each(|object| *object &= mask);
}

/// The same objects with numbers that leave room for classes: if any is too large, 1, 2, 3 and so on in their order.
pub fn renumbered(mut objects: Plane<u32>) -> Plane<u32> {
    if objects.data.iter().all(|object| object >> CLASS_SHIFT == 0) {
        return objects;
    }
    let numbers: BTreeSet<u32> = objects.data.iter().copied().filter(|o| *o != 0).collect();
    let numbers: BTreeMap<u32, u32> = numbers.into_iter().zip(1..).collect();
    for object in &mut objects.data {
        *object = numbers.get(object).copied().unwrap_or(0);
    }
    objects
}

/// Puts the class of each object into its number, so that objects of different classes never have the same number.
pub fn with_classes(mut objects: Plane<u32>, classes: &Plane<u8>) -> Plane<u32> {
    for (object, class) in objects.data.iter_mut().zip(&classes.data) {
        if *object != 0 {
            *object |= u32::from(class.saturating_sub(1)) << CLASS_SHIFT;
        }
    }
    objects
}

/// Numbers the objects of a mask with the given probability of foreground, as the element does with
/// [`Split::Cores`]: each grows from a core of at least `min_area` pixels above `core_threshold`.
///
/// # Errors
/// If there are more objects than 16 bits can number, or not enough memory.
pub fn grown_from_cores(
    mask: &Plane<u8>,
    probability: &Plane<f32>,
    (min_area, core_threshold): (usize, f32),
) -> Result<Plane<u32>, LabelError> {
    let rules = ObjectRules {
        split: Split::Cores,
        core_threshold,
        min_area,
        ..ObjectRules::default()
    };
    let mut labeller = Labeller::default();
    labeller.label(&mask.data, Some(&probability.data), mask.width, &rules)?;
    Ok(Plane {
        height: mask.height,
        width: mask.width,
        data: labeller.labels().iter().copied().map(u32::from).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_do_not_connect_and_rows_do_not_wrap_round() {
        let mask = Plane {
            height: 3,
            width: 5,
            data: [1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 1]
                .map(|v| v == 1)
                .to_vec(),
        };
        let expected = [1, 1, 0, 0, 2, 0, 0, 3, 0, 2, 4, 0, 0, 2, 2];
        assert_eq!(components(&mask).data, expected);
    }

    #[test]
    fn large_numbers_are_not_taken_for_classes() {
        let row = |data: Vec<u32>| Plane {
            height: 1,
            width: data.len(),
            data,
        };
        let large = row(vec![0, 1 << 25, u32::MAX, 7, 1 << 25]);
        assert_eq!(renumbered(large).data, [0, 2, 3, 1, 2]);
        let mut tagged = row(vec![0, 5, 1 << 24 | 6]);
        assert!(!same_class(5, 1 << 24 | 6));
        without_classes(&mut tagged);
        assert_eq!(tagged.data, [0, 5, 6]);
        assert_eq!(renumbered(tagged.clone()), tagged);
    }

    #[test]
    fn classes_are_apart_and_small_objects_are_left_out() {
        let mask = Plane {
            height: 1,
            width: 6,
            data: vec![1, 1, 2, 2, 0, 1],
        };
        assert_eq!(objects(&mask, 0).data, [1, 1, 2, 2, 0, 3]);
        assert_eq!(objects(&mask, 2).data, [1, 1, 2, 2, 0, 0]);
    }
}
