//! The warping error: errors in the topology of a segmentation, not in its outlines.
//!
//! Jain et al., "Boundary learning by optimization with topological constraints", CVPR 2010; one of
//! the measures of the ISBI 2012 challenge.

use std::collections::VecDeque;

use crate::train::plane::Plane;

/// Share of pixels that still differ after the truth was [`warped`] towards the result, in `0..=1`. A boundary that is
/// merely shifted costs nothing; cells that are merged, split, missed or invented cost at least a pixel each.
pub fn warping_error(truth: &Plane<bool>, found: &Plane<bool>) -> f64 {
    let warped = warped(truth, found);
    let pairs = warped.data.iter().zip(&found.data);
    let different = pairs.filter(|(warped, found)| warped != found).count();
    different as f64 / truth.data.len().max(1) as f64
}

/// The truth, made as similar to the result as flipping simple points can make it.
///
/// A point is simple if flipping it neither merges, splits, creates nor removes a cell (4-connected) or a
/// piece of membrane (8-connected; everything beyond the edge of the picture is membrane). Pixels that
/// differ and are simple are flipped until there are none left, in the order in which they become so,
/// initially row by row.
///
/// The definition asks for the best of all warps, through any simple points. Flipping only those that
/// differ, in this order, finds a good one, not always the best: the error can be too large, never too
/// small. In particular a line that is shifted by more than its width is not reached. There is also no
/// limit to how far a boundary can be moved step by step.
pub fn warped(truth: &Plane<bool>, found: &Plane<bool>) -> Plane<bool> {
    let mut warped = truth.clone();
    let differs = |warped: &Plane<bool>, at: usize| warped.data[at] != found.data[at];
    let mut waiting: VecDeque<_> = (0..warped.data.len())
        .filter(|at| differs(&warped, *at))
        .collect();
    let mut is_waiting = vec![false; warped.data.len()];
    waiting.iter().for_each(|at| is_waiting[*at] = true);
    while let Some(at) = waiting.pop_front() {
        is_waiting[at] = false;
        let around = around(&warped, at);
        if !is_simple(around.map(|at| at.is_some_and(|at| warped.data[at]))) {
            continue;
        }
        warped.data[at] = !warped.data[at];
        // Neighbours that were not simple before may be now.
        for neighbour in around.into_iter().flatten() {
            if differs(&warped, neighbour) && !is_waiting[neighbour] {
                is_waiting[neighbour] = true;
                waiting.push_back(neighbour);
            }
        }
    }
    warped
}

/// The eight neighbours of a pixel, counterclockwise from the right; `None` beyond the edge.
fn around(plane: &Plane<bool>, at: usize) -> [Option<usize>; 8] {
    const STEPS: [(isize, isize); 8] = [
        (0, 1),
        (-1, 1),
        (-1, 0),
        (-1, -1),
        (0, -1),
        (1, -1),
        (1, 0),
        (1, 1),
    ];
    let (row, column) = (at / plane.width, at % plane.width);
    STEPS.map(|(down, right)| {
        let row = row.checked_add_signed(down).filter(|r| *r < plane.height)?;
        let column = column
            .checked_add_signed(right)
            .filter(|c| *c < plane.width)?;
        Some(row * plane.width + column)
    })
}

/// Whether a pixel with these neighbours, in the order of [`around`], is simple: its crossing number
/// for 4-connected cells (Yokoi et al. 1975) is 1.
fn is_simple(cell: [bool; 8]) -> bool {
    let crossings = (0..8)
        .step_by(2)
        .filter(|k| cell[*k] && !(cell[k + 1] && cell[(k + 2) % 8]));
    crossings.count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(rows: &[&str]) -> Plane<bool> {
        Plane {
            height: rows.len(),
            width: rows[0].len(),
            data: rows.concat().bytes().map(|b| b == b'o').collect(),
        }
    }

    /// Pixels that differ after warping.
    fn wrong(truth: &[&str], found: &[&str]) -> f64 {
        let (truth, found) = (plane(truth), plane(found));
        (warping_error(&truth, &found) * truth.data.len() as f64).round()
    }

    /// Groups of neighbours on the ring around a pixel that hold `value`, by flood fill: 8-connected, or
    /// 4-connected and then only those that touch the pixel at an edge.
    fn groups(ring: [bool; 8], value: bool, corners_connect: bool) -> usize {
        let mut seen = [false; 8];
        let mut count = 0;
        for start in 0..8 {
            if seen[start] || ring[start] != value || (!corners_connect && start % 2 == 1) {
                continue;
            }
            count += 1;
            let mut stack = vec![start];
            while let Some(k) = stack.pop() {
                seen[k] = true;
                let mut next = vec![(k + 1) % 8, (k + 7) % 8];
                if corners_connect && k % 2 == 0 {
                    // Two that touch the pixel at edges touch each other at a corner.
                    next.extend([(k + 2) % 8, (k + 6) % 8]);
                }
                next.retain(|k| ring[*k] == value && !seen[*k]);
                stack.extend(next);
            }
        }
        count
    }

    #[test]
    fn simple_points_are_those_of_the_definition() {
        let mut simple = 0;
        for bits in 0..256 {
            let ring: [bool; 8] = std::array::from_fn(|k| bits >> k & 1 == 1);
            let expected = groups(ring, true, false) == 1 && groups(ring, false, true) == 1;
            assert_eq!(is_simple(ring), expected, "{ring:?}");
            simple += usize::from(expected);
        }
        assert!(simple > 0 && simple < 256);
    }

    #[test]
    fn a_shifted_boundary_costs_nothing() {
        assert_eq!(wrong(&["oo.ooooo"; 3], &["ooo.oooo"; 3]), 0.0);
        assert_eq!(wrong(&["oo...ooo"; 3], &["ooo....o"; 3]), 0.0);
        let thick = ["........", ".oo..oo.", ".oo..oo.", "........"];
        let thin = ["ooo.oooo", "ooo.oooo", "ooo.oooo", "ooo.oooo"];
        assert_eq!(wrong(&thick, &thin), 0.0);
    }

    #[test]
    fn a_hole_in_a_membrane_costs_what_closes_it() {
        let truth = ["ooo.ooo"; 5];
        let found = ["ooo.ooo", "ooo.ooo", "ooooooo", "ooo.ooo", "ooo.ooo"];
        assert_eq!(wrong(&truth, &found), 1.0);
        // Two cells instead of one: the membrane grows in from the edge, but for the pixel that splits.
        assert_eq!(wrong(&["ooooooo"; 5], &truth), 1.0);
    }

    #[test]
    fn a_line_that_is_too_far_off_is_not_reached() {
        // In the new place it grows in but for the last pixel, in the old one nothing can go.
        assert_eq!(wrong(&["oo.ooooo"; 3], &["ooooo.oo"; 3]), 1.0 + 3.0);
    }

    #[test]
    fn a_cell_that_is_missed_or_invented_costs_one_pixel_or_all() {
        let (empty, cell) = (["....."; 3], [".....", ".ooo.", "....."]);
        // A true cell shrinks to the one pixel that keeps it a cell.
        assert_eq!(wrong(&cell, &empty), 1.0);
        // There is nothing that could grow into an invented one.
        assert_eq!(wrong(&empty, &cell), 3.0);
    }
}
