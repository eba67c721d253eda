//! How frames pass the three stages: one after the other on the streaming thread, or overlapping on [`StageThreads`].

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
use models::Models;
use slot::Slot;

/// How frames pass.
#[derive(Clone)]
pub enum Manner {
    /// One after the other.
    Alone,
    /// Each waits for its own mask, and they overlap.
    Overlapping(Arc<StageThreads<Job>>),
    /// At once, while the network takes the newest.
    Latest(Arc<StageThreads<Job>>),
}

/// The stages, and the threads that they run on.
#[derive(Default)]
pub struct Flow {
    reader: Slot<Reader>,
    models: Models,
    finder: Slot<Finder>,
    writer: Slot<Writer>,
    manner: Mutex<Option<Manner>>,
    /// The last mask, where other frames than its own may need it.
    newest: Mutex<Option<Segmentation>>,
    /// Which maps there are of the last frame that the network saw, where frames wait for it.
    seen: Mutex<Option<Maps>>,
    stats: Arc<Mutex<Stats>>,
    pace: Mutex<Pace>,
    /// What to change before the network sees the next frame.
    change: Mutex<Option<PaceStep>>,
    /// Whether the next frame to go out is the first after a start or a flush.
    discontinuous: AtomicBool,
    /// The number of the current scene: all frames between two flushes or starts of a stream.
    scene: AtomicU64,
    /// Whether frames are thrown away, and the network is not to begin.
    flushing: AtomicBool,
}

impl Flow {
    /// Gets ready for a [model](Self::set_model) and frames. With `mode` sync at most `in_flight` of these are at work
    /// at a time, on threads that call `stages` if that is more than one.
    pub fn start(
        &self,
        (mode, in_flight): (Mode, usize),
        stages: Arc<dyn Stages<Job>>,
    ) -> std::io::Result<()> {
        let manner = match (mode, in_flight) {
            (Mode::Sync, 0 | 1) => Manner::Alone,
            (Mode::Sync, _) => {
                Manner::Overlapping(Arc::new(StageThreads::start(in_flight, stages)?))
            }
            // While objects are found on one, the network sees the next, and none after it.
            (Mode::Latest, _) => Manner::Latest(Arc::new(StageThreads::start(1, stages)?)),
        };
        self.flushing.store(false, Ordering::SeqCst);
        *lock(&self.manner) = Some(manner);
        *lock(&self.stats) = Stats::default();
        *lock(&self.pace) = Pace::default();
        *lock(&self.change) = None;
        self.models.start();
        self.discontinuous.store(true, Ordering::Relaxed);
        self.scene.store(0, Ordering::SeqCst);
        self.reader.set(Some(Reader::default()));
        self.finder.set(Some(Finder::default()));
        self.writer.set(Some(Writer::new(mode == Mode::Sync)));
        Ok(())
    }

    /// Ends the threads and gives everything back.
    pub fn stop(&self) {
        self.begin_flush();
        let manner = lock(&self.manner).take();
        if let Some(Manner::Overlapping(threads) | Manner::Latest(threads)) = manner {
            threads.close();
        }
        self.models.stop();
        self.forget_masks();
        self.reader.set(None);
        self.finder.set(None);
        self.writer.set(None);
    }

    /// How frames pass; none when the element is stopped.
    pub fn manner(&self) -> Option<Manner> {
        lock(&self.manner).clone()
    }

    fn threads(&self) -> Option<Arc<StageThreads<Job>>> {
        match self.manner()? {
            Manner::Overlapping(threads) | Manner::Latest(threads) => Some(threads),
            Manner::Alone => None,
        }
    }

    /// Whether frames are thrown away.
    pub fn is_flushing(&self) -> bool {
        self.flushing.load(Ordering::SeqCst)
    }

    /// Statistics since the start, as the property shows them.
    pub fn stats(&self, settings: &FrameSettings) -> gst::Structure {
        let stats = *lock(&self.stats);
        stats.structure(self.interval(settings), self.model().as_deref())
    }

