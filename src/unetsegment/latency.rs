//! How late frames go out.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::times::nanoseconds;

/// Frames after which a latency that is too large is lowered.
const WINDOW: u32 = 128;

/// The latency that the element tells: somewhat more than the longest time that a frame has taken.
///
/// A slower frame raises it at once. It falls only after [`WINDOW`] frames that all took less than half
/// of it: each change makes the whole pipeline ask anew and shift its clock, which shows.
#[derive(Debug, Default)]
pub struct Latency {
    /// Nanoseconds that are told.
    told: AtomicU64,
    /// Nanoseconds of the slowest frame of this window.
    longest: AtomicU64,
    /// Frames of this window.
    frames: AtomicU32,
}

impl Latency {
    /// What to tell.
    pub fn told(&self) -> Duration {
        Duration::from_nanos(self.told.load(Ordering::Relaxed))
    }

    /// Takes in the time that a frame took; whether the latency changed so that it must be told anew.
    /// Only the streaming thread may call it.
    pub fn measured(&self, time: Duration) -> bool {
        let time = nanoseconds(time);
        let told = self.told.load(Ordering::Relaxed);
        let longest = self.longest.fetch_max(time, Ordering::Relaxed).max(time);
        let frames = self.frames.fetch_add(1, Ordering::Relaxed) + 1;
        if frames >= WINDOW {
            self.begin_window();
        }
        if time > told || (frames >= WINDOW && longest < told / 2) {
            // Room for frames that take a quarter longer, because times vary.
            let room = longest.saturating_add(longest / 4);
            self.told.store(room, Ordering::Relaxed);
            return true;
        }
        false
    }

    /// Forgets what was measured.
    pub fn reset(&self) {
        self.told.store(0, Ordering::Relaxed);
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

    fn measured(latency: &Latency, ms: u64) -> bool {
        latency.measured(Duration::from_millis(ms))
    }

    #[test]
    fn a_slower_frame_raises_it() {
        let latency = Latency::default();
        assert!(measured(&latency, 100));
        assert_eq!(latency.told(), Duration::from_millis(125));
        assert!(![90, 110, 125, 70].iter().any(|ms| measured(&latency, *ms)));
        assert!(measured(&latency, 140));
        assert_eq!(latency.told(), Duration::from_millis(175));
        latency.reset();
        assert_eq!(latency.told(), Duration::ZERO);
    }

    #[test]
    fn times_that_jump_up_and_down_are_told_once() {
        let latency = Latency::default();
        assert!(measured(&latency, 100));
        let told =
            (0..10 * WINDOW).filter(|n| measured(&latency, if n % 7 == 0 { 110 } else { 9 }));
        assert_eq!(told.count(), 0);
    }

    #[test]
    fn it_falls_after_many_faster_frames() {
        let latency = Latency::default();
        assert!(measured(&latency, 100));
        let faster = (0..3 * WINDOW).filter(|_| measured(&latency, 20));
        assert_eq!(faster.count(), 1);
        assert_eq!(latency.told(), Duration::from_millis(25));
    }
}
