//! Chooses how many tiles the network processes in one run.

use std::time::Duration;

use crate::inference::{Model, ModelError, Provider};
use crate::tiling::Plan;

/// Share of the time that a batch has to save to be worth its memory.
const WORTHWHILE: f64 = 0.05;

/// How the tiles of a frame are run.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// Tiles per run.
    pub batch: usize,
    /// Time of a run, measured on black tiles.
    pub run_time: Duration,
}

/// Shapes the model for runs of `wanted` tiles of `plan`, or, for 0, of the fastest number of tiles, measured on black
/// pictures; with at most `max_pixels` pixels in total.
///
/// On the CPU the fastest number is 1: a batch takes as long there as its tiles one by one, and measuring would take
/// seconds. If each shape needs a compilation, measuring would take minutes. Networks that turn out to accept only one
/// picture get one, whatever their file declares.
///
/// # Errors
/// If the network can't process `wanted` tiles.
pub fn choose(
    model: &mut Model,
    plan: &Plan,
    (wanted, max_pixels): (usize, usize),
) -> Result<Batching, ModelError> {
    let most = (max_pixels / plan.outer.area().max(1)).clamp(1, plan.len().max(1));
    if wanted > 0 {
        return measure(model, plan, wanted.min(most));
    }
    let mut best = measure(model, plan, 1)?;
    if model.provider() == Provider::Cpu || model.compiles_shapes() || !model.supports_batches() {
        return Ok(best);
    }
    for batch in sizes(plan.len(), most) {
        let batching = match measure(model, plan, batch) {
            Ok(batching) => batching,
            // An interrupted run says nothing about its time.
            Err(error @ ModelError::Stopped { .. }) => return Err(error),
            Err(_) => break,
        };
        if time(plan, batching) < time(plan, best) * (1.0 - WORTHWHILE) {
            best = batching;
        }
    }
    model.shape_batch(best.batch, plan.outer.height, plan.outer.width)?;
    Ok(best)
}

/// Shapes the model for runs of `batch` tiles of `plan`, and measures one.
fn measure(model: &mut Model, plan: &Plan, batch: usize) -> Result<Batching, ModelError> {
    model.shape_batch(batch, plan.outer.height, plan.outer.width)?;
    let run_time = model.warm_up()?;
    Ok(Batching { batch, run_time })
}

/// Seconds for all tiles.
fn time(plan: &Plan, batching: Batching) -> f64 {
    plan.len().div_ceil(batching.batch) as f64 * batching.run_time.as_secs_f64()
}

/// Batch sizes to try for a number of tiles, up to `most`: 2, 4, 8 and so on, reduced so that the tiles are spread
/// evenly over the same number of runs, and the last run is nearly full.
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
        // Seven tiles in two runs: four and three.
        assert_eq!(all(7, 5), [2, 4]);
        assert_eq!(all(12, 5), [2, 4]);
        assert_eq!(all(10, 1), [0; 0]);
        assert_eq!(all(1, 9), [0; 0]);
        assert_eq!(all(4, 0), [0; 0]);
    }
}
