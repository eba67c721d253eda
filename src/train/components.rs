//! Objects of planes: connected components, or what grows from cores.

use super::plane::Plane;
use crate::labels::{Components, Labeller, Rules, Split, TooMany};

/// Numbers the 4-connected components of the pixels that are `true`: 1, 2, 3 and so on in the order
/// of their first pixel, row by row; 0 elsewhere.
pub fn components(mask: &Plane<bool>) -> Plane<u32> {
    objects(&mask.map(u8::from), 0)
}

/// Numbers the 4-connected components of one class other than 0, the background, that have at least
/// `min_area` pixels.
pub fn objects(mask: &Plane<u8>, min_area: usize) -> Plane<u32> {
    let mut labels = Plane::filled(mask.height, mask.width, 0);
    Components::default().label(&mask.data, mask.width, min_area, &mut labels.data);
    labels
}

/// Number of an object with its class in the highest eight bits: 0 for the first class that is not background,
/// which is the only one where there are two.
const CLASS_BITS: u32 = 24;

/// Whether the numbers of two objects, as [`by_class`] gives them, are of one class.
pub fn same_class(one: u32, other: u32) -> bool {
    one >> CLASS_BITS == other >> CLASS_BITS
}

/// Puts the class of each object into its number, so that objects of different classes are never the same.
pub fn by_class(mut objects: Plane<u32>, classes: &Plane<u8>) -> Plane<u32> {
    for (object, class) in objects.data.iter_mut().zip(&classes.data) {
        if *object != 0 {
            *object |= u32::from(class.saturating_sub(1)) << CLASS_BITS;
        }
    }
    objects
}

/// Numbers the objects of a mask with the probability of its foreground, as the element does with
/// [`Split::Cores`]: each grows from a core of at least `min_area` pixels above `core_threshold`.
///
/// # Errors
/// If they are more than 16 bits can number.
pub fn grown(
    mask: &Plane<u8>,
    probability: &Plane<f32>,
    (min_area, core_threshold): (usize, f32),
) -> Result<Plane<u32>, TooMany> {
    let rules = Rules {
        split: Split::Cores,
        core_threshold,
        min_area,
        ..Rules::default()
    };
    let mut labeller = Labeller::default();
    labeller.label(&mask.data, Some(&probability.data), mask.width, &rules)?;
    Ok(Plane {
        height: mask.height,
        width: mask.width,
        data: labeller.labels().to_vec(),
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
