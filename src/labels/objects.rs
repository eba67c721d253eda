//! Finds the objects of a mask, numbered and with their measures.

use std::collections::TryReserveError;

use super::components::{Components, Connectivity};
use super::distance::DistanceTransform;
use super::holes::{HoleFiller, border};
use super::measures::{Object, perimeters};
use super::room::refill;
use super::watershed::{Heights, SplitCriterion, Watershed};

/// Most objects of a frame: labels are numbers of 16 bits.
pub const MOST_OBJECTS: usize = u16::MAX as usize;

/// Steps in which a watershed sorts distances, per pixel.
const STEPS_OF_DISTANCE: f32 = 16.0;

/// Steps in which it sorts probabilities, from 0 to 1.
const STEPS_OF_PROBABILITY: f32 = 4096.0;

/// The number of a region that does not count as an object.
const EXCLUDED: u32 = 0;

/// The number of a region that counts, before its first pixel is reached.
const UNNUMBERED: u32 = u32::MAX;

/// What counts as an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObjectRules {
    /// Which pixels are connected.
    pub connectivity: Connectivity,
    /// Whether background enclosed by an object is a part of it.
    pub fill_holes: bool,
    /// How touching objects are separated.
    pub split: Split,
    /// Two pieces of a region are two objects if the neck between them is lower than the lower of both peaks by more
    /// than this share, `0..=1`.
    pub split_depth: f32,
    /// Probability above which pixels belong to the core of an object, for [`Split::Cores`], `0..=1`.
    pub core_threshold: f32,
    /// Smallest area of an object, and of a core, in pixels.
    pub min_area: usize,
    /// Largest area of an object, in pixels.
    pub max_area: usize,
    /// Whether objects that touch the edge of the frame are excluded.
    pub exclude_border: bool,
}

impl Default for ObjectRules {
    fn default() -> Self {
        ObjectRules {
            connectivity: Connectivity::default(),
            fill_holes: false,
            split: Split::default(),
            split_depth: 0.25,
            core_threshold: 0.75,
            min_area: 0,
            max_area: usize::MAX,
            exclude_border: false,
        }
    }
}

impl ObjectRules {
    /// Whether objects by these rules may differ from the connected components of the mask.
    pub fn filters_or_splits(&self) -> bool {
        self.fill_holes
            || self.split != Split::Off
            || self.min_area > 1
            || self.max_area < usize::MAX
            || self.exclude_border
    }
}

/// How touching objects are separated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// Not at all.
    #[default]
    Off,
    /// Where they are narrow: by a watershed of the distance from the edge.
    Distance,
    /// Where the network is less certain: by a watershed of the probability.
    Probability,
    /// Each grows downhill in the probability from a core of which the network is certain; without a core there is no
    /// object.
    Cores,
}

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
    components: Components,
    holes: HoleFiller,
    distance: DistanceTransform,
    watershed: Watershed,
    filled: Vec<u8>,
    distances: Vec<f32>,
    /// The region of each pixel, including those that will be excluded: there may be more than labels.
    regions: Vec<u32>,
    labels: Vec<u16>,
    objects: Vec<Object>,
    /// The object number of each region, or [`EXCLUDED`], or [`UNNUMBERED`] before its first pixel.
    numbers: Vec<u32>,
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
        refill(&mut self.regions, mask.len(), 0)?;
        self.components.set_connectivity(rules.connectivity);
        self.components.label(mask, width, 0, &mut self.regions)?;
        self.split_touching(probability.filter(|p| p.len() == mask.len()), width, rules)?;
        self.measure(mask, width, rules)
    }

    /// Separates touching objects.
    fn split_touching(
        &mut self,
        probability: Option<&[f32]>,
        width: usize,
        rules: &ObjectRules,
    ) -> Result<(), TryReserveError> {
        let criterion = match (rules.split, probability) {
            // Cores need probabilities.
            (Split::Off, _) | (Split::Cores, None) => return Ok(()),
            (Split::Distance | Split::Probability, _) => SplitCriterion::Depth(rules.split_depth),
            (Split::Cores, Some(_)) => SplitCriterion::Cores {
                level: rules.core_threshold,
                area: rules.min_area,
            },
        };
        let heights = match (rules.split, probability) {
            (Split::Probability | Split::Cores, Some(values)) => Heights {
                values,
                steps: STEPS_OF_PROBABILITY,
            },
            _ => {
                self.distance
                    .transform(&self.regions, width, &mut self.distances)?;
                Heights {
                    values: &self.distances,
                    steps: STEPS_OF_DISTANCE,
                }
            }
        };
        let regions = &mut self.regions;
        self.watershed
            .split(regions, width, heights, criterion, rules.connectivity)
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

    /// Numbers the regions that count as objects, in the order of their first pixels, and measures them.
    fn measure(
        &mut self,
        mask: &[u8],
        width: usize,
        rules: &ObjectRules,
    ) -> Result<(), LabelError> {
        self.objects.clear();
        refill(&mut self.labels, self.regions.len(), 0)?;
        let count = self.choose_regions(width, rules)?;
        if count > MOST_OBJECTS {
            for (label, region) in self.labels.iter_mut().zip(&self.regions) {
                if self.numbers[*region as usize] != EXCLUDED {
                    *label = shared_label(*region);
                }
            }
            return Err(TooManyObjects(count).into());
        }
        // With room for some more, so that the next frames need not allocate.
        self.objects.try_reserve(count.next_power_of_two())?;
        let width = width.max(1);
        let rows = self.regions.chunks_exact(width);
        let rows = rows.zip(self.labels.chunks_exact_mut(width));
        for (y, (row, labels)) in rows.enumerate() {
            let mut start = 0;
            for run in row.chunk_by(|left, right| left == right) {
                let end = start + run.len();
                let number = &mut self.numbers[run[0] as usize];
                if *number == UNNUMBERED {
                    *number = self.objects.len() as u32 + 1;
                    self.objects.push(Object {
                        number: *number,
                        class: mask[y * width + start],
                        ..Object::default()
                    });
                }
                if *number != EXCLUDED {
                    labels[start..end].fill(*number as u16);
                    self.objects[*number as usize - 1].add(y, start, end);
                }
                start = end;
            }
        }
        for object in &mut self.objects {
            object.finish();
        }
        Ok(())
    }

    /// Marks in `numbers` which regions count as objects, and returns how many. This comes before the measures, which
    /// take more memory: a mask of noise has millions of regions.
    fn choose_regions(
        &mut self,
        width: usize,
        rules: &ObjectRules,
    ) -> Result<usize, TryReserveError> {
        let most = self.regions.iter().max().map_or(0, |most| *most as usize);
        let areas = &mut self.numbers;
        refill(areas, most + 1, 0)?;
        for run in self.regions.chunk_by(|left, right| left == right) {
            areas[run[0] as usize] += run.len() as u32;
        }
        areas[0] = 0;
        if rules.exclude_border {
            for at in border(self.regions.len(), width) {
                areas[self.regions[at] as usize] = 0;
            }
        }
        let mut count = 0;
        for number in &mut self.numbers {
            let area = *number as usize;
            let counts = area > 0 && (rules.min_area..=rules.max_area).contains(&area);
            count += usize::from(counts);
            *number = if counts { UNNUMBERED } else { EXCLUDED };
        }
        Ok(count)
    }
}

/// A label for one of too many objects, shared with others: enough to draw them.
fn shared_label(region: u32) -> u16 {
    1 + (region % MOST_OBJECTS as u32) as u16
}

#[cfg(test)]
mod tests;
