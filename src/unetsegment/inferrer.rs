//! The second stage: the network finds out what is on a frame.

use std::sync::Arc;
use std::time::Duration;

use super::Output;
use super::choices::Split;
use super::imp::CAT;
use super::job::{Found, Job, ProcessError};
use super::loaded::Loaded;
use super::reader;
use crate::inference::Model;
use crate::picture::Normalizer;
use crate::segmenter::Segmenter;
use crate::tiling::Size;

/// What is known before the first frame.
pub struct Prepared {
    /// How long a frame takes, as far as a black one tells.
    pub expected_time: Duration,
    /// Why tiles may show, where they may.
    pub seams: Option<String>,
}

/// A loaded model at work.
pub struct Inferrer {
    pub segmenter: Segmenter,
    pub model: Arc<Loaded>,
    normalizer: Normalizer,
}

impl Inferrer {
    pub fn new(segmenter: Segmenter) -> Self {
        Inferrer {
            model: Arc::new(Loaded::of(segmenter.model())),
            normalizer: Normalizer::new(segmenter.contract().normalization),
            segmenter,
        }
    }

    /// Gets ready for frames of this size: whatever the first one would have to wait for is done here.
    pub fn prepare(&mut self, frame: Size) -> Result<Prepared, ProcessError> {
        let plan = self.segmenter.prepare(frame)?;
        let (tiles, halo, outer) = (plan.len(), plan.halo, plan.outer);
        gst::debug!(CAT, "{frame:?} in {tiles} tiles, input of each {outer:?}");
        let model = self.segmenter.model();
        let runs = u32::try_from(tiles).unwrap_or(u32::MAX);
        Ok(Prepared {
            expected_time: model.trial().saturating_mul(runs),
            seams: seams(model, tiles, halo),
        })
    }

    /// Segments the frame of `job`.
    pub fn infer(&mut self, job: &mut Job) -> Result<(), ProcessError> {
        let scaling = match &job.scaling {
            Some((model, scaling)) if Arc::ptr_eq(model, &self.model) => *scaling,
            _ => reader::scaling(&mut self.normalizer, job, &self.model)?,
        };
        let stream = &job.stream;
        let mut mask = stream.mask()?;
        let by_probability =
            job.settings.split == Split::Probability && job.settings.wants_objects(job.kind);
        let mut probability = match job.kind == Output::Probability || by_probability {
            true => Some(stream.probability()?),
            false => None,
        };
        let threshold = match job.settings.threshold {
            Some(threshold) => threshold as f32,
            None => self.model.contract.threshold,
        };
        if self.segmenter.threshold() != threshold {
            self.segmenter.set_threshold(threshold);
        }
        let spent = {
            let buffer = job.frame();
            let bytes = buffer.map_readable()?;
            let placement = stream.input.placement(buffer)?;
            let frame = stream.input.frame(&placement, &bytes)?;
            // The pool has just handed it out to us alone.
            let mut pixels = mask.make_mut().map_writable()?;
            let map = probability.as_mut().and_then(Arc::get_mut);
            self.segmenter.segment_scaled(
                &frame,
                scaling,
                &mut pixels,
                map.map(Vec::as_mut_slice),
            )?
        };
        job.found = Some(Found {
            mask,
            probability,
            spent,
            model: self.model.clone(),
            arrived: job.arrived,
            timestamp: job.frame().pts(),
        });
        Ok(())
    }
}

/// Why the `tiles` of a frame may show, where they may; they see `halo` pixels beyond what they answer for.
fn seams(model: &Model, tiles: usize, halo: Size) -> Option<String> {
    let tiles = Some(tiles).filter(|tiles| *tiles > 1)?;
    let seams = format!("Seams may show where the {tiles} tiles of a frame meet");
    let needed = model.contract().geometry.halo;
    if halo.width.min(halo.height) < needed {
        return Some(format!(
            "{seams}: the model has one fixed size, which leaves no room for the {needed} pixels around a tile that it sees. Export it with free height and width"
        ));
    }
    let operator = model.survey().global.as_deref()?;
    (!model.is_described()).then(|| {
        format!(
            "{seams}: nobody can tell how far {operator} in this model sees. Raise tile-memory or tile-size until one tile holds a frame"
        )
    })
}
