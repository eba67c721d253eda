//! The weight of each pixel in the loss (section 3 of the paper).

use super::distance::squared_distances;
use super::plane::Plane;

/// How the weight of background differs from w_c(x), the weight of its class.
///
/// It is increased by w_0 exp(-(d_1(x) + d_2(x))^2 / (2 sigma^2)), the second term of equation 2 of the paper, with
/// d_1 and d_2 the distances to the nearest and second nearest cell. It is decreased as in Freiburg's plugin of
/// 2019 (Falk et al., Nature Methods 2019): w_c is multiplied by v + (1 - v) exp(-d_1(x)^2 / (2 s^2)), which falls
/// to v far from all cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightMap {
    /// w_0: the additional weight of the narrowest gap between two cells.
    pub border: f32,
    /// sigma, in pixels: up to which width gaps weigh more.
    pub sigma: f32,
    /// v: the share of its weight that background keeps far from all cells; 1 in the paper.
    pub background: f32,
    /// s, in pixels: up to which distance from cells background weighs more than that.
    pub background_sigma: f32,
}

impl Default for WeightMap {
    /// The weight map of the paper.
    fn default() -> Self {
        WeightMap {
            border: Self::BORDER,
            sigma: Self::SIGMA,
            background: 1.0,
            background_sigma: 10.0,
        }
    }
}

impl WeightMap {
    /// w_0 of the paper.
    pub const BORDER: f32 = 10.0;
    /// sigma of the paper, in pixels.
    pub const SIGMA: f32 = 5.0;

    /// The term to add to `class_weight`, w_c of the background, at each pixel of `labels`, whose cells have to be
    /// [`separated`]. Cells have a distance of 0 to themselves: the term is smooth across their borders, so that it can
    /// be interpolated.
    pub fn background_term(&self, labels: &Plane<u32>, class_weight: f32) -> Plane<f32> {
        let term = |[first, second]: [u32; 2]| {
            self.border_term(first, second) + class_weight * (self.share(first) - 1.0)
        };
        let nearest = two_nearest(labels, self.reach());
        Plane {
            height: labels.height,
            width: labels.width,
            data: nearest.into_iter().map(term).collect(),
        }
    }

    /// The second term of the formula, given squared distances.
    fn border_term(&self, first: u32, second: u32) -> f32 {
        match second {
            FAR => 0.0,
            _ => {
                let sum = (first as f32).sqrt() + (second as f32).sqrt();
                self.border * (-sum * sum / (2.0 * self.sigma * self.sigma)).exp()
            }
        }
    }

    /// The share of its weight that background keeps, given the squared distance to the nearest cell.
    fn share(&self, first: u32) -> f32 {
        let near = match first {
            FAR => 0.0,
            _ => (-(first as f32) / (2.0 * self.background_sigma.powi(2))).exp(),
        };
        self.background + (1.0 - self.background) * near
    }

    /// The distance in pixels beyond which no weight changes by more than rounding does: there the border term is below
    /// 1e-7 w_0, and the exponential in [`share`](Self::share) below 1e-7.
    fn reach(&self) -> usize {
        let share = if self.background < 1.0 {
            self.background_sigma
        } else {
            0.0
        };
        (6.0 * self.sigma.max(share)).ceil() as usize
    }
}

/// The weight of a pixel, given w_c of all classes, its class and the term of the background.
///
/// That term applies only to background. Nobody knows to the pixel where a narrow gap lies; if the cells
/// on both sides weighed as much as the gap, the network would do best to close it.
pub fn weight_of(class_weights: &[f32], class: u8, border: f32) -> f32 {
    match class {
        0 => class_weights[0] + border,
        class => class_weights[usize::from(class)],
    }
}

/// Class weights that give all classes the same influence, with a mean of 1 over the pixels; `pixels` holds the number
/// of pixels of each class. A class without pixels counts as one of a single pixel.
pub fn balanced(pixels: &[usize]) -> Vec<f32> {
    let all: usize = pixels.iter().sum();
    let weight = |count: &usize| all as f32 / (pixels.len() * (*count).max(1)) as f32;
    pixels.iter().map(weight).collect()
}

/// Separates cells that touch, at an edge or a corner, by a gap of background one pixel wide: the one with the
/// larger number loses its pixels.
pub fn separated(labels: &Plane<u32>) -> Plane<u32> {
    let mut separated = labels.clone();
    for row in 0..labels.height {
        for column in 0..labels.width {
            let label = labels.at(row, column);
            if label > 1 && touches_smaller(labels, row, column) {
                separated.data[row * labels.width + column] = 0;
            }
        }
    }
    separated
}

