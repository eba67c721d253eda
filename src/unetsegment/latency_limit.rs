//! Reduces rate and quality until masks are in time: first the network's rate, then averaging where tiles meet, then
//! their overlap.

use std::time::Duration;

/// Number of frames that are observed before anything changes.
const WINDOW: usize = 8;

/// The largest N that is chosen here; the network sees every N-th frame.
const MAX_INTERVAL: u32 = 32;

/// Number of windows that must be twice as quick as needed before a step is taken back.
const CALM: u32 = 8;

/// The maximum of that number, which doubles whenever a step that was taken back has to be made again.
const MAX_CALM: u32 = 512;

/// Observes the latency of masks, and decides what to reduce.
#[derive(Debug)]
pub struct Pace {
    /// Latency and inference time of the latest frames.
    window: [(Duration, Duration); WINDOW],
    seen: usize,
    /// The network sees every N-th frame.
    interval: u32,
    /// Steps by which the segmenter has reduced quality.
    lowered: u32,
    /// Whether it has nothing left to reduce.
    exhausted: bool,
    /// Consecutive quick windows, and how many of them are needed.
    calm: u32,
    needed: u32,
    /// Whether the last step took something back.
    raised: bool,
}

/// A change of rate or quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaceStep {
    /// The rate has changed: the network sees fewer frames, or more.
    Rate,
    /// The segmenter has to reduce quality.
    Lower,
    /// The segmenter may take back one reduction.
    Raise,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            window: [(Duration::ZERO, Duration::ZERO); WINDOW],
            seen: 0,
            interval: 1,
            lowered: 0,
            exhausted: false,
            calm: 0,
            needed: CALM,
            raised: false,
        }
    }
}

impl Pace {
    /// N, where the network is to see at most every N-th frame.
    pub fn interval(&self) -> u32 {
        self.interval
    }

    /// Whether nothing is left to reduce.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether anything is reduced.
    pub fn is_reduced(&self) -> bool {
        self.interval > 1 || self.lowered > 0
    }

    /// Records a frame whose mask took `latency`, including `inference` in the network. Returns the step that keeps the
    /// latency below `limit` with as little reduced as possible.
    pub fn record(
        &mut self,
        latency: Duration,
        inference: Duration,
        limit: Duration,
    ) -> Option<PaceStep> {
        if let Some(place) = self.window.get_mut(self.seen % WINDOW) {
            *place = (latency, inference);
        }
        self.seen += 1;
        if !self.seen.is_multiple_of(WINDOW) {
            return None;
        }
        // The median, so that a single slow frame changes nothing.
        let mut window = self.window;
        window.sort_by_key(|(latency, _)| *latency);
        let (latency, inference) = window[WINDOW / 2];
        if latency > limit {
            self.calm = 0;
            self.slow(latency, inference)
        } else {
            self.quick(latency, limit)
        }
    }

    fn slow(&mut self, latency: Duration, inference: Duration) -> Option<PaceStep> {
        if std::mem::take(&mut self.raised) {
            self.needed = (2 * self.needed).min(MAX_CALM);
        }
        // A lower rate shortens the time that frames wait, not that of the network.
        let waiting = latency.saturating_sub(inference);
        if waiting > inference / 4 && self.interval < MAX_INTERVAL {
            self.interval = (self.interval + self.interval.div_ceil(2)).min(MAX_INTERVAL);
            return Some(PaceStep::Rate);
        }
        (!self.exhausted).then_some(PaceStep::Lower)
    }

    fn quick(&mut self, latency: Duration, limit: Duration) -> Option<PaceStep> {
        self.calm = if 2 * latency < limit {
            self.calm + 1
        } else {
            0
        };
        if self.calm < self.needed || !self.is_reduced() {
            return None;
        }
        self.calm = 0;
        self.raised = true;
        if self.lowered > 0 {
            return Some(PaceStep::Raise);
        }
        self.interval = (2 * self.interval / 3).max(1);
        Some(PaceStep::Rate)
    }

    /// Records that the segmenter has reduced quality, or that it had nothing left to reduce.
    pub fn on_lowered(&mut self, was_possible: bool) {
        if was_possible {
            self.lowered += 1;
        } else {
            self.exhausted = true;
        }
    }

