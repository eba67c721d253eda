//! Measures of an object.

use std::f64::consts::{PI, SQRT_2};

/// A connected part of a mask. Coordinates and lengths are in pixels; the first pixel is at 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Object {
    /// Its number, from 1 on, which is its value in the labels.
    pub number: u32,
    /// Its value in the mask.
    pub class: u8,
    /// Area in pixels.
    pub area: usize,
    /// Mean column and row of its pixels.
    pub centroid: (f64, f64),
    /// First and last column.
    pub columns: (usize, usize),
    /// First and last row.
    pub rows: (usize, usize),
    /// Length of its edge, including holes, by Benkrid and Crookes: Design and FPGA Implementation of a Perimeter
    /// Estimator, 2000; corners are rounded off.
    pub perimeter: f64,
    /// Mean value of the picture there, in counts; `None` without a picture.
    pub intensity: Option<f64>,
}

impl Object {
    /// 4 pi area / perimeter^2: 1 for a disc, less for everything else; 1 if the object is too small to have an edge.
    pub fn circularity(&self) -> f64 {
        if self.perimeter > 0.0 {
            (4.0 * PI * self.area as f64 / (self.perimeter * self.perimeter)).min(1.0)
        } else {
            1.0
        }
    }

    /// An object without pixels.
    pub(super) fn new(number: u32, class: u8) -> Self {
        Object {
            number,
            class,
            ..Object::default()
        }
    }

    /// Adds a run of pixels: columns `start..end` of row `y`.
    pub(super) fn add(&mut self, y: usize, start: usize, end: usize) {
        let run = end - start;
        if self.area == 0 {
            self.columns = (start, end - 1);
            self.rows = (y, y);
        }
        self.area += run;
        // Sums for now; `finish` turns them into means.
        self.centroid.0 += (start + end - 1) as f64 / 2.0 * run as f64;
        self.centroid.1 += (y * run) as f64;
        self.columns = (self.columns.0.min(start), self.columns.1.max(end - 1));
        self.rows.1 = y;
    }

    /// Turns the sums into means.
    pub(super) fn finish(&mut self) {
        let area = self.area.max(1) as f64;
        self.centroid = (self.centroid.0 / area, self.centroid.1 / area);
        self.intensity = self.intensity.map(|sum| sum / area);
    }
}

/// Calls `add` with labels and the lengths that pixels add to their edges.
pub(super) fn perimeters(labels: &[u16], width: usize, mut add: impl FnMut(u16, f64)) {
    if width == 0 {
        return;
    }
    let height = labels.len() / width;
    let at = |x: usize, y: usize| {
        if x < width && y < height {
            labels[y * width + x]
        } else {
            0
        }
    };
    // A pixel of an object with at least one of its four neighbours outside it; everything beyond the frame is outside.
    let is_edge = |x: usize, y: usize, label: u16| {
        at(x, y) == label
            && (at(x.wrapping_sub(1), y) != label
                || at(x + 1, y) != label
                || at(x, y.wrapping_sub(1)) != label
                || at(x, y + 1) != label)
    };
    for y in 0..height {
        for x in 0..width {
            let label = labels[y * width + x];
            if label == 0 || !is_edge(x, y, label) {
                continue;
            }
            let count = |around: [(usize, usize); 4]| {
                let edges = around.iter().filter(|(x, y)| is_edge(*x, *y, label));
                edges.count()
            };
            let (left, right, above, below) = (x.wrapping_sub(1), x + 1, y.wrapping_sub(1), y + 1);
            let straight = count([(left, y), (right, y), (x, above), (x, below)]);
            let diagonal = count([(left, above), (right, above), (left, below), (right, below)]);
            add(label, edge_length(straight, diagonal));
        }
    }
}

/// The length that an edge pixel contributes, by the number of its straight and diagonal neighbours on the same edge.
fn edge_length(straight: usize, diagonal: usize) -> f64 {
    match (straight, diagonal) {
        (2 | 3, 0..=2) => 1.0,
        (0, 2) | (1, 3) => SQRT_2,
        (1, 1..=2) => (1.0 + SQRT_2) / 2.0,
        _ => 0.0,
    }
}
