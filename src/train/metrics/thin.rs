//! Thinning of membranes to one pixel.
//!
//! The measures of [`membranes`](super::membranes) compare which pixels belong to which cell. A
//! membrane that is too thick would take pixels from both of its cells, so the cells first grow into
//! the membranes until only a line is left between two of them.

use crate::train::components::components;
use crate::train::plane::Plane;

/// Labels the 4-connected cells and lets them grow, all at the same pace, until they meet: lines of one pixel between
/// two cells remain 0, and so do pictures without cells.
///
/// It equals scikit-image's `watershed(~cells, label(cells), watershed_line=True)` to the pixel, even where two cells
/// reach a pixel at the same time.
pub fn thin(cells: &Plane<bool>) -> Plane<u32> {
    let labels = components(cells);
    let mut growth = Growth::new(&labels);
    while let Some(front) = growth.fronts.pop() {
        growth.advance(front);
    }
    let (height, width) = (labels.height, labels.width);
    let row = |row: usize| &growth.labels[(row + 1) * (width + 2) + 1..][..width];
    Plane {
        height,
        width,
        data: (0..height).flat_map(row).copied().collect(),
    }
}

/// Growing cells, in a picture with one more pixel on each side, which saves checks for the edge.
struct Growth {
    labels: Vec<u32>,
    /// Pixels that can belong to a cell: neither beyond the edge nor on a line.
    free: Vec<bool>,
    /// Up, left, right, down.
    neighbours: [isize; 4],
    fronts: Fronts,
    /// Pixels that were reached so far.
    reached: u64,
}

impl Growth {
    fn new(cells: &Plane<u32>) -> Self {
        let width = cells.width + 2;
        let size = (cells.height + 2) * width;
        let (mut labels, mut free) = (vec![0; size], vec![false; size]);
        for (row, cells) in cells.rows().enumerate() {
            let inside = (row + 1) * width + 1..(row + 2) * width - 1;
            free[inside.clone()].fill(true);
            labels[inside].copy_from_slice(cells);
        }
        let mut fronts = Fronts::default();
        for (at, label) in labels.iter().enumerate() {
            if *label != 0 {
                let (label, time) = (*label, 0);
                fronts.push(Front { time, at, label });
            }
        }
        Growth {
            labels,
            free,
            neighbours: [-(width as isize), -1, 1, width as isize],
            fronts,
            reached: 0,
        }
    }

    /// Assigns a pixel to the cell that reached it, unless another one touches it, and reaches its neighbours.
    fn advance(&mut self, Front { time, at, label }: Front) {
        let taken_since = time > 0 && self.labels[at] != 0;
        if taken_since {
            return;
        }
        let around = self.neighbours.map(|step| at.wrapping_add_signed(step));
        if self.free[at] {
            let is_other =
                |at: usize| self.free[at] && self.labels[at] != 0 && self.labels[at] != label;
            if around.into_iter().any(is_other) {
                self.free[at] = false;
            } else {
                self.labels[at] = label;
            }
        }
        for at in around {
            if self.free[at] && self.labels[at] == 0 {
                self.reached += 1;
                let time = self.reached;
                self.fronts.push(Front { time, at, label });
            }
        }
    }
}

/// A pixel that a cell has reached.
#[derive(Clone, Copy)]
struct Front {
    /// When: 0 for the original cells, then 1, 2, 3 and so on.
    time: u64,
    at: usize,
    label: u32,
}

/// A binary heap by time, with the order of equal times of scikit-image's heap: all pixels of the original cells have
/// the same time, and their order decides which cell gets the middle of a membrane.
#[derive(Default)]
struct Fronts(Vec<Front>);

impl Fronts {
    fn push(&mut self, front: Front) {
        let heap = &mut self.0;
        heap.push(front);
        let mut child = heap.len() - 1;
        while child > 0 {
            let parent = (child - 1) / 2;
            if heap[child].time >= heap[parent].time {
                break;
            }
            heap.swap(child, parent);
            child = parent;
        }
    }

    fn pop(&mut self) -> Option<Front> {
        let heap = &mut self.0;
        if heap.is_empty() {
            return None;
        }
        let next = heap.swap_remove(0);
        let mut parent = 0;
        loop {
            let mut first = parent;
            for child in [2 * parent + 1, 2 * parent + 2] {
                if heap.get(child).is_some_and(|c| c.time < heap[first].time) {
                    first = child;
                }
            }
            if first == parent {
                return Some(next);
            }
            heap.swap(first, parent);
            parent = first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thinned(rows: &[&str]) -> Vec<String> {
        let cells = Plane {
            height: rows.len(),
            width: rows[0].len(),
            data: rows.concat().bytes().map(|b| b == b'o').collect(),
        };
        let digit = |label: &u32| char::from_digit(*label, 10).unwrap();
        let labels = thin(&cells);
        labels
            .rows()
            .map(|row| row.iter().map(digit).collect())
            .collect()
    }

    #[test]
    fn a_line_is_left_in_the_middle() {
        assert_eq!(thinned(&["o...o"]), ["11022"]);
        assert_eq!(thinned(&["oo.....oo"; 2]), ["111102222"; 2]);
        assert_eq!(
            thinned(&["o...o", ".....", "....."]),
            ["11022", "11022", "11022"]
        );
    }

    #[test]
    fn one_cell_fills_the_picture_and_none_leaves_it_empty() {
        assert_eq!(thinned(&["...", ".o."]), ["111", "111"]);
        assert_eq!(thinned(&["...", "..."]), ["000", "000"]);
        assert_eq!(thinned(&["oo", "oo"]), ["11", "11"]);
    }
}
