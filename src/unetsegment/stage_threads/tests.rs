use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// Stages that record which jobs passed, and fail on one of them.
struct RecordingStages {
    /// Lets one job through the first stage for each `()`; all pass once the sender is gone.
    gate: Mutex<Option<Receiver<()>>>,
    fails_to_infer: Option<usize>,
    at_work: AtomicUsize,
    most: AtomicUsize,
    out: Mutex<Sender<usize>>,
}

impl Stages<usize> for RecordingStages {
    fn infer(&self, job: &mut usize) -> Result<(), gst::FlowError> {
        let now = self.at_work.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        if let Some(gate) = &*self.gate.lock().unwrap() {
            let _ = gate.recv();
        }
        if self.fails_to_infer == Some(*job) {
            return Err(gst::FlowError::Error);
        }
        Ok(())
    }

    fn emit(&self, job: usize) -> Result<gst::FlowSuccess, gst::FlowError> {
        thread::sleep(Duration::from_millis(1));
        self.at_work.fetch_sub(1, Ordering::SeqCst);
        self.out.lock().unwrap().send(job).unwrap();
        Ok(gst::FlowSuccess::Ok)
    }
}

fn start(
    limit: usize,
    gate: Option<Receiver<()>>,
    fails: Option<usize>,
) -> (StageThreads<usize>, Arc<RecordingStages>, Receiver<usize>) {
    let (out, received) = channel();
    let stages = Arc::new(RecordingStages {
        gate: Mutex::new(gate),
        fails_to_infer: fails,
        at_work: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        out: Mutex::new(out),
    });
    let threads = StageThreads::start(limit, stages.clone()).unwrap();
    (threads, stages, received)
}

fn put(threads: &StageThreads<usize>, job: usize) -> Result<(), gst::FlowError> {
    threads.wait_for_room()?;
    threads.put(job);
    Ok(())
}

#[test]
fn jobs_keep_their_order_and_overlap_no_more_than_allowed() {
    let (threads, stages, out) = start(2, None, None);
    for job in 0..100 {
        put(&threads, job).unwrap();
    }
    assert!(threads.drain());
    assert_eq!(
        out.try_iter().collect::<Vec<_>>(),
        (0..100).collect::<Vec<_>>()
    );
    assert_eq!(stages.most.load(Ordering::SeqCst), 2);
    threads.close();
}

/// Jobs replace others only before the first stage, which never works for nothing.
#[test]
fn the_first_stage_does_not_run_ahead_of_the_second() {
    let (threads, stages, out) = start(1, None, None);
    let mut emitted = 0;
    for job in 0.. {
        threads.put_newest(job).unwrap();
        emitted += out.try_iter().count();
        if emitted >= 20 {
            break;
        }
        thread::yield_now();
    }
    assert!(threads.drain());
    let most = stages.most.load(Ordering::SeqCst);
    assert!(most <= 2, "{most} at a time");
    threads.close();
}

#[test]
fn a_failure_is_returned_once_and_drops_the_jobs_behind_it() {
    let (threads, _, out) = start(3, None, Some(4));
    let results: Vec<_> = (0..20).map(|job| put(&threads, job)).collect();
    assert!(threads.drain());
    let failed = results.iter().filter(|result| result.is_err());
    assert_eq!(failed.collect::<Vec<_>>(), [&Err(gst::FlowError::Error)]);
    let refused = results.iter().position(Result::is_err).unwrap();
    let expected = (0..4).chain(refused + 1..20).collect::<Vec<_>>();
    assert_eq!(out.try_iter().collect::<Vec<_>>(), expected);
    threads.close();
}

#[test]
fn a_flush_discards_jobs_and_wakes_callers() {
    let (open, gate) = channel();
    let (threads, _, out) = start(2, Some(gate), None);
    put(&threads, 0).unwrap();
    put(&threads, 1).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| put(&threads, 2));
        let draining = scope.spawn(|| threads.drain());
        threads.begin_flush();
        assert_eq!(waiting.join().unwrap(), Err(gst::FlowError::Flushing));
        assert!(!draining.join().unwrap());
    });
    assert_eq!(put(&threads, 3), Err(gst::FlowError::Flushing));
    open.send(()).unwrap();
    threads.end_flush();
    open.send(()).unwrap();
    put(&threads, 4).unwrap();
    assert!(threads.drain());
    assert_eq!(out.try_iter().collect::<Vec<_>>(), [4]);
    drop(open);
    threads.close();
    assert_eq!(put(&threads, 5), Err(gst::FlowError::Flushing));
}

#[test]
fn closing_ends_the_threads() {
    let (threads, stages, _out) = start(2, None, None);
    put(&threads, 0).unwrap();
    threads.close();
    assert_eq!(Arc::strong_count(&stages), 1);
}