    /// Allows further reductions: frames of other caps may have more tiles.
    pub fn on_caps_changed(&mut self) {
        self.exhausted = false;
    }

    /// Records that the segmenter has taken back one reduction.
    pub fn on_raised(&mut self) {
        self.lowered = self.lowered.saturating_sub(1);
        self.exhausted = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    /// The step after a window of frames that take `latency` ms, `inference` of these in the network.
    fn window(pace: &mut Pace, latency: u64, inference: u64) -> Option<PaceStep> {
        let (latency, inference) = (
            Duration::from_millis(latency),
            Duration::from_millis(inference),
        );
        let changes = (0..WINDOW).filter_map(|_| pace.record(latency, inference, LIMIT));
        changes.last()
    }

    #[test]
    fn frames_that_wait_lower_the_rate() {
        let mut pace = Pace::default();
        assert_eq!(window(&mut pace, 90, 40), None);
        assert_eq!(window(&mut pace, 150, 70), Some(PaceStep::Rate));
        assert_eq!(pace.interval(), 2);
        assert_eq!(window(&mut pace, 150, 70), Some(PaceStep::Rate));
        assert_eq!(pace.interval(), 3);
        // Within the limit, but not by so much that the rate could rise.
        for _ in 0..1000 {
            assert_eq!(window(&mut pace, 80, 70), None);
        }
        assert!(pace.is_reduced());
    }

    #[test]
    fn a_slow_network_reduces_quality() {
        let mut pace = Pace::default();
        for _ in 0..3 {
            assert_eq!(window(&mut pace, 170, 150), Some(PaceStep::Lower));
            pace.on_lowered(true);
        }
        assert_eq!(pace.interval(), 1);
        assert_eq!(window(&mut pace, 130, 120), Some(PaceStep::Lower));
        pace.on_lowered(false);
        assert!(pace.is_exhausted());
        assert_eq!(window(&mut pace, 130, 120), None);
        pace.on_caps_changed();
        assert_eq!(window(&mut pace, 130, 120), Some(PaceStep::Lower));
    }

    #[test]
    fn quality_is_reduced_if_the_rate_does_not_help() {
        let mut pace = Pace::default();
        let changes: Vec<_> = (0..12).map(|_| window(&mut pace, 300, 50)).collect();
        assert_eq!(pace.interval(), MAX_INTERVAL);
        assert_eq!(changes[0], Some(PaceStep::Rate));
        assert_eq!(changes[11], Some(PaceStep::Lower));
    }

    #[test]
    fn reductions_are_taken_back_in_reverse_order() {
        let mut pace = Pace::default();
        assert_eq!(window(&mut pace, 300, 150), Some(PaceStep::Rate));
        assert_eq!(window(&mut pace, 170, 150), Some(PaceStep::Lower));
        pace.on_lowered(true);
        let mut back = Vec::new();
        for _ in 0..3 * CALM {
            if let Some(change) = window(&mut pace, 40, 30) {
                if change == PaceStep::Raise {
                    pace.on_raised();
                }
                back.push(change);
            }
        }
        assert_eq!(back, [PaceStep::Raise, PaceStep::Rate]);
        assert!(!pace.is_reduced());
    }

    #[test]
    fn a_step_that_was_taken_back_in_vain_comes_back_later() {
        let mut pace = Pace::default();
        let mut windows = Vec::new();
        for _ in 0..3 {
            assert_eq!(window(&mut pace, 170, 150), Some(PaceStep::Lower));
            pace.on_lowered(true);
            let quick = (1..).find(|_| window(&mut pace, 40, 30).is_some());
            pace.on_raised();
            windows.extend(quick);
        }
        assert_eq!(windows, [CALM, 2 * CALM, 4 * CALM]);
    }

    #[test]
    fn a_single_slow_frame_changes_nothing() {
        let mut pace = Pace::default();
        let ms = Duration::from_millis;
        for number in 0..1000 {
            let latency = if number % 5 == 0 { 500 } else { 60 };
            assert_eq!(pace.record(ms(latency), ms(50), LIMIT), None);
        }
    }
}
