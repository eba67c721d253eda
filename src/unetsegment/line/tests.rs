use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// Stages that note what passed, and fail where they are told to.
struct Noting {
    /// Lets one job through the first stage for each `()`; none is held where the sender is gone.
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

/// Where jobs take the place of those that wait, they do so before the first stage: it does nothing that is thrown
/// away.
#[test]
fn the_first_stage_does_not_run_ahead_of_the_second() {
    let (line, stages, out) = line(1, None, None);
    let mut emitted = 0;
    for job in 0.. {
        line.put_newest(job).unwrap();
        emitted += out.try_iter().count();
        if emitted >= 20 {
            break;
        }
        thread::yield_now();
    }
    assert!(line.drain());
    let most = stages.most.load(Ordering::SeqCst);
    assert!(most <= 2, "{most} at a time");
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
