//! The objects of a mask: found once, and tracked from frame to frame.

use std::collections::TryReserveError;
use std::sync::Arc;

use super::Output;
use super::arrival::Arrival;
use super::job::{Job, ProcessError, Segmentation};
use super::settings::FrameSettings;
use super::stream::Stream;
use super::trigger::Quantities;
use crate::contract::Channels;
use crate::labels::{
    LabelError, LabelledMask, Labeller, Object, ObjectRules, TrackEvents, Tracker,
};
use crate::picture;
use crate::segmenter::leave_room;

/// The objects of a mask.
#[derive(Clone)]
pub struct Objects {
    /// How they were found.
    basis: Basis,
    /// Share of the frame that is not background.
    coverage: f64,
    /// Pixels of each class of the model.
    areas: Vec<u64>,
    /// Mean entropy of a pixel in bits, if it is measured.
    uncertainty: Option<f64>,
    labelled: LabelledMask,
    labels: Option<gst::Buffer>,
    /// Their number if there are more than labels.
    too_many: Option<usize>,
}

/// The mask and settings that objects are found by: the same ones give the same objects.
#[derive(Clone, Copy, PartialEq)]
pub struct Basis {
    /// When the frame of the mask arrived.
    arrived: Arrival,
    rules: ObjectRules,
    measures: bool,
    measures_uncertainty: bool,
    tracks: bool,
    /// Whether more objects than labels are an error.
    needs_labels: bool,
}

impl Basis {
    pub fn of(found: &Segmentation, kind: Output, settings: &FrameSettings) -> Self {
        Basis {
            arrived: found.arrived,
            rules: settings.rules(&found.model.contract),
            measures: settings.post_objects,
            measures_uncertainty: settings.measure_uncertainty,
            tracks: settings.tracks(),
            needs_labels: kind == Output::Labels,
        }
    }
}

/// Finds objects, mask by mask in frame order.
#[derive(Default)]
pub struct Finder {
    labeller: Labeller,
    tracker: Tracker,
    /// The scene and the stream of the frames whose objects are tracked.
    scene: Option<(u64, Arc<Stream>)>,
    /// When the frame of the mask arrived whose objects were tracked last.
    tracked: Option<Arrival>,
    /// The objects that were found last.
    last: Option<Arc<Objects>>,
    /// All objects that were allocated: those that no frame shows any more are reused.
    pool: Vec<Arc<Objects>>,
    /// Whether it was reported that numbering restarts.
    reported: bool,
}

impl Finder {
    /// Finds the objects of the mask of `job`, if it wants them, unless they were found already, by the same rules and
    /// with the same measures. Returns whether their numbering restarts for the first time.
    ///
    /// # Errors
    ///
    /// If there are more than labels, where labels go out, or not enough memory.
    pub fn find(&mut self, job: &mut Job) -> Result<bool, ProcessError> {
        self.reset_on_new_scene(job);
        let Some(found) = &job.found else {
            return Ok(false);
        };
        let contract = &found.model.contract;
        // One from a time when less was wanted is not shown.
        if !found.maps().serve(job.kind, &job.settings, contract) {
            return Ok(false);
        }
        let (objects, events) = if job.settings.wants_objects(job.kind, contract) {
            let (objects, events) = self.objects(job, found)?;
            (Some(objects), events)
        } else {
            // When objects are wanted again, they are new ones.
            self.tracker.forget_objects();
            (None, TrackEvents::default())
        };
        let is_news = events.renumbered && !std::mem::replace(&mut self.reported, true);
        if let Some(found) = &mut job.found {
            found.objects = objects;
            found.events = events;
        }
        Ok(is_news)
    }

    /// Forgets all objects if the frame of `job` belongs to another scene or stream than those before.
    fn reset_on_new_scene(&mut self, job: &Job) {
        if !job.continues(self.scene.replace((job.scene, job.stream.clone()))) {
            self.tracker.reset();
            self.tracked = None;
            self.last = None;
        }
    }

