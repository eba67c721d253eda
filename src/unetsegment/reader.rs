//! The first stage: an incoming frame becomes a job.

use std::sync::Arc;
use std::time::Duration;

use super::Output;
use super::arrival::Arrival;
use super::job::{Job, ProcessError};
use super::model_info::ModelInfo;
use super::settings::FrameSettings;
use super::stream::Stream;
use crate::contract::Normalization;
use crate::picture::{Normalizer, Scaling};

/// A stream, and its output.
pub type StreamOutput = (Arc<Stream>, Output);

/// Reads the frames of a stream.
pub struct Reader {
    normalizer: Normalizer,
    stream: Option<StreamOutput>,
    /// Number of the next frame in the inference interval; number 0 is due.
    frames: u32,
    /// The number of the current scene.
    scene: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Reader {
            // The first frame replaces it with the model's.
            normalizer: Normalizer::new(Normalization::MinMax),
            stream: None,
            frames: 0,
            scene: 0,
        }
    }
}

impl Reader {
    /// Ends the stream and returns it.
    pub fn end_stream(&mut self) -> Option<StreamOutput> {
        let before = self.stream.take()?;
        before.0.end();
        Some(before)
    }

    /// Reads frames of `stream` from now on, with output `kind`.
    pub fn begin_stream(&mut self, stream: Arc<Stream>, kind: Output) {
        self.stream = Some((stream, kind));
        self.frames = 0;
    }

    /// Whether the current stream has these caps.
    pub fn is_of(&self, caps: &[gst::Caps; 2]) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|(stream, _)| stream.is_of(caps))
    }

    /// Changes the output to `wanted`, if the current caps allow it; otherwise that waits for the next caps. Returns
    /// whether frames are processed in place: they are drawn on, or only get their meta.
    pub fn set_output(&mut self, wanted: Output) -> Result<bool, ProcessError> {
        let Some((stream, kind)) = &mut self.stream else {
            return Ok(false);
        };
        if *kind != wanted {
            *kind = stream.kind(wanted, Some(*kind))?;
        }
        Ok(stream.is_in_place(*kind))
    }

    /// The output of the stream.
    pub fn kind(&self) -> Option<Output> {
        self.stream.as_ref().map(|(_, kind)| *kind)
    }

    /// Makes the next frame due, whatever was inferred before.
    pub fn restart_interval(&mut self) {
        self.frames = 0;
    }

    /// Starts a scene, whose first frame is due. Returns the number of the scene.
    pub fn start_scene(&mut self) -> u64 {
        self.restart_interval();
        self.scene += 1;
        self.scene
    }

    /// Counts a frame. Returns whether it is to be inferred, rather than to carry the mask of an earlier one.
    pub fn is_due(&mut self, interval: u32) -> bool {
        let due = self.frames == 0;
        self.frames = (self.frames + 1) % interval.max(1);
        due
    }

    /// Makes a job of a frame that came in as `input`, unless that is also the buffer that goes out, `output`.
    pub fn read(
        &mut self,
        input: Option<gst::Buffer>,
        output: gst::Buffer,
        settings: FrameSettings,
    ) -> Result<Job, ProcessError> {
        let arrived = Arrival::now();
        let (stream, kind) = self.stream.clone().ok_or(ProcessError::NoCaps)?;
        Ok(Job {
            stream,
            kind,
            scene: self.scene,
            settings,
            input,
            output,
            scaling: None,
            arrived,
            until_ready: Duration::ZERO,
            due: false,
            found: None,
            after_gap: false,
            number: 0,
            inside: None,
        })
    }

    /// Determines how the pixels of `job` become the input of `model`, so that the thread that infers need not.
    pub fn scale(&mut self, job: &mut Job, model: Arc<ModelInfo>) -> Result<(), ProcessError> {
        let scaling = scaling(&mut self.normalizer, job, &model)?;
        job.scaling = Some((model, scaling));
        Ok(())
    }
}

/// How the pixels of `job` become the input of `model`.
pub fn scaling(
    normalizer: &mut Normalizer,
    job: &Job,
    model: &ModelInfo,
) -> Result<Scaling, ProcessError> {
    let picture = &job.stream.input;
    let contract = &model.contract;
    let normalization = job.settings.normalization(contract, picture.format());
    if normalizer.normalization() != normalization {
        *normalizer = Normalizer::new(normalization);
    }
    picture.with_frame(job.frame(), |frame| {
        normalizer.scaling(frame, contract.channels)
    })
}
