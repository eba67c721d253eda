//! Tracking: an object keeps its number from frame to frame.

use std::collections::TryReserveError;

use super::assignment::{Assignment, Candidate};
use super::measures::Object;
use super::objects::MOST_OBJECTS;
use super::room::{add, refill};
use super::spatial_index::SpatialIndex;

/// Largest movement of an object without overlap, as a multiple of its diameter.
const REACH: f64 = 1.5;

/// Frames for which the tracker keeps looking for a lost object.
const PATIENCE: u32 = 2;

/// The new half of a divided object overlaps at least this share of it.
const MIN_HALF: f64 = 0.15;

/// Neither half of a divided object has more than this share of its area.
const MAX_HALF: f64 = 0.8;

/// Gives objects numbers that they keep. Objects of consecutive frames are matched by overlap or, without any overlap,
/// by distance, so that the total weight is largest. Keeps its working memory.
#[derive(Debug, Default)]
pub struct Tracker {
    /// The numbers of the previous frame, pixel by pixel, including those of recently lost objects.
    before: Vec<u16>,
    tracks: Vec<Track>,
    /// The last number that was assigned.
    last_number: u32,
    /// Pixels that an object of the previous frame and one of this frame have in common: the number of the former, the
    /// label of the latter, and the count.
    overlaps: Vec<(u32, u32, usize)>,
    /// Which tracks overlap an object.
    overlapped: Vec<bool>,
    index: SpatialIndex,
    candidates: Vec<Candidate>,
    assignment: Assignment,
    /// The number of each object, 0 before it has one.
    numbers: Vec<u32>,
    /// For each track the index of the object that has its number.
    heirs: Vec<Option<usize>>,
    /// For each object, the number of the track with which it has most pixels in common, and their count.
    parents: Vec<(u32, usize)>,
    events: TrackEvents,
}

/// An object of the previous frame, or a recently lost one.
#[derive(Clone, Copy, Debug)]
struct Track {
    number: u32,
    area: f64,
    centroid: (f64, f64),
    /// Frames since it was last found.
    lost: u32,
}

impl Track {
    /// How far it may have moved, in pixels.
    fn reach(&self) -> f64 {
        REACH * 2.0 * (self.area / std::f64::consts::PI).sqrt()
    }
}

/// Changes from one frame to the next, by object numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackEvents {
    /// Whether all numbers were used up and start at 1 again: earlier objects are forgotten, and present ones count as
    /// born.
    pub renumbered: bool,
    /// New objects; halves of divided ones are not among them.
    pub births: Vec<u32>,
    /// Objects that were not found again: their numbers are retired.
    pub deaths: Vec<u32>,
    /// Objects that have divided, each with its two halves.
    pub divisions: Vec<(u32, [u32; 2])>,
}

impl TrackEvents {
    /// Appends later events. Events before a renumbering are dropped, since the numbers mean other objects now; so the
    /// lists don't grow without limit.
    pub fn append(&mut self, later: &TrackEvents) {
        if later.renumbered {
            self.clear();
            self.renumbered = true;
        }
        self.births.extend_from_slice(&later.births);
        self.deaths.extend_from_slice(&later.deaths);
        self.divisions.extend_from_slice(&later.divisions);
    }

    /// Removes all events.
    pub fn clear(&mut self) {
        self.renumbered = false;
        self.births.clear();
        self.deaths.clear();
        self.divisions.clear();
    }
}

impl Tracker {
    /// Forgets all objects; numbers start at 1 again.
    pub fn reset(&mut self) {
        self.before.clear();
        self.tracks.clear();
        self.last_number = 0;
    }

    /// Forgets all objects, for a pause in tracking, but not which numbers were used.
    pub fn forget_objects(&mut self) {
        if !self.tracks.is_empty() {
            self.tracks.clear();
            self.before.fill(0);
        }
    }

