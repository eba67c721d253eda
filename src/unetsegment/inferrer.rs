//! The second stage: the network segments a frame.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::imp::CAT;
use super::job::{Job, ProcessError, Segmentation};
use super::messages::Seams;
use super::model_info::ModelInfo;
use super::picture_check::{PictureCheck, PictureComparison};
use super::reader;
use super::stream::Stream;
use crate::inference::Model;
use crate::labels::TrackEvents;
use crate::picture::{self, Format, FrameMut, Normalizer, PlaneMut, Scaling, YuvCoding};
use crate::segmenter::Segmenter;
use crate::tiling::{Plan, Size};

/// Results of preparing for frames of one size.
pub struct Prepared {
    /// How long a frame takes, measured on a black one.
    pub expected_time: Duration,
    /// Why seams between tiles may show, if they may.
    pub seams: Option<String>,
    /// What to do about tiles that are far too small, if they are.
    pub small_tiles: Option<String>,
    /// Maximum number of bytes that a tile takes since memory ran short, if that has changed.
    pub memory: Option<u64>,
}

/// A loaded model at work.
pub struct Inferrer {
    pub segmenter: Segmenter,
    pub model: Arc<ModelInfo>,
    normalizer: Normalizer,
    checked: CheckedSizes,
    picture_check: PictureCheck,
    /// The scene and the stream of the last frame.
    scene: Option<(u64, Arc<Stream>)>,
    /// The reduced memory of a tile in bytes that was reported last.
    reported: Option<u64>,
}

impl Inferrer {
    /// Puts a model to work.
    pub fn new(segmenter: Segmenter) -> Self {
        Inferrer {
            model: Arc::new(ModelInfo::of(segmenter.model())),
            normalizer: Normalizer::new(segmenter.contract().normalization),
            segmenter,
            checked: CheckedSizes::default(),
            picture_check: PictureCheck::default(),
            scene: None,
            reported: None,
        }
    }

    /// Prepares for frames of this size: everything that the first one would have to wait for is done here.
    pub fn prepare(&mut self, frame: Size) -> Result<Prepared, ProcessError> {
        let plan = self.segmenter.prepare(frame)?;
        let (tiles, halo, outer) = (plan.len(), plan.halo, plan.outer);
        gst::debug!(CAT, "{frame:?} in {tiles} tiles, input of each {outer:?}");
        Ok(Prepared {
            expected_time: self.segmenter.expected_time(),
            seams: seams(self.segmenter.model(), tiles, halo),
            small_tiles: small_tiles(&self.segmenter),
            memory: self.check_memory(),
        })
    }

    /// Maximum number of bytes that a tile takes since memory ran short, if that has changed.
    pub fn check_memory(&mut self) -> Option<u64> {
        let memory = self.segmenter.reduced_memory();
        let is_news = std::mem::replace(&mut self.reported, memory) != memory;
        memory.filter(|_| is_news)
    }

    /// Compares the mask of `job` with that of one run over the whole frame, once for each size.
    pub fn check_seams(&mut self, job: &Job) -> Option<Seams> {
        let size = job.stream.input.size();
        let found = job.found.as_ref()?;
        if !self.checked.insert(size) {
            return None;
        }
        let tiles = self.segmenter.prepare(size).map_or(0, Plan::len);
        let differing = self
            .differing(job, found)
            .map_err(|error| error.to_string());
        Some(Seams {
            tiles,
            pixels: size.area(),
            differing: differing.and_then(|differing| {
                differing.ok_or_else(|| "the network takes no frame of this size at once".into())
            }),
        })
    }

    /// Compares the frame of `job` with the pictures that the model was trained on. Returns the result if it is news.
    pub fn check_pictures(&mut self, job: &Job) -> Result<Option<PictureComparison>, ProcessError> {
        if !self.picture_check.is_due(&self.model.contract.pictures) {
            return Ok(None);
        }
        let scaling = self.scaling(job)?;
        let contract = &self.model.contract;
        let how = (contract.channels, scaling);
        job.stream.input.with_frame(job.frame(), |frame| {
            self.picture_check.compare(&contract.pictures, frame, how)
        })
    }

