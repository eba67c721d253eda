//! What the element has done since it started.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::model::Loaded;
use crate::lock::lock;
use crate::segmenter::Spent;
use crate::times::nanoseconds;

/// Frames whose times of inference are kept.
const WINDOW: usize = 256;

/// Sums over all frames, and the times of the last ones.
#[derive(Clone, Copy, Debug)]
pub struct Stats {
    /// Frames that came in.
    input: u64,
    /// Frames that went out.
    out: u64,
    /// Frames that came in, and neither are out nor were dropped.
    inside: u64,
    /// Frames that were left out because they would have come too late.
    late: u64,
    /// Whether the last one was.
    gap: bool,
    /// Frames that the network did not see because a newer one came first, with `mode=latest`.
    pub overtaken: u64,
    /// Frames that were segmented.
    segmented: u64,
    /// Runs of the network.
    runs: u64,
    /// Seconds that the network took.
    inference: f64,
    /// Sum of the shares of the frames whose answers were kept.
    reused: f64,
    /// Seconds that the network took for each of the last frames, around again from the first.
    times: [f32; WINDOW],
    /// Age of the mask of the frame that went out last, where it had one.
    mask_age: Option<Duration>,
    /// Frames that were dropped, as far as that was told.
    told: u64,
}

/// Frames that went out, and that were dropped.
#[derive(Clone, Copy, Debug)]
pub struct Gone {
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
            told: 0,
        }
    }
}

impl Stats {
    /// Adds a frame that the network saw.
    pub fn segmented(&mut self, spent: Spent) {
        let at = (self.segmented % WINDOW as u64) as usize;
        if let Some(time) = self.times.get_mut(at) {
            *time = spent.inference.as_secs_f32();
        }
        self.segmented += 1;
        self.runs += spent.runs as u64;
        self.inference += spent.inference.as_secs_f64();
        self.reused += spent.reused;
    }

    /// Counts a frame that was left out because it would have come too late.
    pub fn left_out(&mut self) {
        self.late += 1;
        self.gap = true;
    }

    /// Seconds that the network took at most for each of these shares of the last frames.
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

    /// Frames that went out, and that were dropped: what came in and is neither out nor inside.
    fn gone(&self) -> Gone {
        Gone {
            out: self.out,
            dropped: self.input.saturating_sub(self.out + self.inside),
        }
    }

    /// What is to be told, if more was dropped than was told.
    pub fn untold(&mut self) -> Option<Gone> {
        let gone = self.gone();
        let more = gone.dropped > self.told;
        self.told = gone.dropped;
        more.then_some(gone)
    }

    /// As the property `stats` shows it, with the network seeing every
    /// `interval`-th frame, and the `model` of now. What came in and is neither out nor inside was
    /// dropped: late, thrown away by a flush, failed, or without a mask where that is all that goes out.
    pub fn structure(&self, interval: u32, model: Option<&Loaded>) -> gst::Structure {
        let [p50, p95, p99] = self.percentiles([0.5, 0.95, 0.99]);
        let Gone { dropped, .. } = self.gone();
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
        // None is not the same as a fresh one.
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

/// A frame that is counted as inside until it goes out, or is dropped where this is.
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

    /// How many frames came in before it since the start.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the frame that came before it was left out.
    pub fn is_after_gap(&self) -> bool {
        self.after_gap
    }

    /// Counts it as gone out, with a mask of this age, before it is handed on: downstream finds it counted.
    pub fn leave(mut self, mask_age: Option<Duration>) -> Left {
        let left = Left(self.stats.clone());
        self.end(|stats| {
            stats.out += 1;
            stats.mask_age = mask_age;
        });
        left
    }

    fn end(&mut self, count: impl FnOnce(&mut Stats)) {
        if let Some(stats) = self.stats.take() {
            let mut stats = lock(&stats);
            // A start in the meantime has begun to count anew.
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

/// A frame that was counted as gone out when it was handed on.
pub struct Left(Option<Arc<Mutex<Stats>>>);

impl Left {
    /// Counts it as dropped after all: downstream has not taken it.
    pub fn take_back(self) {
        if let Some(stats) = self.0 {
            let mut stats = lock(&stats);
            // A start in the meantime has begun to count anew.
            stats.out = stats.out.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_last_frames() {
        let mut stats = Stats::default();
        assert_eq!(stats.percentiles([0.5, 0.99]), [0.0, 0.0]);
        for ms in 1..=1000 {
            stats.segmented(Spent {
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
