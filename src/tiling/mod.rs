//! The overlap-tile strategy of the paper, as pure integers: which parts of a frame the network
//! sees, and how its answers become one map again.
//!
//! ```text
//!   outer_start                                  along one axis of the frame
//!        |<- halo ->|<---- inner ---->|<- halo ->|
//!        |          |                 |          |
//!        |          |<--- target ---->|          |   written by this tile, cut at the frame's edge
//!        |    |<- source ->                      |
//!        |    |<---- network output ----->|      |   outer less a margin on each side
//! ```
//!
//! Max-pooling ties a network's answer to the grid it starts from. Inners therefore begin at
//! multiples of the network's stride, which makes the tiled answer that of one run over the whole
//! frame, bit for bit. Beyond the frame's edge the network sees the frame [mirrored](mirror()), as far as
//! [`edge`] says: there the first tile begins and the last one ends.

mod axis;
mod decision;
mod mirror;
mod plan;
mod score;
mod stitch;

pub use axis::edge;
pub use decision::Decision;
pub use mirror::{Run, mirror, mirrored_runs};
pub use plan::{Blend, COST_PER_TILE, Plan, PlanError, Size, Span, TileSize};
pub use stitch::Stitcher;
