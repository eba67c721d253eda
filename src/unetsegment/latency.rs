//! The latency that the element reports to the pipeline.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::times::nanoseconds;

/// Number of frames after which a latency that is too large is lowered.
const WINDOW: u32 = 128;

/// The latency that the element reports: somewhat more than the longest time that a frame has taken.
///
/// A slower frame raises it at once. It falls only after [`WINDOW`] frames that all took less than half of it: each
/// change makes the whole pipeline query latencies again and shift its clock, which is visible.
#[derive(Debug, Default)]
pub struct Latency {
    /// Nanoseconds that are reported.
    reported: AtomicU64,
    /// Nanoseconds of the slowest frame in this window.
    longest: AtomicU64,
    /// Frames in this window.
    frames: AtomicU32,
}

impl Latency {
    /// The latency to report.
    pub fn reported(&self) -> Duration {
        Duration::from_nanos(self.reported.load(Ordering::Relaxed))
    }

    /// Records the time that a frame took. Returns whether the latency has changed, and must be reported again.
    /// Only the streaming thread may call it.
    pub fn record(&self, time: Duration) -> bool {
        let time = nanoseconds(time);
        let reported = self.reported.load(Ordering::Relaxed);
        let longest = self.longest.fetch_max(time, Ordering::Relaxed).max(time);
        let frames = self.frames.fetch_add(1, Ordering::Relaxed) + 1;
        if frames >= WINDOW {
            self.begin_window();
        }
        if time > reported || (frames >= WINDOW && longest < reported / 2) {
            // Room for frames that take a quarter longer, because times vary.
            let room = longest.saturating_add(longest / 4);
            self.reported.store(room, Ordering::Relaxed);
            return true;
        }
        false
    }

    /// Forgets all recorded times.
    pub fn reset(&self) {
        self.reported.store(0, Ordering::Relaxed);
        self.begin_window();
    }

    fn begin_window(&self) {
        self.longest.store(0, Ordering::Relaxed);
        self.frames.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(latency: &Latency, ms: u64) -> bool {
        latency.record(Duration::from_millis(ms))
    }

    #[test]
    fn a_slower_frame_raises_it() {
        let latency = Latency::default();
        assert!(record(&latency, 100));
        assert_eq!(latency.reported(), Duration::from_millis(125));
        assert!(![90, 110, 125, 70].iter().any(|ms| record(&latency, *ms)));
        assert!(record(&latency, 140));
        assert_eq!(latency.reported(), Duration::from_millis(175));
        latency.reset();
        assert_eq!(latency.reported(), Duration::ZERO);
    }

    #[test]
    fn times_that_jump_up_and_down_are_reported_once() {
        let latency = Latency::default();
        assert!(record(&latency, 100));
        let again = (0..10 * WINDOW).filter(|n| record(&latency, if n % 7 == 0 { 110 } else { 9 }));
        assert_eq!(again.count(), 0);
    }

    #[test]
    fn it_falls_after_many_faster_frames() {
        let latency = Latency::default();
        assert!(record(&latency, 100));
        let faster = (0..3 * WINDOW).filter(|_| record(&latency, 20));
        assert_eq!(faster.count(), 1);
        assert_eq!(latency.reported(), Duration::from_millis(25));
    }
}
