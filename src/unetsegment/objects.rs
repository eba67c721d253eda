//! The objects of a mask: found once, and followed from frame to frame.

use std::sync::Arc;

use super::Output;
use super::arrival::Arrival;
use super::job::{Found, Job, ProcessError};
use super::settings::FrameSettings;
use super::stream::Stream;
use super::trigger::Held;
use crate::contract::Channels;
use crate::labels::{Events, Labelled, Labeller, Object, Rules, Tracker};
use crate::picture;

/// The objects of a mask.
#[derive(Clone)]
pub struct Objects {
    /// What they were found by.
    basis: Basis,
    /// Share of the frame that is not background.
    coverage: f64,
    /// Pixels of each class of the model.
    areas: Vec<u64>,
    /// Mean entropy of a pixel in bits, where it is measured.
    uncertainty: Option<f64>,
    labelled: Labelled,
    labels: Option<gst::Buffer>,
    /// How many there are where they are more than labels.
    too_many: Option<usize>,
}

/// What objects are found by: of the same, nothing else would come out.
#[derive(Clone, Copy, PartialEq)]
pub struct Basis {
    /// When the frame came in whose mask it is.
    arrived: Arrival,
    rules: Rules,
    measures: bool,
    measures_uncertainty: bool,
    tracks: bool,
    /// Whether it is an error if there are more than labels.
    needs_labels: bool,
}

