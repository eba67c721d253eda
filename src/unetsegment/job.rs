//! A frame on its way through the element.

use std::collections::TryReserveError;
use std::sync::Arc;
use std::time::Instant;

use super::Output;
use super::frame::PlacementError;
use super::settings::FrameSettings;
use super::stream::Stream;
use crate::inference::ModelError;
use crate::mask_meta::Mask;
use crate::picture::{FrameError, Scaling, WriteError};
use crate::segmenter::{SegmentError, Spent};

/// Why a frame can't be processed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error(transparent)]
    Segment(#[from] SegmentError),
    #[error("caps that the element can't work with: {0}")]
    Caps(String),
    #[error("a frame came before its caps")]
    NoCaps,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Placement(#[from] PlacementError),
    #[error("the memory of a frame can't be used: {0}")]
    Memory(#[from] glib::BoolError),
    #[error("there is not enough memory for a frame of this size: {0}")]
    Space(#[from] TryReserveError),
    #[error("no buffer for the mask: {0}")]
    Pool(#[from] gst::FlowError),
}

impl ProcessError {
    /// Whether nothing is wrong but that the work was stopped.
    pub fn is_stop(&self) -> bool {
        let Self::Segment(SegmentError::Model(error)) = self else {
            return false;
        };
        matches!(error, ModelError::Stopped { .. })
    }
}

/// A frame that was read, with all that is needed to segment it and to let it out.
pub struct Job {
    pub stream: Arc<Stream>,
    /// What goes out; the caps allow it.
    pub kind: Output,
    pub settings: FrameSettings,
    /// The frame that came in, unless it is the one that goes out.
    pub input: Option<gst::Buffer>,
    pub output: gst::Buffer,
    pub scaling: Scaling,
    /// When work on it began.
    pub arrived: Instant,
    /// What was found on it, once the network has seen it.
    pub found: Option<Found>,
}

/// What the network made of a frame.
pub struct Found {
    pub mask: Mask,
    /// The foreground's, `0..=1` for each pixel, where it goes out.
    pub probability: Option<Vec<f32>>,
    pub spent: Spent,
}

impl Job {
    /// The buffer that holds the frame as it came in.
    pub fn frame(&self) -> &gst::BufferRef {
        self.input.as_ref().unwrap_or(&self.output)
    }
}