    /// Changes the statistics.
    pub fn count(&self, count: impl FnOnce(&mut Stats)) {
        count(&mut lock(&self.stats));
    }

    /// How many frames were dropped, if there are new ones.
    pub fn take_unreported(&self) -> Option<FrameCounts> {
        lock(&self.stats).take_unreported()
    }

    /// Counts a frame that came in.
    pub fn enter(&self) -> Inside {
        Inside::enter(&self.stats)
    }

    /// Throws away all frames at work, and ends the run of the network.
    pub fn begin_flush(&self) {
        self.flushing.store(true, Ordering::SeqCst);
        if let Some(threads) = self.threads() {
            threads.begin_flush();
        }
        self.models.interrupt();
        self.models.cancel_reload();
    }

    /// Accepts frames again. Returns a message about those before.
    pub fn end_flush(&self) -> Option<gst::Structure> {
        if let Some(threads) = self.threads() {
            threads.end_flush();
        }
        self.flushing.store(false, Ordering::SeqCst);
        self.models.resume_if(|| true);
        self.forget()
    }

    /// Forgets the frames before: those to come show something else. Returns a message about that.
    pub fn forget(&self) -> Option<gst::Structure> {
        if let Some(scene) = self.reader.with(Reader::start_scene) {
            self.scene.store(scene, Ordering::SeqCst);
        }
        self.forget_masks();
        self.discontinuous.store(true, Ordering::Relaxed);
        self.writer.with(Writer::forget)?
    }

    /// No more frames come. Returns a message about that.
    pub fn end(&self) -> Option<gst::Structure> {
        self.writer.with(Writer::end)?
    }

    /// Most frames that are kept at a time.
    pub fn most_kept(&self) -> usize {
        match self.manner() {
            // One that passes, one that waits for the network, one that it sees or that is to have its objects found,
            // and one that has.
            Some(Manner::Latest(_)) => 4,
            // Those on their way, and the one on which objects are measured while others show its mask.
            Some(Manner::Overlapping(threads)) => threads.limit() + 1,
            Some(Manner::Alone) | None => 2,
        }
    }

    /// Returns, once, what went wrong where frames overlap and upstream has not heard of it.
    pub fn check(&self) -> Result<(), gst::FlowError> {
        match self.manner() {
            Some(Manner::Overlapping(threads)) => threads.check(),
            Some(Manner::Latest(_) | Manner::Alone) | None => Ok(()),
        }
    }

    /// Waits until all frames are out. Returns whether they are, and were not thrown away.
    pub fn drain(&self) -> bool {
        match self.manner() {
            Some(Manner::Overlapping(threads)) => threads.drain(),
            Some(Manner::Latest(_) | Manner::Alone) => true,
            None => false,
        }
    }

    /// Ends the stream, and lets `work` begin another in the stages, which hold no frame meanwhile. The network is not
    /// among them while the model is loaded, nor where frames do not wait for it: then it is interrupted, and is
    /// prepared on its own thread.
    pub fn between_streams<R>(
        &self,
        work: impl FnOnce(&mut Reader, Option<&mut Inferrer>, &mut Writer, Option<StreamOutput>) -> R,
    ) -> Option<R> {
        let latest = match self.manner()? {
            Manner::Overlapping(threads) if !threads.drain() => return None,
            Manner::Latest(threads) if threads.is_flushing() => return None,
            Manner::Alone | Manner::Overlapping(_) => None,
            Manner::Latest(threads) => Some(threads),
        };
        let all = |reader: &mut Reader| {
            // Nothing of the old caps may be used again, should the new ones be refused.
            let before = reader.end_stream();
            if let Some(threads) = &latest {
                threads.skip();
                self.models.interrupt();
            }
            // Masks of other caps do not fit.
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

    /// Lets `work` use the reader.
    pub fn with_reader<R>(
        &self,
        work: impl FnOnce(&mut Reader) -> Result<R, ProcessError>,
    ) -> Result<R, ProcessError> {
        self.reader.with(work).unwrap_or(Err(ProcessError::NoCaps))
    }

    /// The third stage: makes what goes out.
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
