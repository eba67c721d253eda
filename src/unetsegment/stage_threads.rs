//! Threads on which frames overlap: while the network works on one, the previous one is drawn and pushed, and the next
//! one is read.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::lock::{lock, wait};

/// The stages of a job on the threads, in the order in which jobs were put.
pub trait Stages<J: 'static>: Send + Sync + 'static {
    /// The first stage. It reports its own errors.
    fn infer(&self, job: &mut J) -> Result<(), gst::FlowError>;
    /// The second stage, for jobs that have passed the first.
    fn emit(&self, job: J) -> Result<gst::FlowSuccess, gst::FlowError>;
}

/// Two threads, one for each stage, with queues of jobs.
pub struct StageThreads<J: 'static> {
    shared: Arc<Shared<J>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared<J: 'static> {
    state: Mutex<State<J>>,
    changed: Condvar,
}

struct State<J> {
    to_infer: VecDeque<J>,
    to_emit: VecDeque<J>,
    /// Jobs that were put and are not done yet, and those of them that have passed the first stage.
    at_work: usize,
    emitted: usize,
    /// Maximum number of jobs at work, and of jobs that wait for the second stage.
    limit: usize,
    phase: Phase,
    /// The failure, until a caller that puts jobs has received it. Nothing is inferred meanwhile.
    failure: Option<gst::FlowError>,
    /// Whether the second stage has failed: then none of the jobs behind goes out.
    failed_to_emit: bool,
}

impl<J> State<J> {
    /// The next job for the first stage, which does not run ahead of the second.
    fn take_to_infer(&mut self) -> Option<J> {
        if self.to_emit.len() < self.limit {
            self.to_infer.pop_front()
        } else {
            None
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Jobs are discarded.
    Flushing,
    /// The threads end.
    Closed,
}

impl<J: Send + 'static> StageThreads<J> {
    /// Starts the threads, for at most `limit` jobs at a time; with [`put_newest`](Self::put_newest), for as many that
    /// wait for the second stage.
    pub fn start(limit: usize, stages: Arc<dyn Stages<J>>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                to_infer: VecDeque::with_capacity(limit),
                to_emit: VecDeque::with_capacity(limit),
                at_work: 0,
                emitted: 0,
                limit,
                phase: Phase::Open,
                failure: None,
                failed_to_emit: false,
            }),
            changed: Condvar::new(),
        });
        let threads = StageThreads {
            shared: shared.clone(),
            threads: Mutex::default(),
        };
        let (first, second) = (shared.clone(), stages.clone());
        threads.spawn("unetsegment:run", move || first.infer_all(&*second))?;
        threads.spawn("unetsegment:out", move || shared.emit_all(&*stages))?;
        Ok(threads)
    }

    /// Starts one thread. If that fails, dropping `self` ends those that have started.
    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let thread = thread::Builder::new().name(name.into()).spawn(work)?;
        let mut threads = lock(&self.threads);
        threads.push(thread);
        Ok(())
    }

    /// Waits until there is room for one more job. Returns how long that took, not counting times with a job in the
    /// second stage, where downstream may hold it.
    ///
    /// # Errors
    ///
    /// `Flushing` while jobs are discarded; otherwise the failure since the last call, once.
    pub fn wait_for_room(&self) -> Result<Duration, gst::FlowError> {
        let mut waited = Duration::ZERO;
        let mut state = self.shared.lock();
        loop {
            if state.phase != Phase::Open {
                return Err(gst::FlowError::Flushing);
            }
            if state.at_work < state.limit && (state.failure.is_none() || state.at_work == 0) {
                state.failed_to_emit = false;
                return state.failure.take().map_or(Ok(waited), Err);
            }
            let since = Some(Instant::now()).filter(|_| state.emitted == 0);
            state = self.shared.wait(state);
            waited += since.map_or(Duration::ZERO, |since| since.elapsed());
        }
    }

    /// Queues a job; there must be [room](Self::wait_for_room).
    pub fn put(&self, job: J) {
        let mut state = self.shared.lock();
        if state.phase == Phase::Open {
            state.at_work += 1;
            state.to_infer.push_back(job);
            self.shared.changed.notify_all();
        }
    }

    /// Queues a job in place of those that still wait for the first stage, and returns how many these were. There is
    /// always room for it.
    ///
    /// # Errors
    ///
    /// As [`wait_for_room`](Self::wait_for_room).
    pub fn put_newest(&self, job: J) -> Result<usize, gst::FlowError> {
        let mut overtaken = 0;
        loop {
            let mut state = self.shared.lock();
            if state.phase != Phase::Open {
                return Err(gst::FlowError::Flushing);
            }
            // One at a time and unlocked, because dropping a job may take a while.
            if let Some(old) = state.to_infer.pop_front() {
                state.at_work -= 1;
                overtaken += 1;
                drop(state);
                drop(old);
                continue;
            }
            if let Some(failure) = state.failure.take() {
                state.failed_to_emit = false;
                return Err(failure);
            }
            state.at_work += 1;
            state.to_infer.push_back(job);
            self.shared.changed.notify_all();
            return Ok(overtaken);
        }
    }

    /// Checks for a failure since the last call, without putting a job.
    ///
    /// # Errors
    ///
    /// As [`wait_for_room`](Self::wait_for_room).
    pub fn check(&self) -> Result<(), gst::FlowError> {
        let mut state = self.shared.lock();
        if state.phase != Phase::Open {
            return Err(gst::FlowError::Flushing);
        }
        state.failed_to_emit = false;
        state.failure.take().map_or(Ok(()), Err)
    }

    /// Maximum number of jobs at work.
    pub fn limit(&self) -> usize {
        self.shared.lock().limit
    }

    /// Whether a job waits for the first stage.
    pub fn has_waiting(&self) -> bool {
        !self.shared.lock().to_infer.is_empty()
    }

    /// Whether jobs are discarded.
    pub fn is_flushing(&self) -> bool {
        self.shared.lock().phase != Phase::Open
    }

    /// Discards the jobs that still wait for the first stage.
    pub fn skip(&self) {
        let skipped = {
            let mut state = self.shared.lock();
            let skipped = std::mem::take(&mut state.to_infer);
            state.at_work -= skipped.len();
            self.shared.changed.notify_all();
            skipped
        };
        drop(skipped);
    }

    /// Waits until all jobs are done. Returns `false` if they were discarded instead.
    pub fn drain(&self) -> bool {
        let mut state = self.shared.lock();
        while state.phase == Phase::Open && state.at_work > 0 {
            state = self.shared.wait(state);
        }
        state.phase == Phase::Open
    }

    /// Discards all jobs, now and until [`end_flush`](Self::end_flush). Jobs that a thread is working on are discarded
    /// as soon as their stage is done.
    pub fn begin_flush(&self) {
        self.discard_all(Phase::Flushing);
    }

    /// Waits until the threads have nothing left, and accepts jobs again.
    pub fn end_flush(&self) {
        let mut state = self.shared.lock();
        while state.phase == Phase::Flushing && state.at_work > 0 {
            state = self.shared.wait(state);
        }
        if state.phase == Phase::Flushing {
            state.phase = Phase::Open;
            state.failure = None;
            state.failed_to_emit = false;
        }
    }

    /// Discards all jobs and ends the threads.
    pub fn close(&self) {
        self.discard_all(Phase::Closed);
        let threads = {
            let mut threads = lock(&self.threads);
            std::mem::take(&mut *threads)
        };
        for thread in threads {
            // The last reference to the element may be held by one of these threads.
            if thread.thread().id() != thread::current().id() {
                // It fails if a stage panicked, which was reported there.
                let _ = thread.join();
            }
        }
    }

    fn discard_all(&self, phase: Phase) {
        let discarded = {
            let mut state = self.shared.lock();
            if state.phase != Phase::Closed {
                state.phase = phase;
            }
            let mut discarded = std::mem::take(&mut state.to_infer);
            state.emitted -= state.to_emit.len();
            discarded.append(&mut state.to_emit);
            state.at_work -= discarded.len();
            self.shared.changed.notify_all();
            discarded
        };
        drop(discarded);
    }
}

