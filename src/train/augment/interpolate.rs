//! Interpolation between the pixels of a plane. Beyond its edges a plane is mirrored.

use crate::tiling::mirror;
use crate::train::plane::Plane;

/// Bilinear interpolation of the four pixels around a position, given by row and column.
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

/// Cubic convolution of the sixteen pixels around a position, given by row and column. It keeps a picture sharp, while
/// [bilinear] interpolation would blur it and its noise.
pub fn bicubic(plane: &Plane<f32>, [row, column]: [f32; 2]) -> f32 {
    let (top, left) = (row.floor(), column.floor());
    let weights = |past: f32| [past + 1.0, past, 1.0 - past, 2.0 - past].map(cubic);
    let (down, right) = (weights(row - top), weights(column - left));
    let (top, left) = (top as isize - 1, left as isize - 1);
    let inside =
        top >= 0 && left >= 0 && top + 3 < plane.height as isize && left + 3 < plane.width as isize;
    let lines: [[f32; 4]; 4] = if inside {
        let first = top as usize * plane.width + left as usize;
        std::array::from_fn(|row| {
            let line = plane.data[first + row * plane.width..].first_chunk();
            *line.expect("four pixels within a row")
        })
    } else {
        let columns = [0, 1, 2, 3].map(|column| mirror(left + column, plane.width));
        [0, 1, 2, 3].map(|row| {
            let row = mirror(top + row, plane.height);
            columns.map(|column| plane.at(row, column))
        })
    };
    let dot = |a: [f32; 4], b: [f32; 4]| (0..4).map(|at| a[at] * b[at]).sum::<f32>();
    dot(down, lines.map(|line| dot(line, right)))
}

/// The cubic convolution kernel of Keys (1981) with a = -1/2.
pub fn cubic(x: f32) -> f32 {
    let x = x.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

/// The value of the pixel nearest to a position, given by row and column.
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
    fn positions_within_and_beyond_the_edges() {
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
        assert!((bicubic(&pixel, [-20.3, 55.5]) - 7.0).abs() < 1e-5);
    }

    #[test]
    fn cubic_convolution_passes_through_pixels_and_reproduces_a_parabola() {
        let parabola = |row: f32, column: f32| 0.5 * row * row - row * column + 3.0;
        let mut plane = Plane::filled(8, 9, 0.0);
        for row in 0..8 {
            for column in 0..9 {
                plane.data[row * 9 + column] = parabola(row as f32, column as f32);
            }
        }
        for row in [-1.0, 0.0, 3.0, 7.0] {
            assert_eq!(bicubic(&plane, [row, 5.0]), bilinear(&plane, [row, 5.0]));
        }
        for [row, column] in [[2.0, 3.0], [1.25, 4.5], [4.9, 6.01]] {
            let off = bicubic(&plane, [row, column]) - parabola(row, column);
            assert!(off.abs() < 1e-4, "{row}, {column}: {off}");
        }
    }
}
