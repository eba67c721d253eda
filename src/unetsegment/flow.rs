//! How frames pass the three stages: one after the other on the stream's own thread, or overlapping on the threads
//! of a [`Line`].

mod latency_limit;
mod masks;
mod models;
mod slot;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::Mode;
use super::inferrer::{Inferrer, Prepared};
use super::job::{Found, Job, Maps, ProcessError};
use super::latency_limit::{Change, Pace};
use super::likeness::Look;
use super::line::{Line, Stages};
use super::loading::Opening;
use super::messages::Seams;
use super::model::Loaded;
use super::objects::Finder;
use super::reader::{Reader, Shown};
use super::settings::FrameSettings;
use super::stats::{Gone, Inside, Stats};
use super::writer::{Writer, Written};
use crate::inference::{Canceller, Stopper};
use crate::lock::lock;
use slot::Slot;

/// In which manner frames pass.
#[derive(Clone)]
pub enum Manner {
    /// One after the other.
    Alone,
    /// Each waits for its own mask, and they overlap.
    Overlapping(Arc<Line<Job>>),
    /// They pass at once, and the network takes the newest.
    Latest(Arc<Line<Job>>),
}

/// The stages, and the threads that they run on.
#[derive(Default)]
pub struct Flow {
    reader: Slot<Reader>,
    inferrer: Slot<Inferrer>,
    /// Finds the objects of what was inferred.
    finder: Slot<Finder>,
    writer: Slot<Writer>,
    manner: Mutex<Option<Manner>>,
    /// The model in use, and how it was opened.
    model: Mutex<Option<(Arc<Loaded>, Opening)>>,
    /// One that is to take its place before the next frame.
    next: Mutex<Option<(Inferrer, Opening)>>,
    /// The last mask that was found, where others than its own frame may need it.
    newest: Mutex<Option<Found>>,
    /// What there is of the last frame that the network saw, where frames wait for it.
    seen: Mutex<Option<Maps>>,
    /// Ends what the network is doing.
    stopper: Mutex<Option<Stopper>>,
    stats: Arc<Mutex<Stats>>,
    pace: Mutex<Pace>,
    /// What the thread that infers is to change before the next frame.
    change: Mutex<Option<Change>>,
    /// Whether the network has failed for good.
    broken: AtomicBool,
    /// Whether it has failed once and was built again.
    rebuilt: AtomicBool,
    /// Whether the next frame to go out is the first after a start or a flush.
    discontinuous: AtomicBool,
    /// What the frames of now are of: one number for all between two flushes or starts of a stream.
    scene: AtomicU64,
    /// Whether frames are thrown away, and the network is not to begin.
    flushing: AtomicBool,
    /// Ends the opening of a model that has failed.
    rebuilding: Mutex<Option<Canceller>>,
}

impl Flow {
    /// Gets ready for frames, which a model is to [begin](Self::begin) with. With `mode` sync at most `in_flight`
    /// are worked on at a time, on threads that call `stages` where these are more than one.
    pub fn start(
        &self,
        (mode, in_flight): (Mode, usize),
        stages: Arc<dyn Stages<Job>>,
    ) -> std::io::Result<()> {
        let manner = match (mode, in_flight) {
            (Mode::Sync, 0 | 1) => Manner::Alone,
            (Mode::Sync, _) => Manner::Overlapping(Arc::new(Line::start(in_flight, stages)?)),
            // While objects are found on one, the network sees the next, and none after it.
            (Mode::Latest, _) => Manner::Latest(Arc::new(Line::start(1, stages)?)),
        };
        self.flushing.store(false, Ordering::SeqCst);
        *lock(&self.manner) = Some(manner);
        *lock(&self.stats) = Stats::default();
        *lock(&self.pace) = Pace::default();
        *lock(&self.change) = None;
        // One that came too late for the stop is not wanted any more.
        let late = lock(&self.next).take();
        drop(late);
        self.broken.store(false, Ordering::Relaxed);
        self.rebuilt.store(false, Ordering::Relaxed);
        self.discontinuous.store(true, Ordering::Relaxed);
        self.scene.store(0, Ordering::SeqCst);
        self.reader.set(Some(Reader::default()));
        self.finder.set(Some(Finder::default()));
        self.writer.set(Some(Writer::new()));
        Ok(())
    }

