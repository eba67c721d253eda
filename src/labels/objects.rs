//! A mask in, numbered objects with their measures out.

use super::components::{Components, Connectivity};
use super::distance::Distance;
use super::holes::Holes;
use super::measures::{Object, perimeters};
use super::watershed::{Heights, Parting, Watershed};

/// Most objects of a frame: labels are numbers of 16 bits.
pub const MOST_OBJECTS: usize = u16::MAX as usize;

/// Steps that a watershed sorts in, for each pixel of distance.
const STEPS_OF_DISTANCE: f32 = 16.0;

/// The same for probabilities, from 0 to 1.
const STEPS_OF_PROBABILITY: f32 = 4096.0;

/// What counts as an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Which pixels touch.
    pub connectivity: Connectivity,
    /// Whether background that an object goes around is a part of it.
    pub fill_holes: bool,
    /// How objects that touch are told apart.
    pub split: Split,
    /// Two pieces of a region are two objects where the neck between them is lower than the lower of both by more
    /// than this share, `0..=1`.
    pub split_depth: f32,
    /// Probability above which pixels are of the core of an object, for [`Split::Cores`], `0..=1`.
    pub core_threshold: f32,
    /// Pixels of the smallest object, and of the smallest core.
    pub min_area: usize,
    /// Pixels of the largest.
    pub max_area: usize,
    /// Whether objects that touch the edge of the frame are left out.
    pub exclude_border: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
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

impl Rules {
    /// Whether they leave anything out or put it in, or tell apart what touches: whether there is more to objects
    /// than connected pixels.
    pub fn choose(&self) -> bool {
        self.fill_holes
            || self.split != Split::Off
            || self.min_area > 1
            || self.max_area < usize::MAX
            || self.exclude_border
    }
}

/// How objects that touch are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// Not at all.
    #[default]
    Off,
    /// Where they are narrow: a watershed of how far pixels are from the edge.
    Distance,
    /// Where the network is less sure of them: a watershed of the probability.
    Probability,
    /// Each grows from a core that the network is sure of, downhill in the probability; what has no core is none.
    Cores,
}

/// There are more objects than labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there are {0} objects in a frame, and labels go up to {MOST_OBJECTS}: set min-area, so that specks don't count"
)]
pub struct TooMany(
    /// How many there are.
    pub usize,
);

/// What was found in a mask.
#[derive(Clone, Debug, Default)]
pub struct Labelled {
    /// Those that count, in the order of their first pixels, row by row.
    pub objects: Vec<Object>,
    /// The number of the object of each pixel, 0 where there is none.
    pub labels: Vec<u16>,
    /// The mask with its holes filled, where rules ask for that.
    pub filled: Vec<u8>,
}

/// Finds objects. Keeps its working memory, so that one frame after another costs no allocation.
#[derive(Debug, Default)]
pub struct Labeller {
    components: Components,
    holes: Holes,
    distance: Distance,
    watershed: Watershed,
    filled: Vec<u8>,
    distances: Vec<f32>,
    /// The number that each pixel has at first, with what will be left out: there may be more than labels.
    regions: Vec<u32>,
    labels: Vec<u16>,
    objects: Vec<Object>,
    /// By the number of a region, the one that it gets; 0 for what is left out.
    numbers: Vec<u32>,
}

impl Labeller {
    /// Finds the objects of `mask`, rows of `width` pixels, by `rules`, with the foreground's `probability` of each
    /// pixel where there is one. Their numbers follow the order of their first pixels, row by row.
    ///
    /// # Errors
    /// If there are more than labels can tell apart.
    pub fn label(
        &mut self,
        mask: &[u8],
        probability: Option<&[f32]>,
        width: usize,
        rules: &Rules,
    ) -> Result<(), TooMany> {
        if !rules.fill_holes {
            return self.label_filled(mask, probability, width, rules);
        }
        // Taken out, so that all else can be worked with meanwhile.
        let mut filled = std::mem::take(&mut self.filled);
        filled.clear();
        filled.extend_from_slice(mask);
        self.holes.fill(&mut filled, width, rules.connectivity);
        let labelled = self.label_filled(&filled, probability, width, rules);
        self.filled = filled;
        labelled
    }

    fn label_filled(
        &mut self,
        mask: &[u8],
        probability: Option<&[f32]>,
        width: usize,
        rules: &Rules,
    ) -> Result<(), TooMany> {
        self.regions.clear();
        self.regions.resize(mask.len(), 0);
        self.components.set_connectivity(rules.connectivity);
        self.components.label(mask, width, 0, &mut self.regions);
        self.part(probability.filter(|p| p.len() == mask.len()), width, rules);
        self.measure(mask, width);
        self.choose(width, rules)
    }

