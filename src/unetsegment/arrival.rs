//! Arrival times of frames, by two clocks. On Linux, that of [`Instant`] stops while the machine sleeps: it measures
//! how long the element worked on a frame. The other one keeps running and measures the age of a mask: by the first, a
//! mask from before the sleep would seem fresh.

use std::time::{Duration, Instant};

/// When a frame arrived.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    awake: Instant,
    /// Time since boot, including sleep, where there is a clock for that.
    since_boot: Option<Duration>,
}

impl Arrival {
    /// The arrival of a frame that arrives now.
    pub fn now() -> Self {
        Arrival {
            awake: Instant::now(),
            since_boot: since_boot(),
        }
    }

    /// The same, earlier by `time`.
    pub fn earlier_by(self, time: Duration) -> Self {
        Arrival {
            awake: self.awake.checked_sub(time).unwrap_or(self.awake),
            since_boot: self.since_boot.map(|since| since.saturating_sub(time)),
        }
    }

    /// How long the machine has been awake since then.
    pub fn elapsed(self) -> Duration {
        self.awake.elapsed()
    }

    /// How much later it is than `earlier`, even where the machine slept in between.
    pub fn since(self, earlier: Arrival) -> Duration {
        match (self.since_boot, earlier.since_boot) {
            (Some(now), Some(then)) => now.saturating_sub(then),
            _ => self.awake.saturating_duration_since(earlier.awake),
        }
    }
}

#[cfg(target_os = "linux")]
fn since_boot() -> Option<Duration> {
    let mut time = std::mem::MaybeUninit::uninit();
    // SAFETY: the pointer is valid for a `timespec`, which is initialized if the call returns 0.
    let time: libc::timespec = unsafe {
        match libc::clock_gettime(libc::CLOCK_BOOTTIME, time.as_mut_ptr()) {
            0 => time.assume_init(),
            _ => return None,
        }
    };
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanoseconds = u32::try_from(time.tv_nsec).ok()?;
    Some(Duration::new(seconds, nanoseconds))
}

#[cfg(not(target_os = "linux"))]
fn since_boot() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn sleep_adds_to_the_age_and_not_to_the_work() {
        let before = Arrival::now().earlier_by(40 * MS);
        let sleep = Duration::from_secs(8 * 3600);
        let after = Arrival {
            awake: before.awake + 40 * MS,
            since_boot: before.since_boot.map(|since| since + 40 * MS + sleep),
        };
        let slept = after.since_boot.map_or(Duration::ZERO, |_| sleep);
        assert_eq!(after.since(before), 40 * MS + slept);
        assert!(before.elapsed() < sleep);
        // Ages are never negative.
        assert_eq!(before.since(after), Duration::ZERO);
    }

    #[test]
    fn both_clocks_agree_while_the_machine_is_awake() {
        let first = Arrival::now();
        std::thread::sleep(20 * MS);
        let second = Arrival::now();
        assert_eq!(first.since_boot.is_some(), cfg!(target_os = "linux"));
        assert!(second.since(first) >= 20 * MS && first.elapsed() >= 20 * MS);
        assert_eq!(second.earlier_by(5 * MS).since(second), Duration::ZERO);
        assert_eq!(second.since(second.earlier_by(5 * MS)), 5 * MS);
        assert_eq!(second, second.earlier_by(Duration::ZERO));
    }
}
