//! Connected components of a mask.

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

/// The cells of a mask: where it holds a single number besides 0 its [`components`], else the mask as
/// it is, one number for each cell.
pub fn cells(mask: Plane<u32>) -> Plane<u32> {
    let mut numbers = mask.data.iter().filter(|number| **number != 0);
    let first = numbers.next();
    match numbers.all(|number| Some(number) == first) {
        true => components(&mask.map(|number| number != 0)),
        false => mask,
    }
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
    fn a_mask_of_one_number_is_cut_into_its_cells() {
        let line = |data: &[u32]| Plane {
            height: 1,
            width: data.len(),
            data: data.to_vec(),
        };
        assert_eq!(cells(line(&[7, 0, 7, 7])), line(&[1, 0, 2, 2]));
        assert_eq!(cells(line(&[7, 0, 7, 3])), line(&[7, 0, 7, 3]));
        assert_eq!(cells(line(&[0, 0])), line(&[0, 0]));
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