    /// The objects of `found`, the segmentation of `job`, and their events since the previous mask.
    fn objects(
        &mut self,
        job: &Job,
        found: &Segmentation,
    ) -> Result<(Arc<Objects>, TrackEvents), ProcessError> {
        let basis = Basis::of(found, job.kind, &job.settings);
        if let Some(last) = self.last.as_ref().filter(|last| last.basis == basis) {
            // The same mask again has no events.
            return Ok((last.clone(), TrackEvents::default()));
        }
        // In case it fails.
        self.last = None;
        let mut shared = self.unused(basis);
        let objects = Arc::make_mut(&mut shared);
        objects.basis = basis;
        let events = self.fill(objects, job, found)?;
        self.pool.push(shared.clone());
        self.last = Some(shared.clone());
        Ok((shared, events))
    }

    /// Objects to overwrite: earlier ones that no frame shows any more, or new ones.
    fn unused(&mut self, basis: Basis) -> Arc<Objects> {
        let is_unused = |objects: &Arc<Objects>| Arc::strong_count(objects) == 1;
        match self.pool.iter().position(is_unused) {
            Some(at) => self.pool.swap_remove(at),
            None => Arc::new(Objects::new(basis)),
        }
    }

    /// Finds the objects of `found`, the segmentation of `job`. Returns their events.
    fn fill(
        &mut self,
        objects: &mut Objects,
        job: &Job,
        found: &Segmentation,
    ) -> Result<TrackEvents, ProcessError> {
        let basis = objects.basis;
        let size = job.stream.input.size();
        let is_new = objects.labelled.labels.capacity() == 0;
        objects.labels = None;
        objects.too_many = None;
        let mask = found.mask.map_readable()?;
        objects.count_classes(&mask, found.model.contract.classes.len());
        let probability = found.probability.as_ref().map(|map| map.as_slice());
        let map = probability.filter(|_| basis.measures_uncertainty);
        objects.uncertainty = map.map(mean_entropy);
        // Into the memory of earlier objects: then the labeller keeps no labels besides these.
        self.labeller.swap_results(&mut objects.labelled);
        let labelled = self
            .labeller
            .label(&mask, probability, size.width, &basis.rules);
        if is_new {
            // The buffers that are allocated next would abort the process.
            leave_room(size)?;
        }
        let mut events = TrackEvents::default();
        match labelled {
            Ok(()) => {
                if basis.measures {
                    self.measure(job, found)?;
                }
                if basis.tracks {
                    events = self.track(found.arrived)?;
                } else {
                    self.tracker.forget_objects();
                }
            }
            // Objects that are tracked are searched for on the next mask.
            Err(LabelError::TooMany(error)) if !basis.needs_labels => {
                objects.too_many = Some(error.0);
            }
            Err(error) => return Err(error.into()),
        }
        self.labeller.swap_results(&mut objects.labelled);
        if objects.too_many.is_none() {
            objects.labels = Some(objects.write_labels(&job.stream)?);
        }
        Ok(events)
    }

    /// Measures perimeters, and intensities on the frame of the mask, if that is available.
    fn measure(&mut self, job: &Job, found: &Segmentation) -> Result<(), ProcessError> {
        let input = &job.stream.input;
        let width = input.size().width;
        self.labeller.measure_perimeters(width);
        let own = (found.arrived == job.arrived).then(|| job.frame());
        let Some(buffer) = found.frame.as_deref().or(own) else {
            return Ok(());
        };
        input.with_frame(buffer, |frame| {
            self.labeller.measure_intensities(width, |act| {
                picture::for_each_chunk(frame, Channels::Gray, |_, y, x, codes| act(y, x, codes));
            });
            let (zero, step) = picture::code_scale(frame, Channels::Gray);
            let (objects, _) = self.labeller.parts_mut();
            for object in objects {
                object.intensity = object.intensity.map(|mean| zero + step * mean);
            }
        })
    }

