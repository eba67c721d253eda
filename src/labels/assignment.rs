//! Which objects of one frame are which of the next.

use std::collections::{BTreeMap, BTreeSet};

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

/// Groups of more objects are not solved exactly: the time grows with the third power of their number, and where a
/// whole dense field jumps, as when a stage moves, all of it is one group.
const MOST_OF_A_GROUP: usize = 256;

/// What is one in the whole numbers of the assignment.
const ONE: f64 = 1_000_000.0;

/// An object of the frame before and one of this frame that may be the same.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Index of the one.
    pub before: usize,
    /// Index of the other.
    pub now: usize,
    /// How likely that is, more than 0.
    pub weight: f64,
}

/// The pairs of the assignment with the largest sum of weights, in which no object is twice. Groups that have no
/// pair in common are solved one by one, because the time grows with the third power; in those of more than
/// [`MOST_OF_A_GROUP`] objects the heaviest pair is taken first, then the heaviest of what is left, and so on.
pub fn assigned(pairs: &[Pair]) -> Vec<(usize, usize)> {
    let mut chosen = Vec::new();
    for group in groups(pairs) {
        let index = |all: &mut Vec<usize>| {
            all.sort_unstable();
            all.dedup();
        };
        let mut befores: Vec<_> = group.iter().map(|pair| pair.before).collect();
        let mut nows: Vec<_> = group.iter().map(|pair| pair.now).collect();
        index(&mut befores);
        index(&mut nows);
        if befores.len().max(nows.len()) > MOST_OF_A_GROUP {
            chosen.extend(heaviest_first(group));
            continue;
        }
        // As many columns as rows at least; those that are added stand for no object.
        let columns = nows.len().max(befores.len());
        let mut weights = Matrix::new(befores.len(), columns, 0_i64);
        for pair in &group {
            let row = befores.binary_search(&pair.before);
            let column = nows.binary_search(&pair.now);
            if let (Ok(row), Ok(column)) = (row, column) {
                weights[(row, column)] = (pair.weight * ONE) as i64;
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

/// Pairs from the heaviest down, in which no object is twice; of equals the first objects.
fn heaviest_first(mut pairs: Vec<Pair>) -> impl Iterator<Item = (usize, usize)> {
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

/// Pairs that have an object in common with others of the same group only.
fn groups(pairs: &[Pair]) -> Vec<Vec<Pair>> {
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
    let mut by_root = BTreeMap::<usize, Vec<Pair>>::new();
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
    fn the_best_for_all_is_chosen() {
        // Each for itself, the second pair would be the first choice of both.
        let pair = |before, now, weight| Pair {
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
        assert_eq!(assigned(&pairs), [(0, 0), (1, 1), (5, 7)]);
        // More objects in the frame before than in this one.
        let pairs = [pair(0, 3, 1.0), pair(1, 3, 1.5), pair(2, 3, 0.5)];
        assert_eq!(assigned(&pairs), [(1, 3)]);
        assert!(assigned(&[]).is_empty());
    }

    #[test]
    fn a_dense_field_that_jumps_is_assigned_at_once() {
        // All in one group: each may be the one beside it, too, which is less like it. Solved exactly so many would
        // take minutes.
        let count = 20_000;
        let pair = |before, now, weight| Pair {
            before,
            now,
            weight,
        };
        let pairs: Vec<Pair> = (0..count)
            .flat_map(|at| [pair(at, at, 0.9), pair(at, at + 1, 0.5)])
            .collect();
        let same: Vec<_> = (0..count).map(|at| (at, at)).collect();
        assert_eq!(assigned(&pairs), same);
    }
}
