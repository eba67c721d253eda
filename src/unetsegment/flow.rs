//! How frames pass the three stages: on the threads of a [`Line`], or one after the other on the stream's own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::inferrer::Inferrer;
use super::job::{Job, ProcessError};
use super::line::{Line, Stages};
use super::messages::Report;
use super::reader::Reader;
use super::stats::Stats;
use super::writer::Writer;
use crate::inference::Stopper;
use crate::segmenter::Segmenter;

/// The content of a mutex, whatever happened to a thread that held it: what is behind ours is replaced as a
/// whole, never half written.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stage between start and stop. Whoever works with it takes it out, so that nothing is locked meanwhile.
struct Slot<T>(Mutex<Option<Box<T>>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot(Mutex::default())
    }
}

impl<T> Slot<T> {
    fn set(&self, stage: Option<T>) {
        *lock(&self.0) = stage.map(Box::new);
    }

    /// What `work` returns; nothing when the stage is not there. A stage in which `work` panics is lost.
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut stage = lock(&self.0).take()?;
        let result = work(&mut stage);
        *lock(&self.0) = Some(stage);
        Some(result)
    }
}

/// The stages, and the threads that they run on.
#[derive(Default)]
pub struct Flow {
    reader: Slot<Reader>,
    inferrer: Slot<Inferrer>,
    writer: Slot<Writer>,
    line: Mutex<Option<Arc<Line<Job>>>>,
    /// Ends what the network is doing.
    stopper: Mutex<Option<Stopper>>,
    stats: Mutex<Stats>,
    /// Whether the next frame to go out is the first after a start or a flush.
    discontinuous: AtomicBool,
}

impl Flow {
    /// Gets ready for the frames of a network, of which at most `in_flight` are worked on at a time: on
    /// threads that call `stages` where these are more than one.
    pub fn start(
        &self,
        segmenter: Segmenter,
        in_flight: usize,
        stages: Arc<dyn Stages<Job>>,
    ) -> std::io::Result<()> {
        let line = match in_flight {
            0 | 1 => None,
            _ => Some(Arc::new(Line::start(in_flight, stages)?)),
        };
        *lock(&self.line) = line;
        *lock(&self.stopper) = Some(segmenter.model().stopper());
        *lock(&self.stats) = Stats::default();
        self.discontinuous.store(true, Ordering::Relaxed);
        let contract = segmenter.contract().clone();
        self.reader.set(Some(Reader::new(contract.clone())));
        self.writer.set(Some(Writer::new(contract)));
        self.inferrer.set(Some(Inferrer { segmenter }));
        Ok(())
    }

    /// Ends the threads and gives everything back.
    pub fn stop(&self) {
        self.begin_flush();
        let line = lock(&self.line).take();
        if let Some(line) = line {
            line.close();
        }
        *lock(&self.stopper) = None;
        self.reader.set(None);
        self.inferrer.set(None);
        self.writer.set(None);
    }

    /// The threads, where frames overlap.
    pub fn line(&self) -> Option<Arc<Line<Job>>> {
        lock(&self.line).clone()
    }

    /// What was done since the start.
    pub fn stats(&self) -> Stats {
        *lock(&self.stats)
    }

    /// Throws away all frames that are worked on, and ends the run of the network.
    pub fn begin_flush(&self) {
        if let Some(line) = self.line() {
            line.begin_flush();
        }
        if let Some(stopper) = &*lock(&self.stopper) {
            stopper.stop();
        }
    }

    /// Takes frames again.
    pub fn end_flush(&self) {
        if let Some(line) = self.line() {
            line.end_flush();
        }
        if let Some(stopper) = &*lock(&self.stopper) {
            stopper.allow();
        }
        self.discontinuous.store(true, Ordering::Relaxed);
    }

    /// Waits until all frames that came in are out; whether they are, and were not thrown away.
    pub fn drain(&self) -> bool {
        self.line().is_none_or(|line| line.drain())
    }

    /// Works with the reader and the network while no frame is in between.
    pub fn while_idle<R>(
        &self,
        work: impl FnOnce(&mut Reader, &mut Inferrer, &mut Writer) -> R,
    ) -> Option<R> {
        if !self.drain() {
            return None;
        }
        let all = |reader: &mut Reader| {
            let with_network =
                |inferrer: &mut Inferrer| self.writer.with(|writer| work(reader, inferrer, writer));
            self.inferrer.with(with_network).flatten()
        };
        self.reader.with(all).flatten()
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
        inferred.unwrap_or(Err(ProcessError::NoCaps))
    }

    /// The third stage: what goes out, and what is to be told.
    pub fn write(&self, job: Job) -> Result<(gst::Buffer, Option<Report>), ProcessError> {
        let spent = job.found.as_ref().map(|found| found.spent);
        let written = self.writer.with(|writer| writer.write(job));
        let (mut buffer, report) = written.unwrap_or(Err(ProcessError::NoCaps))?;
        if let Some(spent) = spent {
            lock(&self.stats).add(spent);
        }
        if self.discontinuous.swap(false, Ordering::Relaxed) {
            buffer.make_mut().set_flags(gst::BufferFlags::DISCONT);
        }
        Ok((buffer, report))
    }
}
