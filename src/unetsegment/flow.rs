//! How frames pass the three stages: one after the other on the streaming thread, or overlapping on [`StageThreads`].

mod deferral;
mod inference;
mod latency_limit;
mod masks;
mod models;
mod slot;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::Mode;
use super::inferrer::Inferrer;
use super::job::{Job, Maps, ProcessError, Segmentation};
use super::latency_limit::{Pace, PaceStep};
use super::objects::Finder;
use super::reader::{Reader, StreamOutput};
use super::settings::FrameSettings;
use super::stage_threads::{StageThreads, Stages};
use super::stats::{FrameCounts, Inside, Stats};
use super::writer::{Writer, Written};
use crate::lock::lock;
use deferral::Deferral;
use models::Models;
use slot::Slot;

/// How frames are scheduled.
#[derive(Clone)]
pub enum Scheduling {
    /// One after the other, on the streaming thread.
    Sequential,
    /// Frames wait for their masks, and overlap.
    Overlapping(Arc<StageThreads<Job>>),
    /// Frames go out at once, while the network processes the newest.
    Latest(Arc<StageThreads<Job>>),
}

/// The stages, and the threads that they run on.
#[derive(Default)]
pub struct Flow {
    reader: Slot<Reader>,
    models: Models,
    finder: Slot<Finder>,
    writer: Slot<Writer>,
    scheduling: Mutex<Option<Scheduling>>,
    /// The newest mask, if later frames may carry it.
    newest: Mutex<Option<Segmentation>>,
    /// With frames that wait for masks: the maps of the last frame that was inferred.
    seen: Mutex<Option<Maps>>,
    stats: Arc<Mutex<Stats>>,
    pace: Mutex<Pace>,
    /// The change to make before the next frame is inferred.
    change: Mutex<Option<PaceStep>>,
    /// Whether the next frame to go out is the first after a start, a flush or a gap.
    discontinuous: AtomicBool,
    /// The number of the current scene: all frames between two flushes or starts of a stream.
    scene: AtomicU64,
    /// Whether frames are discarded and the network must not start.
    flushing: AtomicBool,
    /// Whether a stop has begun: a flush that ends meanwhile lets nothing pass.
    stopping: Mutex<bool>,
    deferral: Mutex<Deferral>,
}

impl Flow {
    /// Prepares for a [model](Self::set_model) and frames. With `mode` sync, at most `in_flight` frames are at work at
    /// a time; if that is more than one, on threads that call `stages`.
    pub fn start(
        &self,
        (mode, in_flight): (Mode, usize),
        stages: Arc<dyn Stages<Job>>,
    ) -> std::io::Result<()> {
        let scheduling = match (mode, in_flight) {
            (Mode::Sync, 0 | 1) => Scheduling::Sequential,
            (Mode::Sync, _) => {
                Scheduling::Overlapping(Arc::new(StageThreads::start(in_flight, stages)?))
            }
            // While the objects of one frame are found, the network processes the next, and no more.
            (Mode::Latest, _) => Scheduling::Latest(Arc::new(StageThreads::start(1, stages)?)),
        };
        *lock(&self.stopping) = false;
        self.flushing.store(false, Ordering::SeqCst);
        *lock(&self.scheduling) = Some(scheduling);
        *lock(&self.stats) = Stats::default();
        *lock(&self.pace) = Pace::default();
        *lock(&self.change) = None;
        *lock(&self.deferral) = Deferral::default();
        self.models.start();
        self.discontinuous.store(true, Ordering::Relaxed);
        self.scene.store(0, Ordering::SeqCst);
        self.reader.set(Some(Reader::default()));
        self.finder.set(Some(Finder::default()));
        self.writer.set(Some(Writer::new(mode == Mode::Sync)));
        Ok(())
    }

    /// Ends the threads and frees everything.
    pub fn stop(&self) {
        self.begin_flush();
        let scheduling = lock(&self.scheduling).take();
        if let Some(Scheduling::Overlapping(threads) | Scheduling::Latest(threads)) = scheduling {
            threads.close();
        }
        self.models.stop();
        self.forget_masks();
        self.reader.set(None);
        self.finder.set(None);
        self.writer.set(None);
    }

    /// How frames are scheduled; `None` when the element is stopped.
    pub fn scheduling(&self) -> Option<Scheduling> {
        lock(&self.scheduling).clone()
    }

    fn threads(&self) -> Option<Arc<StageThreads<Job>>> {
        match self.scheduling()? {
            Scheduling::Overlapping(threads) | Scheduling::Latest(threads) => Some(threads),
            Scheduling::Sequential => None,
        }
    }

    /// Whether frames are discarded.
    pub fn is_flushing(&self) -> bool {
        self.flushing.load(Ordering::SeqCst)
    }

    /// Statistics since the start, as the property `stats` has them.
    pub fn stats(&self, settings: &FrameSettings) -> gst::Structure {
        let stats = *lock(&self.stats);
        stats.structure(self.interval(settings), self.model().as_deref())
    }

    /// Changes the statistics.
    pub fn count(&self, count: impl FnOnce(&mut Stats)) {
        count(&mut lock(&self.stats));
    }

    /// The counts, if frames were dropped since the last report.
    pub fn take_unreported(&self) -> Option<FrameCounts> {
        lock(&self.stats).take_unreported()
    }

    /// Whether a newer frame waits for the network than the one that it has, which then counts as overtaken.
    pub fn is_overtaken(&self) -> bool {
        let overtaken = match self.scheduling() {
            Some(Scheduling::Latest(threads)) => threads.has_waiting(),
            _ => false,
        };
        if overtaken {
            self.count(|stats| stats.overtaken += 1);
        }
        overtaken
    }

