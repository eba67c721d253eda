//! The first stage: a frame that came in becomes a job.

use std::sync::Arc;
use std::time::Duration;

use super::Output;
use super::arrival::Arrival;
use super::job::{Job, ProcessError};
use super::model::Loaded;
use super::settings::FrameSettings;
use super::stream::Stream;
use crate::contract::Normalization;
use crate::picture::{Normalizer, Scaling};

/// A stream, and what goes out of it.
pub type Shown = (Arc<Stream>, Output);

/// Reads the frames of a stream.
pub struct Reader {
    normalizer: Normalizer,
    stream: Option<Shown>,
    /// Frames since the last one that the network was to see.
    frames: u32,
    /// What frames are of now, by a number.
    scene: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Reader {
            // It becomes the model's with the first frame.
            normalizer: Normalizer::new(Normalization::MinMax),
            stream: None,
            frames: 0,
            scene: 0,
        }
    }
}

impl Reader {
    /// Forgets the stream; that one, and what it let out.
    pub fn end_stream(&mut self) -> Option<Shown> {
        let before = self.stream.take()?;
        before.0.end();
        Some(before)
    }

    /// Reads frames of `stream` from now on, of which `kind` goes out.
    pub fn begin_stream(&mut self, stream: Arc<Stream>, kind: Output) {
        self.stream = Some((stream, kind));
        self.frames = 0;
    }

    /// Whether frames of these caps are read.
    pub fn is_of(&self, caps: &[gst::Caps; 2]) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|(stream, _)| stream.is_of(caps))
    }

    /// Lets `wanted` go out from now on, if the caps allow it as they are; otherwise that has to wait for the
    /// next ones. Returns whether frames are drawn upon, or given no more than their meta, instead of
    /// written anew.
    pub fn follow(&mut self, wanted: Output) -> Result<bool, ProcessError> {
        let Some((stream, kind)) = &mut self.stream else {
            return Ok(false);
        };
        if *kind != wanted {
            *kind = stream.kind(wanted, Some(*kind))?;
        }
        Ok(stream.is_in_place(*kind))
    }

    /// What goes out of the stream.
    pub fn kind(&self) -> Option<Output> {
        self.stream.as_ref().map(|(_, kind)| *kind)
    }

    /// Lets the network see the next frame, whatever it saw before.
    pub fn begin_anew(&mut self) {
        self.frames = 0;
    }

    /// Frames are of something else from now on, which the network is to see at once; its number.
    pub fn meet_scene(&mut self) -> u64 {
        self.begin_anew();
        self.scene += 1;
        self.scene
    }

    /// Counts a frame; whether the network is to see it, and not an earlier one's mask to go with it.
    pub fn is_due(&mut self, interval: u32) -> bool {
        let due = self.frames == 0;
        self.frames = (self.frames + 1) % interval.max(1);
        due
    }

    /// Makes a job of a frame: `input` where it came in, unless that is the buffer that goes out, `output`.
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

    /// Finds out how the pixels of `job` become the input of `model`, so that the thread that runs it need not.
    pub fn scale(&mut self, job: &mut Job, model: Arc<Loaded>) -> Result<(), ProcessError> {
        let scaling = scaling(&mut self.normalizer, job, &model)?;
        job.scaling = Some((model, scaling));
        Ok(())
    }
}

/// How the pixels of `job` become the input of `model`.
pub fn scaling(
    normalizer: &mut Normalizer,
    job: &Job,
    model: &Loaded,
) -> Result<Scaling, ProcessError> {
    let picture = &job.stream.input;
    let buffer = job.frame();
    let bytes = buffer.map_readable()?;
    let frame = picture.frame(&picture.placement(buffer)?, &bytes)?;
    let contract = &model.contract;
    let normalization = job.settings.normalization(contract, picture.format());
    if normalizer.normalization() != normalization {
        *normalizer = Normalizer::new(normalization);
    }
    Ok(normalizer.scaling(&frame, contract.channels))
}