    /// How many pixels have another class in one run over the whole frame, if that is possible.
    fn differing(
        &mut self,
        job: &Job,
        found: &Segmentation,
    ) -> Result<Option<usize>, ProcessError> {
        let scaling = self.scaling(job)?;
        let tiled = found.mask.map_readable()?;
        let mut whole = vec![0; tiled.len()];
        let possible = job.stream.input.with_frame(job.frame(), |frame| {
            self.segmenter.segment_whole(frame, scaling, &mut whole)
        })??;
        let differing = || {
            tiled
                .iter()
                .zip(&whole)
                .filter(|(one, other)| one != other)
                .count()
        };
        Ok(possible.then(differing))
    }

    /// How the pixels of the frame become the network's input.
    fn scaling(&mut self, job: &Job) -> Result<Scaling, ProcessError> {
        match &job.scaling {
            Some((model, scaling)) if Arc::ptr_eq(model, &self.model) => Ok(*scaling),
            _ => reader::scaling(&mut self.normalizer, job, &self.model),
        }
    }

    /// Segments the frame of `job`.
    pub fn infer(&mut self, job: &mut Job) -> Result<(), ProcessError> {
        if !job.continues(self.scene.replace((job.scene, job.stream.clone()))) {
            self.segmenter.forget_results();
        }
        let scaling = self.scaling(job)?;
        let stream = &job.stream;
        let mut mask = stream.mask()?;
        let contract = &self.model.contract;
        let wants = job.settings.wants_probability(job.kind, contract);
        let mut probability = wants.then(|| stream.probability()).transpose()?;
        let threshold = match job.settings.threshold {
            Some(threshold) => threshold as f32,
            None => self.model.contract.threshold,
        };
        if self.segmenter.threshold() != threshold {
            self.segmenter.set_threshold(threshold);
        }
        let spent = {
            // The pool has just handed it out: there is no other reference.
            let mut pixels = mask.make_mut().map_writable()?;
            let map = probability.as_mut().and_then(Arc::get_mut);
            let map = map.map(Vec::as_mut_slice);
            stream.input.with_frame(job.frame(), |frame| {
                self.segmenter
                    .segment_scaled(frame, scaling, &mut pixels, map)
            })??
        };
        let map = probability.as_ref();
        let map = map.filter(|_| job.settings.keep_probability);
        let samples = map.map(|map| samples(stream, map)).transpose()?;
        job.found = Some(Segmentation {
            mask,
            probability,
            samples,
            spent,
            model: self.model.clone(),
            arrived: job.arrived,
            timestamp: job.frame().pts(),
            frame: None,
            objects: None,
            events: TrackEvents::default(),
        });
        Ok(())
    }
}

/// Sizes of frames whose seams were checked.
#[derive(Default)]
struct CheckedSizes(VecDeque<Size>);

impl CheckedSizes {
    /// Maximum number of sizes that are remembered: beyond that, some are checked again.
    const MOST: usize = 256;

    /// Adds a size. Returns whether it is new.
    fn insert(&mut self, size: Size) -> bool {
        if self.0.contains(&size) {
            return false;
        }
        if self.0.len() >= Self::MOST {
            self.0.pop_front();
        }
        self.0.push_back(size);
        true
    }
}

/// Probabilities as a frame carries them, in 16 bits like those of `output=probability`.
fn samples(stream: &Stream, probability: &[f32]) -> Result<gst::Buffer, ProcessError> {
    let Size { width, height } = stream.input.size();
    let mut buffer = stream.wide_map()?;
    {
        // The pool has just handed it out: there is no other reference.
        let mut bytes = buffer.make_mut().map_writable()?;
        let (data, stride) = (bytes.as_mut_slice(), 2 * width);
        let plane = PlaneMut { data, stride };
        let coding = YuvCoding::default();
        let mut target = FrameMut::new(Format::Gray16Le, width, height, [plane], coding)?;
        picture::write_probability(probability, &mut target)?;
    }
    Ok(buffer)
}

/// What to do about tiles that are far too small, if they are.
fn small_tiles(segmenter: &Segmenter) -> Option<String> {
    let (excess, property) = segmenter.small_tiles()?;
    Some(format!(
        "The tiles are so small, and overlap so much, that masks take about {excess} times as long as with large ones: raise {property}"
    ))
}

/// Why seams between the `tiles` of a frame may show, if they may; each tile sees `halo` pixels around its own.
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
    (!model.carries_contract()).then(|| {
        format!(
            "{seams}: it is not known how far {operator} in this model sees. Raise tile-memory or tile-size until one tile holds a frame"
        )
    })
}
