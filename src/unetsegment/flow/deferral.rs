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
}

impl Flow {
    /// Leaves it to the first frame to prepare for its caps, and interrupts what is being prepared for, or lets new
    /// caps be prepared for again.
    pub fn defer(&self, deferred: bool) {
        let mut deferral = lock(&self.deferral);
        deferral.deferred = deferred;
        if deferred && deferral.preparing {
            self.models.interrupt();
        }
    }

    /// Whether new caps are not to be prepared for.
    pub fn is_deferred(&self) -> bool {
        lock(&self.deferral).deferred
    }

    /// Lets `work` prepare for new caps, unless that is deferred: then the result is `None`. In the meantime it may be
    /// interrupted for that reason.
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
        if deferral.deferred {
            self.models.resume_if(|| !self.is_flushing());
        }
        Some(result)
    }
}
