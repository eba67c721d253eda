//! Covers all blocks whose results may have changed with a few rectangles.

use super::grid::Grid;
use crate::contract::Geometry;
use crate::tiling::{COST_PER_TILE, Plan, Size, Span, edge};

/// How far a change affects the output, in pixels: beyond this distance it changes no probability by much, even if the
/// network's halo is wider.
const REACH: usize = 32;

/// Most rectangles; more are not worthwhile.
const MAX_PATCHES: usize = 32;

/// A part of a frame that is inferred on its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// Its pixels from top to bottom.
    pub rows: Span,
    /// Its pixels from left to right.
    pub columns: Span,
    /// The network's input, in pixels.
    pub outer: Size,
    /// The network's output, in pixels.
    pub output: Size,
}

/// A rectangle of blocks; `bottom` and `right` are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rectangle {
    top: usize,
    bottom: usize,
    left: usize,
    right: usize,
}

impl Rectangle {
    /// The smallest rectangle that contains both.
    fn union(self, other: Rectangle) -> Rectangle {
        Rectangle {
            top: self.top.min(other.top),
            bottom: self.bottom.max(other.bottom),
            left: self.left.min(other.left),
            right: self.right.max(other.right),
        }
    }
}

/// Plans patches for frames of one size.
pub struct PatchPlanner {
    frame: Size,
    geometry: Geometry,
    /// Cost of inferring the whole frame.
    whole_cost: u128,
    /// Most input pixels that memory has room for.
    max_pixels: usize,
    affected: Grid<bool>,
    rectangles: Vec<Rectangle>,
    patches: Vec<Patch>,
    /// Blocks still to be visited.
    open: Vec<(usize, usize)>,
}

impl PatchPlanner {
    /// A planner for the frames of `plan`, in blocks of `side` pixels.
    pub fn new(plan: &Plan, geometry: &Geometry, side: usize) -> Self {
        let affected = Grid::new(plan.frame.height, plan.frame.width, side, false);
        PatchPlanner {
            frame: plan.frame,
            geometry: *geometry,
            whole_cost: plan.len() as u128 * cost(plan.outer),
            max_pixels: plan.outer.area(),
            rectangles: Vec::with_capacity(MAX_PATCHES + 1),
            patches: Vec::with_capacity(MAX_PATCHES),
            open: Vec::with_capacity(affected.rows * affected.columns),
            affected,
        }
    }

    /// The patches of the last [`cover`](Self::cover).
    pub fn all(&self) -> &[Patch] {
        &self.patches
    }

    /// Covers everything that the `stale` blocks can affect with patches; `false` if inferring the whole frame costs
    /// less, or the network accepts no patches.
    pub fn cover(&mut self, stale: &Grid<bool>) -> bool {
        self.patches.clear();
        self.affected.spread(stale, REACH.div_ceil(stale.side));
        if !self.find_rectangles() {
            return false;
        }
        self.merge();
        let mut sum = 0;
        for rectangle in &self.rectangles {
            let Some(patch) = self.patch(*rectangle) else {
                return false;
            };
            sum += cost(patch.outer);
            self.patches.push(patch);
        }
        sum < self.whole_cost
    }

