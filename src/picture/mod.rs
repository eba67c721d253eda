//! Pictures in and out: pixel formats, statistics, the network's input, the drawn result.

mod codes;
mod format;
mod frame;
mod histogram;
mod normalize;
mod read;
mod statistics;
#[cfg(test)]
mod testing;
mod yuv;

pub use format::Format;
pub use frame::{Frame, FrameError, FrameMut, Plane, PlaneMut};
pub use normalize::{Normalizer, Scaling, scaling};
pub use read::fill;
pub use statistics::Statistics;
pub use yuv::{YuvCoding, YuvRange};
