//! The same object keeps its number from frame to frame.

use std::collections::HashMap;

use super::assignment::{Pair, assigned};
use super::measures::Object;
use super::nearby::Nearby;
use super::objects::MOST_OBJECTS;

/// An object that lost its last pixels of overlap may have moved this far, as a multiple of its diameter.
const REACH: f64 = 1.5;

/// Frames for which an object that was not found is looked for again.
const PATIENCE: u32 = 2;

/// Both parts of an object that has divided cover at least this share of it.
const LEAST_OF_A_HALF: f64 = 0.15;

/// The larger part of an object that has divided is at most this much of it.
const MOST_OF_A_HALF: f64 = 0.8;

/// Gives objects numbers that they keep. Two objects of neighbouring frames are taken for the same by how much they
/// overlap or, where none does, by how near they are, such that the sum over all is largest.
#[derive(Debug, Default)]
pub struct Tracker {
    /// The numbers of the frame before, pixel by pixel, with those of objects that were lost lately.
    before: Vec<u32>,
    known: Vec<Known>,
    /// Numbers that were given.
    given: u32,
    /// Pixels that an object of before and one of now have in common: indices of both, and how many.
    overlaps: Vec<(u32, u32, usize)>,
    pairs: Vec<Pair>,
    events: Events,
}

/// An object of the frame before, or one that was lost lately.
#[derive(Clone, Copy, Debug)]
struct Known {
    number: u32,
    area: f64,
    centroid: (f64, f64),
    /// Frames since it was found.
    lost: u32,
}

impl Known {
    /// How far it may have moved, in pixels.
    fn reach(&self) -> f64 {
        REACH * 2.0 * (self.area / std::f64::consts::PI).sqrt()
    }
}

/// What changed from one frame to the next, by numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Objects that were not there before; halves of one that has divided are not among them.
    pub births: Vec<u32>,
    /// Objects that were looked for in vain: their numbers are given up.
    pub deaths: Vec<u32>,
    /// Objects that have divided, and what became of them.
    pub divisions: Vec<(u32, [u32; 2])>,
}

impl Events {
    /// Adds what happened later. No number is given twice, so that there is an end to it.
    pub fn append(&mut self, later: &Events) {
        self.births.extend_from_slice(&later.births);
        self.deaths.extend_from_slice(&later.deaths);
        self.divisions.extend_from_slice(&later.divisions);
    }

    pub fn clear(&mut self) {
        self.births.clear();
        self.deaths.clear();
        self.divisions.clear();
    }
}

impl Tracker {
    /// Forgets all objects; numbers begin at 1 again.
    pub fn reset(&mut self) {
        self.before.clear();
        self.known.clear();
        self.given = 0;
    }

    /// Forgets the objects, as nobody follows them for a while, but not which numbers were given.
    pub fn lose_sight(&mut self) {
        if !self.known.is_empty() {
            self.known.clear();
            self.before.fill(0);
        }
    }

    /// Gives `objects` of a frame, and their pixels in `labels`, the numbers of those they were in the frame
    /// before, and others new ones. Frames of another size begin anew. Where they come from the mask of the frame
    /// before once more, and it is no new one, nothing is missing for longer by that.
    ///
    /// # Errors
    /// If all numbers are used up: they are not given twice.
    pub fn follow(
        &mut self,
        objects: &mut [Object],
        labels: &mut [u32],
        is_new: bool,
    ) -> Result<&Events, UsedUp> {
        if self.before.len() != labels.len() {
            self.reset();
            self.before.resize(labels.len(), 0);
        }
        self.events.clear();
        self.overlap(labels);
        self.pair(objects);
        let mut numbers = vec![0; objects.len()];
        for (before, now) in assigned(&self.pairs) {
            numbers[now] = self.known[before].number;
        }
        self.divide(objects, &mut numbers);
        for (object, number) in objects.iter_mut().zip(&mut numbers) {
            if *number == 0 {
                *number = next(&mut self.given)?;
                self.events.births.push(*number);
            }
            object.number = *number;
        }
        for label in labels.iter_mut() {
            let index = (*label as usize).checked_sub(1);
            *label = index.and_then(|at| numbers.get(at)).map_or(0, |n| *n);
        }
        self.remember(objects, labels, is_new);
        Ok(&self.events)
    }

