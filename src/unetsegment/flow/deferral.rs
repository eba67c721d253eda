//! Preparing for new caps later, with their first frame: a live source may hold a lock while it sends caps that its own
//! way to PAUSED waits for, and a stop begins with that.

use super::Flow;
use crate::lock::lock;

/// Whether new caps may be prepared for.
#[derive(Default)]
pub(super) struct Deferral {
    /// Whether preparing is left to the first frame.
    deferred: bool,
    /// Whether the network is being prepared for new caps.
    preparing: bool,
    /// Whether that was interrupted. By the time it ends, new caps may be prepared for again.
    interrupted: bool,
}

impl Flow {
    /// Leaves it to the first frame to prepare for its caps, and interrupts what is being prepared for, or lets new
    /// caps be prepared for again.
    pub fn defer(&self, deferred: bool) {
        let mut deferral = lock(&self.deferral);
        deferral.deferred = deferred;
        if deferred && deferral.preparing {
            deferral.interrupted = true;
            self.models.interrupt();
        }
    }

    /// Lets `work` prepare for new caps. If that is deferred, before or meanwhile, the result is `None`.
    pub fn unless_deferred<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        {
            let mut deferral = lock(&self.deferral);
            if deferral.deferred {
                return None;
            }
            deferral.preparing = true;
        }
        let result = work();
        let mut deferral = lock(&self.deferral);
        deferral.preparing = false;
        if !std::mem::take(&mut deferral.interrupted) {
            return Some(result);
        }
        self.models.resume_if(|| !self.is_flushing());
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_interrupted_is_deferred_even_if_that_is_over() {
        let flow = Flow::default();
        assert_eq!(flow.unless_deferred(|| 1), Some(1));
        let paused_and_played = || {
            flow.defer(true);
            flow.defer(false);
        };
        assert_eq!(flow.unless_deferred(paused_and_played), None);
        assert_eq!(flow.unless_deferred(|| 2), Some(2));
        flow.defer(true);
        assert_eq!(flow.unless_deferred(|| 3), None);
    }
}