impl<J: 'static> Drop for StageThreads<J> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.phase = Phase::Closed;
        self.shared.changed.notify_all();
    }
}

impl<J: 'static> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        lock(&self.state)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<J>>) -> MutexGuard<'a, State<J>> {
        wait(&self.changed, state)
    }

    /// The next job, as soon as one can be taken; `None` when closed.
    fn next(&self, take: fn(&mut State<J>) -> Option<J>) -> Option<J> {
        let mut state = self.lock();
        loop {
            if state.phase == Phase::Closed {
                return None;
            }
            if let Some(job) = take(&mut state) {
                // The other thread may be waiting for this.
                self.changed.notify_all();
                return Some(job);
            }
            state = self.wait(state);
        }
    }

    fn infer_all(&self, stages: &dyn Stages<J>) {
        while let Some(mut job) = self.next(State::take_to_infer) {
            let done = if self.may_run(|state| state.failure.is_none()) {
                stages.infer(&mut job)
            } else {
                Err(gst::FlowError::Flushing)
            };
            let mut state = self.lock();
            if done.is_ok() && state.phase == Phase::Open {
                state.to_emit.push_back(job);
                state.emitted += 1;
                self.changed.notify_all();
            } else {
                drop(state);
                drop(job);
                self.finish_job(done.err());
            }
        }
    }

    fn emit_all(&self, stages: &dyn Stages<J>) {
        while let Some(job) = self.next(|state| state.to_emit.pop_front()) {
            let done = if self.may_run(|state| !state.failed_to_emit) {
                stages.emit(job).map(drop)
            } else {
                drop(job);
                Err(gst::FlowError::Flushing)
            };
            {
                let mut state = self.lock();
                state.failed_to_emit |= done.is_err();
                state.emitted -= 1;
            }
            self.finish_job(done.err());
        }
    }

    /// Whether a stage that requires `sound` may work on its job.
    fn may_run(&self, sound: fn(&State<J>) -> bool) -> bool {
        let state = self.lock();
        state.phase == Phase::Open && sound(&state)
    }

    fn finish_job(&self, failure: Option<gst::FlowError>) {
        let mut state = self.lock();
        state.at_work -= 1;
        if state.failure.is_none() {
            state.failure = failure;
        }
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