impl Basis {
    pub fn of(found: &Found, kind: Output, settings: &FrameSettings) -> Self {
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

/// Finds objects, mask by mask in the order of their frames.
#[derive(Default)]
pub struct Finder {
    labeller: Labeller,
    tracker: Tracker,
    /// What the frames are of whose objects are followed, and their stream.
    scene: Option<(u64, Arc<Stream>)>,
    /// When the frame came in of the mask whose objects were followed last.
    followed: Option<Arrival>,
    /// What was found last.
    last: Option<Arc<Objects>>,
    /// All that was found, with its room: what no frame shows any more is written anew.
    rooms: Vec<Arc<Objects>>,
    /// Whether it was told that numbers begin anew.
    told: bool,
}

impl Finder {
    /// Finds the objects of the mask of `job`, where it wants them, unless they were found already, by the same rules
    /// and with the same measures. Returns whether their numbers begin anew for the first time.
    ///
    /// # Errors
    /// If they are more than labels can tell apart, where these go out.
    pub fn find(&mut self, job: &mut Job) -> Result<bool, ProcessError> {
        self.meet(job);
        let Some(found) = &job.found else {
            return Ok(false);
        };
        let contract = &found.model.contract;
        // One that was found when less was asked for is not shown.
        if !found.maps().serve(job.kind, &job.settings, contract) {
            return Ok(false);
        }
        let (objects, events) = if job.settings.wants_objects(job.kind, contract) {
            let (objects, events) = self.objects(job, found)?;
            (Some(objects), events)
        } else {
            // Those that come when they are wanted again are others.
            self.tracker.lose_sight();
            (None, Events::default())
        };
        let is_news = events.begun_anew && !std::mem::replace(&mut self.told, true);
        if let Some(found) = &mut job.found {
            found.objects = objects;
            found.events = events;
        }
        Ok(is_news)
    }

    /// Forgets the objects where the frame of `job` is of another scene or another stream than those before.
    fn meet(&mut self, job: &Job) {
        let scene = self.scene.replace((job.scene, job.stream.clone()));
        let goes_on = scene.is_some_and(|(scene, stream)| {
            let same = Arc::ptr_eq(&stream, &job.stream) || job.stream.goes_on(&stream);
            scene == job.scene && same
        });
        if !goes_on {
            self.tracker.reset();
            self.followed = None;
            self.last = None;
        }
    }

    /// The objects of `found`, which is the mask of `job`, and what has happened to them since the mask before.
    fn objects(
        &mut self,
        job: &Job,
        found: &Found,
    ) -> Result<(Arc<Objects>, Events), ProcessError> {
        let basis = Basis::of(found, job.kind, &job.settings);
        if let Some(last) = self.last.as_ref().filter(|last| last.basis == basis) {
            // With an older mask once more nothing is born.
            return Ok((last.clone(), Events::default()));
        }
        // Should it fail, nothing was found.
        self.last = None;
        let mut room = self.room(basis);
        let objects = Arc::make_mut(&mut room);
        objects.basis = basis;
        let events = self.fill(objects, job, found)?;
        self.rooms.push(room.clone());
        self.last = Some(room.clone());
        Ok((room, events))
    }

    /// Room for objects: that of earlier ones which no frame shows any more, or new room.
    fn room(&mut self, basis: Basis) -> Arc<Objects> {
        let free = |room: &Arc<Objects>| Arc::strong_count(room) == 1;
        match self.rooms.iter().position(free) {
            Some(at) => self.rooms.swap_remove(at),
            None => Arc::new(Objects::new(basis)),
        }
    }

    /// Finds the objects of `found`, which is the mask of `job`; what has happened to them.
    fn fill(
        &mut self,
        objects: &mut Objects,
        job: &Job,
        found: &Found,
    ) -> Result<Events, ProcessError> {
        let basis = objects.basis;
        let width = job.stream.input.size().width;
        objects.labels = None;
        objects.too_many = None;
        let mask = found.mask.map_readable()?;
        objects.count_classes(&mask, found.model.contract.classes.len());
        let probability = found.probability.as_ref().map(|map| map.as_slice());
        let map = probability.filter(|_| basis.measures_uncertainty);
        objects.uncertainty = map.map(mean_entropy);
        let labelled = self.labeller.label(&mask, probability, width, &basis.rules);
        let mut events = Events::default();
        match labelled {
            Ok(()) => {
                if basis.measures {
                    self.measure(job, found)?;
                }
                match basis.tracks {
                    true => events = self.follow(found.arrived),
                    false => self.tracker.lose_sight(),
                }
            }
            Err(error) if basis.needs_labels => return Err(error.into()),
            // Those that are followed are looked for on the next one.
            Err(error) => objects.too_many = Some(error.0),
        }
        self.labeller.hand_over(&mut objects.labelled);
        if objects.too_many.is_none() {
            objects.labels = Some(objects.written(&job.stream)?);
        }
        Ok(events)
    }

    /// Measures what takes more than the mask; brightness on the frame that it was found on, where that is there.
    fn measure(&mut self, job: &Job, found: &Found) -> Result<(), ProcessError> {
        let input = &job.stream.input;
        let width = input.size().width;
        self.labeller.measure_perimeters(width);
        let own = (found.arrived == job.arrived).then(|| job.frame());
        let Some(buffer) = found.frame.as_deref().or(own) else {
            return Ok(());
        };
        let bytes = buffer.map_readable()?;
        let placement = input.placement(buffer)?;
        let frame = input.frame(&placement, &bytes)?;
        self.labeller.measure_intensities(width, |act| {
            picture::for_each_row(&frame, Channels::Gray, |_, y, x, codes| act(y, x, codes));
        });
        let (zero, step) = picture::value_of_codes(&frame, Channels::Gray);
        let (objects, _) = self.labeller.parts_mut();
        for object in objects {
            object.intensity = object.intensity.map(|mean| zero + step * mean);
        }
        Ok(())
    }

    /// Gives the objects of the mask of the frame that came in `arrived` the numbers that they had before.
    fn follow(&mut self, arrived: Arrival) -> Events {
        let (objects, labels) = self.labeller.parts_mut();
        let is_new = self.followed.replace(arrived) != Some(arrived);
        self.tracker.follow(objects, labels, is_new).clone()
    }
}

impl Objects {
    fn new(basis: Basis) -> Self {
        Objects {
            basis,
            coverage: 0.0,
            areas: Vec::new(),
            uncertainty: None,
            labelled: Labelled::default(),
            labels: None,
            too_many: None,
        }
    }

    /// Whether they have all that is `wanted`, though by other rules, perhaps.
    pub fn serve(&self, wanted: &Basis) -> bool {
        (self.basis.measures || !wanted.measures)
            && (self.basis.measures_uncertainty || !wanted.measures_uncertainty)
            && (self.basis.tracks || !wanted.tracks)
            && (self.labels.is_some() || !wanted.needs_labels)
    }

    /// Whether others would be found by now.
    pub fn are_outdated(&self, wanted: &Basis) -> bool {
        self.basis.rules != wanted.rules || self.basis.tracks != wanted.tracks
    }

    /// The labels as they ride on a frame.
    fn written(&self, stream: &Stream) -> Result<gst::Buffer, ProcessError> {
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

    /// The mask with the holes of objects filled, where they count as parts of these.
    pub fn filled(&self) -> Option<&[u8]> {
        let fills = self.basis.rules.fill_holes;
        fills.then_some(self.labelled.filled.as_slice())
    }

    /// The number of the object of each pixel.
    pub fn labels(&self) -> &[u16] {
        &self.labelled.labels
    }

    /// The same as a buffer; none where there are too many.
    pub fn buffer(&self) -> Option<&gst::Buffer> {
        self.labels.as_ref()
    }

    /// What was found; nothing where there are too many.
    pub fn list(&self) -> &[Object] {
        &self.labelled.objects
    }

    /// How many there are, also where they are too many.
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

    /// What a frame is judged by, on which this has happened.
    pub fn held(&self, events: &Events) -> Held {
        Held {
            objects: self.too_many.unwrap_or(self.list().len()),
            coverage: self.coverage,
            births: events.births.len(),
            deaths: events.deaths.len(),
            divisions: events.divisions.len(),
        }
    }

    /// Mean entropy of a pixel in bits, where it is measured.
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