    /// Ends the threads and gives everything back.
    pub fn stop(&self) {
        self.begin_flush();
        let manner = lock(&self.manner).take();
        if let Some(Manner::Overlapping(line) | Manner::Latest(line)) = manner {
            line.close();
        }
        *lock(&self.stopper) = None;
        *lock(&self.model) = None;
        let left = (lock(&self.next).take(), lock(&self.newest).take());
        drop(left);
        self.reader.set(None);
        self.inferrer.set(None);
        self.finder.set(None);
        self.writer.set(None);
    }

    /// In which manner frames pass; none when the element is stopped.
    pub fn manner(&self) -> Option<Manner> {
        lock(&self.manner).clone()
    }

    fn line(&self) -> Option<Arc<Line<Job>>> {
        match self.manner()? {
            Manner::Overlapping(line) | Manner::Latest(line) => Some(line),
            Manner::Alone => None,
        }
    }

    /// Whether frames are thrown away.
    pub fn is_flushing(&self) -> bool {
        self.flushing.load(Ordering::SeqCst)
    }

    /// What was done since the start, as the property shows it.
    pub fn stats(&self, settings: &FrameSettings) -> gst::Structure {
        let stats = *lock(&self.stats);
        stats.structure(self.interval(settings), self.model().as_deref())
    }

    /// Changes what was counted.
    pub fn count(&self, count: impl FnOnce(&mut Stats)) {
        count(&mut lock(&self.stats));
    }

    /// What is to be told of frames that were dropped, if there is anything new.
    pub fn untold(&self) -> Option<Gone> {
        lock(&self.stats).untold()
    }

    /// Counts a frame that came in.
    pub fn enter(&self) -> Inside {
        Inside::enter(&self.stats)
    }

    /// Throws away all frames that are worked on, and ends the run of the network.
    pub fn begin_flush(&self) {
        self.flushing.store(true, Ordering::SeqCst);
        if let Some(line) = self.line() {
            line.begin_flush();
        }
        if let Some(stopper) = &*lock(&self.stopper) {
            stopper.stop();
        }
        let rebuilding = lock(&self.rebuilding).clone();
        if let Some(canceller) = rebuilding {
            canceller.cancel();
        }
    }

    /// Takes frames again; what there is to tell of those before.
    pub fn end_flush(&self) -> Option<gst::Structure> {
        if let Some(line) = self.line() {
            line.end_flush();
        }
        self.flushing.store(false, Ordering::SeqCst);
        if let Some(stopper) = &*lock(&self.stopper) {
            stopper.allow();
        }
        self.forget()
    }

    /// Forgets the frames before: those to come show something else. What there is to tell of that.
    pub fn forget(&self) -> Option<gst::Structure> {
        if let Some(scene) = self.reader.with(Reader::meet_scene) {
            self.scene.store(scene, Ordering::SeqCst);
        }
        self.forget_masks();
        self.discontinuous.store(true, Ordering::Relaxed);
        self.writer.with(Writer::forget)?
    }

    /// Takes in that no frame comes any more. What there is to tell of that.
    pub fn end(&self) -> Option<gst::Structure> {
        self.writer.with(Writer::end)?
    }

    /// Most frames that came in and are kept at a time.
    pub fn most_kept(&self) -> usize {
        match self.manner() {
            // One that passes, one that waits for the network, one that it sees or that is to have its objects found,
            // and one that has.
            Some(Manner::Latest(_)) => 4,
            // Those on their way, and the one on which objects are measured while others show its mask.
            Some(Manner::Overlapping(line)) => line.limit() + 1,
            Some(Manner::Alone) | None => 2,
        }
    }

    /// What went wrong where frames overlap, once, if upstream has not heard of it.
    pub fn check(&self) -> Result<(), gst::FlowError> {
        match self.manner() {
            Some(Manner::Overlapping(line)) => line.check(),
            Some(Manner::Latest(_) | Manner::Alone) | None => Ok(()),
        }
    }

    /// Waits until all frames that came in are out; whether they are, and were not thrown away.
    pub fn drain(&self) -> bool {
        match self.manner() {
            Some(Manner::Overlapping(line)) => line.drain(),
            Some(Manner::Latest(_) | Manner::Alone) => true,
            None => false,
        }
    }

