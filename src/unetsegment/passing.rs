//! The path of a frame through the element: it is read, inferred, written and pushed.

use std::time::{Duration, Instant};

use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_transform::{InputBuffer, PrepareOutputBufferSuccess};
use gst_base::subclass::prelude::*;

use super::OnError;
use super::errors;
use super::flow::Scheduling;
use super::imp::{CAT, UNetSegment};
use super::job::{Job, ProcessError};
use super::loading::Started;
use super::messages::{self, Swap};
use super::position::Times;
use super::stage_threads::Stages;
use super::stats::Inside;
use super::writer::Written;
use crate::lock::lock;

/// The output for a frame.
enum Outgoing {
    Frame {
        buffer: gst::Buffer,
        /// Counts the frame as inside the element until it is pushed.
        inside: Option<Inside>,
        /// Age of its mask, if it has one.
        mask_age: Option<Duration>,
    },
    /// No frame. Downstream is told, since it may be waiting for a frame of this time.
    Gap(Times),
}

/// The stages of an element as its threads run them.
pub struct ElementStages(pub glib::WeakRef<super::UNetSegment>);

impl ElementStages {
    /// Does `work` for the element, if it is still there. If it panics, the element posts an error and takes no more
    /// frames.
    fn on_element<R>(
        &self,
        work: impl FnOnce(&UNetSegment) -> Result<R, gst::FlowError>,
    ) -> Result<R, gst::FlowError> {
        let element = self.0.upgrade().ok_or(gst::FlowError::Flushing)?;
        let imp = element.imp();
        gst::panic_to_error!(imp, Err(gst::FlowError::Error), { work(imp) })
    }
}

impl Stages<Job> for ElementStages {
    fn infer(&self, job: &mut Job) -> Result<(), gst::FlowError> {
        self.on_element(|imp| {
            if matches!(imp.flow.scheduling(), Some(Scheduling::Latest(_))) {
                return imp.infer_beside(job);
            }
            let inferred = imp.infer(job);
            job.until_ready = job.arrived.elapsed();
            inferred
        })
    }

    fn emit(&self, job: Job) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.on_element(|imp| match imp.flow.scheduling() {
            Some(Scheduling::Latest(_)) => imp.keep(job).map(|()| gst::FlowSuccess::Ok),
            _ => imp.write(job).and_then(|outgoing| imp.push(outgoing)),
        })
    }
}

impl UNetSegment {
    /// Posts what went wrong with a frame. Returns what upstream gets.
    pub fn fail(&self, error: &ProcessError) -> gst::FlowError {
        if error.is_stop() {
            return gst::FlowError::Flushing;
        }
        errors::post(self, error);
        gst::FlowError::Error
    }

    /// Makes a job of a frame, with its outgoing buffer.
    fn read(&self, input: gst::Buffer) -> Result<Job, gst::FlowError> {
        let settings = self.frame_settings();
        let (input, output) = if self.obj().is_in_place() {
            (None, input)
        } else {
            match self.parent_prepare_output_buffer(InputBuffer::Readable(&input))? {
                PrepareOutputBufferSuccess::InputBuffer => (None, input),
                PrepareOutputBufferSuccess::Buffer(output) => (Some(input), output),
            }
        };
        let job = self
            .flow
            .with_reader(|reader| reader.read(input, output, settings));
        job.map_err(|error| self.fail(&error))
    }

    /// Makes a job of a frame that waits for its own mask, or that carries an earlier one because it is not due.
    fn read_for_mask(&self, input: gst::Buffer) -> Result<Job, gst::FlowError> {
        self.await_model()?;
        let mut job = self.read(input)?;
        let model = self.flow.model();
        let scaled = self.flow.with_reader(|reader| {
            let due = reader.is_due(self.flow.interval(&job.settings));
            job.due = due && model.is_some();
            match model {
                // If the network has failed, another model may replace it before this frame is inferred.
                Some(model) if due && !self.flow.is_broken() => reader.scale(&mut job, model),
                _ => Ok(()),
            }
        });
        scaled.map_err(|error| self.fail(&error))?;
        Ok(job)
    }

    /// A job for the network alone, of a frame that does not wait for it; `None` if the frame is not to be inferred.
    fn read_for_network(&self, frame: &gst::Buffer) -> Result<Option<Job>, gst::FlowError> {
        let settings = self.frame_settings();
        let works = !self.flow.is_broken() && self.flow.model().is_some();
        // A model that was offered gets a frame soon, even if the previous one has failed.
        let offered = self.flow.has_offer();
        let job = self.flow.with_reader(|reader| {
            // So that whatever the newest mask lacks is available soon.
            let kind = reader.kind();
            let outdated = kind.is_some_and(|kind| self.flow.newest_is_outdated(kind, &settings));
            if offered || outdated {
                reader.restart_interval();
            }
            // Only frames that the network could process count, so that it gets the first of them.
            let due = (works || offered) && reader.is_due(self.flow.interval(&settings));
            // This job does not go out, so it may share the buffer of the frame that does.
            due.then(|| reader.read(None, frame.clone(), settings))
                .transpose()
        });
        let job = job.map_err(|error| self.fail(&error))?;
        Ok(job.map(|job| Job { due: true, ..job }))
    }

