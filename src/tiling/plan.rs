//! Plans the tiles that cover a frame.

use std::ops::Range;

use super::axis::{Axis, Cut};
use crate::contract::Geometry;

/// Longest side of a frame, in pixels.
const LONGEST: usize = 1 << 20;

/// Fixed cost of a tile, in pixels: the call of the runtime, and kernels that are less efficient on small maps.
/// Only the order of magnitude matters, to avoid plans of tiny tiles.
pub const COST_PER_TILE: u128 = 4096;

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Size {
    /// Number of pixels.
    pub fn area(self) -> usize {
        self.width * self.height
    }
}

/// How neighbouring tiles are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blend {
    /// Inner parts lie side by side, and each pixel is the output of one tile, as in the paper.
    #[default]
    Crop,
    /// Inner parts overlap by a quarter or somewhat more, and probabilities are averaged there.
    Average,
    /// Like `Average`, weighted by a Gaussian centred on the inner part.
    Gaussian,
}

/// How large tiles are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileSize {
    /// The cheapest plan whose tiles have at most `max_pixels` input pixels; one tile for the whole frame if that
    /// fits. If not even the smallest tile fits, the smallest is used.
    Planned {
        /// Input pixels of one tile, per channel.
        max_pixels: usize,
    },
    /// Inner parts of this side length in pixels, rounded down to a multiple of the network's stride, but at least one
    /// stride, and no more than the frame or a network of fixed size allows.
    Inner(usize),
}

/// The part of one axis that a tile outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Frame coordinate of the first pixel that the network sees; outside the frame if negative.
    pub outer_start: isize,
    /// Frame pixels that the tile writes.
    pub target: Range<usize>,
    /// Index of `target.start` in the network's output.
    pub source: usize,
    /// A weight for each pixel of `target`; over all spans of the axis they add up to 1 at every pixel. Empty if the
    /// plan doesn't blend: the pixels are copied.
    pub weights: Vec<f32>,
}

/// The tiles for frames of one size: every row span with every column span.
///
/// All tiles have the same shape, so that the runtime sees no new shape after the first tile.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The frame.
    pub frame: Size,
    /// The network's input for every tile.
    pub outer: Size,
    /// The network's output for every tile: `outer` less the margin on each side.
    pub output: Size,
    /// Context discarded at the left and right (`width`) and at the top and bottom (`height`) between tiles; at the
    /// frame's edges there is less, see [`edge`](super::edge).
    /// It is the network's halo, rounded up to the margin plus a multiple of the stride, which keeps the pooling grid
    /// where a run over the frame with only the margin added has it. It is smaller only if a network of fixed size
    /// has no room; see [`Plan::new`].
    pub halo: Size,
    /// Spans along the height, from top to bottom.
    pub rows: Vec<Span>,
    /// Spans along the width, from left to right.
    pub columns: Vec<Span>,
}

/// Why a frame can't be tiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A side is 0 or far too long.
    #[error("a frame of {width}x{height} pixels can't be segmented: sides must be 1 to {LONGEST}")]
    Frame {
        /// Columns of the frame.
        width: usize,
        /// Rows of the frame.
        height: usize,
    },
    /// The network's fixed size has no room for a tile of one stride.
    #[error(
        "the network accepts only inputs of {size} pixels a side; without the margin of {margin} on each \
         side that is less than its stride of {stride}, so {length} pixels can't be tiled: \
         export the model with a larger or a free input size"
    )]
    NoRoom {
        /// The fixed input size along the axis.
        size: usize,
        /// The network's margin.
        margin: usize,
        /// The network's stride.
        stride: usize,
        /// The frame's size along the axis.
        length: usize,
    },
}

