//! Working memory that can run out without ending the process.

use std::collections::TryReserveError;

/// Fills `values` with `count` times `value`.
pub(super) fn refill<T: Clone>(
    values: &mut Vec<T>,
    count: usize,
    value: T,
) -> Result<(), TryReserveError> {
    values.clear();
    values.try_reserve(count)?;
    values.resize(count, value);
    Ok(())
}

/// Empties `values` and makes room for `count`, and for some more, so that the next frames need not allocate.
pub(super) fn make_room<T>(values: &mut Vec<T>, count: usize) -> Result<(), TryReserveError> {
    values.clear();
    values.try_reserve(count.next_power_of_two())
}

/// Adds `value`; costs no more than `push` while there is room.
pub(super) fn add<T>(values: &mut Vec<T>, value: T) -> Result<(), TryReserveError> {
    values.try_reserve(1)?;
    values.push(value);
    Ok(())
}
