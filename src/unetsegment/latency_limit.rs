//! What is given up so that masks are not late: first the network's rate, then averaging where tiles meet, then how
//! much tiles overlap.

use std::time::Duration;

/// Frames that are looked at before something changes.
const WINDOW: usize = 8;

/// The network sees every N-th frame, and this is the largest N that is chosen here.
const LARGEST_INTERVAL: u32 = 32;

/// Windows that must have been twice as quick as needed before something is taken back.
const CALM: u32 = 8;

/// The most of these, after what was taken back had to be given up again.
const LONGEST_CALM: u32 = 512;

/// Watches how late masks are.
#[derive(Debug)]
pub struct Pace {
    /// Latency and inference of the last frames.
    window: [(Duration, Duration); WINDOW],
    seen: usize,
    /// The network sees every N-th frame.
    interval: u32,
    /// Steps that the segmenter has given up.
    lowered: u32,
    /// Whether it has nothing left to give up.
    exhausted: bool,
    /// Windows that were quick, and how many of them it takes.
    calm: u32,
    needed: u32,
    /// Whether the last change took something back.
    raised: bool,
}

/// What is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The rate has; the network sees fewer frames, or more.
    Rate,
    /// The segmenter has to give up something.
    Lower,
    /// It may take something back.
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
    /// The network is to see every N-th frame at most.
    pub fn interval(&self) -> u32 {
        self.interval
    }

    /// Whether all is given up.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether anything is given up.
    pub fn is_reduced(&self) -> bool {
        self.interval > 1 || self.lowered > 0
    }

    /// Takes in a frame whose mask was there after `latency`, `inference` of it in the network; what is to change
    /// so that this is at most `limit`, and that with as little given up as need be.
    pub fn measured(
        &mut self,
        latency: Duration,
        inference: Duration,
        limit: Duration,
    ) -> Option<Change> {
        if let Some(place) = self.window.get_mut(self.seen % WINDOW) {
            *place = (latency, inference);
        }
        self.seen += 1;
        if !self.seen.is_multiple_of(WINDOW) {
            return None;
        }
        // The middle, so that a single frame that was held up changes nothing.
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

    fn slow(&mut self, latency: Duration, inference: Duration) -> Option<Change> {
        if std::mem::take(&mut self.raised) {
            self.needed = (2 * self.needed).min(LONGEST_CALM);
        }
        // A lower rate shortens the time that frames wait, not that of the network.
        let waiting = latency.saturating_sub(inference);
        if waiting > inference / 4 && self.interval < LARGEST_INTERVAL {
            self.interval = (self.interval + self.interval.div_ceil(2)).min(LARGEST_INTERVAL);
            return Some(Change::Rate);
        }
        (!self.exhausted).then_some(Change::Lower)
    }

    fn quick(&mut self, latency: Duration, limit: Duration) -> Option<Change> {
        self.calm = match 2 * latency < limit {
            true => self.calm + 1,
            false => 0,
        };
        if self.calm < self.needed || !self.is_reduced() {
            return None;
        }
        self.calm = 0;
        self.raised = true;
        if self.lowered > 0 {
            return Some(Change::Raise);
        }
        self.interval = (2 * self.interval / 3).max(1);
        Some(Change::Rate)
    }

    /// Takes in whether the segmenter had something to give up.
    pub fn lowered(&mut self, was_possible: bool) {
        match was_possible {
            true => self.lowered += 1,
            false => self.exhausted = true,
        }
    }

    /// Takes in that frames are others from now on, of which there may be more to give up.
    pub fn meet_other_frames(&mut self) {
        self.exhausted = false;
    }

    /// Takes in that the segmenter has taken back one step.
    pub fn raised(&mut self) {
        self.lowered = self.lowered.saturating_sub(1);
        self.exhausted = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    /// What a window of frames changes that take `latency` ms, `inference` of these in the network.
    fn window(pace: &mut Pace, latency: u64, inference: u64) -> Option<Change> {
        let (latency, inference) = (
            Duration::from_millis(latency),
            Duration::from_millis(inference),
        );
        let changes = (0..WINDOW).filter_map(|_| pace.measured(latency, inference, LIMIT));
        changes.last()
    }

    #[test]
    fn frames_that_wait_lower_the_rate() {
        let mut pace = Pace::default();
        assert_eq!(window(&mut pace, 90, 40), None);
        assert_eq!(window(&mut pace, 150, 70), Some(Change::Rate));
        assert_eq!(pace.interval(), 2);
        assert_eq!(window(&mut pace, 150, 70), Some(Change::Rate));
        assert_eq!(pace.interval(), 3);
        // Held, but not by so much that the rate could rise.
        for _ in 0..1000 {
            assert_eq!(window(&mut pace, 80, 70), None);
        }
        assert!(pace.is_reduced());
    }

    #[test]
    fn a_slow_network_gives_up_quality() {
        let mut pace = Pace::default();
        for _ in 0..3 {
            assert_eq!(window(&mut pace, 170, 150), Some(Change::Lower));
            pace.lowered(true);
        }
        assert_eq!(pace.interval(), 1);
        assert_eq!(window(&mut pace, 130, 120), Some(Change::Lower));
        pace.lowered(false);
        assert!(pace.is_exhausted());
        assert_eq!(window(&mut pace, 130, 120), None);
        pace.meet_other_frames();
        assert_eq!(window(&mut pace, 130, 120), Some(Change::Lower));
    }

    #[test]
    fn waiting_that_the_rate_does_not_end_ends_in_quality() {
        let mut pace = Pace::default();
        let changes: Vec<_> = (0..12).map(|_| window(&mut pace, 300, 50)).collect();
        assert_eq!(pace.interval(), LARGEST_INTERVAL);
        assert_eq!(changes[0], Some(Change::Rate));
        assert_eq!(changes[11], Some(Change::Lower));
    }

    #[test]
    fn what_was_given_up_comes_back_in_the_reverse_order() {
        let mut pace = Pace::default();
        assert_eq!(window(&mut pace, 300, 150), Some(Change::Rate));
        assert_eq!(window(&mut pace, 170, 150), Some(Change::Lower));
        pace.lowered(true);
        let mut back = Vec::new();
        for _ in 0..3 * CALM {
            if let Some(change) = window(&mut pace, 40, 30) {
                if change == Change::Raise {
                    pace.raised();
                }
                back.push(change);
            }
        }
        assert_eq!(back, [Change::Raise, Change::Rate]);
        assert!(!pace.is_reduced());
    }

    #[test]
    fn what_came_back_in_vain_comes_back_later_the_next_time() {
        let mut pace = Pace::default();
        let mut windows = Vec::new();
        for _ in 0..3 {
            assert_eq!(window(&mut pace, 170, 150), Some(Change::Lower));
            pace.lowered(true);
            let quick = (1..).find(|_| window(&mut pace, 40, 30).is_some());
            pace.raised();
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
            assert_eq!(pace.measured(ms(latency), ms(50), LIMIT), None);
        }
    }
}
