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

/// The new part of an object that has divided covers at least this share of it.
const LEAST_OF_A_HALF: f64 = 0.15;

/// Neither part of an object that has divided has more than this share of its area.
const MOST_OF_A_HALF: f64 = 0.8;

/// Gives objects numbers that they keep. Two objects of neighbouring frames are taken for the same by how much they
/// overlap or, where none does, by how near they are, such that the sum over all is largest.
#[derive(Debug, Default)]
pub struct Tracker {
    /// The numbers of the frame before, pixel by pixel, with those of objects that were lost lately.
    before: Vec<u16>,
    known: Vec<Known>,
    /// Numbers that were given.
    given: u32,
    /// Pixels that an object of the frame before and one of this frame have in common: the number of the one, the label
    /// of the other, and how many.
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
    /// Whether all numbers were given, and begin at 1 again: objects that were there before are forgotten, and those
    /// that are there count as born.
    pub begun_anew: bool,
    /// Objects that were not there before; halves of one that has divided are not among them.
    pub births: Vec<u32>,
    /// Objects that were not found again: their numbers are given up.
    pub deaths: Vec<u32>,
    /// Objects that have divided, and what became of them.
    pub divisions: Vec<(u32, [u32; 2])>,
}

impl Events {
    /// Adds what happened later. What happened before numbers began anew goes, since they mean other objects now; so
    /// the lists don't grow without end.
    pub fn append(&mut self, later: &Events) {
        if later.begun_anew {
            self.clear();
            self.begun_anew = true;
        }
        self.births.extend_from_slice(&later.births);
        self.deaths.extend_from_slice(&later.deaths);
        self.divisions.extend_from_slice(&later.divisions);
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.begun_anew = false;
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

    /// Forgets the objects, which are not followed for a while, but not which numbers were given.
    pub fn lose_sight(&mut self) {
        if !self.known.is_empty() {
            self.known.clear();
            self.before.fill(0);
        }
    }

    /// Gives `objects` of a frame, and their pixels in `labels`, the numbers of those they were in the frame
    /// before, and others new ones. Frames of another size begin anew. Unless the mask `is_new`, it is the one of the
    /// frame before once more, and objects that are lost are not lost for longer by it.
    ///
    /// No number is given twice until all are given. Then they begin at 1 again, and so does all else.
    pub fn follow(&mut self, objects: &mut [Object], labels: &mut [u16], is_new: bool) -> &Events {
        if self.before.len() != labels.len() {
            self.reset();
            self.before.resize(labels.len(), 0);
        }
        self.events.clear();
        self.overlap(labels);
        self.pair(objects);
        let numbers = match self.number(objects) {
            Some(numbers) => numbers,
            None => self.begin_anew(objects.len()),
        };
        for (object, number) in objects.iter_mut().zip(&numbers) {
            object.number = *number;
        }
        for label in labels.iter_mut() {
            let index = usize::from(*label).checked_sub(1);
            *label = index
                .and_then(|at| numbers.get(at))
                .map_or(0, |n| *n as u16);
        }
        self.remember(objects, labels, is_new);
        &self.events
    }

    /// The number of each of `objects`; none where there are no more to give.
    fn number(&mut self, objects: &[Object]) -> Option<Vec<u32>> {
        let mut numbers = vec![0; objects.len()];
        for (before, now) in assigned(&self.pairs) {
            numbers[now] = self.known[before].number;
        }
        self.divide(objects, &mut numbers);
        for number in numbers.iter_mut().filter(|number| **number == 0) {
            *number = next(&mut self.given)?;
            self.events.births.push(*number);
        }
        Some(numbers)
    }

    /// Forgets which numbers were given, and gives `count` objects the first ones.
    fn begin_anew(&mut self, count: usize) -> Vec<u32> {
        self.lose_sight();
        self.events.clear();
        self.events.begun_anew = true;
        let numbers: Vec<u32> = (1..).take(count).collect();
        self.given = numbers.last().copied().unwrap_or(0);
        self.events.births.extend_from_slice(&numbers);
        numbers
    }

    /// Counts the pixels that objects of the frame before and of this one have in common.
    fn overlap(&mut self, labels: &[u16]) {
        let pixels = self.before.iter().zip(labels);
        let both = pixels.filter(|(before, now)| **before != 0 && **now != 0);
        self.overlaps.clear();
        for (before, now) in both {
            let pair = (u32::from(*before), u32::from(*now));
            match self.overlaps.last_mut() {
                // Most neighbours are of the same pair.
                Some((b, n, count)) if (*b, *n) == pair => *count += 1,
                _ => self.overlaps.push((pair.0, pair.1, 1)),
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

    /// Takes two objects for the parts of one that has divided, where one of them is new and lies on it, and the other
    /// would have its number.
    fn divide(&mut self, objects: &[Object], numbers: &mut [u32]) {
        // The object of the frame before that each has most pixels in common with.
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
            let (Some(one), Some(two)) = (next(&mut self.given), next(&mut self.given)) else {
                // Nor is there one for what has no number yet.
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
    fn remember(&mut self, objects: &[Object], labels: &[u16], is_new: bool) {
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
        let is_lost = |number: u16| {
            let number = u32::from(number);
            lost.binary_search_by_key(&number, |l| l.number).is_ok()
        };
        for (before, now) in self.before.iter_mut().zip(labels) {
            let stays = *now == 0 && *before != 0 && is_lost(*before);
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

/// The next number, unless all were given.
fn next(given: &mut u32) -> Option<u32> {
    if *given as usize >= MOST_OBJECTS {
        return None;
    }
    *given += 1;
    Some(*given)
}

fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

#[cfg(test)]
mod tests;
