//! What the element has done since it started.

use crate::segmenter::Spent;

/// Sums over all frames.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Frames that were segmented.
    pub frames: u64,
    /// Runs of the network.
    runs: u64,
    /// Seconds that the network took.
    inference: f64,
    /// Sum of the shares of the frames whose answers were kept.
    reused: f64,
}

impl Stats {
    /// Adds a frame.
    pub fn add(&mut self, spent: Spent) {
        self.frames += 1;
        self.runs += spent.runs as u64;
        self.inference += spent.inference.as_secs_f64();
        self.reused += spent.reused;
    }

    /// As the property shows it: `frames` (guint64), `runs` (guint64), `inference` (gdouble, seconds) and
    /// `reused` (gdouble, the mean share of a frame that was not inferred).
    pub fn structure(&self) -> gst::Structure {
        gst::Structure::builder("unetsegment-stats")
            .field("frames", self.frames)
            .field("runs", self.runs)
            .field("inference", self.inference)
            .field("reused", self.reused / self.frames.max(1) as f64)
            .build()
    }
}
