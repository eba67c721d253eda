//! What is given up so that masks are not late.

use std::time::Duration;

use super::Flow;
use crate::lock::lock;
use crate::tiling::Blend;
use crate::unetsegment::inferrer::Inferrer;
use crate::unetsegment::latency_limit::Change;
use crate::unetsegment::messages::Paced;
use crate::unetsegment::settings::FrameSettings;

impl Flow {
    /// The network is to see every N-th frame.
    pub fn interval(&self, settings: &FrameSettings) -> u32 {
        settings.inference_interval.max(lock(&self.pace).interval())
    }

    /// Takes in how late the mask of a frame was, which took `inference` in the network.
    pub fn timed(&self, latency: Duration, inference: Duration, limit: Duration) {
        let change = lock(&self.pace).measured(latency, inference, limit);
        if change.is_some() {
            *lock(&self.change) = change;
        }
    }

    /// Takes in that frames of other caps come, which may be cut into more tiles.
    pub(super) fn meet_other_frames(&self) {
        lock(&self.pace).meet_other_frames();
    }

    /// Gives up what has to be, so that masks are not late, or takes it back; how things are then, if they have
    /// changed. Only the thread that infers may call it.
    pub fn keep_pace(&self, settings: &FrameSettings) -> Option<Paced> {
        let change = lock(&self.change).take();
        if settings.latency_limit().is_none() {
            let before = std::mem::take(&mut *lock(&self.pace));
            // By then another model may have taken the place of the one that had given up something.
            if !before.is_reduced() && change != Some(Change::Rate) {
                return None;
            }
            let all = |inferrer: &mut Inferrer| inferrer.segmenter.take_all_back();
            self.inferrer.with(all)?;
            return self.paced(settings, false);
        }
        let mut just_exhausted = false;
        match change? {
            Change::Rate => (),
            Change::Lower => {
                let possible = self
                    .inferrer
                    .with(|inferrer| inferrer.segmenter.give_up())?;
                lock(&self.pace).lowered(possible);
                just_exhausted = !possible;
            }
            Change::Raise => {
                self.inferrer
                    .with(|inferrer| inferrer.segmenter.take_back())?;
                lock(&self.pace).raised();
            }
        }
        self.paced(settings, just_exhausted)
    }

    fn paced(&self, settings: &FrameSettings, just_so: bool) -> Option<Paced> {
        self.inferrer.with(|inferrer| Paced {
            interval: self.interval(settings),
            averaging: inferrer.segmenter.blend() != Blend::Crop,
            overlap: inferrer.segmenter.halo(),
            exhausted: lock(&self.pace).is_exhausted(),
            just_so,
        })
    }
}