    /// Finds the bounding boxes of connected blocks; `false` if there are too many.
    fn find_rectangles(&mut self) -> bool {
        self.rectangles.clear();
        for row in 0..self.affected.rows {
            for column in 0..self.affected.columns {
                if self.affected.row(row)[column] {
                    let rectangle = self.take_connected(row, column);
                    self.rectangles.push(rectangle);
                    if self.rectangles.len() > MAX_PATCHES {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Unsets all blocks connected with this one; returns their bounding box.
    fn take_connected(&mut self, row: usize, column: usize) -> Rectangle {
        let mut found = Rectangle {
            top: row,
            bottom: row + 1,
            left: column,
            right: column + 1,
        };
        self.open.clear();
        self.open.push((row, column));
        self.affected.row_mut(row)[column] = false;
        while let Some((row, column)) = self.open.pop() {
            found = found.union(Rectangle {
                top: row,
                bottom: row + 1,
                left: column,
                right: column + 1,
            });
            let rows = row.saturating_sub(1)..(row + 2).min(self.affected.rows);
            for row in rows {
                let columns = column.saturating_sub(1)..(column + 2).min(self.affected.columns);
                for column in columns {
                    if std::mem::take(&mut self.affected.row_mut(row)[column]) {
                        self.open.push((row, column));
                    }
                }
            }
        }
        found
    }

    /// Merges rectangles if one patch costs less than two.
    fn merge(&mut self) {
        let mut rectangles = std::mem::take(&mut self.rectangles);
        let patch_cost = |rectangle| {
            self.patch(rectangle)
                .map_or(u128::MAX / 2, |p| cost(p.outer))
        };
        'again: loop {
            for a in 0..rectangles.len() {
                for b in a + 1..rectangles.len() {
                    let both = rectangles[a].union(rectangles[b]);
                    let apart = patch_cost(rectangles[a]) + patch_cost(rectangles[b]);
                    if patch_cost(both) <= apart {
                        rectangles[a] = both;
                        rectangles.swap_remove(b);
                        continue 'again;
                    }
                }
            }
            break;
        }
        self.rectangles = rectangles;
    }

    /// The patch for a rectangle; `None` if the network doesn't accept its size.
    fn patch(&self, rectangle: Rectangle) -> Option<Patch> {
        let Rectangle {
            top,
            bottom,
            left,
            right,
        } = rectangle;
        let legal = |rows: usize, columns: usize| self.geometry.legal(rows, columns);
        let (rows, height) = self.span(top..bottom, self.frame.height, |n| Some(legal(n, 0)?.0))?;
        let (columns, width) =
            self.span(left..right, self.frame.width, |n| Some(legal(0, n)?.1))?;
        let lost = 2 * self.geometry.margin;
        let patch = Patch {
            rows,
            columns,
            outer: Size { width, height },
            output: Size {
                width: width - lost,
                height: height - lost,
            },
        };
        (patch.outer.area() <= self.max_pixels).then_some(patch)
    }

    /// The span of a patch along one axis, and the length of the network's input.
    fn span(
        &self,
        blocks: std::ops::Range<usize>,
        length: usize,
        legal: impl Fn(usize) -> Option<usize>,
    ) -> Option<(Span, usize)> {
        let side = self.affected.side;
        let whole = length.next_multiple_of(side);
        let wanted = rounded(blocks.len()) * side;
        let start = (blocks.start * side).min(whole.saturating_sub(wanted));
        let context = edge(&self.geometry);
        let outer = legal(wanted.min(whole) + 2 * context)?;
        let span = Span {
            outer_start: start as isize - context as isize,
            target: start..(start + wanted).min(length),
            source: context - self.geometry.margin,
            weights: Vec::new(),
        };
        Some((span, outer))
    }
}

/// Rounds to one of a few lengths: the network has to be prepared for each shape.
fn rounded(blocks: usize) -> usize {
    let step = (blocks.next_power_of_two() / 8).max(2);
    blocks.next_multiple_of(step)
}

fn cost(outer: Size) -> u128 {
    outer.area() as u128 + COST_PER_TILE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Sizes;
    use crate::tiling::{Blend, TileSize};

    const PADDED: Geometry = Geometry {
        margin: 0,
        halo: 96,
        edge: Geometry::EDGE,
        stride: 16,
        sizes: Sizes::Steps { min: 16, step: 16 },
    };

    fn patches(size: Size) -> (PatchPlanner, Grid<bool>) {
        let max_pixels = usize::MAX;
        let plan = Plan::new(size, &PADDED, Blend::Crop, TileSize::Planned { max_pixels });
        let patches = PatchPlanner::new(&plan.unwrap(), &PADDED, 16);
        (patches, Grid::new(size.height, size.width, 16, false))
    }

    const FRAME: Size = Size {
        width: 696,
        height: 520,
    };

    #[test]
    fn patches_cover_all_that_a_change_affects_on_the_grid() {
        let (mut patches, mut stale) = patches(FRAME);
        assert!(patches.cover(&stale) && patches.all().is_empty());
        for (y, x) in [(0, 0), (300, 400), (519, 695), (519, 0), (250, 250)] {
            stale.fill(false);
            stale.fill_within(&(y..y + 1), &(x..x + 1), true);
            assert!(patches.cover(&stale));
            let [patch] = patches.all() else {
                panic!("{:?}", patches.all())
            };
            let block = [y, x].map(|at| at / 16 * 16);
            for (span, at, length) in [
                (&patch.rows, block[0], FRAME.height),
                (&patch.columns, block[1], FRAME.width),
            ] {
                let needed = at.saturating_sub(REACH)..(at + 16 + REACH).min(length);
                assert!(span.target.start <= needed.start && span.target.end >= needed.end);
                assert_eq!(span.outer_start.rem_euclid(16), 0);
                assert_eq!(
                    span.outer_start + span.source as isize,
                    span.target.start as isize
                );
            }
            assert!(patch.outer.area() < 200 * 200, "{:?}", patch.outer);
        }
    }

    #[test]
    fn neighbours_share_a_patch_and_large_changes_take_the_whole_frame() {
        let (mut patches, mut stale) = patches(FRAME);
        stale.fill_within(&(100..101), &(100..101), true);
        stale.fill_within(&(100..101), &(220..221), true);
        assert!(patches.cover(&stale));
        assert_eq!(patches.all().len(), 1);
        stale.fill_within(&(480..481), &(600..601), true);
        assert!(patches.cover(&stale));
        assert_eq!(patches.all().len(), 2);
        stale.fill(true);
        assert!(!patches.cover(&stale));
    }
}
