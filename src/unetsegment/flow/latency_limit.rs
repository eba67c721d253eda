//! Rate and quality given up so that masks are not late.

use std::time::Duration;

use super::Flow;
use crate::lock::lock;
use crate::tiling::Blend;
use crate::unetsegment::inferrer::Inferrer;
use crate::unetsegment::latency_limit::PaceStep;
use crate::unetsegment::messages::PaceReport;
use crate::unetsegment::settings::FrameSettings;

impl Flow {
    /// Only every N-th frame is inferred: N of the settings, or a larger one if masks would be late.
    pub fn interval(&self, settings: &FrameSettings) -> u32 {
        settings.inference_interval.max(lock(&self.pace).interval())
    }

    /// Records the latency of a mask, of which the network took `inference`.
    pub fn record_mask_latency(&self, latency: Duration, inference: Duration, limit: Duration) {
        let change = lock(&self.pace).record(latency, inference, limit);
        if change.is_some() {
            *lock(&self.change) = change;
        }
    }

    /// To be called when caps change: the new frames may be cut into more tiles.
    pub(super) fn on_caps_changed(&self) {
        lock(&self.pace).on_caps_changed();
    }

    /// Reduces rate and quality as far as masks would be late otherwise, or restores them; on the thread that infers.
    /// Returns the new state if it has changed.
    pub fn keep_pace(&self, settings: &FrameSettings) -> Option<PaceReport> {
        let change = lock(&self.change).take();
        if settings.latency_limit().is_none() {
            let before = std::mem::take(&mut *lock(&self.pace));
            // With `Rate`, another model may have replaced one of reduced quality.
            if !before.is_reduced() && change != Some(PaceStep::Rate) {
                return None;
            }
            let all = |inferrer: &mut Inferrer| inferrer.segmenter.restore_quality();
            self.models.inferrer.with(all)?;
            return self.pace_report(settings, false);
        }
        let mut newly_exhausted = false;
        match change? {
            PaceStep::Rate => (),
            PaceStep::Lower => {
                let reduce = |inferrer: &mut Inferrer| inferrer.segmenter.reduce_quality();
                let possible = self.models.inferrer.with(reduce)?;
                lock(&self.pace).on_lowered(possible);
                newly_exhausted = !possible;
            }
            PaceStep::Raise => {
                let restore = |inferrer: &mut Inferrer| inferrer.segmenter.restore_step();
                self.models.inferrer.with(restore)?;
                lock(&self.pace).on_raised();
            }
        }
        self.pace_report(settings, newly_exhausted)
    }

    fn pace_report(&self, settings: &FrameSettings, newly_exhausted: bool) -> Option<PaceReport> {
        self.models.inferrer.with(|inferrer| PaceReport {
            interval: self.interval(settings),
            averaging: inferrer.segmenter.blend() != Blend::Crop,
            overlap: inferrer.segmenter.halo(),
            exhausted: lock(&self.pace).is_exhausted(),
            newly_exhausted,
        })
    }
}
