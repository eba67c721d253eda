//! Matches the objects of one frame with those of the next.

use std::collections::{BTreeMap, BTreeSet};

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

/// Largest group that is solved exactly: the time grows with the third power of the number of objects, and when a
/// dense field jumps, as with a moving stage, all of it is one group.
const MAX_GROUP: usize = 256;

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

/// The pairs of the assignment with the largest sum of weights, in which no object occurs twice. Unconnected groups
/// are solved separately, because the time grows with the third power; groups of more than [`MAX_GROUP`] objects are
/// solved greedily, by decreasing weight.
pub fn assign(candidates: &[Candidate]) -> Vec<(usize, usize)> {
    let mut chosen = Vec::new();
    for group in groups(candidates) {
        let sort = |all: &mut Vec<usize>| {
            all.sort_unstable();
            all.dedup();
        };
        let mut befores: Vec<_> = group.iter().map(|pair| pair.before).collect();
        let mut nows: Vec<_> = group.iter().map(|pair| pair.now).collect();
        sort(&mut befores);
        sort(&mut nows);
        if befores.len().max(nows.len()) > MAX_GROUP {
            chosen.extend(greedy(group));
            continue;
        }
        // At least as many columns as rows; additional columns mean no object.
        let columns = nows.len().max(befores.len());
        let mut weights = Matrix::new(befores.len(), columns, 0_i64);
        for pair in &group {
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
    chosen
}

/// Pairs by decreasing weight, in which no object occurs twice; ties go to the first objects.
fn greedy(mut pairs: Vec<Candidate>) -> impl Iterator<Item = (usize, usize)> {
    pairs.sort_unstable_by(|one, other| {
        let weights = other.weight.total_cmp(&one.weight);
        weights.then((one.before, one.now).cmp(&(other.before, other.now)))
    });
    let (mut befores, mut nows) = (BTreeSet::new(), BTreeSet::new());
    pairs.into_iter().filter_map(move |pair| {
        let free = !befores.contains(&pair.before) && !nows.contains(&pair.now);
        free.then(|| {
            befores.insert(pair.before);
            nows.insert(pair.now);
            (pair.before, pair.now)
        })
    })
}

/// Splits pairs into groups that have no object in common.
fn groups(pairs: &[Candidate]) -> Vec<Vec<Candidate>> {
    let befores = pairs.iter().map(|pair| pair.before + 1).max().unwrap_or(0);
    let nows = pairs.iter().map(|pair| pair.now + 1).max().unwrap_or(0);
    let mut parents: Vec<usize> = (0..befores + nows).collect();
    fn root(parents: &mut [usize], mut at: usize) -> usize {
        while parents[at] != at {
            parents[at] = parents[parents[at]];
            at = parents[at];
        }
        at
    }
    for pair in pairs {
        let (one, other) = (
            root(&mut parents, pair.before),
            root(&mut parents, befores + pair.now),
        );
        parents[one] = other;
    }
    let mut by_root = BTreeMap::<usize, Vec<Candidate>>::new();
    for pair in pairs {
        let root = root(&mut parents, pair.before);
        by_root.entry(root).or_default().push(*pair);
    }
    by_root.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_weights_is_maximal() {
        // Greedily, the second pair would be chosen.
        let pair = |before, now, weight| Candidate {
            before,
            now,
            weight,
        };
        let pairs = [
            pair(0, 0, 1.0),
            pair(0, 1, 1.2),
            pair(1, 1, 1.1),
            pair(5, 7, 0.1),
        ];
        assert_eq!(assign(&pairs), [(0, 0), (1, 1), (5, 7)]);
        // More objects in the previous frame than in this one.
        let pairs = [pair(0, 3, 1.0), pair(1, 3, 1.5), pair(2, 3, 0.5)];
        assert_eq!(assign(&pairs), [(1, 3)]);
        assert!(assign(&[]).is_empty());
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
        let pairs: Vec<Candidate> = (0..count)
            .flat_map(|at| [pair(at, at, 0.9), pair(at, at + 1, 0.5)])
            .collect();
        let same: Vec<_> = (0..count).map(|at| (at, at)).collect();
        assert_eq!(assign(&pairs), same);
    }
}