impl Plan {
    /// Plans the tiles for frames of size `frame`. `geometry` must be one that a
    /// [contract](crate::contract::Contract) may hold.
    ///
    /// A network of fixed size that can hold the frame with its margin sees it in one tile, with as much of the halo as
    /// there is room for. If such a network has no room for its halo and an inner part of one stride, the halo is
    /// reduced to a quarter of the size, but not below the margin; then seams are possible, and [`Plan::halo`] shows
    /// it.
    pub fn new(
        frame: Size,
        geometry: &Geometry,
        blend: Blend,
        tile_size: TileSize,
    ) -> Result<Plan, PlanError> {
        let Size { width, height } = frame;
        if !(1..=LONGEST).contains(&width) || !(1..=LONGEST).contains(&height) {
            return Err(PlanError::Frame { width, height });
        }
        let vertical = Axis::new(height, geometry, blend, |n| {
            geometry.legal(n, 0).map(|(rows, _)| rows)
        })?;
        let horizontal = Axis::new(width, geometry, blend, |n| {
            geometry.legal(0, n).map(|(_, columns)| columns)
        })?;
        let (row, column) = match tile_size {
            TileSize::Inner(side) => (vertical.cut_near(side), horizontal.cut_near(side)),
            TileSize::Planned { max_pixels } => {
                cheapest(&vertical.cuts(), &horizontal.cuts(), max_pixels)
            }
        };
        let outer = Size {
            width: column.outer,
            height: row.outer,
        };
        let alone = row.count == 1 && column.count == 1;
        let blend = if alone { Blend::Crop } else { blend };
        Ok(Plan {
            frame,
            outer,
            output: Size {
                width: outer.width - 2 * geometry.margin,
                height: outer.height - 2 * geometry.margin,
            },
            halo: Size {
                width: horizontal.halo(),
                height: vertical.halo(),
            },
            rows: vertical.spans(row, blend),
            columns: horizontal.spans(column, blend),
        })
    }

    /// The tiles, row by row: each a span of rows and a span of columns.
    pub fn tiles(&self) -> impl Iterator<Item = (&Span, &Span)> + Clone {
        self.rows
            .iter()
            .flat_map(|row| self.columns.iter().map(move |column| (row, column)))
    }