    /// Counts the pixels that objects of before and of now have in common.
    fn overlap(&mut self, labels: &[u32]) {
        let pixels = self.before.iter().zip(labels);
        let both = pixels.filter(|(before, now)| **before != 0 && **now != 0);
        self.overlaps.clear();
        for (before, now) in both {
            match self.overlaps.last_mut() {
                // Most neighbours are of the same pair.
                Some((b, n, count)) if (*b, *n) == (*before, *now) => *count += 1,
                _ => self.overlaps.push((*before, *now, 1)),
            }
        }
        self.overlaps.sort_unstable();
        self.overlaps.dedup_by(|next, first| {
            let same = (next.0, next.1) == (first.0, first.1);
            if same {
                first.2 += next.2;
            }
            same
        });
    }

    /// Finds out which objects may be the same.
    fn pair(&mut self, objects: &[Object]) {
        self.pairs.clear();
        self.known.sort_unstable_by_key(|known| known.number);
        let mut overlapped = vec![false; self.known.len()];
        for (number, label, pixels) in &self.overlaps {
            let found = self
                .known
                .binary_search_by_key(number, |known| known.number);
            let (Ok(before), Some(now)) = (found, (*label as usize).checked_sub(1)) else {
                continue;
            };
            let Some(object) = objects.get(now) else {
                continue;
            };
            overlapped[before] = true;
            let both = *pixels as f64;
            let union = self.known[before].area + object.area as f64 - both;
            // Any overlap counts for more than mere nearness.
            self.pairs.push(Pair {
                before,
                now,
                weight: 1.0 + both / union.max(1.0),
            });
        }
        let lonely = || {
            self.known
                .iter()
                .enumerate()
                .filter(|(at, _)| !overlapped[*at])
        };
        let grid = Nearby::new(objects, lonely().map(|(_, known)| known.reach()));
        for (before, known) in lonely() {
            let reach = known.reach();
            for now in grid.around(known.centroid, reach) {
                let object = &objects[now];
                let away = distance(known.centroid, object.centroid);
                if away < reach {
                    let ratio = known.area / object.area.max(1) as f64;
                    let alike = ratio.min(1.0 / ratio);
                    self.pairs.push(Pair {
                        before,
                        now,
                        weight: (1.0 - away / reach) * alike,
                    });
                }
            }
        }
        self.pairs.retain(|pair| pair.weight > 0.0);
    }

    /// Takes two objects for the halves of one, where one of them is new and both lie on it.
    fn divide(&mut self, objects: &[Object], numbers: &mut [u32]) {
        // The object of before that each has most pixels in common with.
        let mut parents = vec![(0, 0); objects.len()];
        for (parent, label, pixels) in &self.overlaps {
            let most = (*label as usize)
                .checked_sub(1)
                .and_then(|now| parents.get_mut(now));
            if let Some(most) = most.filter(|most| *pixels >= most.1) {
                *most = (*parent, *pixels);
            }
        }
        let places = numbers.iter().enumerate().filter(|(_, n)| **n != 0);
        let mut places: HashMap<u32, usize> = places.map(|(at, number)| (*number, at)).collect();
        for (now, &(parent, pixels)) in parents.iter().enumerate() {
            if numbers[now] != 0 || pixels == 0 {
                continue;
            }
            let found = self
                .known
                .binary_search_by_key(&parent, |known| known.number);
            let (Ok(known), Some(&other)) = (found, places.get(&parent)) else {
                continue;
            };
            let area = self.known[known].area;
            let halves = [objects[now].area as f64, objects[other].area as f64];
            let enough = pixels as f64 >= LEAST_OF_A_HALF * area;
            if !enough || halves.iter().any(|half| *half > MOST_OF_A_HALF * area) {
                continue;
            }
            let (Ok(one), Ok(two)) = (next(&mut self.given), next(&mut self.given)) else {
                return;
            };
            places.remove(&parent);
            // In the order in which they come in the frame.
            (numbers[now.min(other)], numbers[now.max(other)]) = (one, two);
            self.events.divisions.push((parent, [one, two]));
            // It is neither lost nor found.
            self.known[known].lost = u32::MAX;
        }
    }

