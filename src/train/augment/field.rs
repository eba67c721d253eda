//! Smooth random fields: random numbers on a coarse grid with bicubic interpolation (section 3.1 of the
//! paper). Two of them make an elastic deformation.

use rand::Rng;
use rand_distr::{Distribution, Normal};

use super::interpolate::cubic;
use crate::train::plane::Plane;

/// Grid points on each axis. The first and last lie on the edges of the tile.
const POINTS: usize = 3;

/// A smooth field over a square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field([[f32; POINTS]; POINTS]);

impl Field {
    /// A field of Gaussian numbers around 0 with the given standard deviation.
    ///
    /// # Panics
    /// If `deviation` is negative or not finite.
    pub fn random(deviation: f32, rng: &mut impl Rng) -> Self {
        let normal = Normal::new(0.0, deviation).expect("a deviation is finite and not negative");
        Field(std::array::from_fn(|_| {
            std::array::from_fn(|_| normal.sample(rng))
        }))
    }

    /// The field at each pixel of a square of `size` pixels.
    pub fn plane(&self, size: usize) -> Plane<f32> {
        let basis: Vec<_> = (0..size).map(|at| basis(at, size)).collect();
        let row = |along: &[f32; POINTS]| {
            let line: [f32; POINTS] = std::array::from_fn(|column| {
                (0..POINTS)
                    .map(|row| along[row] * self.0[row][column])
                    .sum()
            });
            let value = move |across: &[f32; POINTS]| dot(&line, across);
            basis.iter().map(value).collect::<Vec<_>>()
        };
        Plane {
            height: size,
            width: size,
            data: basis.iter().flat_map(row).collect(),
        }
    }
}

fn dot(a: &[f32; POINTS], b: &[f32; POINTS]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The weight of each grid point at pixel `at` of `size`, by cubic convolution. Beyond the edges the
/// outermost points are repeated.
fn basis(at: usize, size: usize) -> [f32; POINTS] {
    let position = at as f32 / (size.max(2) - 1) as f32 * (POINTS - 1) as f32;
    let mut basis = [0.0; POINTS];
    let before = position.floor() as isize;
    for point in before - 1..=before + 2 {
        let inside = point.clamp(0, POINTS as isize - 1) as usize;
        basis[inside] += cubic(position - point as f32);
    }
    basis
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn the_field_passes_through_grid_points_and_keeps_a_constant() {
        let field = Field([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0], [2.0, 0.0, 7.0]]);
        let plane = field.plane(21);
        assert_eq!([plane.at(0, 0), plane.at(0, 20)], [1.0, 3.0]);
        assert_eq!([plane.at(10, 10), plane.at(20, 10)], [4.0, 0.0]);

        let constant = Field([[0.75; 3]; 3]).plane(17);
        assert!(constant.data.iter().all(|x| (x - 0.75).abs() < 1e-6));
    }

    #[test]
    fn neighbours_differ_little() {
        let field = Field::random(10.0, &mut StdRng::seed_from_u64(1)).plane(200);
        let steps = field.rows().flat_map(|row| row.windows(2));
        let largest = steps
            .map(|pair| (pair[1] - pair[0]).abs())
            .fold(0.0, f32::max);
        assert!(largest > 0.0 && largest < 1.0, "{largest}");
    }
}
