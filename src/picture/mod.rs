//! Pictures in and out: pixel formats, statistics, the network's input, the drawn result.

pub mod annotate;
mod codes;
mod colors;
mod contour;
mod display;
mod format;
mod frame;
mod histogram;
mod image_features;
mod maps;
mod normalize;
mod objects;
mod overlay;
mod overlay_yuv;
mod palette;
mod stale;
mod statistics;
mod style;
#[cfg(test)]
mod testing;
mod tile_input;
mod yuv;

pub use codes::{LUMA, channel_count, code_scale, for_each_chunk};
pub use colors::{
    Color, DEFAULT_COLORS, FIRST_INK, INK_BLACK, INK_WHITE, INSTANCE_COLORS, default_color,
    ink_color, instance_color, instance_value,
};
pub use display::{DisplayRange, DisplayRangeError, LevelTracker, Levels};
pub use format::Format;
pub use frame::{Frame, FrameError, FrameMut, Plane, PlaneMut};
pub use image_features::{FeatureExtractor, ImageFeature, ImageFeatures};
pub use maps::{
    WriteError, entropy, narrow, write_labels, write_mask, write_probability, write_uncertainty,
};
pub use normalize::{Normalizer, Scaling, scaling};
pub use objects::keep_objects;
pub use overlay::draw;
pub use palette::Palette;
pub use stale::{STALE_COLORS, mark_stale};
pub use statistics::Statistics;
pub use style::Style;
pub use tile_input::fill_tile_input;
pub use yuv::{YuvCoding, YuvRange};