/// Whether one of the eight pixels around a pixel belongs to a cell of a smaller number.
fn touches_smaller(labels: &Plane<u32>, row: usize, column: usize) -> bool {
    let smaller = 1..labels.at(row, column);
    let around = |at: usize, end: usize| at.saturating_sub(1)..(at + 2).min(end);
    around(row, labels.height).any(|row| {
        around(column, labels.width).any(|column| smaller.contains(&labels.at(row, column)))
    })
}

/// A squared distance beyond the reach of the search.
const FAR: u32 = u32::MAX;

/// For each pixel the squared distances to the nearest and second nearest cell, up to a distance of
/// `reach`; exact, since a cell can't be nearer than the rectangle around it.
fn two_nearest(labels: &Plane<u32>, reach: usize) -> Vec<[u32; 2]> {
    let mut nearest = vec![[FAR; 2]; labels.data.len()];
    for (label, cell) in boxes(labels) {
        let window = cell.grown(reach, labels.height, labels.width);
        let inside = window.cut(labels, |found| found == label);
        let distances = squared_distances(&inside);
        for (row, distances) in (window.top..window.bottom).zip(distances.rows()) {
            let start = row * labels.width + window.left;
            for (best, distance) in nearest[start..].iter_mut().zip(distances) {
                if *distance < best[0] {
                    *best = [*distance, best[0]];
                } else if *distance < best[1] {
                    best[1] = *distance;
                }
            }
        }
    }
    nearest
}

/// A rectangle of pixels; `bottom` and `right` are one past its last row and column.
#[derive(Clone, Copy, Debug)]
struct Window {
    top: usize,
    left: usize,
    bottom: usize,
    right: usize,
}

impl Window {
    /// The rectangle with `by` more pixels on each side, within a plane of the given size.
    fn grown(self, by: usize, height: usize, width: usize) -> Self {
        Window {
            top: self.top.saturating_sub(by),
            left: self.left.saturating_sub(by),
            bottom: (self.bottom + by).min(height),
            right: (self.right + by).min(width),
        }
    }

    /// The pixels in the rectangle, mapped by `is`.
    fn cut(self, labels: &Plane<u32>, is: impl Fn(u32) -> bool) -> Plane<bool> {
        let rows = (self.top..self.bottom).map(|row| row * labels.width);
        Plane {
            height: self.bottom - self.top,
            width: self.right - self.left,
            data: rows
                .flat_map(|start| &labels.data[start + self.left..start + self.right])
                .map(|label| is(*label))
                .collect(),
        }
    }
}

