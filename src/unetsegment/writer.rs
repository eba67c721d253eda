//! The last stage: what was found on a frame is drawn upon it, or written in its place, and goes with it.

use std::time::Duration;

use super::Output;
use super::drawing::{Drawer, Drawing};
use super::job::{Found, Job, ProcessError};
use super::messages::{self, Occasion};
use super::objects::Objects;
use super::settings::FrameSettings;
use super::trigger::{Held, Watch};
use crate::labels::Events;
use crate::mask_meta::{self, Mask};
use crate::picture;

/// Makes what goes out.
pub struct Writer {
    drawer: Drawer,
    /// What has happened to objects since the last message of a frame.
    untold: Events,
    #[cfg(feature = "analytics")]
    analytics: crate::analytics::Attacher,
    watch: Watch,
    /// Frames that went out, by which `message-interval` counts.
    frames: u64,
    /// Number of the last one that came here.
    last: u64,
}

/// What becomes of a frame.
pub struct Written {
    /// What goes out; nothing where the mask is all that would, and there is none.
    pub buffer: Option<gst::Buffer>,
    /// What there is to tell of it.
    pub messages: [Option<gst::Structure>; 3],
    /// Age of its mask, where it has one.
    pub age: Option<Duration>,
}

impl Writer {
    /// A writer that has seen no frame.
    pub fn new() -> Self {
        Writer {
            drawer: Drawer::default(),
            untold: Events::default(),
            #[cfg(feature = "analytics")]
            analytics: crate::analytics::Attacher::default(),
            watch: Watch::default(),
            frames: 0,
            last: 0,
        }
    }

    /// Forgets how bright the frames of the stream before were and, unless the frames go on, what has happened on them.
    pub fn begin_stream(&mut self, goes_on: bool) {
        self.drawer = Drawer::default();
        if !goes_on {
            self.untold.clear();
        }
    }

    /// Forgets the frames before: those to come are others. What there is to tell of that.
    pub fn forget(&mut self) -> Option<gst::Structure> {
        self.untold.clear();
        self.end()
    }

    /// Takes in that no frame comes any more. What there is to tell of that.
    pub fn end(&mut self) -> Option<gst::Structure> {
        self.lose_sight(self.last, None)
    }

    /// Makes the buffer that goes out of a job with what was found for it, and its objects where they are wanted.
    pub fn write(&mut self, job: Job) -> Result<Written, ProcessError> {
        let Job {
            stream,
            kind,
            settings,
            input,
            mut output,
            arrived,
            found,
            number,
            ..
        } = job;
        self.last = number;
        if let Some(found) = &found {
            self.untold.append(&found.events);
        }
        let found = usable(found, kind, &settings);
        let ended = match found {
            Some(_) => None,
            None => self.lose_sight(number, output.pts()),
        };
        if found.is_none() && kind.is_map() {
            return Ok(Written {
                buffer: None,
                messages: [None, ended, None],
                age: None,
            });
        }
        let age = found.as_ref().map(|found| arrived.since(found.arrived));
        let drawing = Drawing {
            stream: &stream,
            settings: &settings,
            stale: age.is_some_and(|age| settings.is_stale(age)),
            age,
            found: found.as_ref(),
        };
        let buffer = output.make_mut();
        match &input {
            Some(input) => self.write_anew(&drawing, kind, (input, buffer))?,
            None if kind == Output::Overlay => self.draw_upon(&drawing, buffer)?,
            None => (),
        }
        let [report, over, changed] = self.let_ride(&drawing, number, buffer)?;
        if let Some(map) = found.and_then(|found| found.probability) {
            stream.take_back(map);
        }
        self.frames += 1;
        Ok(Written {
            buffer: Some(output),
            messages: [report, ended.or(over), changed],
            age,
        })
    }

    /// Tells that a condition ends that held: on a frame without a mask it can't be seen whether it does.
    fn lose_sight(
        &mut self,
        frame: u64,
        timestamp: Option<gst::ClockTime>,
    ) -> Option<gst::Structure> {
        let [ended, _] = self.watch.see(None, &Held::default());
        let occasion = Occasion {
            frame,
            timestamp,
            age: Duration::ZERO,
            stale: false,
        };
        ended.map(|change| messages::triggered(&occasion, &change))
    }

    /// Draws upon the frame in `buffer`, if there is anything to draw.
    fn draw_upon(
        &mut self,
        drawing: &Drawing,
        buffer: &mut gst::BufferRef,
    ) -> Result<(), ProcessError> {
        if drawing.found.is_none() && drawing.settings.annotations.is_empty() {
            return Ok(());
        }
        let picture = &drawing.stream.input;
        let place = picture.placement(buffer)?;
        let mut bytes = buffer.map_writable()?;
        let mut frame = picture.frame_mut(&place, &mut bytes)?;
        self.drawer.draw(drawing, None, &mut frame)?;
        Ok(())
    }

