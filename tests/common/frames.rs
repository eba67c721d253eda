//! Small frames of cells, 25 a second.

use gstreamer as gst;

use super::{cells, timed};

/// No multiple of four, so that rows are padded.
pub const WIDTH: usize = 90;
pub const HEIGHT: usize = 61;

/// Frame `number`, with a time and cells of its own.
pub fn frame(number: u64) -> gst::Buffer {
    timed(&cells(WIDTH, HEIGHT, number), WIDTH, HEIGHT, number)
}