    /// Tells objects apart that touch.
    fn part(&mut self, probability: Option<&[f32]>, width: usize, rules: &Rules) {
        let parting = match (rules.split, probability) {
            // Without probabilities it is not known what is sure.
            (Split::Off, _) | (Split::Cores, None) => return,
            (Split::Distance | Split::Probability, _) => Parting::Depth(rules.split_depth),
            (Split::Cores, Some(_)) => Parting::Cores {
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
                    .transform(&self.regions, width, &mut self.distances);
                Heights {
                    values: &self.distances,
                    steps: STEPS_OF_DISTANCE,
                }
            }
        };
        let regions = &mut self.regions;
        self.watershed
            .split(regions, width, heights, parting, rules.connectivity);
    }

    /// The mask of the last objects with its holes filled, where rules ask for that.
    pub fn filled(&self) -> &[u8] {
        &self.filled
    }

    /// What was found last.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The number of the object of each pixel, 0 where there is none. Where there were too many, objects share numbers.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// Both, for a [`Tracker`](super::Tracker), which gives other numbers: a label's object is the one of its place in the list, from 1 on.
    pub fn parts_mut(&mut self) -> (&mut [Object], &mut [u16]) {
        (&mut self.objects, &mut self.labels)
    }

    /// Hands over what was found last, and takes the room of what was in its place for the next.
    pub fn hand_over(&mut self, found: &mut Labelled) {
        std::mem::swap(&mut self.objects, &mut found.objects);
        std::mem::swap(&mut self.labels, &mut found.labels);
        std::mem::swap(&mut self.filled, &mut found.filled);
    }

    /// Measures how long the edge of each object is.
    pub fn measure_perimeters(&mut self, width: usize) {
        let objects = &mut self.objects;
        perimeters(&self.labels, width, |number, length| {
            if let Some(object) = objects.get_mut(usize::from(number) - 1) {
                object.perimeter += length;
            }
        });
    }

    /// Measures the mean of the picture on each object: `pixels` calls what it is given with the row, the first
    /// column and the values of each piece of it.
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

    /// Measures the regions, in the order of their first pixels.
    fn measure(&mut self, mask: &[u8], width: usize) {
        self.objects.clear();
        self.numbers.clear();
        let most = self.regions.iter().max().map_or(0, |most| *most as usize);
        self.numbers.resize(most + 1, 0);
        let rows = self.regions.chunks_exact(width.max(1));
        for (y, (row, classes)) in rows.zip(mask.chunks_exact(width.max(1))).enumerate() {
            let mut start = 0;
            for run in row.chunk_by(|left, right| left == right) {
                let end = start + run.len();
                if run[0] != 0 {
                    let number = &mut self.numbers[run[0] as usize];
                    if *number == 0 {
                        self.objects.push(Object {
                            class: classes[start],
                            ..Object::default()
                        });
                        *number = self.objects.len() as u32;
                    }
                    self.objects[*number as usize - 1].add(y, start, end);
                }
                start = end;
            }
        }
        for object in &mut self.objects {
            object.finish();
        }
    }

    /// Leaves out what does not count, and numbers the rest.
    fn choose(&mut self, width: usize, rules: &Rules) -> Result<(), TooMany> {
        let height = self.regions.len() / width.max(1);
        let mut count = 0;
        for object in &mut self.objects {
            let counts = (rules.min_area..=rules.max_area).contains(&object.area)
                && !(rules.exclude_border && object.touches_border(width, height));
            object.number = u32::from(counts);
            if counts {
                count += 1;
                object.number = count;
            }
        }
        for number in &mut self.numbers {
            let object = (*number as usize).checked_sub(1);
            *number = object.map_or(0, |index| self.objects[index].number);
        }
        self.labels.clear();
        let numbers = self
            .regions
            .iter()
            .map(|region| self.numbers[*region as usize]);
        if count as usize > MOST_OBJECTS {
            self.labels.extend(numbers.map(shared_label));
            self.objects.clear();
            return Err(TooMany(count as usize));
        }
        self.labels.extend(numbers.map(|number| number as u16));
        self.objects.retain(|object| object.number != 0);
        Ok(())
    }
}

/// A label for one of too many objects, which others have too: enough to draw them apart.
fn shared_label(number: u32) -> u16 {
    match number.checked_sub(1) {
        Some(index) => 1 + (index % MOST_OBJECTS as u32) as u16,
        None => 0,
    }
}

#[cfg(test)]
mod tests;