    /// Keeps what the next frame needs.
    fn remember(&mut self, objects: &[Object], labels: &[u32], is_new: bool) {
        let mut there: Vec<u32> = objects.iter().map(|object| object.number).collect();
        there.sort_unstable();
        let is_there = |number: u32| there.binary_search(&number).is_ok();
        let events = &mut self.events;
        self.known.retain_mut(|known| {
            if known.lost == u32::MAX || is_there(known.number) {
                return false;
            }
            known.lost += u32::from(is_new);
            let stays = known.lost <= PATIENCE;
            if !stays {
                // Not before: one that flickers would die each time, and be found again without a birth.
                events.deaths.push(known.number);
            }
            stays
        });
        // What was lost stays where nothing else is. They are still in the order of their numbers.
        let lost = &self.known;
        let is_lost = |number: &u32| lost.binary_search_by_key(number, |l| l.number).is_ok();
        for (before, now) in self.before.iter_mut().zip(labels) {
            let stays = *now == 0 && *before != 0 && is_lost(before);
            if !stays {
                *before = *now;
            }
        }
        self.known.extend(objects.iter().map(|object| Known {
            number: object.number,
            area: object.area as f64,
            centroid: object.centroid,
            lost: 0,
        }));
    }
}

/// All numbers were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "all {MOST_OBJECTS} numbers of objects were given since the start or the last flush, and none is given twice: set min-area, so that specks are not followed, or flush to begin at 1"
)]
pub struct UsedUp;

fn next(given: &mut u32) -> Result<u32, UsedUp> {
    if *given as usize >= MOST_OBJECTS {
        return Err(UsedUp);
    }
    *given += 1;
    Ok(*given)
}

fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

#[cfg(test)]
mod tests {
    use super::super::{Labeller, Rules};
    use super::*;

    const WIDTH: usize = 60;
    const HEIGHT: usize = 30;

    /// A frame of boxes, each a column, row, width and height.
    fn frame(tracker: &mut Tracker, boxes: &[(usize, usize, usize, usize)]) -> (Vec<u32>, Events) {
        let mut mask = vec![0; WIDTH * HEIGHT];
        for (x, y, width, height) in boxes {
            for row in *y..y + height {
                mask[row * WIDTH + x..][..*width].fill(1);
            }
        }
        let mut labeller = Labeller::default();
        labeller
            .label(&mask, None, WIDTH, &Rules::default())
            .unwrap();
        let mut labels = labeller.labels().to_vec();
        let mut objects = labeller.objects().to_vec();
        let events = tracker
            .follow(&mut objects, &mut labels, true)
            .unwrap()
            .clone();
        let at = |(x, y, ..): &(usize, usize, usize, usize)| labels[y * WIDTH + x];
        (boxes.iter().map(at).collect(), events)
    }

    #[test]
    fn objects_that_move_keep_their_numbers() {
        let mut tracker = Tracker::default();
        let (numbers, events) = frame(&mut tracker, &[(2, 2, 8, 8), (30, 2, 8, 8)]);
        assert_eq!((numbers, events.births), (vec![1, 2], vec![1, 2]));
        // The order of their first pixels changes.
        for step in 1..5 {
            let boxes = [(2 + 3 * step, 6, 8, 8), (30 - step, 2 + step, 8, 8)];
            let (numbers, events) = frame(&mut tracker, &boxes);
            assert_eq!(numbers, [1, 2], "{step}");
            assert_eq!(events, Events::default(), "{step}");
        }
    }

    #[test]
    fn what_comes_after_a_pause_is_new() {
        let mut tracker = Tracker::default();
        let boxes = [(2, 2, 8, 8)];
        frame(&mut tracker, &boxes);
        tracker.lose_sight();
        let (numbers, events) = frame(&mut tracker, &boxes);
        assert_eq!((numbers, events.births), (vec![2], vec![2]));
        for _ in 0..3 {
            assert!(frame(&mut tracker, &boxes).1.deaths.is_empty());
        }
    }

    #[test]
    fn a_jump_is_followed_and_a_leap_is_not() {
        let mut tracker = Tracker::default();
        frame(&mut tracker, &[(2, 2, 6, 6)]);
        let (numbers, _) = frame(&mut tracker, &[(10, 2, 6, 6)]);
        assert_eq!(numbers, [1]);
        let leap = [(50, 20, 6, 6)];
        let (numbers, events) = frame(&mut tracker, &leap);
        assert_eq!(numbers, [2]);
        assert_eq!((events.births, events.deaths), (vec![2], vec![]));
        // The one before is looked for twice.
        assert_eq!(frame(&mut tracker, &leap).1, Events::default());
        assert_eq!(frame(&mut tracker, &leap).1.deaths, [1]);
        assert_eq!(frame(&mut tracker, &leap).1, Events::default());
    }