    /// Number of tiles; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a plan has at least one tile")]
    pub fn len(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// Whether tiles overlap and their outputs are weighted.
    pub fn blends(&self) -> bool {
        self.rows.iter().any(|span| !span.weights.is_empty())
    }
}

/// The cheapest pair of cuts within the budget, or the smallest tile.
#[expect(clippy::expect_used, reason = "neither list is empty")]
fn cheapest(rows: &[Cut], columns: &[Cut], max_pixels: usize) -> (Cut, Cut) {
    rows.iter()
        .flat_map(|row| columns.iter().map(move |column| (*row, *column)))
        .min_by_key(|(row, column)| {
            let area = row.outer as u128 * column.outer as u128;
            let tiles = row.count as u128 * column.count as u128;
            let too_large = area > max_pixels as u128;
            let cost = tiles * (area + COST_PER_TILE);
            (too_large, if too_large { area } else { cost }, tiles)
        })
        .expect("each axis has at least one cut")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Sizes;

    const PAPER: Geometry = Geometry {
        margin: 92,
        halo: 92,
        edge: Geometry::EDGE,
        stride: 16,
        sizes: Sizes::Steps { min: 188, step: 16 },
    };
    const FRAME: Size = Size {
        width: 696,
        height: 520,
    };

    fn plan(frame: Size, geometry: Geometry, tile_size: TileSize) -> Result<Plan, PlanError> {
        Plan::new(frame, &geometry, Blend::Crop, tile_size)
    }

    fn fixed(margin: usize, halo: usize, size: usize) -> Geometry {
        Geometry {
            margin,
            halo,
            edge: Geometry::EDGE,
            stride: 16,
            sizes: Sizes::Fixed {
                height: size,
                width: size,
            },
        }
    }

    fn square(side: usize) -> Size {
        Size {
            width: side,
            height: side,
        }
    }

    #[test]
    fn one_tile_where_memory_allows() {
        let max_pixels = 892 * 716;
        let whole = plan(FRAME, PAPER, TileSize::Planned { max_pixels }).unwrap();
        assert_eq!(whole.len(), 1);
        assert_eq!((whole.outer.width, whole.outer.height), (892, 716));
        let max_pixels = max_pixels - 1;
        let tiled = plan(FRAME, PAPER, TileSize::Planned { max_pixels }).unwrap();
        assert_eq!(tiled.len(), 2);
        assert!(tiled.outer.area() <= max_pixels);
    }

    #[test]
    fn the_papers_tile() {
        let plan = plan(FRAME, PAPER, TileSize::Inner(388)).unwrap();
        assert_eq!(plan.outer, square(572));
        assert_eq!(plan.output, square(388));
        let starts: Vec<_> = plan.columns.iter().map(|span| span.target.start).collect();
        assert_eq!(starts, [0, 388]);
        assert_eq!(plan.columns[1].target, 388..696);
        // It ends where one tile for the whole frame would: at 892 pixels, of which it sees the last 572.
        assert_eq!(plan.columns[1].outer_start, 320 - 92);
        assert_eq!(plan.columns[1].source, 388 - 320);
    }

    #[test]
    fn the_smallest_tile_where_memory_is_short() {
        let plan = plan(FRAME, PAPER, TileSize::Planned { max_pixels: 0 }).unwrap();
        assert_eq!(plan.outer, square(204));
        assert_eq!(plan.rows[1].target, 20..36);
    }

    #[test]
    fn the_halo_keeps_the_grid_of_the_pooling() {
        let padded = Geometry {
            margin: 0,
            halo: 100,
            edge: Geometry::EDGE,
            stride: 16,
            sizes: Sizes::Steps { min: 16, step: 16 },
        };
        let plan = plan(FRAME, padded, TileSize::Inner(64)).unwrap();
        assert_eq!(plan.halo, square(112));
        // The frame's own edge has less context.
        assert_eq!((plan.rows[0].outer_start, plan.rows[0].source), (-32, 32));
        assert_eq!(plan.rows[1].source, 112);
    }

    #[test]
    fn fixed_sizes_get_as_much_halo_as_fits() {
        let any = TileSize::Planned {
            max_pixels: usize::MAX,
        };
        let halo_and_spans = |frame, geometry| {
            let plan = plan(frame, geometry, any).unwrap();
            (plan.halo.width, plan.columns.len())
        };
        assert_eq!(halo_and_spans(square(500), fixed(0, 32, 256)), (32, 3));
        // The frame fits, its halo doesn't.
        assert_eq!(halo_and_spans(square(256), fixed(0, 32, 256)), (0, 1));
        assert_eq!(halo_and_spans(square(200), fixed(0, 32, 256)), (16, 1));
        // Neither fits: a quarter of 256 on each side.
        assert_eq!(halo_and_spans(square(257), fixed(0, 160, 256)), (64, 2));
        assert_eq!(halo_and_spans(square(500), fixed(92, 128, 220)), (92, 16));
        assert_eq!(
            plan(square(500), fixed(92, 92, 190), any),
            Err(PlanError::NoRoom {
                size: 190,
                margin: 92,
                stride: 16,
                length: 500
            })
        );
        assert_eq!(plan(square(6), fixed(92, 92, 190), any).unwrap().len(), 1);
    }

    #[test]
    fn empty_and_huge_frames_are_refused() {
        for (width, height) in [(0, 5), (5, 0), (usize::MAX, 5)] {
            let refused = plan(Size { width, height }, PAPER, TileSize::Inner(64));
            assert_eq!(refused, Err(PlanError::Frame { width, height }));
        }
        assert!(
            plan(
                Size {
                    width: LONGEST,
                    height: 1
                },
                PAPER,
                TileSize::Inner(4096)
            )
            .is_ok()
        );
    }

    #[test]
    fn blends_overlap_by_a_quarter_and_a_single_tile_does_not() {
        for blend in [Blend::Average, Blend::Gaussian] {
            let tiles = Plan::new(FRAME, &PAPER, blend, TileSize::Inner(256)).unwrap();
            assert_eq!(tiles.columns[0].target, 0..256);
            assert_eq!(tiles.columns[1].target, 192..448);
            assert!(tiles.blends());
            let alone = Plan::new(FRAME, &PAPER, blend, TileSize::Inner(4096)).unwrap();
            assert!(!alone.blends());
        }
    }

    #[test]
    fn planning_a_large_frame_is_quick() {
        let fine = Geometry {
            margin: 0,
            halo: 0,
            edge: Geometry::EDGE,
            stride: 1,
            sizes: Sizes::Steps { min: 1, step: 1 },
        };
        for blend in [Blend::Crop, Blend::Average] {
            let start = std::time::Instant::now();
            let max_pixels = 1_000_000;
            let plan = Plan::new(
                square(16_384),
                &fine,
                blend,
                TileSize::Planned { max_pixels },
            );
            assert!(plan.unwrap().outer.area() <= max_pixels);
            assert!(start.elapsed().as_secs() < 2);
        }
    }
}