    /// Gives the objects of the mask of the frame that came in at `arrived` the numbers that they had before.
    fn track(&mut self, arrived: Arrival) -> Result<TrackEvents, TryReserveError> {
        let (objects, labels) = self.labeller.parts_mut();
        let is_new = self.tracked.replace(arrived) != Some(arrived);
        let events = self.tracker.follow(objects, labels, is_new)?;
        Ok(events.clone())
    }
}

impl Objects {
    fn new(basis: Basis) -> Self {
        Objects {
            basis,
            coverage: 0.0,
            areas: Vec::new(),
            uncertainty: None,
            labelled: LabelledMask::default(),
            labels: None,
            too_many: None,
        }
    }

    /// Whether they have all that is `wanted`, though perhaps by other rules.
    pub fn serve(&self, wanted: &Basis) -> bool {
        (self.basis.measures || !wanted.measures)
            && (self.basis.measures_uncertainty || !wanted.measures_uncertainty)
            && (self.basis.tracks || !wanted.tracks)
            && (self.labels.is_some() || !wanted.needs_labels)
    }

    /// Whether other objects would be found as `wanted`.
    pub fn are_outdated(&self, wanted: &Basis) -> bool {
        self.basis.rules != wanted.rules || self.basis.tracks != wanted.tracks
    }

    /// The labels as a buffer to attach to a frame.
    fn write_labels(&self, stream: &Stream) -> Result<gst::Buffer, ProcessError> {
        let mut buffer = stream.wide_map()?;
        {
            let mut bytes = buffer.make_mut().map_writable()?;
            let (samples, _) = bytes.as_chunks_mut();
            for (sample, label) in samples.iter_mut().zip(&self.labelled.labels) {
                *sample = label.to_le_bytes();
            }
        }
        Ok(buffer)
    }

    /// The mask with the holes of objects filled, if they are to be.
    pub fn filled(&self) -> Option<&[u8]> {
        let fills = self.basis.rules.fill_holes;
        fills.then_some(self.labelled.filled.as_slice())
    }

    /// The object number of each pixel.
    pub fn labels(&self) -> &[u16] {
        &self.labelled.labels
    }

    /// The same as a buffer; `None` if there are too many objects.
    pub fn buffer(&self) -> Option<&gst::Buffer> {
        self.labels.as_ref()
    }

    /// The objects; empty if there are too many.
    pub fn list(&self) -> &[Object] {
        &self.labelled.objects
    }

    /// Their number, even if there are too many.
    pub fn count(&self) -> u32 {
        let count = self.too_many.unwrap_or(self.list().len());
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Share of the frame that is not background.
    pub fn coverage(&self) -> f64 {
        self.coverage
    }

    /// Pixels of each class of the model, the background first.
    pub fn areas(&self) -> &[u64] {
        &self.areas
    }

    /// The quantities of a frame with these events, for triggers.
    pub fn quantities(&self, events: &TrackEvents) -> Quantities {
        Quantities {
            objects: self.too_many.unwrap_or(self.list().len()),
            coverage: self.coverage,
            births: events.births.len(),
            deaths: events.deaths.len(),
            divisions: events.divisions.len(),
        }
    }

    /// Mean entropy of a pixel in bits, if it is measured.
    pub fn uncertainty(&self) -> Option<f64> {
        self.uncertainty
    }

    fn count_classes(&mut self, mask: &[u8], classes: usize) {
        self.areas.clear();
        let mut counts = [0_u64; 256];
        for class in mask {
            // There is one for each value of a byte.
            if let Some(count) = counts.get_mut(usize::from(*class)) {
                *count += 1;
            }
        }
        self.areas.extend(counts.iter().take(classes));
        let pixels = mask.len().max(1) as f64;
        self.coverage = 1.0 - counts[0] as f64 / pixels;
        if mask.is_empty() {
            self.coverage = 0.0;
        }
    }
}

fn mean_entropy(probability: &[f32]) -> f64 {
    let bits = probability.iter().map(|p| f64::from(picture::entropy(*p)));
    bits.sum::<f64>() / probability.len().max(1) as f64
}