    /// As when a stage moves over a dense field: no object overlaps any, and looking at all pairs takes minutes.
    #[test]
    fn a_dense_field_that_moves_is_followed() {
        let side = 1400;
        let dots = |shift: usize| {
            let mut mask = vec![0; side * side];
            for row in (1..side - 3).step_by(6) {
                for column in (1 + shift..side - 3).step_by(6) {
                    mask[row * side + column..][..2].fill(1);
                    mask[(row + 1) * side + column..][..2].fill(1);
                }
            }
            mask
        };
        let mut tracker = Tracker::default();
        let mut labeller = Labeller::default();
        let mut counts = Vec::new();
        for shift in [0, 3] {
            let rules = Rules::default();
            labeller.label(&dots(shift), None, side, &rules).unwrap();
            let (objects, labels) = labeller.parts_mut();
            let events = tracker.follow(objects, labels, true).unwrap();
            counts.push(events.births.len());
        }
        assert!(
            counts[0] > 50_000 && counts[1] < counts[0] / 20,
            "{counts:?}"
        );
    }

    #[test]
    fn a_mask_that_is_shown_once_more_makes_nothing_older() {
        let mut tracker = Tracker::default();
        frame(&mut tracker, &[(2, 2, 8, 8)]);
        frame(&mut tracker, &[]);
        let mut labels = vec![0; WIDTH * HEIGHT];
        for _ in 0..5 {
            let events = tracker.follow(&mut [], &mut labels, false).unwrap();
            assert_eq!(*events, Events::default());
        }
        let (numbers, events) = frame(&mut tracker, &[(2, 2, 8, 8)]);
        assert_eq!((numbers, events), (vec![1], Events::default()));
    }

    #[test]
    fn what_is_missing_for_a_moment_is_found_again() {
        let mut tracker = Tracker::default();
        frame(&mut tracker, &[(2, 2, 6, 6), (30, 10, 6, 6)]);
        for _ in 0..2 {
            let (numbers, events) = frame(&mut tracker, &[(30, 10, 6, 6)]);
            assert_eq!((numbers, events), (vec![2], Events::default()));
        }
        let (numbers, events) = frame(&mut tracker, &[(3, 3, 6, 6), (30, 10, 6, 6)]);
        assert_eq!((numbers, events), (vec![1, 2], Events::default()));
        // Not for ever.
        let deaths = [(); 3].map(|()| frame(&mut tracker, &[(30, 10, 6, 6)]).1.deaths);
        assert_eq!(deaths, [vec![], vec![], vec![1]]);
        let (numbers, _) = frame(&mut tracker, &[(3, 3, 6, 6), (30, 10, 6, 6)]);
        assert_eq!(numbers, [3, 2]);
    }

    #[test]
    fn halves_know_where_they_come_from() {
        let mut tracker = Tracker::default();
        frame(&mut tracker, &[(20, 5, 16, 8)]);
        let (numbers, events) = frame(&mut tracker, &[(19, 5, 7, 8), (29, 5, 7, 8)]);
        assert_eq!(numbers, [2, 3]);
        assert_eq!(events.divisions, [(1, [2, 3])]);
        assert!(events.births.is_empty() && events.deaths.is_empty());
        // A speck beside a whole object is no half.
        let mut tracker = Tracker::default();
        frame(&mut tracker, &[(20, 5, 16, 8)]);
        let (numbers, events) = frame(&mut tracker, &[(20, 5, 14, 8), (35, 5, 1, 1)]);
        assert_eq!((numbers, events.births), (vec![1, 2], vec![2]));
    }

    #[test]
    fn numbers_are_not_given_twice() {
        let mut tracker = Tracker {
            given: MOST_OBJECTS as u32 - 1,
            before: vec![0; 2],
            ..Tracker::default()
        };
        let mut objects = [Object::default(), Object::default()];
        let error = tracker.follow(&mut objects, &mut [1, 2], true);
        assert!(error.is_err());
    }
}
