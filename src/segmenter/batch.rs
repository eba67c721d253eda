//! How many tiles the network sees in one run.

use std::time::Duration;

use crate::inference::{Model, ModelError, Provider};
use crate::tiling::Plan;

/// What a batch has to save, as a share of the time, to be worth its memory.
const WORTHWHILE: f64 = 0.05;

/// The number of tiles of one run, for which the model is shaped: `wanted`, or for 0 that with which the tiles of
/// `plan` take the least time, tried on black pictures of at most `most_pixels` pixels in all.
///
/// On the processor it is 1: a batch of tiles takes there as long as its tiles do, one by one, and trying would take
/// seconds. Networks that turn out to take one picture only get one, whatever their file declares.
///
/// # Errors
/// Where the network can't see the tiles that are wanted.
pub fn choose(
    model: &mut Model,
    plan: &Plan,
    (wanted, most_pixels): (usize, usize),
) -> Result<usize, ModelError> {
    let (height, width) = (plan.outer.height, plan.outer.width);
    if wanted > 0 {
        let batch = wanted.min(plan.len());
        return model.shape_of_batch(batch, height, width).map(|()| batch);
    }
    if model.provider() == Provider::Cpu || !model.batches() {
        return Ok(1);
    }
    let most = (most_pixels / plan.outer.area().max(1)).min(plan.len());
    let mut best = (1, time(plan, 1, model.trial()));
    for batch in sizes(plan.len(), most) {
        if model.shape_of_batch(batch, height, width).is_err() {
            break;
        }
        let taken = time(plan, batch, model.trial());
        if taken < best.1 * (1.0 - WORTHWHILE) {
            best = (batch, taken);
        }
    }
    model.shape_of_batch(best.0, height, width)?;
    Ok(best.0)
}

/// Seconds for all tiles, of which so many take `trial` together.
fn time(plan: &Plan, batch: usize, trial: Duration) -> f64 {
    plan.len().div_ceil(batch) as f64 * trial.as_secs_f64()
}

/// Batches to try for so many tiles, up to `most`: those of 2, 4, 8 and so on runs less, spread evenly over the
/// runs, so that the last one is nearly full.
fn sizes(tiles: usize, most: usize) -> impl Iterator<Item = usize> {
    let doubled = std::iter::successors(Some(2_usize), |batch| batch.checked_mul(2));
    let within = doubled.take_while(move |batch| *batch / 2 < most);
    let mut last = 1;
    within.filter_map(move |batch| {
        let runs = tiles.div_ceil(batch.min(most).max(1)).max(1);
        let even = tiles.div_ceil(runs);
        let is_new = even > last && even <= most;
        last = last.max(even);
        is_new.then_some(even)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_even_and_within_the_memory() {
        let all = |tiles, most| sizes(tiles, most).collect::<Vec<_>>();
        assert_eq!(all(16, 16), [2, 4, 8, 16]);
        assert_eq!(all(6, 100), [2, 3, 6]);
        // Seven in two runs are four and three.
        assert_eq!(all(7, 5), [2, 4]);
        assert_eq!(all(12, 5), [2, 4]);
        assert_eq!(all(10, 1), [0; 0]);
        assert_eq!(all(1, 9), [0; 0]);
        assert_eq!(all(4, 0), [0; 0]);
    }
}