    /// Ends the stream of before, and begins another with what `work` does to the stages while no frame is in
    /// between. The network is not among them while the model is loaded, nor where frames do not wait for it: then
    /// it gets ready on its own thread, once it has been [taken off](Self::interrupt) what it was about.
    pub fn between_streams<R>(
        &self,
        work: impl FnOnce(&mut Reader, Option<&mut Inferrer>, &mut Writer, Option<Shown>) -> R,
    ) -> Option<R> {
        let latest = match self.manner()? {
            Manner::Overlapping(line) if !line.drain() => return None,
            Manner::Latest(line) if line.is_flushing() => return None,
            Manner::Alone | Manner::Overlapping(_) => None,
            Manner::Latest(line) => Some(line),
        };
        let all = |reader: &mut Reader| {
            // Nothing of the old caps may be used again, should the new ones be refused.
            let before = reader.end_stream();
            if let Some(line) = &latest {
                self.interrupt(line);
            }
            // Masks of other caps do not fit.
            self.forget_masks();
            let mut inferrer = match latest {
                Some(_) => None,
                None => self.inferrer.take(),
            };
            let network = inferrer.as_deref_mut();
            let result = self
                .writer
                .with(|writer| work(reader, network, writer, before));
            if inferrer.is_some() {
                self.inferrer.put_back(inferrer);
                self.meet_other_frames();
            }
            result
        };
        self.reader.with(all).flatten()
    }

    /// Takes the network off the frames of a stream that has ended.
    fn interrupt(&self, line: &Line<Job>) {
        line.skip();
        if let Some(stopper) = &*lock(&self.stopper) {
            stopper.stop();
        }
    }

    /// Lets the network work on `job`, if that is wanted still, where frames do not wait for it. Only the thread that
    /// infers may call it.
    pub fn resume_for(&self, job: &Job) -> bool {
        // It is stopped after the stream has ended, or the flush has begun.
        let stopper = lock(&self.stopper);
        let wanted = !job.stream.is_ended() && !self.is_flushing();
        if let Some(stopper) = stopper.as_ref().filter(|_| wanted) {
            stopper.allow();
        }
        wanted
    }

    /// Gets the network ready for frames like that of `job`; what there is to say of it, the first time.
    pub fn prepare_for(&self, job: &Job) -> Result<Option<Prepared>, ProcessError> {
        if job.stream.is_prepared() {
            return Ok(None);
        }
        let size = job.stream.input.size();
        let prepared = self.inferrer.with(|inferrer| inferrer.prepare(size));
        let prepared = prepared.unwrap_or(Err(ProcessError::NoCaps))?;
        job.stream.set_prepared();
        self.meet_other_frames();
        Ok(Some(prepared))
    }

    /// Works with the reader.
    pub fn with_reader<R>(
        &self,
        work: impl FnOnce(&mut Reader) -> Result<R, ProcessError>,
    ) -> Result<R, ProcessError> {
        self.reader.with(work).unwrap_or(Err(ProcessError::NoCaps))
    }

    /// The second stage.
    pub fn infer(&self, job: &mut Job) -> Result<(), ProcessError> {
        let inferred = self.inferrer.with(|inferrer| inferrer.infer(job));
        inferred.unwrap_or(Err(ProcessError::NoCaps))?;
        // Others are to show its mask, whose objects are measured on this frame all the same.
        let shared = job.settings.post_objects && self.interval(&job.settings) > 1;
        let frame = shared.then(|| job.input.as_ref().unwrap_or(&job.output).clone());
        if let Some(found) = &mut job.found {
            found.frame = frame;
            self.count(|stats| stats.segmented(found.spent));
            *lock(&self.seen) = Some(found.maps());
        }
        Ok(())
    }

    /// How the mask of `job` differs from that of one run over the whole frame, if that was asked for and is not
    /// known yet. Only the thread that infers may call it.
    pub fn check_seams(&self, job: &Job) -> Option<Seams> {
        match job.settings.check_seams {
            true => self.inferrer.with(|inferrer| inferrer.check_seams(job))?,
            false => None,
        }
    }

    /// Bytes that tiles take at most since memory lacks, if that is news. Only the thread that infers may call it.
    pub fn check_memory(&self) -> Option<u64> {
        self.inferrer.with(Inferrer::check_memory)?
    }

    /// Whether frames look like the pictures that the model learned from, if that is news and was asked for. Only the
    /// thread that infers may call it.
    pub fn check_pictures(&self, job: &Job) -> Option<(Arc<Loaded>, Look)> {
        let look = |inferrer: &mut Inferrer| {
            // What is wrong with a frame, its segmentation has told.
            let look = inferrer.check_pictures(job).ok()??;
            Some((inferrer.model.clone(), look))
        };
        match job.settings.check_pictures {
            true => self.inferrer.with(look)?,
            false => None,
        }
    }

    /// The third stage: what goes out.
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

    /// Marks the next frame that goes out: the one before it did not.
    pub fn leave_gap(&self) {
        self.discontinuous.store(true, Ordering::Relaxed);
    }
}
