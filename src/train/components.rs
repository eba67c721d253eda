//! Connected components of planes.

use super::plane::Plane;
use crate::labels::Components;

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
