//! Threads on which frames overlap: while the network works on one, the frame before is drawn and goes out, and
//! the next one is read.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::lock::lock;

/// What happens to a job on the threads, in the order in which jobs were put.
pub trait Stages<J: 'static>: Send + Sync + 'static {
    /// The first stage; what goes wrong there is told by it.
    fn infer(&self, job: &mut J) -> Result<(), gst::FlowError>;
    /// The second stage, for jobs that went well through the first.
    fn emit(&self, job: J) -> Result<gst::FlowSuccess, gst::FlowError>;
}

/// Two threads, one for each stage, and the jobs that wait for them.
pub struct Line<J: 'static> {
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
    /// Jobs that were put and are not gone yet, and those of them that are through the first stage.
    at_work: usize,
    emitted: usize,
    /// Most jobs at work, and most that wait for the second stage.
    limit: usize,
    phase: Phase,
    /// What went wrong, until the one who puts hears of it. Nothing is inferred meanwhile.
    failure: Option<gst::FlowError>,
    /// Whether it was the second stage that failed: then nothing that is behind it in the line goes out.
    failed_to_emit: bool,
}

impl<J> State<J> {
    /// The next job for the first stage, which does not run ahead of the second.
    fn take_to_infer(&mut self) -> Option<J> {
        match self.to_emit.len() < self.limit {
            true => self.to_infer.pop_front(),
            false => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Jobs are thrown away.
    Flushing,
    /// The threads end.
    Closed,
}

impl<J: Send + 'static> Line<J> {
    /// Starts the threads, for at most `limit` jobs at a time; where jobs take the place of others, for so many that
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
        let line = Line {
            shared: shared.clone(),
            threads: Mutex::default(),
        };
        let (first, second) = (shared.clone(), stages.clone());
        line.spawn("unetsegment:run", move || first.infer_all(&*second))?;
        line.spawn("unetsegment:out", move || shared.emit_all(&*stages))?;
        Ok(line)
    }

    /// A thread that can't be started leaves a line that ends those there are when it is dropped.
    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let thread = thread::Builder::new().name(name.into()).spawn(work)?;
        let mut threads = lock(&self.threads);
        threads.push(thread);
        Ok(())
    }

    /// Waits until there is room for one more job; how long that took without a job in the second stage, since it
    /// is not known how long downstream holds it there.
    ///
    /// # Errors
    ///
    /// `Flushing` when jobs are thrown away; otherwise what went wrong since the last call, once.
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

    /// Gives a job to the threads; there must be [room](Self::wait_for_room).
    pub fn put(&self, job: J) {
        let mut state = self.shared.lock();
        if state.phase == Phase::Open {
            state.at_work += 1;
            state.to_infer.push_back(job);
            self.shared.changed.notify_all();
        }
    }

    /// Gives a job to the threads in place of those that still wait for the first stage; how many these were.
    /// There is always room for it.
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
            // One at a time, because a job may take a while to drop.
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

    /// Tells what went wrong since the last call, once, whether there is a job to put or not.
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

    /// Most jobs at work.
    pub fn limit(&self) -> usize {
        self.shared.lock().limit
    }

    /// Whether jobs are thrown away.
    pub fn is_flushing(&self) -> bool {
        self.shared.lock().phase != Phase::Open
    }

    /// Throws the jobs away that still wait for the first stage.
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

    /// Waits until all jobs are done; whether they are, and are not being thrown away.
    pub fn drain(&self) -> bool {
        let mut state = self.shared.lock();
        while state.phase == Phase::Open && state.at_work > 0 {
            state = self.shared.wait(state);
        }
        state.phase == Phase::Open
    }

    /// Throws all jobs away, now and until [`end_flush`](Self::end_flush). Those on which a thread is at
    /// work go as soon as its stage is done.
    pub fn begin_flush(&self) {
        self.throw_away(Phase::Flushing);
    }

    /// Waits until the threads have nothing left, and takes jobs again.
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

    /// Throws all jobs away and ends the threads.
    pub fn close(&self) {
        self.throw_away(Phase::Closed);
        let threads = {
            let mut threads = lock(&self.threads);
            std::mem::take(&mut *threads)
        };
        for thread in threads {
            // The last one who knows the element may be a thread of its own.
            if thread.thread().id() != thread::current().id() {
                // It fails if a stage panicked, which was told where it happened.
                let _ = thread.join();
            }
        }
    }

    fn throw_away(&self, phase: Phase) {
        let thrown = {
            let mut state = self.shared.lock();
            if state.phase != Phase::Closed {
                state.phase = phase;
            }
            let mut thrown = std::mem::take(&mut state.to_infer);
            state.emitted -= state.to_emit.len();
            thrown.append(&mut state.to_emit);
            state.at_work -= thrown.len();
            self.shared.changed.notify_all();
            thrown
        };
        drop(thrown);
    }
}

impl<J: 'static> Drop for Line<J> {
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
        let woken = self.changed.wait(state);
        woken.unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, as soon as one can be taken; none when the line is closed.
    fn next(&self, take: fn(&mut State<J>) -> Option<J>) -> Option<J> {
        let mut state = self.lock();
        loop {
            if state.phase == Phase::Closed {
                return None;
            }
            if let Some(job) = take(&mut state) {
                // One behind it may come next.
                self.changed.notify_all();
                return Some(job);
            }
            state = self.wait(state);
        }
    }

    fn infer_all(&self, stages: &dyn Stages<J>) {
        while let Some(mut job) = self.next(State::take_to_infer) {
            let passes = self.passes(|state| state.failure.is_none());
            let done = match passes {
                true => stages.infer(&mut job),
                false => Err(gst::FlowError::Flushing),
            };
            let mut state = self.lock();
            if done.is_ok() && state.phase == Phase::Open {
                state.to_emit.push_back(job);
                state.emitted += 1;
                self.changed.notify_all();
            } else {
                drop(state);
                drop(job);
                self.gone(done.err());
            }
        }
    }

    fn emit_all(&self, stages: &dyn Stages<J>) {
        while let Some(job) = self.next(|state| state.to_emit.pop_front()) {
            let done = match self.passes(|state| !state.failed_to_emit) {
                true => stages.emit(job).map(drop),
                false => {
                    drop(job);
                    Err(gst::FlowError::Flushing)
                }
            };
            {
                let mut state = self.lock();
                state.failed_to_emit |= done.is_err();
                state.emitted -= 1;
            }
            self.gone(done.err());
        }
    }

    /// Whether jobs are to be worked on by a stage that asks for `sound`.
    fn passes(&self, sound: fn(&State<J>) -> bool) -> bool {
        let state = self.lock();
        state.phase == Phase::Open && sound(&state)
    }

    fn gone(&self, failure: Option<gst::FlowError>) {
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
