//! The overlap-tile strategy of the paper, in integers: which parts of a frame the network sees, and how its
//! outputs are stitched into one map.
//!
//! ```text
//!   outer_start                                  along one axis of the frame
//!        |<- halo ->|<---- inner ---->|<- halo ->|
//!        |          |                 |          |
//!        |          |<--- target ---->|          |   written by this tile, clipped to the frame
//!        |    |<- source ->                      |
//!        |    |<---- network output ----->|      |   outer less a margin on each side
//! ```
//!
//! Max-pooling makes a network's output depend on the grid it starts from. Inner parts therefore begin at multiples
//! of the network's stride, which makes the tiled result equal to one run over the whole frame, bit for bit unless
//! convolutions are computed by Winograd's method. Beyond the frame's edge the network sees the frame
//! [mirrored](mirror()), over [`edge`] pixels: there the first tile begins and the last one ends.

mod axis;
mod decision;
mod mirror;
mod plan;
mod score;
mod stitch;

pub use axis::edge;
pub use decision::Decision;
pub use mirror::{MirroredRun, mirror, mirrored_runs};
pub use plan::{Blend, COST_PER_TILE, Plan, PlanError, Size, Span, TileSize};
pub use stitch::Stitcher;
