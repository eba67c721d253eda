//! The third stage: results are drawn on a frame, or written in its place, and attached to it.

use std::time::Duration;

use super::Output;
use super::arrival::Arrival;
use super::drawing::{Drawer, Drawing};
use super::job::{Job, ProcessError, Segmentation};
use super::messages::{self, MessageContext};
use super::objects::Objects;
use super::settings::FrameSettings;
use super::trigger::{Quantities, TriggerWatch};
use crate::labels::TrackEvents;
use crate::mask_meta::{self, Mask};
use crate::picture;

/// Makes outgoing buffers.
pub struct Writer {
    /// Whether frames wait for their masks.
    waits: bool,
    drawer: Drawer,
    /// Events of objects since the last message about a frame.
    unreported: TrackEvents,
    #[cfg(feature = "analytics")]
    analytics: crate::analytics::Attacher,
    watch: TriggerWatch,
    /// Number of frames that went out, for `message-interval`.
    frames: u64,
    /// Number of the last frame.
    last: u64,
}

/// The result for a frame.
pub struct Written {
    /// The outgoing buffer; `None` if only a map goes out and there is none.
    pub buffer: Option<gst::Buffer>,
    /// Messages about it.
    pub messages: [Option<gst::Structure>; 3],
    /// Age of its mask, if it has one.
    pub age: Option<Duration>,
}

impl Writer {
    /// A writer of frames that wait for their masks, if `waits`.
    pub fn new(waits: bool) -> Self {
        Writer {
            waits,
            drawer: Drawer::default(),
            unreported: TrackEvents::default(),
            #[cfg(feature = "analytics")]
            analytics: crate::analytics::Attacher::default(),
            watch: TriggerWatch::default(),
            frames: 0,
            last: 0,
        }
    }

    /// Forgets the brightness of the last stream and, unless the new one `continues` that, the events of its objects.
    pub fn begin_stream(&mut self, continues: bool) {
        self.drawer = Drawer::default();
        if !continues {
            self.unreported.clear();
        }
    }

    /// Forgets the previous frames: the next ones show something else. Returns a message if a condition of `trigger`
    /// ends with that.
    pub fn forget(&mut self) -> Option<gst::Structure> {
        self.unreported.clear();
        self.end()
    }

    /// To be called at the end of the stream. Returns a message if a condition of `trigger` ends with it.
    pub fn end(&mut self) -> Option<gst::Structure> {
        self.end_condition(self.last, None)
    }

