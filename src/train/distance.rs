//! Exact Euclidean distances.

use super::plane::Plane;

/// For each pixel the squared distance, in pixels, to the nearest pixel that is `true`; `u32::MAX` if there is none.
///
/// In two passes, over columns and over rows, after Meijster, Roerdink and Hesselink (2000): in integers only, in time
/// linear in the number of pixels.
pub fn squared_distances(inside: &Plane<bool>) -> Plane<u32> {
    let (height, width) = (inside.height, inside.width);
    let columns = column_distances(inside);
    let mut squared = Plane::filled(height, width, u32::MAX);
    let mut parabolas = Vec::with_capacity(width);
    for row in 0..height {
        let line = row * width..(row + 1) * width;
        lower_envelope(&columns[line.clone()], &mut parabolas);
        let mut current = parabolas.iter().peekable();
        let mut lowest = None;
        for (x, squared) in squared.data[line].iter_mut().enumerate() {
            while let Some(next) = current.next_if(|parabola| parabola.from <= x as i64) {
                lowest = Some(next);
            }
            if let Some(parabola) = lowest {
                *squared = parabola.at(x as i64) as u32;
            }
        }
    }
    squared
}

/// Distances within each column, `None` in columns without a pixel that is `true`.
fn column_distances(inside: &Plane<bool>) -> Vec<Option<i64>> {
    let (height, width) = (inside.height, inside.width);
    let mut distances = vec![None; height * width];
    let nearer = |a: Option<i64>, b: Option<i64>| a.into_iter().chain(b).min();
    for at in 0..height * width {
        let above = at.checked_sub(width).and_then(|above| distances[above]);
        distances[at] = if inside.data[at] {
            Some(0)
        } else {
            above.map(|distance| distance + 1)
        };
    }
    for at in (0..height * width).rev() {
        let below = distances.get(at + width).copied().flatten();
        distances[at] = nearer(distances[at], below.map(|distance| distance + 1));
    }
    distances
}

/// (x - column)^2 + height: squared distances along a row to the nearest pixel of one column.
#[derive(Clone, Copy, Debug)]
struct Parabola {
    column: i64,
    height: i64,
    /// The first x at which this one is the lowest of all.
    from: i64,
}

impl Parabola {
    fn at(&self, x: i64) -> i64 {
        (x - self.column).pow(2) + self.height
    }

    /// The first x at which `other`, of a column further right, is lower than this one.
    fn overtaken_at(&self, other: &Parabola) -> i64 {
        let difference = other.column.pow(2) - self.column.pow(2) + other.height - self.height;
        difference.div_euclid(2 * (other.column - self.column)) + 1
    }
}

/// The parabolas of a row that are the lowest somewhere, from left to right.
fn lower_envelope(columns: &[Option<i64>], parabolas: &mut Vec<Parabola>) {
    parabolas.clear();
    for (column, distance) in columns.iter().enumerate() {
        let Some(distance) = distance else { continue };
        let mut new = Parabola {
            column: column as i64,
            height: distance.pow(2),
            from: 0,
        };
        // A parabola that would be the lowest only from where the new one takes over is never the lowest.
        while let Some(last) = parabolas.last() {
            new.from = last.overtaken_at(&new).max(0);
            if new.from > last.from {
                break;
            }
            parabolas.pop();
            new.from = 0;
        }
        parabolas.push(new);
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn naive(inside: &Plane<bool>) -> Vec<u32> {
        let (height, width) = (inside.height, inside.width);
        let pixels = || (0..height * width).map(|at| ((at / width) as i64, (at % width) as i64));
        pixels()
            .map(|(row, column)| {
                pixels()
                    .zip(&inside.data)
                    .filter(|(_, inside)| **inside)
                    .map(|((r, c), _)| ((row - r).pow(2) + (column - c).pow(2)) as u32)
                    .min()
                    .unwrap_or(u32::MAX)
            })
            .collect()
    }

    #[test]
    fn equals_the_search_through_all_pixels() {
        let mut rng = StdRng::seed_from_u64(1);
        for share in [0.0, 0.01, 0.05, 0.3, 1.0] {
            for (height, width) in [(1, 1), (1, 30), (30, 1), (17, 23), (24, 9)] {
                let inside = Plane {
                    height,
                    width,
                    data: (0..height * width)
                        .map(|_| rng.random_bool(share))
                        .collect(),
                };
                let found = squared_distances(&inside);
                assert_eq!(found.data, naive(&inside), "{height}x{width}, {share}");
            }
        }
    }
}
