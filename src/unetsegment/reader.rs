//! The first stage: a frame that came in becomes a job.

use std::sync::Arc;
use std::time::Instant;

use super::Output;
use super::job::{Job, ProcessError};
use super::settings::FrameSettings;
use super::stream::Stream;
use crate::contract::Contract;
use crate::picture::{Normalizer, Scaling};

/// Reads the frames of a stream.
pub struct Reader {
    contract: Contract,
    normalizer: Normalizer,
    stream: Option<(Arc<Stream>, Output)>,
}

impl Reader {
    /// For a network with `contract`.
    pub fn new(contract: Contract) -> Self {
        Reader {
            normalizer: Normalizer::new(contract.normalization),
            contract,
            stream: None,
        }
    }

    /// Forgets the stream; what it let out.
    pub fn end_stream(&mut self) -> Option<Output> {
        self.stream.take().map(|(_, kind)| kind)
    }

    /// Reads frames of `stream` from now on, of which `kind` goes out.
    pub fn begin_stream(&mut self, stream: Arc<Stream>, kind: Output) {
        self.stream = Some((stream, kind));
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

    /// Makes a job of a frame: `input` where it came in, unless that is the buffer that goes out, `output`.
    pub fn read(
        &mut self,
        input: Option<gst::Buffer>,
        output: gst::Buffer,
        settings: FrameSettings,
    ) -> Result<Job, ProcessError> {
        let arrived = Instant::now();
        let (stream, kind) = self.stream.clone().ok_or(ProcessError::NoCaps)?;
        let mut job = Job {
            stream,
            kind,
            settings,
            input,
            output,
            scaling: Scaling::z_score(0.0, 1.0),
            arrived,
            found: None,
        };
        job.scaling = self.scaling(&job)?;
        Ok(job)
    }

    fn scaling(&mut self, job: &Job) -> Result<Scaling, ProcessError> {
        let picture = &job.stream.input;
        let buffer = job.frame();
        let bytes = buffer.map_readable()?;
        let frame = picture.frame(&picture.placement(buffer)?, &bytes)?;
        let normalization = job.settings.normalization(&self.contract, picture.format());
        if self.normalizer.normalization() != normalization {
            self.normalizer = Normalizer::new(normalization);
        }
        Ok(self.normalizer.scaling(&frame, self.contract.channels))
    }
}