    /// Keeps the mask of `job`, whose frame does not wait for it, for later frames. Its objects are found here: the
    /// streaming thread must not wait for these.
    fn keep(&self, mut job: Job) -> Result<(), gst::FlowError> {
        self.record_mask_latency(&job, job.arrived.elapsed());
        if !self.flow.is_current(&job) {
            return Ok(());
        }
        self.find_objects(&mut job)?;
        if let Some(mut found) = job.found.take() {
            // No more objects are measured on the frame.
            found.frame = None;
            self.flow.keep(&job, found);
        }
        Ok(())
    }

    /// Infers the frame of `job`, which does not wait for its mask.
    fn infer_beside(&self, job: &mut Job) -> Result<(), gst::FlowError> {
        if !self.flow.resume_for(job) {
            return Ok(());
        }
        match self.infer(job) {
            // A change of caps interrupted the run; frames with the new caps must not fail for that.
            Err(gst::FlowError::Flushing) if job.stream.is_ended() => Ok(()),
            done => done,
        }
    }

    /// Infers the frame of `job`, if it is due.
    fn infer(&self, job: &mut Job) -> Result<(), gst::FlowError> {
        if let Some(model) = self.flow.swap() {
            messages::post_swap(&self.obj(), &Swap::Done(&model));
            // Masks so far are the previous model's, and so are warnings about seams.
            job.due = true;
            job.stream.clear_prepared();
        }
        job.due |= self.flow.lacks_maps(job);
        if !job.due || self.flow.is_broken() {
            return Ok(());
        }
        match self.flow.prepare_for(job) {
            Ok(None) => (),
            Ok(Some(prepared)) => {
                self.warn_of_plan(prepared);
                // That took a while: the newest frame is to be seen, not the one from before.
                if self.flow.is_overtaken() {
                    return Ok(());
                }
            }
            Err(error) if error.is_fault() => return self.recover(job, error),
            Err(error) => return Err(self.fail(&error)),
        }
        if let Some(paced) = self.flow.keep_pace(&job.settings) {
            messages::post_pace(&self.obj(), &paced, &job.settings);
        }
        match self.flow.infer(job) {
            Ok(()) => {
                if let Some(memory) = self.flow.check_memory() {
                    messages::warn_of_memory(&self.obj(), memory);
                }
                if let Some(seams) = self.flow.check_seams(job) {
                    messages::post_seams(&self.obj(), &seams);
                }
                if let Some((model, look)) = self.flow.check_pictures(job) {
                    let timestamp = job.frame().pts();
                    messages::post_pictures(&self.obj(), &model, &look, timestamp);
                }
                Ok(())
            }
            Err(error) if error.is_fault() => self.recover(job, error),
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// To be called when the network has failed on `job`: reloads the model once and, if that does not help, follows
    /// `on-error`. If its session has failed for another element, the model is reloaded each time.
    fn recover(&self, job: &mut Job, error: ProcessError) -> Result<(), gst::FlowError> {
        gst::warning!(CAT, imp = self, "{error}");
        let error = match self.flow.reload(error.is_of_others()) {
            Ok(false) => error,
            Ok(true) => match self.flow.infer(job) {
                Ok(()) => {
                    let news = if error.is_of_others() {
                        "The model was reloaded"
                    } else {
                        "The network failed on a frame; it works again after the model was reloaded"
                    };
                    gst::element_imp_warning!(self, gst::StreamError::Failed, ("{news}: {error}"));
                    return Ok(());
                }
                // The new session has failed for another element, too, or this is the first fault of this element's
                // own.
                Err(again) if again.is_of_others() || error.is_of_others() && again.is_fault() => {
                    return self.recover(job, again);
                }
                Err(again) if !again.is_fault() => return Err(self.fail(&again)),
                Err(again) => again,
            },
            // A flush or a stop has interrupted the reload.
            Err(_) if self.flow.is_flushing() => return Err(gst::FlowError::Flushing),
            Err(reload) => ProcessError::Reload {
                cause: error.to_string(),
                reload,
            },
        };
        let first = self.flow.give_up();
        let on_error = lock(&self.started).as_ref().map(Started::on_error);
        match on_error.unwrap_or_default() {
            OnError::Stop => Err(self.fail(&error)),
            OnError::Passthrough => {
                if first {
                    gst::element_imp_warning!(
                        self,
                        gst::StreamError::Failed,
                        ("Frames have no masks from now on, because the network fails: {error}. Set model-file to go on with another one")
                    );
                }
                Ok(())
            }
        }
    }

    /// Records the latency of the mask of `job`, if it has one of its own.
    fn record_mask_latency(&self, job: &Job, latency: Duration) {
        if let (Some(limit), Some(found)) = (job.settings.latency_limit(), &job.found) {
            self.flow
                .record_mask_latency(latency, found.spent.inference, limit);
        }
    }

    /// Finds the objects of the mask of `job`, if they are wanted.
    fn find_objects(&self, job: &mut Job) -> Result<(), gst::FlowError> {
        let found = self.flow.find_objects(job);
        if found.map_err(|error| self.fail(&error))? {
            messages::warn_of_numbers(&self.obj());
        }
        Ok(())
    }

    /// Makes the output for `job`, and posts messages about it.
    fn write(&self, mut job: Job) -> Result<Outgoing, gst::FlowError> {
        // Time in which the frame waits for downstream after inference does not count as latency.
        let until_ready = job.until_ready;
        let begun = Instant::now();
        let inside = job.inside.take();
        let times = Times::of(job.frame());
        self.record_mask_latency(&job, until_ready);
        self.flow.share_mask(&mut job);
        // If frames do not wait for masks, the newest mask already has its objects.
        if !matches!(self.flow.scheduling(), Some(Scheduling::Latest(_))) {
            self.find_objects(&mut job)?;
        }
        let written = self.flow.write(job).map_err(|error| self.fail(&error))?;
        let Written {
            buffer,
            messages,
            age: mask_age,
        } = written;
        for message in messages.into_iter().flatten() {
            messages::post_structure(&self.obj(), message);
        }
        let Some(buffer) = buffer else {
            self.flow.leave_gap();
            drop(inside);
            self.post_dropped(times);
            return Ok(Outgoing::Gap(times));
        };
        self.record_latency(until_ready + begun.elapsed());
        Ok(Outgoing::Frame {
            buffer,
            inside,
            mask_age,
        })
    }

    /// Pushes a frame, or the gap in its place. A frame counts as dropped if downstream does not accept it.
    fn push(&self, outgoing: Outgoing) -> Result<gst::FlowSuccess, gst::FlowError> {
        match outgoing {
            Outgoing::Frame {
                buffer,
                inside,
                mask_age,
            } => {
                let left = inside.map(|inside| inside.leave(mask_age));
                self.position.update(Times::of(&buffer));
                let pushed = self.obj().src_pad().push(buffer);
                if pushed.is_err() {
                    self.flow.leave_gap();
                    if let Some(left) = left {
                        left.take_back();
                    }
                }
                pushed
            }
            Outgoing::Gap(times) => {
                self.push_gap(times);
                Ok(gst::FlowSuccess::Ok)
            }
        }
    }

    /// Pushes a gap of these times, if they are known.
    fn push_gap(&self, times: Times) {
        let Some(timestamp) = times.timestamp else {
            return;
        };
        self.position.update(times);
        let gap = gst::event::Gap::builder(timestamp).duration(times.duration);
        // If downstream refuses it, it refuses the next frame, too.
        self.obj().src_pad().push_event(gap.build());
    }

    /// Processes a frame and pushes it: the base class would not report whether downstream accepted it.
    pub fn process(
        &self,
        input: gst::Buffer,
        inside: Option<Inside>,
    ) -> Result<(), gst::FlowError> {
        let mut job = match self.flow.scheduling().ok_or(gst::FlowError::Flushing)? {
            Scheduling::Overlapping(threads) => {
                let waited = threads.wait_for_room()?;
                let mut job = self.read_for_mask(input)?;
                // The frame arrived before the wait.
                job.arrived = job.arrived.earlier_by(waited);
                job.enter(inside);
                threads.put(job);
                return Ok(());
            }
            Scheduling::Latest(threads) => {
                threads.check()?;
                let mut arrived = None;
                if let Some(job) = self.read_for_network(&input)? {
                    arrived = Some(job.arrived);
                    let overtaken = threads.put_newest(job)?;
                    self.flow.count(|stats| stats.overtaken += overtaken as u64);
                }
                let mut job = self.read(input)?;
                // The network may be done with the frame before it goes out: then the age of its mask is 0.
                job.arrived = arrived.unwrap_or(job.arrived);
                job
            }
            Scheduling::Sequential => {
                let mut job = self.read_for_mask(input)?;
                self.infer(&mut job)?;
                job.until_ready = job.arrived.elapsed();
                job
            }
        };
        job.enter(inside);
        let outgoing = self.write(job)?;
        self.push(outgoing).map(drop)
    }
}

#[cfg(test)]
mod tests;
