//! A frame on its way through the element.

use std::collections::TryReserveError;
use std::sync::Arc;
use std::time::Duration;

use super::Output;
use super::arrival::Arrival;
use super::buffers::PlacementError;
use super::model::Loaded;
use super::objects::{Basis, Objects};
use super::settings::FrameSettings;
use super::stats::Inside;
use super::stream::Stream;
use crate::contract::Contract;
use crate::inference::ModelError;
use crate::labels::{Events, TooMany};
use crate::picture::{FrameError, Scaling, WriteError};
use crate::segmenter::{SegmentError, Spent};

/// Why a frame can't be processed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The network has failed for `cause`, and can't be loaded anew.
    #[error("{cause}; and it can't be loaded again: {reload}")]
    Reload { cause: String, reload: ModelError },
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
    #[error(transparent)]
    TooMany(#[from] TooMany),
    #[error("no buffer for the mask: {0}")]
    Pool(#[from] gst::FlowError),
}

impl ProcessError {
    /// What is wrong with the model, if that is it.
    fn of_model(&self) -> Option<&ModelError> {
        match self {
            Self::Segment(SegmentError::Model(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether the network itself has failed on a frame, so that its session can't be trusted any more.
    pub fn is_fault(&self) -> bool {
        matches!(
            self.of_model(),
            Some(
                ModelError::Run { .. }
                    | ModelError::NotFinite { .. }
                    | ModelError::SharedFault { .. }
            )
        )
    }

    /// Whether another element's network has failed, in the session that this one's shares.
    pub fn is_of_others(&self) -> bool {
        matches!(self.of_model(), Some(ModelError::SharedFault { .. }))
    }

    /// Whether nothing is wrong but that the work was stopped.
    pub fn is_stop(&self) -> bool {
        matches!(self.of_model(), Some(ModelError::Stopped { .. }))
    }
}

/// A frame that was read, with all that is needed to segment it and to let it out.
pub struct Job {
    pub stream: Arc<Stream>,
    /// What goes out; the caps allow it.
    pub kind: Output,
    /// What the frame is of, as its [reader](super::reader::Reader) counts.
    pub scene: u64,
    pub settings: FrameSettings,
    /// The frame that came in, unless it is the one that goes out.
    pub input: Option<gst::Buffer>,
    pub output: gst::Buffer,
    /// How its pixels become the input of a network, and of which.
    pub scaling: Option<(Arc<Loaded>, Scaling)>,
    /// When it came in.
    pub arrived: Arrival,
    /// How long it took until the network was done with it; nothing where it passes at once. What comes after that is
    /// not the element's time: downstream may have no buffer for it yet, or not take it yet.
    pub until_ready: Duration,
    /// Whether the network is to see it.
    pub due: bool,
    /// What goes out with it.
    pub found: Option<Found>,
    /// Whether a frame before it was left out when it came in.
    pub after_gap: bool,
    /// Its number since the start, unless it is for the network alone.
    pub number: u64,
    /// Counts it until it is out, unless it is for the network alone.
    pub inside: Option<Inside>,
}

/// What the network made of a frame.
#[derive(Clone)]
pub struct Found {
    pub mask: gst::Buffer,
    /// The foreground's, `0..=1` for each pixel, where it is needed.
    pub probability: Option<Arc<Vec<f32>>>,
    /// The same in 16 bits, where it rides on frames.
    pub samples: Option<gst::Buffer>,
    pub spent: Spent,
    pub model: Arc<Loaded>,
    /// When the frame came in.
    pub arrived: Arrival,
    pub timestamp: Option<gst::ClockTime>,
    /// The frame itself, where objects are to be measured on it while others show the mask.
    pub frame: Option<gst::Buffer>,
    /// Its objects, once they were looked for.
    pub objects: Option<Arc<Objects>>,
    /// What has happened to them, until a frame shows it.
    pub events: Events,
}

/// Which maps there are of a frame besides its mask.
#[derive(Clone, Copy)]
pub struct Maps {
    probability: bool,
    samples: bool,
    /// Whether the frame itself is kept with them.
    pub frame: bool,
}

impl Maps {
    /// Whether they are all that frames need of which `kind` goes out, by `settings` and the model's `contract`.
    pub fn serve(self, kind: Output, settings: &FrameSettings, contract: &Contract) -> bool {
        (self.probability || !settings.wants_probability(kind, contract))
            && (self.samples || !settings.keep_probability)
    }
}

impl Found {
    /// Which maps there are.
    pub fn maps(&self) -> Maps {
        Maps {
            probability: self.probability.is_some(),
            samples: self.samples.is_some(),
            frame: self.frame.is_some(),
        }
    }

    /// Whether it has all that frames need of which `kind` goes out, once its objects were looked for: it may have been
    /// found when less was asked for.
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

    /// Whether it lacks something for frames of which `kind` goes out, or has objects that others would take the place
    /// of by now.
    pub fn is_outdated(&self, kind: Output, settings: &FrameSettings) -> bool {
        let wants = settings.wants_objects(kind, &self.model.contract);
        let objects = self.objects.as_ref().filter(|_| wants);
        let wanted = Basis::of(self, kind, settings);
        !self.serves(kind, settings) || objects.is_some_and(|objects| objects.are_outdated(&wanted))
    }
}

impl Job {
    /// Takes in that it goes out, with what counts it until then.
    pub fn enter(&mut self, inside: Option<Inside>) {
        self.number = inside.as_ref().map_or(0, Inside::number);
        self.after_gap = inside.as_ref().is_some_and(Inside::is_after_gap);
        self.inside = inside;
    }

    /// The buffer that holds the frame as it came in.
    pub fn frame(&self) -> &gst::BufferRef {
        self.input.as_ref().unwrap_or(&self.output)
    }
}
