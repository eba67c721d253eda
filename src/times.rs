//! Times as metas, messages and statistics hold them.

use std::time::Duration;

/// A time in nanoseconds; the longest that there is where it is longer.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
