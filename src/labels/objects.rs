//! Finds the objects of a mask, numbered and with their measures.

use std::collections::TryReserveError;

use super::components;
use super::division::{Division, Place};
use super::holes::HoleFiller;
use super::measures::{Object, perimeters};
use super::regions::{Fate, Region, Regions};
use super::room::{add, make_room, refill};
use super::rules::{ObjectRules, Split};
use super::watershed::SplitCriterion;

/// Most objects of a frame: labels are numbers of 16 bits.
pub const MOST_OBJECTS: usize = u16::MAX as usize;

/// There are more objects than labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a frame has {0} objects, but labels only go up to {MOST_OBJECTS}: set min-area to ignore specks"
)]
pub struct TooManyObjects(
    /// How many there are.
    pub usize,
);

/// Why objects can't be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// There are more than labels.
    #[error(transparent)]
    TooMany(#[from] TooManyObjects),
    /// There is not enough memory.
    #[error("there is not enough memory to find the objects of a frame: {0}")]
    Space(#[from] TryReserveError),
}

/// The objects found in a mask.
#[derive(Clone, Debug, Default)]
pub struct LabelledMask {
    /// The objects that count, in the order of their first pixels, row by row.
    pub objects: Vec<Object>,
    /// The number of the object of each pixel, 0 for none.
    pub labels: Vec<u16>,
    /// The mask with its holes filled, if the rules fill holes.
    pub filled: Vec<u8>,
}

/// Finds objects. Keeps its working memory.
#[derive(Debug, Default)]
pub struct Labeller {
    regions: Regions,
    holes: HoleFiller,
    division: Division,
    filled: Vec<u8>,
    labels: Vec<u16>,
    objects: Vec<Object>,
    /// The first pixel of each object.
    firsts: Vec<u32>,
    /// The number of each object that is a whole region and the place in `divided`, from 1 on, of each other one, by
    /// its first run; then the number of each piece of a region. 0 before its first pixel.
    numbers: Vec<u32>,
    /// The regions to be divided.
    divided: Vec<Region>,
    /// The indices of the objects in the order of their first pixels.
    order: Vec<u32>,
    sorted: Vec<Object>,
}

impl Labeller {
    /// Finds the objects of `mask`, rows of `width` pixels, by `rules`, with the `probability` of the foreground if it
    /// is known. They are numbered in the order of their first pixels, row by row.
    ///
    /// # Errors
    /// If there are more than labels can distinguish, or not enough memory.
    pub fn label(
        &mut self,
        mask: &[u8],
        probability: Option<&[f32]>,
        width: usize,
        rules: &ObjectRules,
    ) -> Result<(), LabelError> {
        if !rules.fill_holes {
            return self.label_filled(mask, probability, width, rules);
        }
        // Taken, so that `self` can be borrowed meanwhile.
        let mut filled = std::mem::take(&mut self.filled);
        let labelled = self.label_with_holes_filled(&mut filled, mask, probability, width, rules);
        self.filled = filled;
        labelled
    }

    fn label_with_holes_filled(
        &mut self,
        filled: &mut Vec<u8>,
        mask: &[u8],
        probability: Option<&[f32]>,
        width: usize,
        rules: &ObjectRules,
    ) -> Result<(), LabelError> {
        refill(filled, mask.len(), 0)?;
        filled.copy_from_slice(mask);
        self.holes.fill(filled, width, rules.connectivity)?;
        self.label_filled(filled, probability, width, rules)
    }

    fn label_filled(
        &mut self,
        mask: &[u8],
        probability: Option<&[f32]>,
        width: usize,
        rules: &ObjectRules,
    ) -> Result<(), LabelError> {
        let probability = probability.filter(|probability| probability.len() == mask.len());
        let criterion = rules.criterion(probability.is_some());
        self.regions
            .find(mask, width, rules, criterion, probability)?;
        refill(&mut self.labels, mask.len(), 0)?;
        let mut count = self.number_regions(mask, width)?;
        if let Some(criterion) = criterion {
            let heights = probability.filter(|_| rules.split != Split::Distance);
            let size = (width, mask.len() / width.max(1));
            count = self.divide(count, size, rules, criterion, heights)?;
        }
        if count > MOST_OBJECTS {
            self.objects.clear();
            self.share_labels(mask, width);
            return Err(TooManyObjects(count).into());
        }
        self.renumber()?;
        for object in &mut self.objects {
            object.finish();
        }
        Ok(())
    }

    /// Labels all regions that are not excluded, with labels shared among them: enough to draw them.
    fn share_labels(&mut self, mask: &[u8], width: usize) {
        let Labeller {
            regions, labels, ..
        } = self;
        components::for_each_run(mask, width, |run, _, range| {
            if let (first, Fate::Whole | Fate::Divided) = regions.region(run) {
                labels[range].fill(1 + (first % MOST_OBJECTS as u32) as u16);
            }
        });
    }

    /// Numbers the regions that are whole objects in the order of their first pixels and measures them, unless there
    /// are more than labels; returns how many there are. Finds out where those to be divided are.
    fn number_regions(&mut self, mask: &[u8], width: usize) -> Result<usize, TryReserveError> {
        let Labeller {
            regions,
            labels,
            objects,
            firsts,
            numbers,
            divided,
            ..
        } = self;
        let count = regions.count(Fate::Whole);
        let labelled = count <= MOST_OBJECTS;
        let room = if labelled { count } else { 0 };
        make_room(objects, room)?;
        make_room(firsts, room)?;
        make_room(divided, regions.count(Fate::Divided))?;
        refill(numbers, regions.runs(), 0)?;
        components::for_each_run(mask, width, |run, class, range| {
            let (first, fate) = regions.region(run);
            let number = &mut numbers[first as usize];
            let (y, start) = (range.start / width, range.start % width);
            let end = start + range.len();
            match fate {
                Fate::Whole if labelled => {
                    if *number == 0 {
                        *number = objects.len() as u32 + 1;
                        objects.push(Object::new(*number, class));
                        firsts.push(range.start as u32);
                    }
                    labels[range].fill(*number as u16);
                    objects[*number as usize - 1].add(y, start, end);
                }
                Fate::Divided if *number == 0 => {
                    divided.push(Region::new(first, class, y, start, end));
                    *number = divided.len() as u32;
                }
                Fate::Divided => divided[*number as usize - 1].add(y, start, end),
                Fate::Whole | Fate::Excluded => {}
            }
        });
        Ok(count)
    }

    /// Divides regions into pieces, and numbers and measures those that count, as long as there are labels. Returns how
    /// many objects there are, with the `count` that are whole regions.
    fn divide(
        &mut self,
        mut count: usize,
        (width, height): (usize, usize),
        rules: &ObjectRules,
        criterion: SplitCriterion,
        probability: Option<&[f32]>,
    ) -> Result<usize, TryReserveError> {
        for index in 0..self.divided.len() {
            let region = self.divided[index];
            let place = Place {
                width,
                height,
                region: &region,
            };
            let by = (criterion, rules.connectivity);
            self.division
                .divide(&mut self.regions, place, probability, by)?;
            let areas = rules.min_area..=rules.max_area;
            let pieces = self.division.choose(place, areas, rules.exclude_border);
            count += pieces;
            if count <= MOST_OBJECTS {
                self.number_pieces(&region, width)?;
            }
        }
        Ok(count)
    }

    /// Numbers the pieces of a region and measures them.
    fn number_pieces(&mut self, region: &Region, width: usize) -> Result<(), TryReserveError> {
        refill(&mut self.numbers, self.division.numbers(), 0)?;
        for (y, row) in (region.rows.0..).zip(self.division.rows()) {
            let mut start = region.columns.0;
            for run in row.chunk_by(|left, right| left == right) {
                let (piece, end) = (run[0], start + run.len());
                if self.division.counts(piece) {
                    let place = y * width + start..y * width + end;
                    let number = &mut self.numbers[piece as usize];
                    if *number == 0 {
                        *number = self.objects.len() as u32 + 1;
                        add(&mut self.objects, Object::new(*number, region.class))?;
                        add(&mut self.firsts, place.start as u32)?;
                    }
                    self.labels[place].fill(*number as u16);
                    self.objects[*number as usize - 1].add(y, start, end);
                }
                start = end;
            }
        }
        Ok(())
    }

    /// Numbers objects in the order of their first pixels, if pieces were numbered after all others.
    fn renumber(&mut self) -> Result<(), TryReserveError> {
        if self.divided.is_empty() {
            return Ok(());
        }
        let count = self.objects.len();
        make_room(&mut self.order, count)?;
        self.order.extend(0..count as u32);
        self.order
            .sort_unstable_by_key(|index| self.firsts[*index as usize]);
        refill(&mut self.numbers, count + 1, 0)?;
        make_room(&mut self.sorted, count)?;
        for (index, number) in self.order.iter().zip(1..) {
            self.numbers[*index as usize + 1] = number;
            self.sorted.push(Object {
                number,
                ..self.objects[*index as usize]
            });
        }
        std::mem::swap(&mut self.objects, &mut self.sorted);
        for label in &mut self.labels {
            *label = self.numbers[usize::from(*label)] as u16;
        }
        Ok(())
    }

    /// The last mask with its holes filled, if the rules fill holes.
    pub fn filled(&self) -> &[u8] {
        &self.filled
    }

    /// The objects found last.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The number of the object of each pixel, 0 for none. If there were too many, objects share numbers.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// Objects and labels, for a [`Tracker`](super::Tracker), which renumbers them: label n belongs to the n-th object.
    pub fn parts_mut(&mut self) -> (&mut [Object], &mut [u16]) {
        (&mut self.objects, &mut self.labels)
    }

    /// Swaps the last results with `found`, whose memory is used for the next ones.
    pub fn swap_results(&mut self, found: &mut LabelledMask) {
        std::mem::swap(&mut self.objects, &mut found.objects);
        std::mem::swap(&mut self.labels, &mut found.labels);
        std::mem::swap(&mut self.filled, &mut found.filled);
    }

    /// Measures the perimeter of each object.
    pub fn measure_perimeters(&mut self, width: usize) {
        let objects = &mut self.objects;
        perimeters(&self.labels, width, |number, length| {
            if let Some(object) = objects.get_mut(usize::from(number) - 1) {
                object.perimeter += length;
            }
        });
    }

    /// Measures the mean of the picture on each object: `pixels` calls its argument with the row, the first column and
    /// the values of each chunk of the picture.
    pub fn measure_intensities(
        &mut self,
        width: usize,
        pixels: impl FnOnce(&mut dyn FnMut(usize, usize, &[u16])),
    ) {
        for object in &mut self.objects {
            object.intensity = Some(0.0);
        }
        let (labels, objects) = (&self.labels, &mut self.objects);
        pixels(&mut |y, x, values| {
            let here = labels.get(y * width + x..).unwrap_or(&[]);
            for (label, value) in here.iter().zip(values) {
                let object = usize::from(*label).checked_sub(1);
                if let Some(object) = object.and_then(|index| objects.get_mut(index)) {
                    let sum = object.intensity.get_or_insert(0.0);
                    *sum += f64::from(*value);
                }
            }
        });
        for object in objects {
            let area = object.area.max(1) as f64;
            object.intensity = object.intensity.map(|sum| sum / area);
        }
    }
}

#[cfg(test)]
mod tests;