    /// Gives `objects` of a frame, and their pixels in `labels`, the numbers they had in the previous frame, and new
    /// objects new numbers. A frame of another size resets the tracker. Unless `is_new`, the mask is the previous one
    /// again, which doesn't count towards the time for which objects are lost.
    ///
    /// No number is used twice until all are used up. Then the tracker starts again, with number 1.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn follow(
        &mut self,
        objects: &mut [Object],
        labels: &mut [u16],
        is_new: bool,
    ) -> Result<&TrackEvents, TryReserveError> {
        if self.before.len() != labels.len() {
            self.reset();
            refill(&mut self.before, labels.len(), 0)?;
        }
        self.events.clear();
        self.count_overlaps(labels)?;
        self.find_candidates(objects)?;
        if !self.assign_numbers(objects)? {
            self.renumber();
        }
        for (object, number) in objects.iter_mut().zip(&self.numbers) {
            object.number = *number;
        }
        for label in labels.iter_mut() {
            let index = usize::from(*label).checked_sub(1);
            let number = index.and_then(|at| self.numbers.get(at));
            *label = number.map_or(0, |number| *number as u16);
        }
        self.remember(objects, labels, is_new)?;
        Ok(&self.events)
    }

    /// Gives each of `objects` a number. Returns whether there were enough.
    fn assign_numbers(&mut self, objects: &[Object]) -> Result<bool, TryReserveError> {
        refill(&mut self.numbers, objects.len(), 0)?;
        refill(&mut self.heirs, self.tracks.len(), None)?;
        for &(before, now) in self.assignment.assign(&mut self.candidates)? {
            self.numbers[now] = self.tracks[before].number;
            self.heirs[before] = Some(now);
        }
        self.find_divisions(objects)?;
        for number in self.numbers.iter_mut().filter(|number| **number == 0) {
            let Some(next) = next_number(&mut self.last_number) else {
                return Ok(false);
            };
            *number = next;
            self.events.births.push(next);
        }
        Ok(true)
    }

    /// Starts again, with the first numbers.
    fn renumber(&mut self) {
        self.forget_objects();
        self.events.clear();
        self.events.renumbered = true;
        self.last_number = self.numbers.len() as u32;
        for (number, first) in self.numbers.iter_mut().zip(1..) {
            *number = first;
        }
        self.events.births.extend_from_slice(&self.numbers);
    }

    /// Counts the pixels that objects of the previous frame and of this one have in common.
    fn count_overlaps(&mut self, labels: &[u16]) -> Result<(), TryReserveError> {
        let pixels = self.before.iter().zip(labels);
        let both = pixels.filter(|(before, now)| **before != 0 && **now != 0);
        self.overlaps.clear();
        for (before, now) in both {
            let pair = (u32::from(*before), u32::from(*now));
            match self.overlaps.last_mut() {
                // Most neighbouring pixels belong to the same pair.
                Some((b, n, count)) if (*b, *n) == pair => *count += 1,
                _ => add(&mut self.overlaps, (pair.0, pair.1, 1))?,
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
        Ok(())
    }

    /// Finds objects that may be the same.
    fn find_candidates(&mut self, objects: &[Object]) -> Result<(), TryReserveError> {
        self.candidates.clear();
        self.tracks.sort_unstable_by_key(|track| track.number);
        refill(&mut self.overlapped, self.tracks.len(), false)?;
        for (number, label, pixels) in &self.overlaps {
            let found = self
                .tracks
                .binary_search_by_key(number, |track| track.number);
            let (Ok(before), Some(now)) = (found, (*label as usize).checked_sub(1)) else {
                continue;
            };
            let Some(object) = objects.get(now) else {
                continue;
            };
            self.overlapped[before] = true;
            let both = *pixels as f64;
            let union = self.tracks[before].area + object.area as f64 - both;
            // Any overlap outweighs distance alone.
            let candidate = Candidate {
                before,
                now,
                weight: 1.0 + both / union.max(1.0),
            };
            add(&mut self.candidates, candidate)?;
        }
        let tracks = self.tracks.iter().zip(&self.overlapped).enumerate();
        let without_overlap = tracks.filter(|(_, (_, overlapped))| !**overlapped);
        let without_overlap = without_overlap.map(|(at, (track, _))| (at, track, track.reach()));
        let reaches = without_overlap.clone().map(|(_, _, reach)| reach);
        self.index.fill(objects, reaches)?;
        for (before, track, reach) in without_overlap {
            for &now in self.index.around(track.centroid, reach) {
                let object = &objects[now];
                let away = distance(track.centroid, object.centroid);
                if away < reach {
                    let ratio = track.area / object.area.max(1) as f64;
                    let alike = ratio.min(1.0 / ratio);
                    let candidate = Candidate {
                        before,
                        now,
                        weight: (1.0 - away / reach) * alike,
                    };
                    add(&mut self.candidates, candidate)?;
                }
            }
        }
        self.candidates.retain(|pair| pair.weight > 0.0);
        Ok(())
    }

    /// Finds divisions: one of two objects would get the number of the divided one, the other is new and overlaps it.
    fn find_divisions(&mut self, objects: &[Object]) -> Result<(), TryReserveError> {
        let numbers = &mut self.numbers;
        let parents = &mut self.parents;
        refill(parents, objects.len(), (0, 0))?;
        for (parent, label, pixels) in &self.overlaps {
            let most = (*label as usize)
                .checked_sub(1)
                .and_then(|now| parents.get_mut(now));
            if let Some(most) = most.filter(|most| *pixels >= most.1) {
                *most = (*parent, *pixels);
            }
        }
        for (now, &(parent, pixels)) in parents.iter().enumerate() {
            if numbers[now] != 0 || pixels == 0 {
                continue;
            }
            let found = self
                .tracks
                .binary_search_by_key(&parent, |track| track.number);
            let Ok(divided) = found else {
                continue;
            };
            let Some(other) = self.heirs[divided] else {
                continue;
            };
            let area = self.tracks[divided].area;
            let halves = [objects[now].area as f64, objects[other].area as f64];
            let enough = pixels as f64 >= MIN_HALF * area;
            if !enough || halves.iter().any(|half| *half > MAX_HALF * area) {
                continue;
            }
            let mut next = || next_number(&mut self.last_number);
            let (Some(one), Some(two)) = (next(), next()) else {
                // Nor is there one for objects without a number.
                break;
            };
            self.heirs[divided] = None;
            // In the order of the halves in the frame.
            (numbers[now.min(other)], numbers[now.max(other)]) = (one, two);
            self.events.divisions.push((parent, [one, two]));
            // The divided object is neither lost nor found.
            self.tracks[divided].lost = u32::MAX;
        }
        Ok(())
    }

    /// Keeps the state for the next frame.
    fn remember(
        &mut self,
        objects: &[Object],
        labels: &[u16],
        is_new: bool,
    ) -> Result<(), TryReserveError> {
        let present = &mut self.numbers;
        present.sort_unstable();
        let is_present = |number: u32| present.binary_search(&number).is_ok();
        let events = &mut self.events;
        self.tracks.retain_mut(|track| {
            if track.lost == u32::MAX || is_present(track.number) {
                return false;
            }
            track.lost += u32::from(is_new);
            let keep = track.lost <= PATIENCE;
            if !keep {
                // Not earlier: a flickering object would die each time, and be found again without a birth.
                events.deaths.push(track.number);
            }
            keep
        });
        // Lost objects keep their pixels unless others cover them. Tracks are still sorted by number.
        let lost = &self.tracks;
        let is_lost = |number: u16| {
            let number = u32::from(number);
            lost.binary_search_by_key(&number, |l| l.number).is_ok()
        };
        for (before, now) in self.before.iter_mut().zip(labels) {
            let keep = *now == 0 && *before != 0 && is_lost(*before);
            if !keep {
                *before = *now;
            }
        }
        self.tracks.try_reserve(objects.len())?;
        self.tracks.extend(objects.iter().map(|object| Track {
            number: object.number,
            area: object.area as f64,
            centroid: object.centroid,
            lost: 0,
        }));
        Ok(())
    }
}

/// The next number, unless all are used up.
fn next_number(last_number: &mut u32) -> Option<u32> {
    if *last_number as usize >= MOST_OBJECTS {
        return None;
    }
    *last_number += 1;
    Some(*last_number)
}

fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

#[cfg(test)]
mod tests;
