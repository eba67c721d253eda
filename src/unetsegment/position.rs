//! Position of the stream. The base class knows it only for frames that it pushes itself.

use std::sync::atomic::{AtomicU64, Ordering};

use gst::prelude::*;

/// Represents no time.
const NONE: u64 = u64::MAX;

/// The end of the last frame that went out, or of the gap in its place.
pub struct Position(AtomicU64);

impl Default for Position {
    fn default() -> Self {
        Position(AtomicU64::new(NONE))
    }
}

impl Position {
    /// Advances to the end of a frame that goes out, or of a gap.
    pub fn update(&self, times: Times) {
        if let Some(begin) = times.timestamp {
            let end = begin.saturating_add(times.duration.unwrap_or(gst::ClockTime::ZERO));
            self.0.store(end.nseconds(), Ordering::Relaxed);
        }
    }

    /// Forgets the position: the times of later frames are unrelated.
    pub fn reset(&self) {
        self.0.store(NONE, Ordering::Relaxed);
    }

    /// The position in stream time, if a frame with a time has gone out and `segment` covers it.
    pub fn in_stream(&self, segment: &Segment) -> Option<gst::ClockTime> {
        let end = Some(self.0.load(Ordering::Relaxed)).filter(|end| *end != NONE);
        let end = end.map(gst::ClockTime::from_nseconds)?;
        // The last frame may be cut off at the segment's end.
        let end = segment.stop().map_or(end, |stop| end.min(stop));
        segment.to_stream_time(end)
    }
}

/// Timestamp and duration of a frame, as far as they are known.
#[derive(Clone, Copy, Default)]
pub struct Times {
    pub timestamp: Option<gst::ClockTime>,
    pub duration: Option<gst::ClockTime>,
}

impl Times {
    /// The times of `frame`.
    pub fn of(frame: &gst::BufferRef) -> Self {
        Times {
            timestamp: frame.pts(),
            duration: frame.duration(),
        }
    }
}

/// A segment in time.
pub type Segment = gst::FormattedSegment<gst::ClockTime>;

/// The segment of the frames that leave through `pad`. Reading that of the base class would take the stream lock, which
/// waits for the thread that pushes frames.
pub fn segment_of(pad: &gst::Pad) -> Option<Segment> {
    let event = pad.sticky_event::<gst::event::Segment>(0)?;
    event.segment().downcast_ref::<gst::ClockTime>().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_where_the_last_frame_ends() {
        gst::init().unwrap();
        let ms = gst::ClockTime::from_mseconds;
        let mut segment = Segment::new();
        segment.set_start(ms(100));
        segment.set_stop(ms(500));
        segment.set_time(ms(3_000));
        let position = Position::default();
        assert_eq!(position.in_stream(&segment), None);
        // Without a timestamp the position is unknown.
        position.update(Times::default());
        assert_eq!(position.in_stream(&segment), None);
        let after = |begin, duration| {
            position.update(Times {
                timestamp: Some(ms(begin)),
                duration,
            });
            position.in_stream(&segment)
        };
        assert_eq!(after(140, None), Some(ms(3_040)));
        assert_eq!(after(140, Some(ms(40))), Some(ms(3_080)));
        assert_eq!(after(480, Some(ms(40))), Some(ms(3_400)));
        position.reset();
        assert_eq!(position.in_stream(&segment), None);
    }
}
