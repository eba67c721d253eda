//! Connected components of a mask.

use super::plane::Plane;
use crate::labels::Components;

/// Numbers the 4-connected components of the pixels that are `true`: 1, 2, 3 and so on in the order
/// of their first pixel, row by row; 0 elsewhere.
pub fn components(mask: &Plane<bool>) -> Plane<u32> {
    let mut labels = Plane::filled(mask.height, mask.width, 0);
    let classes = mask.map(u8::from);
    Components::default().label(&classes.data, mask.width, 0, &mut labels.data);
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_do_not_connect() {
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
    fn rows_do_not_wrap_round() {
        let mask = Plane {
            height: 2,
            width: 2,
            data: vec![false, true, true, false],
        };
        assert_eq!(components(&mask).data, [0, 1, 2, 0]);
    }
}
