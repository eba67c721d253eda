//! Matches the objects of one frame with those of the next.

use std::collections::TryReserveError;

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use super::room::{make_room, refill};

/// Most work on exact solutions, the third powers of the numbers of objects in each group: when a dense field moves, as
/// with the stage, all of it may be one group, or every row of it one.
const MOST_WORK: usize = 256 * 256 * 256;

/// Factor from weights to the integers of the assignment.
const SCALE: f64 = 1_000_000.0;

/// An object of the previous frame and one of this frame that may be the same.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Index of the object of the previous frame.
    pub before: usize,
    /// Index of the object of this frame.
    pub now: usize,
    /// How likely they are the same, more than 0.
    pub weight: f64,
}

/// Finds assignments. Keeps its working memory, and needs more only where several objects of the previous frame compete
/// for several ones of this frame.
#[derive(Debug, Default)]
pub struct Assignment {
    /// The parent of each object in the disjoint-set forest of groups, those of the previous frame first.
    parents: Vec<usize>,
    /// The objects of one group.
    befores: Vec<usize>,
    nows: Vec<usize>,
    /// Which objects have been chosen greedily, as in `parents`.
    taken: Vec<bool>,
    chosen: Vec<(usize, usize)>,
}

impl Assignment {
    /// The pairs of the assignment with the largest sum of weights, in which no object occurs twice. Unconnected groups
    /// are solved separately, because the time grows with the third power; those for which no work is left of
    /// [`MOST_WORK`] are solved greedily, by decreasing weight. Reorders `candidates`.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn assign(
        &mut self,
        candidates: &mut [Candidate],
    ) -> Result<&[(usize, usize)], TryReserveError> {
        let befores = candidates.iter().map(|pair| pair.before + 1).max();
        let befores = befores.unwrap_or(0);
        self.find_groups(candidates, befores)?;
        make_room(&mut self.chosen, befores)?;
        refill(&mut self.taken, self.parents.len(), false)?;
        let mut work_left = MOST_WORK;
        let parents = &self.parents;
        let group = |pair: &Candidate| parents[pair.before];
        candidates.sort_unstable_by_key(|pair| (group(pair), pair.before, pair.now));
        for pairs in candidates.chunk_by_mut(|one, other| group(one) == group(other)) {
            let sort = |all: &mut Vec<usize>| {
                all.sort_unstable();
                all.dedup();
            };
            make_room(&mut self.befores, pairs.len())?;
            make_room(&mut self.nows, pairs.len())?;
            self.befores.extend(pairs.iter().map(|pair| pair.before));
            self.nows.extend(pairs.iter().map(|pair| pair.now));
            sort(&mut self.befores);
            sort(&mut self.nows);
            let (fewest, most) = match (self.befores.len(), self.nows.len()) {
                (one, other) if one < other => (one, other),
                (one, other) => (other, one),
            };
            match work_left.checked_sub(most.saturating_pow(3)) {
                // With one object on one side, the greatest weight is the best solution.
                Some(left) if fewest > 1 => {
                    work_left = left;
                    choose_best(pairs, &self.befores, &self.nows, &mut self.chosen);
                }
                _ => choose_greedily(pairs, befores, &mut self.taken, &mut self.chosen),
            }
        }
        Ok(&self.chosen)
    }

    /// Makes the groups of pairs that have an object in common the trees of `parents`, each no higher than 1.
    fn find_groups(&mut self, pairs: &[Candidate], befores: usize) -> Result<(), TryReserveError> {
        let nows = pairs.iter().map(|pair| pair.now + 1).max().unwrap_or(0);
        make_room(&mut self.parents, befores + nows)?;
        self.parents.extend(0..befores + nows);
        let parents = &mut self.parents;
        for pair in pairs {
            let (one, other) = (
                root(parents, pair.before),
                root(parents, befores + pair.now),
            );
            parents[one] = other;
        }
        for at in 0..befores {
            parents[at] = root(parents, at);
        }
        Ok(())
    }
}

/// The root of the group of an object, with path halving.
fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

/// Chooses pairs by decreasing weight, in which no object occurs twice; ties go to the first objects. There are
/// `befores` objects of the previous frame.
fn choose_greedily(
    pairs: &mut [Candidate],
    befores: usize,
    taken: &mut [bool],
    chosen: &mut Vec<(usize, usize)>,
) {
    pairs.sort_unstable_by(|one, other| {
        let weights = other.weight.total_cmp(&one.weight);
        weights.then((one.before, one.now).cmp(&(other.before, other.now)))
    });
    for pair in pairs {
        let objects = [pair.before, befores + pair.now];
        if objects.iter().all(|object| !taken[*object]) {
            objects.iter().for_each(|object| taken[*object] = true);
            chosen.push((pair.before, pair.now));
        }
    }
}

/// Chooses pairs among `befores` and `nows`, with the largest sum of weights.
fn choose_best(
    pairs: &[Candidate],
    befores: &[usize],
    nows: &[usize],
    chosen: &mut Vec<(usize, usize)>,
) {
    // At least as many columns as rows; additional columns mean no object.
    let columns = nows.len().max(befores.len());
    let mut weights = Matrix::new(befores.len(), columns, 0_i64);
    for pair in pairs {
        let row = befores.binary_search(&pair.before);
        let column = nows.binary_search(&pair.now);
        if let (Ok(row), Ok(column)) = (row, column) {
            weights[(row, column)] = (pair.weight * SCALE) as i64;
        }
    }
    let (_, columns) = kuhn_munkres(&weights);
    for (row, column) in columns.into_iter().enumerate() {
        if weights[(row, column)] > 0 {
            chosen.push((befores[row], nows[column]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assign(pairs: &mut [Candidate]) -> Vec<(usize, usize)> {
        Assignment::default().assign(pairs).unwrap().to_vec()
    }

    #[test]
    fn the_sum_of_weights_is_maximal() {
        // Greedily, the second pair would be chosen.
        let pair = |before, now, weight| Candidate {
            before,
            now,
            weight,
        };
        let mut pairs = [
            pair(0, 0, 1.0),
            pair(0, 1, 1.2),
            pair(1, 1, 1.1),
            pair(5, 7, 0.1),
        ];
        assert_eq!(assign(&mut pairs), [(0, 0), (1, 1), (5, 7)]);
        // More objects in the previous frame than in this one.
        let mut pairs = [pair(0, 3, 1.0), pair(1, 3, 1.5), pair(2, 3, 0.5)];
        assert_eq!(assign(&mut pairs), [(1, 3)]);
        assert!(assign(&mut []).is_empty());
    }

    #[test]
    fn a_dense_field_that_jumps_is_assigned_at_once() {
        // All in one group, because each may also be its neighbour, with less weight. Solving it exactly would take
        // minutes.
        let count = 20_000;
        let pair = |before, now, weight| Candidate {
            before,
            now,
            weight,
        };
        let mut pairs: Vec<Candidate> = (0..count)
            .flat_map(|at| [pair(at, at, 0.9), pair(at, at + 1, 0.5)])
            .collect();
        let same: Vec<_> = (0..count).map(|at| (at, at)).collect();
        assert_eq!(assign(&mut pairs), same);
        // The same in groups of 250.
        pairs.retain(|pair| pair.before / 250 == pair.now / 250);
        assert_eq!(assign(&mut pairs), same);
    }
}