/// The smallest rectangle around each cell.
fn boxes(labels: &Plane<u32>) -> std::collections::BTreeMap<u32, Window> {
    let mut boxes = std::collections::BTreeMap::new();
    for (row, line) in labels.rows().enumerate() {
        for (column, label) in line.iter().enumerate().filter(|(_, label)| **label != 0) {
            let cell = boxes.entry(*label).or_insert(Window {
                top: row,
                left: column,
                bottom: row + 1,
                right: column + 1,
            });
            cell.left = cell.left.min(column);
            cell.right = cell.right.max(column + 1);
            cell.bottom = row + 1;
        }
    }
    boxes
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const PAPER: WeightMap = WeightMap {
        border: WeightMap::BORDER,
        sigma: WeightMap::SIGMA,
        background: 1.0,
        background_sigma: 10.0,
    };

    /// Discs at random places; later ones cover earlier ones, so that some touch.
    fn discs(height: usize, width: usize, count: u32, rng: &mut StdRng) -> Plane<u32> {
        let mut labels = Plane::filled(height, width, 0);
        for label in 1..=count {
            let (r, c) = (rng.random_range(0..height), rng.random_range(0..width));
            let radius = rng.random_range(1..8_usize);
            for at in 0..labels.data.len() {
                if (at / width).abs_diff(r).pow(2) + (at % width).abs_diff(c).pow(2)
                    <= radius.pow(2)
                {
                    labels.data[at] = label;
                }
            }
        }
        labels
    }

    /// w(x) with w_c as given for background and foreground.
    fn weights(map: &WeightMap, labels: &Plane<u32>, classes: [f32; 2]) -> Vec<f32> {
        let pixels = labels
            .data
            .iter()
            .zip(map.background_term(labels, classes[0]).data);
        pixels
            .map(|(label, border)| weight_of(&classes, u8::from(*label != 0), border))
            .collect()
    }

    /// Equation 2 taken literally: all distances from all pixels to all cells.
    fn naive(map: &WeightMap, labels: &Plane<u32>, classes: [f32; 2]) -> Vec<f32> {
        let width = labels.width;
        let mut numbers = labels.data.clone();
        numbers.sort_unstable();
        numbers.dedup();
        let weight = |at: usize| {
            if labels.data[at] != 0 {
                return classes[1];
            }
            let mut distances: Vec<f64> = numbers
                .iter()
                .filter(|number| **number != 0)
                .map(|number| {
                    (0..labels.data.len())
                        .filter(|other| labels.data[*other] == *number)
                        .map(|other| {
                            let rows = (at / width).abs_diff(other / width) as f64;
                            rows.hypot((at % width).abs_diff(other % width) as f64)
                        })
                        .fold(f64::INFINITY, f64::min)
                })
                .collect();
            distances.sort_by(f64::total_cmp);
            let term = match distances[..] {
                [first, second, ..] => {
                    (-(first + second).powi(2) / (2.0 * f64::from(map.sigma).powi(2))).exp()
                }
                _ => 0.0,
            };
            let share = distances.first().map_or(map.background, |first| {
                let near = (-(first / f64::from(map.background_sigma)).powi(2) / 2.0).exp();
                map.background + (1.0 - map.background) * near as f32
            });
            classes[0] * share + map.border * term as f32
        };
        (0..labels.data.len()).map(weight).collect()
    }

    #[test]
    fn equals_the_formula() {
        let mut rng = StdRng::seed_from_u64(3);
        for (height, width, count) in [
            (40, 70, 12),
            (70, 33, 5),
            (20, 20, 1),
            (9, 9, 0),
            (1, 60, 4),
        ] {
            let labels = separated(&discs(height, width, count, &mut rng));
            let narrow = WeightMap {
                border: 50.0,
                sigma: 2.0,
                ..PAPER
            };
            let freiburg = WeightMap {
                border: 50.0,
                sigma: 6.0,
                background: 0.1,
                background_sigma: 4.0,
            };
            for (map, classes) in [
                (PAPER, [1.0, 1.0]),
                (narrow, [0.6, 2.5]),
                (freiburg, [1.5, 1.0]),
            ] {
                let found = weights(&map, &labels, classes);
                for (found, expected) in found.iter().zip(naive(&map, &labels, classes)) {
                    assert!((found - expected).abs() < 1e-4, "{found} {expected}");
                }
            }
        }
    }

    #[test]
    fn the_narrowest_gap_weighs_most() {
        let labels = Plane {
            height: 1,
            width: 7,
            data: vec![1, 1, 0, 2, 2, 0, 0],
        };
        let weights = weights(&PAPER, &labels, [1.0, 1.0]);
        // d_1 = d_2 = 1 in the gap.
        assert!((weights[2] - (1.0 + 10.0 * (-4.0_f32 / 50.0).exp())).abs() < 1e-5);
        // d_1 = 1, d_2 = 4 at the right of the second cell.
        assert!((weights[5] - (1.0 + 10.0 * (-25.0_f32 / 50.0).exp())).abs() < 1e-5);
        assert_eq!(weights[0], 1.0);
    }

    #[test]
    fn cells_that_touch_get_a_gap_of_one_pixel() {
        let labels = Plane {
            height: 2,
            width: 6,
            data: vec![1, 1, 0, 2, 2, 2, 1, 1, 1, 2, 0, 3],
        };
        let expected = [1, 1, 0, 0, 2, 2, 1, 1, 1, 0, 0, 0];
        assert_eq!(separated(&labels).data, expected);
    }

    #[test]
    fn no_two_cells_touch_after_separation() {
        let labels = separated(&discs(60, 60, 40, &mut StdRng::seed_from_u64(4)));
        for (row, column) in (0..60 * 60).map(|at| (at / 60, at % 60)) {
            assert!(labels.at(row, column) == 0 || !touches_smaller(&labels, row, column));
        }
    }

    #[test]
    fn balanced_classes_have_the_same_influence() {
        assert_eq!(balanced(&[6, 2]), [8.0 / 12.0, 2.0]);
        assert_eq!(balanced(&[6, 2, 4]), [12.0 / 18.0, 2.0, 1.0]);
        assert!(balanced(&[5, 0])[1].is_finite());
    }
}