    /// Counts a frame that came in.
    pub fn enter(&self) -> Inside {
        Inside::enter(&self.stats)
    }

    /// Discards all frames at work, and interrupts the network.
    pub fn begin_flush(&self) {
        self.flushing.store(true, Ordering::SeqCst);
        if let Some(threads) = self.threads() {
            threads.begin_flush();
        }
        self.models.interrupt();
        self.models.cancel_reload();
    }

    /// As [`begin_flush`](Self::begin_flush), until the next start.
    pub fn begin_stop(&self) {
        let mut stopping = lock(&self.stopping);
        *stopping = true;
        self.begin_flush();
    }

    /// Accepts frames again, unless a stop has begun. Returns a message if a condition of `trigger` ends with those
    /// before.
    pub fn end_flush(&self) -> Option<gst::Structure> {
        {
            let stopping = lock(&self.stopping);
            if *stopping {
                return None;
            }
            if let Some(threads) = self.threads() {
                threads.end_flush();
            }
            self.flushing.store(false, Ordering::SeqCst);
            self.models.resume_if(|| true);
        }
        self.forget()
    }

    /// Forgets the previous frames: the next ones show something else. Returns a message if a condition of `trigger`
    /// ends with that.
    pub fn forget(&self) -> Option<gst::Structure> {
        if let Some(scene) = self.reader.with(Reader::start_scene) {
            self.scene.store(scene, Ordering::SeqCst);
        }
        self.forget_masks();
        self.discontinuous.store(true, Ordering::Relaxed);
        self.writer.with(Writer::forget)?
    }

    /// To be called at the end of the stream. Returns a message if a condition of `trigger` ends with it.
    pub fn end(&self) -> Option<gst::Structure> {
        self.writer.with(Writer::end)?
    }

    /// Maximum number of frames that are kept at a time.
    pub fn most_kept(&self) -> usize {
        match self.scheduling() {
            // One on its way out, one that waits for the network, one that it processes or that waits for its objects
            // to be found, and one whose objects are being found.
            Some(Scheduling::Latest(_)) => 4,
            // Frames at work, and the one on which objects are measured while others carry its mask.
            Some(Scheduling::Overlapping(threads)) => threads.limit() + 1,
            Some(Scheduling::Sequential) | None => 2,
        }
    }

    /// Returns an error that upstream has not received yet, if frames overlap; each error once.
    pub fn check(&self) -> Result<(), gst::FlowError> {
        match self.scheduling() {
            Some(Scheduling::Overlapping(threads)) => threads.check(),
            Some(Scheduling::Latest(_) | Scheduling::Sequential) | None => Ok(()),
        }
    }

    /// Waits until all frames are out. Returns `false` if they were discarded instead.
    pub fn drain(&self) -> bool {
        match self.scheduling() {
            Some(Scheduling::Overlapping(threads)) => threads.drain(),
            Some(Scheduling::Latest(_) | Scheduling::Sequential) => true,
            None => false,
        }
    }

    /// Ends the stream and calls `work` to begin another, with stages that hold no frame. `work` gets no network while
    /// the model is loading, or if frames do not wait for masks: then the run is interrupted, and the network is
    /// prepared on its own thread.
    pub fn between_streams<R>(
        &self,
        work: impl FnOnce(&mut Reader, Option<&mut Inferrer>, &mut Writer, Option<StreamOutput>) -> R,
    ) -> Option<R> {
        let latest = match self.scheduling()? {
            Scheduling::Overlapping(threads) if !threads.drain() => return None,
            Scheduling::Latest(threads) if threads.is_flushing() => return None,
            Scheduling::Sequential | Scheduling::Overlapping(_) => None,
            Scheduling::Latest(threads) => Some(threads),
        };
        let all = |reader: &mut Reader| {
            // The old stream must not be used again if the new caps are refused.
            let before = reader.end_stream();
            if let Some(threads) = &latest {
                threads.skip();
                self.models.interrupt();
            }
            // Masks with the old caps do not fit the new frames.
            self.forget_masks();
            let mut inferrer = match latest {
                Some(_) => None,
                None => self.models.inferrer.take(),
            };
            let network = inferrer.as_deref_mut();
            let result = self
                .writer
                .with(|writer| work(reader, network, writer, before));
            if inferrer.is_some() {
                self.models.inferrer.put_back(inferrer);
                self.on_caps_changed();
            }
            result
        };
        self.reader.with(all).flatten()
    }

    /// Calls `work` with the reader.
    pub fn with_reader<R>(
        &self,
        work: impl FnOnce(&mut Reader) -> Result<R, ProcessError>,
    ) -> Result<R, ProcessError> {
        self.reader.with(work).unwrap_or(Err(ProcessError::NoCaps))
    }

    /// The third stage: makes the outgoing buffer.
    pub fn write(&self, job: Job) -> Result<Written, ProcessError> {
        if job.after_gap {
            self.leave_gap();
        }
        let written = self.writer.with(|writer| writer.write(job));
        let mut written = written.unwrap_or(Err(ProcessError::NoCaps))?;
        if let Some(buffer) = &mut written.buffer
            && self.discontinuous.swap(false, Ordering::Relaxed)
        {
            buffer.make_mut().set_flags(gst::BufferFlags::DISCONT);
        }
        Ok(written)
    }

    /// Marks the next frame that goes out as the first after a gap.
    pub fn leave_gap(&self) {
        self.discontinuous.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_flush_does_not_undo_a_stop() {
        let flow = Flow::default();
        flow.begin_flush();
        flow.end_flush();
        assert!(!flow.is_flushing());
        flow.begin_stop();
        flow.begin_flush();
        flow.end_flush();
        assert!(flow.is_flushing());
    }
}
