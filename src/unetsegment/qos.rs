//! Frames that would come too late.

use std::sync::Mutex;

use super::flow::lock;

/// What downstream has said of how late frames are.
#[derive(Default)]
pub struct Qos(Mutex<Option<Told>>);

#[derive(Clone, Copy)]
struct Told {
    /// Frames up to this running time can't be shown in time.
    earliest: gst::ClockTime,
    /// How much slower than frames come they are shown.
    proportion: f64,
}

/// A frame that would come too late.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Late {
    pub running_time: gst::ClockTime,
    /// Nanoseconds between it and the first frame that would not.
    pub by: i64,
    pub proportion: f64,
}

impl Qos {
    /// Takes in a report of downstream.
    pub fn told(&self, report: &gst::event::Qos) {
        let (_, proportion, diff, Some(time)) = report.get() else {
            return;
        };
        // One that is late by some time will not be early if only that time is saved.
        let ahead = if diff > 0 {
            diff.saturating_mul(2)
        } else {
            diff
        };
        let earliest = time.nseconds().saturating_add_signed(ahead);
        *lock(&self.0) = Some(Told {
            earliest: gst::ClockTime::from_nseconds(earliest),
            proportion,
        });
    }

    /// Forgets what was said: times have begun anew.
    pub fn forget(&self) {
        *lock(&self.0) = None;
    }

    /// Whether a frame of this running time would come too late.
    pub fn late(&self, running_time: Option<gst::ClockTime>) -> Option<Late> {
        let Told {
            earliest,
            proportion,
        } = (*lock(&self.0))?;
        let running_time = running_time.filter(|time| *time <= earliest)?;
        let by = earliest.nseconds() - running_time.nseconds();
        Some(Late {
            running_time,
            by: i64::try_from(by).unwrap_or(i64::MAX),
            proportion,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_can_not_be_in_time_are_late() {
        gst::init().unwrap();
        let qos = Qos::default();
        let ms = gst::ClockTime::from_mseconds;
        assert_eq!(qos.late(Some(ms(10))), None);
        let tell = |diff: i64| {
            let event = gst::event::Qos::new(gst::QOSType::Underflow, 1.5, diff, ms(100));
            match event.view() {
                gst::EventView::Qos(report) => qos.told(report),
                _ => unreachable!(),
            }
        };
        tell(20_000_000);
        let late = qos.late(Some(ms(130))).unwrap();
        assert_eq!((late.by, late.proportion), (10_000_000, 1.5));
        assert_eq!(qos.late(Some(ms(141))), None);
        assert_eq!(qos.late(None), None);
        tell(-30_000_000);
        assert_eq!(qos.late(Some(ms(71))), None);
        assert!(qos.late(Some(ms(70))).is_some());
        qos.forget();
        assert_eq!(qos.late(Some(ms(10))), None);
    }
}
