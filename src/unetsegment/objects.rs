//! The objects of a mask: found once, and followed from frame to frame.

use std::time::Instant;

use super::Output;
use super::job::{Found, ProcessError};
use super::settings::FrameSettings;
use super::stream::Stream;
use super::trigger::Held;
use crate::contract::Channels;
use crate::labels::{Events, Labeller, Object, Rules, Tracker, UsedUp};
use crate::picture::{self, Frame};

/// The objects of the last mask.
#[derive(Default)]
pub struct Objects {
    labeller: Labeller,
    tracker: Tracker,
    /// When the frame came in of the mask whose objects were followed last.
    followed: Option<Instant>,
    events: Events,
    /// What they were found by.
    basis: Option<Basis>,
    /// Share of the frame that is not background.
    coverage: f64,
    /// Pixels of each class of the model.
    areas: Vec<u64>,
    /// Mean entropy of a pixel in bits, where it is measured.
    uncertainty: Option<f64>,
    labels: Option<gst::Buffer>,
    /// How many there are where they are more than labels.
    too_many: Option<usize>,
}

/// What objects are found by: of the same, nothing else would come out.
#[derive(Clone, Copy, PartialEq)]
struct Basis {
    /// When the frame came in whose mask it is.
    arrived: Instant,
    rules: Rules,
    measures: bool,
    measures_uncertainty: bool,
    tracks: bool,
    /// Whether it is an error if there are more than labels.
    needs_labels: bool,
}

impl Basis {
    fn of(found: &Found, kind: Output, settings: &FrameSettings) -> Self {
        let tracks = settings.tracks();
        Basis {
            arrived: found.arrived,
            rules: settings.rules(&found.model.contract),
            measures: settings.post_objects,
            measures_uncertainty: settings.measure_uncertainty,
            tracks,
            needs_labels: kind == Output::Labels || tracks,
        }
    }
}

impl Objects {
    /// Forgets the objects of the stream before.
    pub fn reset(&mut self) {
        self.tracker.reset();
        self.followed = None;
        self.basis = None;
        self.labels = None;
    }

    /// Takes in that nobody follows objects for a while: those that come then are others.
    pub fn lose_sight(&mut self) {
        self.tracker.lose_sight();
    }

    /// Finds the objects of `found`, which was seen on `frame`, unless they were found already, by the same rules and
    /// with the same measures.
    ///
    /// # Errors
    /// If they are more than labels can tell apart, where these go out.
    pub fn find(
        &mut self,
        found: &Found,
        stream: &Stream,
        (kind, settings): (Output, &FrameSettings),
        frame: Option<&Frame>,
    ) -> Result<(), ProcessError> {
        let basis = Basis::of(found, kind, settings);
        // With an older mask once more nothing is born.
        self.events = Events::default();
        if self.basis == Some(basis) {
            return Ok(());
        }
        // Should it fail, nothing was found.
        self.basis = None;
        self.labels = None;
        self.too_many = None;
        let mask = found.mask.map_readable()?;
        let width = stream.input.size().width;
        self.count_classes(&mask, found.model.contract.classes.len());
        let probability = found.probability.as_ref().map(|map| map.as_slice());
        let map = probability.filter(|_| basis.measures_uncertainty);
        self.uncertainty = map.map(mean_entropy);
        match self.labeller.label(&mask, probability, width, &basis.rules) {
            Ok(()) => (),
            Err(error) if basis.needs_labels => return Err(error.into()),
            Err(error) => {
                self.too_many = Some(error.0);
                self.basis = Some(basis);
                return Ok(());
            }
        }
        if basis.measures {
            self.labeller.measure_perimeters(width);
            if let Some(frame) = frame {
                self.measure(width, frame);
            }
        }
        match basis.tracks {
            true => self.follow(found.arrived)?,
            false => self.tracker.lose_sight(),
        }
        self.labels = Some(self.written(stream)?);
        self.basis = Some(basis);
        Ok(())
    }

    /// Gives the objects of the mask of the frame that came in `arrived` the numbers that they had before.
    fn follow(&mut self, arrived: Instant) -> Result<(), UsedUp> {
        let (objects, labels) = self.labeller.parts_mut();
        let is_new = self.followed.replace(arrived) != Some(arrived);
        let events = self.tracker.follow(objects, labels, is_new)?;
        self.events.clone_from(events);
        Ok(())
    }

    /// The labels as they ride on a frame.
    fn written(&self, stream: &Stream) -> Result<gst::Buffer, ProcessError> {
        let mut buffer = stream.wide_map()?;
        {
            let mut bytes = buffer.make_mut().map_writable()?;
            let (samples, _) = bytes.as_chunks_mut();
            for (sample, label) in samples.iter_mut().zip(self.labeller.labels()) {
                *sample = u16::try_from(*label).unwrap_or(0).to_le_bytes();
            }
        }
        Ok(buffer)
    }

    /// The mask with the holes of objects filled, where they count as parts of these.
    pub fn filled(&self) -> Option<&[u8]> {
        let fills = self.basis.is_some_and(|basis| basis.rules.fill_holes);
        fills.then(|| self.labeller.filled())
    }

    /// The number of the object of each pixel.
    pub fn labels(&self) -> &[u32] {
        self.labeller.labels()
    }

    /// The same as a buffer; none where there are too many.
    pub fn buffer(&self) -> Option<&gst::Buffer> {
        self.labels.as_ref()
    }

    /// What was found; nothing where there are too many.
    pub fn list(&self) -> &[Object] {
        self.labeller.objects()
    }

    /// How many there are, also where they are too many.
    pub fn count(&self) -> u32 {
        let count = self.too_many.unwrap_or(self.list().len());
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// What changed since the frame before.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Pixels of each class of the model, the background first.
    pub fn areas(&self) -> &[u64] {
        &self.areas
    }

    /// What a frame is judged by.
    pub fn held(&self) -> Held {
        Held {
            objects: self.too_many.unwrap_or(self.list().len()),
            coverage: self.coverage,
            births: self.events.births.len(),
            deaths: self.events.deaths.len(),
            divisions: self.events.divisions.len(),
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

    fn measure(&mut self, width: usize, frame: &Frame) {
        self.labeller.measure_intensities(width, |act| {
            picture::for_each_row(frame, Channels::Gray, |_, y, x, codes| act(y, x, codes));
        });
        let (zero, step) = picture::value_of_codes(frame, Channels::Gray);
        let (objects, _) = self.labeller.parts_mut();
        for object in objects {
            object.intensity = object.intensity.map(|mean| zero + step * mean);
        }
    }
}

fn mean_entropy(probability: &[f32]) -> f64 {
    let bits = probability.iter().map(|p| f64::from(picture::entropy(*p)));
    bits.sum::<f64>() / probability.len().max(1) as f64
}
