//! A frame on its way through the element.

use std::collections::TryReserveError;
use std::sync::Arc;
use std::time::Duration;

use super::Output;
use super::arrival::Arrival;
use super::buffers::PlacementError;
use super::model_info::ModelInfo;
use super::objects::{Basis, Objects};
use super::settings::FrameSettings;
use super::stats::Inside;
use super::stream::Stream;
use crate::contract::Contract;
use crate::inference::ModelError;
use crate::labels::{LabelError, TrackEvents};
use crate::picture::{FrameError, Scaling, WriteError};
use crate::segmenter::{SegmentError, SegmentStats};

/// Why a frame can't be processed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The network has failed because of `cause`, and can't be reloaded.
    #[error("{cause}. Reloading it has failed, too: {reload}")]
    Reload { cause: String, reload: ModelError },
    #[error("unsupported caps: {0}")]
    Caps(String),
    #[error("a frame arrived before its caps")]
    NoCaps,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Placement(#[from] PlacementError),
    #[error("the memory of a frame can't be mapped: {0}")]
    Memory(#[from] glib::BoolError),
    #[error(
        "there is not enough memory for a frame of this size ({0}). Lower tile-memory, close other programs or use smaller frames"
    )]
    Space(#[from] TryReserveError),
    #[error(transparent)]
    Labels(#[from] LabelError),
    #[error("no buffer for the mask: {0}")]
    Pool(#[from] gst::FlowError),
}

impl ProcessError {
    /// The error of the model, if it is one.
    fn of_model(&self) -> Option<&ModelError> {
        match self {
            Self::Segment(SegmentError::Model(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether memory has run out.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Segment(error) => error.is_out_of_memory(),
            Self::Labels(LabelError::Space(_)) | Self::Space(_) => true,
            Self::Reload { reload, .. } => reload.is_out_of_memory(),
            _ => false,
        }
    }

    /// Whether the network itself has failed on a frame, so that its session can't be trusted any more. A lack of
    /// memory leaves it intact.
    pub fn is_fault(&self) -> bool {
        let failed = matches!(
            self.of_model(),
            Some(
                ModelError::Run { .. }
                    | ModelError::NotFinite { .. }
                    | ModelError::SharedFault { .. }
            )
        );
        failed && !self.is_out_of_memory()
    }

    /// Whether the network of another element has failed, in a session shared with this one.
    pub fn is_of_others(&self) -> bool {
        matches!(self.of_model(), Some(ModelError::SharedFault { .. }))
    }

    /// Whether the work was merely stopped.
    pub fn is_stop(&self) -> bool {
        matches!(self.of_model(), Some(ModelError::Stopped { .. }))
    }
}

/// A frame that was read, with all that is needed to segment it and to push it.
pub struct Job {
    pub stream: Arc<Stream>,
    /// What goes out, which the caps allow.
    pub kind: Output,
    /// Number of the scene that the frame belongs to, counted by the [reader](super::reader::Reader).
    pub scene: u64,
    pub settings: FrameSettings,
    /// The incoming frame, unless it is the one that goes out.
    pub input: Option<gst::Buffer>,
    pub output: gst::Buffer,
    /// How its pixels become the input of a network, and the model of that network.
    pub scaling: Option<(Arc<ModelInfo>, Scaling)>,
    /// When it arrived.
    pub arrived: Arrival,
    /// How long it took until the network was done with it; zero if the frame passes at once. Waiting after that is not
    /// the element's latency: downstream may have no buffer for the frame yet, or not accept it yet.
    pub until_ready: Duration,
    /// Whether the network is to see it.
    pub due: bool,
    /// Its segmentation, or the one that it shows.
    pub found: Option<Segmentation>,
    /// Whether the previous frame was dropped on arrival.
    pub after_gap: bool,
    /// Its number since the start, unless it is for the network alone.
    pub number: u64,
    /// Counts it as inside until it is out, unless it is for the network alone.
    pub inside: Option<Inside>,
}

/// The result of the network for a frame.
#[derive(Clone)]
pub struct Segmentation {
    pub mask: gst::Buffer,
    /// Probability of the foreground, `0..=1` for each pixel, if it is needed.
    pub probability: Option<Arc<Vec<f32>>>,
    /// The same in 16 bits, if it is attached to frames.
    pub samples: Option<gst::Buffer>,
    pub spent: SegmentStats,
    pub model: Arc<ModelInfo>,
    /// When the frame arrived.
    pub arrived: Arrival,
    pub timestamp: Option<gst::ClockTime>,
    /// The frame itself, if objects are to be measured on it while other frames show the mask.
    pub frame: Option<gst::Buffer>,
    /// Its objects, once they have been found.
    pub objects: Option<Arc<Objects>>,
    /// Their events, until a frame reports them.
    pub events: TrackEvents,
}

/// The maps that exist for a frame besides its mask.
#[derive(Clone, Copy)]
pub struct Maps {
    probability: bool,
    samples: bool,
    /// Whether the frame itself is kept, too.
    pub frame: bool,
}

impl Maps {
    /// Whether they suffice for frames with output `kind` under `settings` and the model's `contract`.
    pub fn serve(self, kind: Output, settings: &FrameSettings, contract: &Contract) -> bool {
        (self.probability || !settings.wants_probability(kind, contract))
            && (self.samples || !settings.keep_probability)
    }
}

impl Segmentation {
    /// The maps that exist.
    pub fn maps(&self) -> Maps {
        Maps {
            probability: self.probability.is_some(),
            samples: self.samples.is_some(),
            frame: self.frame.is_some(),
        }
    }

    /// Whether it suffices for frames with output `kind`, after finding its objects: it may date from a time when less
    /// was wanted.
    pub fn serves(&self, kind: Output, settings: &FrameSettings) -> bool {
        let contract = &self.model.contract;
        let has_objects = || {
            let wanted = Basis::of(self, kind, settings);
            let objects = self.objects.as_ref();
            objects.is_some_and(|objects| objects.serve(&wanted))
        };
        self.maps().serve(kind, settings, contract)
            && (!settings.wants_objects(kind, contract) || has_objects())
    }

    /// Whether it lacks something for frames with output `kind`, or its objects would be different under the current
    /// settings.
    pub fn is_outdated(&self, kind: Output, settings: &FrameSettings) -> bool {
        let wants = settings.wants_objects(kind, &self.model.contract);
        let objects = self.objects.as_ref().filter(|_| wants);
        let wanted = Basis::of(self, kind, settings);
        !self.serves(kind, settings) || objects.is_some_and(|objects| objects.are_outdated(&wanted))
    }
}

impl Job {
    /// Marks it as a frame that goes out, and that `inside` counts until then.
    pub fn enter(&mut self, inside: Option<Inside>) {
        self.number = inside.as_ref().map_or(0, Inside::number);
        self.after_gap = inside.as_ref().is_some_and(Inside::is_after_gap);
        self.inside = inside;
    }

    /// Whether its frame belongs to the scene and the stream of an earlier one.
    pub fn continues(&self, earlier: Option<(u64, Arc<Stream>)>) -> bool {
        earlier.is_some_and(|(scene, stream)| {
            let same = Arc::ptr_eq(&stream, &self.stream) || self.stream.continues(&stream);
            scene == self.scene && same
        })
    }

    /// The buffer of the frame as it arrived.
    pub fn frame(&self) -> &gst::BufferRef {
        self.input.as_ref().unwrap_or(&self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_memory_is_no_fault() {
        let failed = |reason: &str| {
            let path = "model.onnx".into();
            let reason = reason.into();
            ProcessError::Segment(SegmentError::Model(ModelError::Run { path, reason }))
        };
        let faulty = failed("indices element out of data bounds");
        assert!(faulty.is_fault() && !faulty.is_out_of_memory());
        let short = failed("std::bad_alloc");
        assert!(!short.is_fault() && short.is_out_of_memory());
    }
}
