//! How long a frame stays in the element, as the LATENCY query tells it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The latency that was told last, in nanoseconds.
///
/// It follows the measured time upwards at once and downwards slowly, and only by steps worth a
/// message: each change makes the whole pipeline ask again.
#[derive(Debug, Default)]
pub struct Latency(AtomicU64);

impl Latency {
    /// What to tell.
    pub fn told(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// Takes in the time that a frame took; whether the latency changed so that it must be told anew.
    ///
    /// Frames vary, so a slower one raises the latency by a quarter more than it took, and only a
    /// frame that took less than half lowers it.
    pub fn measured(&self, time: Duration) -> bool {
        let told = self.told();
        if time <= told && time >= told / 2 {
            return false;
        }
        self.set(time + time / 4);
        true
    }

    /// Forgets what was measured.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn set(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.store(nanoseconds, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_times_are_told_once() {
        let latency = Latency::default();
        let ms = Duration::from_millis;
        assert!(latency.measured(ms(100)));
        assert_eq!(latency.told(), ms(125));
        for time in [90, 110, 125, 70] {
            assert!(!latency.measured(ms(time)), "{time}");
        }
        assert!(latency.measured(ms(130)));
        assert!(latency.measured(ms(20)));
        assert_eq!(latency.told(), ms(25));
        latency.reset();
        assert_eq!(latency.told(), ms(0));
    }
}
