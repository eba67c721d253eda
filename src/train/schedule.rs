//! How long a run lasts, and its learning rate on the way.

use std::f64::consts::PI;
use std::time::Duration;

/// When a run ends: at whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Optimizer steps.
    pub steps: Option<usize>,
    /// Time since the first step began.
    pub time: Option<Duration>,
}

impl Budget {
    /// Share of the budget that is used up, 0 at the start and at least 1 at the end. It stays 0 without any limit.
    pub fn used(&self, steps: usize, time: Duration) -> f64 {
        let of_steps = self.steps.map(|limit| steps as f64 / limit.max(1) as f64);
        let of_time = self
            .time
            .map(|limit| time.as_secs_f64() / limit.as_secs_f64().max(1e-3));
        of_steps.into_iter().chain(of_time).fold(0.0, f64::max)
    }
}

/// The learning rate after a share `used` of the budget: it rises to `peak` over the first 2 %, so that the
/// optimizer's averages settle first, then falls to 0 along half a cosine.
pub fn learning_rate(peak: f64, used: f64) -> f64 {
    const WARM_UP: f64 = 0.02;
    // Not 0 at the very start, where a step would be wasted.
    let up = ((used + 0.001) / WARM_UP).min(1.0);
    let down = (used - WARM_UP).max(0.0) / (1.0 - WARM_UP);
    peak * up * 0.5 * (1.0 + (PI * down.min(1.0)).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_limit_comes_first_ends_a_run() {
        let budget = Budget {
            steps: Some(100),
            time: Some(Duration::from_secs(60)),
        };
        assert_eq!(budget.used(50, Duration::from_secs(15)), 0.5);
        assert_eq!(budget.used(50, Duration::from_secs(60)), 1.0);
        let steps = Budget {
            time: None,
            ..budget
        };
        assert_eq!(steps.used(25, Duration::from_secs(1000)), 0.25);
    }

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_nothing() {
        assert!(learning_rate(1.0, 0.0) > 0.0);
        assert!(learning_rate(1.0, 0.01) < 0.6);
        assert_eq!(learning_rate(2.0, 0.02), 2.0);
        assert!((learning_rate(1.0, 0.51) - 0.5).abs() < 1e-9);
        assert!(learning_rate(1.0, 1.0) < 1e-9);
        assert!(learning_rate(1.0, 1.5) < 1e-9);
    }
}