    /// Lets what was found ride on the frame of this number in `buffer`; what there is to tell of it.
    fn let_ride(
        &mut self,
        drawing: &Drawing,
        number: u64,
        buffer: &mut gst::BufferRef,
    ) -> Result<[Option<gst::Structure>; 3], ProcessError> {
        let (Some(found), Some(age)) = (drawing.found, drawing.age) else {
            // One that an element further up has put there would pass for that of this element.
            mask_meta::remove(buffer);
            return Ok([None, None, None]);
        };
        let occasion = Occasion {
            frame: number,
            timestamp: buffer.pts(),
            age,
            stale: drawing.stale,
        };
        let messages = self.messages(&occasion, drawing.settings, found);
        self.attach(buffer, carried(drawing, (found, age)), found)?;
        Ok(messages)
    }

    /// Lets `mask` ride on the frame in `buffer`.
    #[cfg_attr(
        not(feature = "analytics"),
        expect(
            clippy::unused_self,
            unused_variables,
            reason = "it is what analytics takes"
        )
    )]
    fn attach(
        &mut self,
        buffer: &mut gst::BufferRef,
        mask: Mask,
        found: &Found,
    ) -> Result<(), ProcessError> {
        // Others would take a stale one for fresh.
        #[cfg(feature = "analytics")]
        if !mask.stale {
            let objects = found.objects.as_deref();
            let objects = objects.map_or(&[][..], Objects::list);
            let classes = &found.model.contract.classes;
            self.analytics.attach(buffer, &mask, objects, classes)?;
        }
        mask_meta::attach(buffer, mask)?;
        Ok(())
    }

    /// Writes the frame that goes out, of the one that came in as `input` or in its place.
    fn write_anew(
        &mut self,
        drawing: &Drawing,
        kind: Output,
        (input, buffer): (&gst::BufferRef, &mut gst::BufferRef),
    ) -> Result<(), ProcessError> {
        let (stream, found) = (drawing.stream, drawing.found);
        let placement = stream.output.placement(buffer)?;
        let mut bytes = buffer.map_writable()?;
        let mut target = stream.output.frame_mut(&placement, &mut bytes)?;
        target.clear_padding();
        let mask = found.map(|found| found.mask.map_readable()).transpose()?;
        let mask = mask.as_ref().map(|mask| mask.as_slice());
        match (
            kind,
            mask,
            found.and_then(|found| found.probability.as_ref()),
        ) {
            (Output::Probability, _, Some(map)) => picture::write_probability(map, &mut target)?,
            (Output::Uncertainty, _, Some(map)) => picture::write_uncertainty(map, &mut target)?,
            (Output::Labels, Some(_), _) => {
                let labels = drawing.objects().map_or(&[][..], Objects::labels);
                picture::write_labels(labels, &mut target)?;
            }
            (Output::Mask, Some(mask), _) => picture::write_mask(mask, &mut target)?,
            _ => {
                let bytes = input.map_readable()?;
                let frame = stream
                    .input
                    .frame(&stream.input.placement(input)?, &bytes)?;
                self.drawer.draw(drawing, Some(&frame), &mut target)?;
            }
        }
        Ok(())
    }

    /// What there is to tell of a frame with a mask.
    fn messages(
        &mut self,
        occasion: &Occasion,
        settings: &FrameSettings,
        found: &Found,
    ) -> [Option<gst::Structure>; 3] {
        let interval = u64::from(settings.message_interval.max(1));
        let is_due = settings.post_messages && self.frames.is_multiple_of(interval);
        let objects = found.objects.as_deref();
        let report = objects.filter(|_| is_due).map(|objects| {
            let micrometres = settings.micrometres(&found.model.contract);
            messages::report(occasion, (objects, &self.untold), settings, micrometres)
        });
        if is_due || !settings.post_messages {
            self.untold.clear();
        }
        let held = objects.map(|objects| objects.held(&found.events));
        // Nor can it be seen by a mask that is too old.
        let trigger = settings.trigger.filter(|_| !occasion.stale);
        let changes = self.watch.see(trigger, &held.unwrap_or_default());
        let [ended, changed] =
            changes.map(|change| change.map(|change| messages::triggered(occasion, &change)));
        [report, ended, changed]
    }
}

/// What was found, as far as it is of use for a frame of which `kind` goes out by `settings`.
fn usable(found: Option<Found>, kind: Output, settings: &FrameSettings) -> Option<Found> {
    // One that was found when less was asked for is none: nothing takes the place of what it lacks.
    let mut found = found.filter(|found| found.serves(kind, settings))?;
    if !settings.wants_objects(kind, &found.model.contract) {
        found.objects = None;
    }
    Some(found)
}

/// What was found that long ago, as it rides on a frame; with its objects, where they were looked for.
fn carried(drawing: &Drawing, (found, age): (&Found, Duration)) -> Mask {
    let (stream, settings) = (drawing.stream, drawing.settings);
    let wide = |map| (map, stream.wide_caps.clone());
    let objects = found.objects.as_deref();
    let labels = objects.and_then(Objects::buffer).cloned();
    let samples = found.samples.clone().filter(|_| settings.keep_probability);
    Mask {
        labels: labels.map(wide),
        objects: objects.map(Objects::count),
        probability: samples.map(wide),
        mask: found.mask.clone(),
        caps: stream.mask_caps.clone(),
        inference: found.spent.inference,
        age,
        stale: drawing.stale,
        timestamp: found.timestamp,
    }
}
