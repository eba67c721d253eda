//! Times in the unit of metas, messages and statistics.

use std::time::Duration;

/// A duration in nanoseconds, saturating.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
