//! The weight of each pixel in the loss (section 3 of the paper).

use super::distance::squared_distances;
use super::plane::Plane;

/// How the weight of a pixel differs from w_c(x), the weight of its class.
///
/// That of background is increased by w_0 exp(-(d_1(x) + d_2(x))^2 / (2 sigma^2)), the second term of equation 2 of the
/// paper, with d_1 and d_2 the distances to the borders of the nearest and second nearest cell. It is decreased as in
/// Freiburg's plugin of 2019 (Falk et al., Nature Methods 2019): w_c is multiplied by v + (1 - v) exp(-d_1(x)^2 / (2
/// s^2)), which falls to v far from all cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightMap {
    /// w_0: the additional weight of the narrowest gap between two cells.
    pub border: f32,
    /// sigma, in pixels: up to which width gaps weigh more.
    pub sigma: f32,
    /// Whether pixels of cells have the border term too, as in the paper.
    ///
    /// The paper measures "the distance to the border of the nearest cell": in a cell that is its own border, its
    /// outermost pixels, so that the term falls towards its middle. The edge of the picture is no border.
    pub border_on_cells: bool,
    /// v: the share of its weight that background keeps far from all cells; 1 in the paper.
    pub background: f32,
    /// s, in pixels: up to which distance from cells background weighs more than that.
    pub background_sigma: f32,
}

impl Default for WeightMap {
    /// The weight map of the paper, but for background alone: nobody knows to the pixel where a narrow gap lies, and if
    /// the cells on both sides weigh as much as the gap, the network does best to close it.
    fn default() -> Self {
        WeightMap {
            border: Self::BORDER,
            sigma: Self::SIGMA,
            border_on_cells: false,
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

    /// What to add to the weight of the class of each pixel of `labels`, whose cells have to be [`separated`];
    /// `background` is w_c of the background. Pixels of cells have a value too, even if it does not count: it is smooth
    /// across their borders, so that it can be interpolated.
    pub fn additional_weights(&self, labels: &Plane<u32>, background: f32) -> Plane<f32> {
        let nearest = if self.border_on_cells {
            two_nearest(&outlines(labels), self.reach())
        } else {
            // Cells have a distance of 0 to themselves.
            two_nearest(labels, self.reach())
        };
        let additional = |(label, [first, second]): (&u32, [u32; 2])| {
            let outside = if *label == 0 { first } else { 0 };
            self.border_term(first, second) + background * (self.share(outside) - 1.0)
        };
        Plane {
            height: labels.height,
            width: labels.width,
            data: labels.data.iter().zip(nearest).map(additional).collect(),
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

/// The weights that pixels have by their class, and whether more is added to those of cells.
#[derive(Clone, Debug, PartialEq)]
pub struct PixelWeights {
    /// w_c of each class, the background first.
    pub classes: Vec<f32>,
    /// See [`WeightMap::border_on_cells`].
    pub border_on_cells: bool,
}

impl PixelWeights {
    /// The weight of a pixel of this class, given its [additional weight](WeightMap::additional_weights).
    pub fn of(&self, class: u8, additional: f32) -> f32 {
        let weight = self.classes[usize::from(class)];
        match class {
            0 => weight + additional,
            // Interpolated beside background whose weight is decreased, it may be negative.
            _ if self.border_on_cells => weight + additional.max(0.0),
            _ => weight,
        }
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

/// The borders of cells: their pixels with a neighbour, up, down, left or right, that does not belong to them.
fn outlines(labels: &Plane<u32>) -> Plane<u32> {
    let mut outlines = labels.clone();
    for row in 0..labels.height {
        for column in 0..labels.width {
            let (down, right) = (row + 1, column + 1);
            let around = [
                (row.saturating_sub(1), column),
                (down.min(labels.height - 1), column),
                (row, column.saturating_sub(1)),
                (row, right.min(labels.width - 1)),
            ];
            let label = labels.at(row, column);
            let is_inside = |(row, column)| labels.at(row, column) == label;
            if around.into_iter().all(is_inside) {
                outlines.data[row * labels.width + column] = 0;
            }
        }
    }
    outlines
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
mod tests;