    /// Makes the outgoing buffer of a job that has its mask, and its objects if they are wanted.
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
            self.unreported.append(&found.events);
        }
        let found = usable(found, kind, &settings);
        let ended = match found {
            Some(_) => None,
            None => self.end_condition(number, output.pts()),
        };
        if found.is_none() && kind.is_map() {
            return Ok(Written {
                buffer: None,
                messages: [None, ended, None],
                age: None,
            });
        }
        let age = found.as_ref();
        let age = age.map(|found| self.age(found, arrived, output.pts()));
        let drawing = Drawing {
            stream: &stream,
            settings: &settings,
            stale: age.is_some_and(|age| settings.is_stale(age)),
            age,
            found: found.as_ref(),
        };
        let buffer = output.make_mut();
        match &input {
            Some(input) => self.write_frame(&drawing, kind, (input, buffer))?,
            None if kind == Output::Overlay => self.draw_in_place(&drawing, buffer)?,
            None => (),
        }
        let [report, over, changed] = self.attach_results(&drawing, number, buffer)?;
        if let Some(map) = found.and_then(|found| found.probability) {
            stream.recycle(map);
        }
        self.frames += 1;
        Ok(Written {
            buffer: Some(output),
            messages: [report, ended.or(over), changed],
            age,
        })
    }

    /// Ends the condition of `trigger` if it holds: a frame without a mask can't show that. Returns the message.
    fn end_condition(
        &mut self,
        frame: u64,
        timestamp: Option<gst::ClockTime>,
    ) -> Option<gst::Structure> {
        let [ended, _] = self.watch.update(None, &Quantities::default());
        let context = MessageContext {
            frame,
            timestamp,
            age: Duration::ZERO,
            stale: false,
        };
        ended.map(|change| messages::trigger_message(&context, &change))
    }

    /// Age of a mask on a frame that `arrived` then, with this timestamp.
    fn age(
        &self,
        found: &Segmentation,
        arrived: Arrival,
        timestamp: Option<gst::ClockTime>,
    ) -> Duration {
        let age = arrived.since(found.arrived);
        // A pause of the pipeline delays frames that wait for their masks, but does not move recorded ones further
        // apart.
        let apart = timestamp.zip(found.timestamp).filter(|_| self.waits);
        let apart = apart.and_then(|(timestamp, of_mask)| timestamp.checked_sub(of_mask));
        match apart {
            Some(apart) if !apart.is_zero() => age.min(apart.into()),
            _ => age,
        }
    }

    /// Draws on the frame in `buffer`, if there is anything to draw.
    fn draw_in_place(
        &mut self,
        drawing: &Drawing,
        buffer: &mut gst::BufferRef,
    ) -> Result<(), ProcessError> {
        if drawing.found.is_none() && drawing.settings.annotations.is_empty() {
            return Ok(());
        }
        let picture = &drawing.stream.input;
        picture.with_frame_mut(buffer, |frame| self.drawer.draw(drawing, None, frame))
    }

    /// Attaches the results to the frame of this number in `buffer`. Returns messages about the frame.
    fn attach_results(
        &mut self,
        drawing: &Drawing,
        number: u64,
        buffer: &mut gst::BufferRef,
    ) -> Result<[Option<gst::Structure>; 3], ProcessError> {
        let (Some(found), Some(age)) = (drawing.found, drawing.age) else {
            // A meta that another element attached upstream would pass for this element's.
            mask_meta::remove(buffer);
            return Ok([None, None, None]);
        };
        let context = MessageContext {
            frame: number,
            timestamp: buffer.pts(),
            age,
            stale: drawing.stale,
        };
        let messages = self.messages(&context, drawing.settings, found);
        self.attach(buffer, mask_for(drawing, (found, age)), found)?;
        Ok(messages)
    }

    /// Attaches `mask` to the frame in `buffer`.
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
        found: &Segmentation,
    ) -> Result<(), ProcessError> {
        // Elements that read this meta would take a stale mask for a fresh one.
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

    /// Writes the outgoing frame into `buffer`, over the incoming one in `input` or in its place.
    fn write_frame(
        &mut self,
        drawing: &Drawing,
        kind: Output,
        (input, buffer): (&gst::BufferRef, &mut gst::BufferRef),
    ) -> Result<(), ProcessError> {
        let (stream, found) = (drawing.stream, drawing.found);
        let mask = found.map(|found| found.mask.map_readable()).transpose()?;
        let mask = mask.as_ref().map(|mask| mask.as_slice());
        let probability = found.and_then(|found| found.probability.as_ref());
        stream.output.with_frame_mut(buffer, |target| {
            target.clear_padding();
            match (kind, mask, probability) {
                (Output::Probability, _, Some(map)) => picture::write_probability(map, target)?,
                (Output::Uncertainty, _, Some(map)) => picture::write_uncertainty(map, target)?,
                (Output::Labels, Some(_), _) => {
                    let labels = drawing.objects().map_or(&[][..], Objects::labels);
                    picture::write_labels(labels, target)?;
                }
                (Output::Mask, Some(mask), _) => picture::write_mask(mask, target)?,
                _ => stream.input.with_frame(input, |frame| {
                    self.drawer.draw(drawing, Some(frame), target)
                })??,
            }
            Ok(())
        })
    }

    /// Messages about a frame with a mask.
    fn messages(
        &mut self,
        context: &MessageContext,
        settings: &FrameSettings,
        found: &Segmentation,
    ) -> [Option<gst::Structure>; 3] {
        let interval = u64::from(settings.message_interval.max(1));
        let is_due = settings.post_messages && self.frames.is_multiple_of(interval);
        let objects = found.objects.as_deref();
        let report = objects.filter(|_| is_due).map(|objects| {
            let micrometres = settings.micrometres(&found.model.contract);
            messages::frame_message(context, (objects, &self.unreported), settings, micrometres)
        });
        if is_due || !settings.post_messages {
            self.unreported.clear();
        }
        let held = objects.map(|objects| objects.quantities(&found.events));
        // A stale mask can't show whether the condition holds.
        let trigger = settings.trigger.filter(|_| !context.stale);
        let changes = self.watch.update(trigger, &held.unwrap_or_default());
        let [ended, changed] =
            changes.map(|change| change.map(|change| messages::trigger_message(context, &change)));
        [report, ended, changed]
    }
}

/// The parts of `found` that a frame with output `kind` needs under `settings`.
fn usable(
    found: Option<Segmentation>,
    kind: Output,
    settings: &FrameSettings,
) -> Option<Segmentation> {
    // A segmentation that lacks something, computed when less was requested, is not used.
    let mut found = found.filter(|found| found.serves(kind, settings))?;
    if !settings.wants_objects(kind, &found.model.contract) {
        found.objects = None;
    }
    Some(found)
}

/// The mask of `found` at this age, as attached to a frame, with its objects if they were found.
fn mask_for(drawing: &Drawing, (found, age): (&Segmentation, Duration)) -> Mask {
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
