//! How many tiles the network sees in one run.

use std::time::Duration;

use crate::inference::{Model, ModelError, Provider};
use crate::tiling::Plan;

/// What a batch has to save, as a share of the time, to be worth its memory.
const WORTHWHILE: f64 = 0.05;

/// How the tiles of a frame are run.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    /// Tiles of one run.
    pub batch: usize,
    /// How long a run takes, as far as one on black tiles tells.
    pub trial: Duration,
}

/// Shapes the model for runs of `wanted` tiles of `plan`, or for 0 of as many as take the least time, tried on black
/// pictures; of at most `most_pixels` pixels in all.
///
/// On the processor it is 1: a batch of tiles takes there as long as its tiles do, one by one, and trying would take
/// seconds. Where each shape costs a compilation, trying would take minutes. Networks that turn out to take one picture
/// only get one, whatever their file declares.
///
/// # Errors
/// Where the network can't see the tiles that are wanted.
pub fn choose(
    model: &mut Model,
    plan: &Plan,
    (wanted, most_pixels): (usize, usize),
) -> Result<Runs, ModelError> {
    let most = (most_pixels / plan.outer.area().max(1)).clamp(1, plan.len().max(1));
    if wanted > 0 {
        return runs_of(model, plan, wanted.min(most));
    }
    let mut best = runs_of(model, plan, 1)?;
    if model.provider() == Provider::Cpu || model.compiles_shapes() || !model.batches() {
        return Ok(best);
    }
    for batch in sizes(plan.len(), most) {
        let runs = match runs_of(model, plan, batch) {
            Ok(runs) => runs,
            // What was ended says nothing of how long it takes.
            Err(error @ ModelError::Stopped { .. }) => return Err(error),
            Err(_) => break,
        };
        if time(plan, runs) < time(plan, best) * (1.0 - WORTHWHILE) {
            best = runs;
        }
    }
    model.shape_of_batch(best.batch, plan.outer.height, plan.outer.width)?;
    Ok(best)
}

/// Runs of `batch` tiles of `plan`, for which the model is shaped.
fn runs_of(model: &mut Model, plan: &Plan, batch: usize) -> Result<Runs, ModelError> {
    model.shape_of_batch(batch, plan.outer.height, plan.outer.width)?;
    let trial = model.try_out()?;
    Ok(Runs { batch, trial })
}

/// Seconds for all tiles.
fn time(plan: &Plan, runs: Runs) -> f64 {
    plan.len().div_ceil(runs.batch) as f64 * runs.trial.as_secs_f64()
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
