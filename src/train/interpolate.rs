//! Values at places between the pixels of a plane. Beyond its edges a plane is mirrored.

use super::plane::Plane;
use crate::tiling::mirror;

/// The bilinear interpolation of the four pixels around a place, given by row and column.
pub fn bilinear(plane: &Plane<f32>, [row, column]: [f32; 2]) -> f32 {
    let (top, left) = (row.floor(), column.floor());
    let (down, right) = (row - top, column - left);
    let (top, left) = (top as isize, left as isize);
    let inside =
        top >= 0 && left >= 0 && top + 1 < plane.height as isize && left + 1 < plane.width as isize;
    let [a, b, c, d] = if inside {
        let at = top as usize * plane.width + left as usize;
        [at, at + 1, at + plane.width, at + plane.width + 1].map(|at| plane.data[at])
    } else {
        let rows = [top, top + 1].map(|row| mirror(row, plane.height));
        let columns = [left, left + 1].map(|column| mirror(column, plane.width));
        let at = |row: usize, column: usize| plane.at(rows[row], columns[column]);
        [at(0, 0), at(0, 1), at(1, 0), at(1, 1)]
    };
    let upper = a + (b - a) * right;
    let lower = c + (d - c) * right;
    upper + (lower - upper) * down
}

/// The value of the pixel nearest to a place, given by row and column.
pub fn nearest<T: Copy>(plane: &Plane<T>, [row, column]: [f32; 2]) -> T {
    plane.at(
        mirror(row.round() as isize, plane.height),
        mirror(column.round() as isize, plane.width),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_within_and_beyond_the_edges() {
        let plane = Plane {
            height: 2,
            width: 3,
            data: vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0],
        };
        assert_eq!(bilinear(&plane, [0.5, 0.25]), 5.25);
        assert_eq!(bilinear(&plane, [1.0, 2.0]), 12.0);
        // Mirrored: row -1 is row 1, column 3 is column 1.
        assert_eq!(bilinear(&plane, [-1.0, 3.0]), 11.0);
        assert_eq!(bilinear(&plane, [0.0, 2.5]), 1.5);
        assert_eq!(nearest(&plane, [0.4, 1.6]), 2.0);
        assert_eq!(nearest(&plane, [-0.6, 0.0]), 10.0);

        let pixel = Plane::filled(1, 1, 7.0);
        assert_eq!(bilinear(&pixel, [-20.3, 55.5]), 7.0);
    }
}
