//! Stages that several threads use in turn.

use std::sync::Mutex;

use crate::lock::lock;

/// A stage between start and stop. A thread that uses it takes it out, so that nothing is locked meanwhile.
pub(super) struct Slot<T>(Mutex<Option<Box<T>>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot(Mutex::default())
    }
}

impl<T> Slot<T> {
    pub fn set(&self, stage: Option<T>) {
        let old = std::mem::replace(&mut *lock(&self.0), stage.map(Box::new));
        drop(old);
    }

    /// Takes the stage out, until it is [put back](Self::put_back).
    pub fn take(&self) -> Option<Box<T>> {
        lock(&self.0).take()
    }

    pub fn put_back(&self, stage: Option<Box<T>>) {
        *lock(&self.0) = stage;
    }

    /// Calls `work` with the stage, if it is there. If `work` panics, the stage is lost, but no later call misses it:
    /// GStreamer refuses all further work of an element that has panicked.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut stage = self.take()?;
        let result = work(&mut stage);
        self.put_back(Some(stage));
        Some(result)
    }
}
