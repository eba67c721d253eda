//! Statistics since the start of the element.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::model_info::ModelInfo;
use crate::lock::lock;
use crate::segmenter::SegmentStats;
use crate::times::nanoseconds;

/// Number of frames whose inference times are kept.
const WINDOW: usize = 256;

/// Sums over all frames, and the inference times of the latest ones.
#[derive(Clone, Copy, Debug)]
pub struct Stats {
    /// Frames that came in.
    input: u64,
    /// Frames that went out.
    out: u64,
    /// Frames that came in, and are neither out nor dropped.
    inside: u64,
    /// Frames that were dropped on arrival because they would have been late.
    late: u64,
    /// Whether the last frame was one of these.
    gap: bool,
    /// Frames that the network did not see because a newer one overtook them, with `mode=latest`.
    pub overtaken: u64,
    /// Frames that the network has segmented.
    segmented: u64,
    /// Runs of the network.
    runs: u64,
    /// Seconds that the network took.
    inference: f64,
    /// Sum over the frames of the share that was reused.
    reused: f64,
    /// Seconds that the network took for each of the latest frames, as a ring.
    times: [f32; WINDOW],
    /// Age of the mask on the last frame that went out, if it had one.
    mask_age: Option<Duration>,
    /// Dropped frames that have been reported.
    reported: u64,
}

/// Numbers of frames that went out, and that were dropped.
#[derive(Clone, Copy, Debug)]
pub struct FrameCounts {
    pub out: u64,
    pub dropped: u64,
}

impl Default for Stats {
    fn default() -> Self {
        Stats {
            input: 0,
            out: 0,
            inside: 0,
            late: 0,
            gap: false,
            overtaken: 0,
            segmented: 0,
            runs: 0,
            inference: 0.0,
            reused: 0.0,
            times: [0.0; WINDOW],
            mask_age: None,
            reported: 0,
        }
    }
}

impl Stats {
    /// Adds a frame that the network has segmented.
    pub fn record_segmented(&mut self, spent: SegmentStats) {
        let at = (self.segmented % WINDOW as u64) as usize;
        if let Some(time) = self.times.get_mut(at) {
            *time = spent.inference.as_secs_f32();
        }
        self.segmented += 1;
        self.runs += spent.runs as u64;
        self.inference += spent.inference.as_secs_f64();
        self.reused += spent.reused;
    }

    /// Counts a frame that was dropped on arrival because it would have been late.
    pub fn record_late(&mut self) {
        self.late += 1;
        self.gap = true;
    }

    /// Percentiles of the seconds that the network took for the latest frames.
    fn percentiles<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        let count = self.segmented.min(WINDOW as u64) as usize;
        let mut times = self.times;
        let times = times.get_mut(..count).unwrap_or_default();
        times.sort_by(f32::total_cmp);
        shares.map(|share| {
            let at = (share * count as f64).ceil() as usize;
            times
                .get(at.saturating_sub(1))
                .map_or(0.0, |time| f64::from(*time))
        })
    }

    /// Frames that came in and are neither out nor inside were dropped.
    fn frame_counts(&self) -> FrameCounts {
        FrameCounts {
            out: self.out,
            dropped: self.input.saturating_sub(self.out + self.inside),
        }
    }

    /// The counts, if frames were dropped since the last report.
    pub fn take_unreported(&mut self) -> Option<FrameCounts> {
        let counts = self.frame_counts();
        let more = counts.dropped > self.reported;
        self.reported = counts.dropped;
        more.then_some(counts)
    }

    /// The value of the property `stats`, with the current `model`, whose network sees every `interval`-th frame.
    /// Frames are dropped if they are late, flushed, or have failed, or have no mask where only a mask or map goes out.
    pub fn structure(&self, interval: u32, model: Option<&ModelInfo>) -> gst::Structure {
        let [p50, p95, p99] = self.percentiles([0.5, 0.95, 0.99]);
        let FrameCounts { dropped, .. } = self.frame_counts();
        let mut fields = gst::Structure::builder("unetsegment-stats")
            .field("in", self.input)
            .field("out", self.out)
            .field("dropped", dropped)
            .field("late", self.late)
            .field("overtaken", self.overtaken)
            .field("at-work", self.inside)
            .field("frames", self.segmented)
            .field("inference-interval", interval)
            .field("runs", self.runs)
            .field("inference", self.inference)
            .field("inference-p50", p50)
            .field("inference-p95", p95)
            .field("inference-p99", p99)
            .field("reused", self.reused / self.segmented.max(1) as f64);
        // No mask is not the same as a fresh one.
        if let Some(age) = self.mask_age {
            fields = fields.field("mask-age", nanoseconds(age));
        }
        if let Some(model) = model {
            fields = fields
                .field("provider", model.provider.as_str())
                .field("model", model.contract.name.as_str())
                .field("model-file", model.path.display().to_string())
                .field("model-hash", model.hash.as_str());
        }
        fields.build()
    }
}

/// Counts a frame as inside until it goes out, or as dropped if this is dropped before.
pub struct Inside {
    stats: Option<Arc<Mutex<Stats>>>,
    number: u64,
    after_gap: bool,
}

impl Inside {
    /// Counts a frame that came in.
    pub fn enter(stats: &Arc<Mutex<Stats>>) -> Self {
        let mut now = lock(stats);
        let number = now.input;
        now.input += 1;
        now.inside += 1;
        Inside {
            stats: Some(stats.clone()),
            number,
            after_gap: std::mem::take(&mut now.gap),
        }
    }

    /// The number of frames that came in before it since the start.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the previous frame was dropped on arrival.
    pub fn is_after_gap(&self) -> bool {
        self.after_gap
    }

    /// Counts it as out, with a mask of this age. It is called before the frame is pushed, so that downstream sees it
    /// counted.
    pub fn leave(mut self, mask_age: Option<Duration>) -> CountedOut {
        let counted = CountedOut(self.stats.clone());
        self.end(|stats| {
            stats.out += 1;
            stats.mask_age = mask_age;
        });
        counted
    }

    fn end(&mut self, count: impl FnOnce(&mut Stats)) {
        if let Some(stats) = self.stats.take() {
            let mut stats = lock(&stats);
            // A restart in the meantime has reset the counters.
            stats.inside = stats.inside.saturating_sub(1);
            count(&mut stats);
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.end(|_| ());
    }
}

/// A frame that was counted as out before it was pushed.
pub struct CountedOut(Option<Arc<Mutex<Stats>>>);

impl CountedOut {
    /// Counts it as dropped after all: downstream has not accepted it.
    pub fn take_back(self) {
        if let Some(stats) = self.0 {
            let mut stats = lock(&stats);
            // A restart in the meantime has reset the counters.
            stats.out = stats.out.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_latest_frames() {
        let mut stats = Stats::default();
        assert_eq!(stats.percentiles([0.5, 0.99]), [0.0, 0.0]);
        for ms in 1..=1000 {
            stats.record_segmented(SegmentStats {
                inference: Duration::from_millis(ms),
                runs: 1,
                reused: 0.0,
            });
        }
        let [half, most, all] = stats.percentiles([0.5, 0.95, 1.0]);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(
            near(half, 0.872) && near(most, 0.988) && near(all, 1.0),
            "{half} {most} {all}"
        );
    }
}
