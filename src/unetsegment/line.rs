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
    /// Most of these.
    limit: usize,
    phase: Phase,
    /// What went wrong, until the one who puts hears of it. Nothing is inferred meanwhile.
    failure: Option<gst::FlowError>,
    /// Whether it was the second stage that failed: then nothing that is behind it in the line goes out.
    failed_to_emit: bool,
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
    /// Starts the threads, for at most `limit` jobs at a time.
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

    /// Waits until there is room for one more job; how long that took without a job in the second stage, of which
    /// nobody can tell how long others hold it there.
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

    /// The next job of a queue; none when the line is closed.
    fn next(&self, queue: fn(&mut State<J>) -> &mut VecDeque<J>) -> Option<J> {
        let mut state = self.lock();
        loop {
            if state.phase == Phase::Closed {
                return None;
            }
            if let Some(job) = queue(&mut state).pop_front() {
                return Some(job);
            }
            state = self.wait(state);
        }
    }

    fn infer_all(&self, stages: &dyn Stages<J>) {
        while let Some(mut job) = self.next(|state| &mut state.to_infer) {
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
        while let Some(job) = self.next(|state| &mut state.to_emit) {
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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Stages that note what passed, and fail where they are told to.
    struct Noting {
        /// Lets one job through the first stage for each `()`; none is held where nobody can send.
        gate: Mutex<Option<Receiver<()>>>,
        fails_to_infer: Option<usize>,
        at_work: AtomicUsize,
        most: AtomicUsize,
        out: Mutex<Sender<usize>>,
    }

    impl Stages<usize> for Noting {
        fn infer(&self, job: &mut usize) -> Result<(), gst::FlowError> {
            let now = self.at_work.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            if let Some(gate) = &*self.gate.lock().unwrap() {
                let _ = gate.recv();
            }
            match self.fails_to_infer == Some(*job) {
                true => Err(gst::FlowError::Error),
                false => Ok(()),
            }
        }

        fn emit(&self, job: usize) -> Result<gst::FlowSuccess, gst::FlowError> {
            thread::sleep(Duration::from_millis(1));
            self.at_work.fetch_sub(1, Ordering::SeqCst);
            self.out.lock().unwrap().send(job).unwrap();
            Ok(gst::FlowSuccess::Ok)
        }
    }

    fn line(
        limit: usize,
        gate: Option<Receiver<()>>,
        fails: Option<usize>,
    ) -> (Line<usize>, Arc<Noting>, Receiver<usize>) {
        let (out, heard) = channel();
        let stages = Arc::new(Noting {
            gate: Mutex::new(gate),
            fails_to_infer: fails,
            at_work: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            out: Mutex::new(out),
        });
        (Line::start(limit, stages.clone()).unwrap(), stages, heard)
    }

    fn put(line: &Line<usize>, job: usize) -> Result<(), gst::FlowError> {
        line.wait_for_room()?;
        line.put(job);
        Ok(())
    }

    #[test]
    fn jobs_keep_their_order_and_overlap_no_more_than_allowed() {
        let (line, stages, out) = line(2, None, None);
        for job in 0..100 {
            put(&line, job).unwrap();
        }
        assert!(line.drain());
        assert_eq!(
            out.try_iter().collect::<Vec<_>>(),
            (0..100).collect::<Vec<_>>()
        );
        assert_eq!(stages.most.load(Ordering::SeqCst), 2);
        line.close();
    }

    #[test]
    fn a_failure_is_heard_once_and_takes_along_what_is_behind_it() {
        let (line, _, out) = line(3, None, Some(4));
        let results: Vec<_> = (0..20).map(|job| put(&line, job)).collect();
        assert!(line.drain());
        let failed = results.iter().filter(|result| result.is_err());
        assert_eq!(failed.collect::<Vec<_>>(), [&Err(gst::FlowError::Error)]);
        let refused = results.iter().position(Result::is_err).unwrap();
        let expected = (0..4).chain(refused + 1..20).collect::<Vec<_>>();
        assert_eq!(out.try_iter().collect::<Vec<_>>(), expected);
        line.close();
    }

    #[test]
    fn a_flush_throws_away_and_wakes() {
        let (open, gate) = channel();
        let (line, _, out) = line(2, Some(gate), None);
        put(&line, 0).unwrap();
        put(&line, 1).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| put(&line, 2));
            let draining = scope.spawn(|| line.drain());
            line.begin_flush();
            assert_eq!(waiting.join().unwrap(), Err(gst::FlowError::Flushing));
            assert!(!draining.join().unwrap());
        });
        assert_eq!(put(&line, 3), Err(gst::FlowError::Flushing));
        open.send(()).unwrap();
        line.end_flush();
        open.send(()).unwrap();
        put(&line, 4).unwrap();
        assert!(line.drain());
        assert_eq!(out.try_iter().collect::<Vec<_>>(), [4]);
        drop(open);
        line.close();
        assert_eq!(put(&line, 5), Err(gst::FlowError::Flushing));
    }

    #[test]
    fn closing_ends_the_threads() {
        let (line, stages, _out) = line(2, None, None);
        put(&line, 0).unwrap();
        line.close();
        assert_eq!(Arc::strong_count(&stages), 1);
    }
}
