//! Batches of tiles, prepared ahead of time on a thread of their own.

use std::sync::mpsc::{self, Receiver};
use std::thread;

use rand::seq::SliceRandom;

use super::augment::{Augmentation, Example, Tile, TileSize};
use super::random::{Purpose, numbers};

/// Most batches that wait for the network.
const AHEAD: usize = 4;

/// An endless sequence of batches, the same for the same seed. The thread ends when this is dropped.
pub struct Feeder(Receiver<Vec<Tile>>);

/// Makes batches.
pub struct BatchSource {
    /// The images to cut tiles from; at least one.
    pub examples: Vec<Example>,
    /// How tiles are varied.
    pub augmentation: Augmentation,
    /// The size of the tiles.
    pub size: TileSize,
    /// Tiles in a batch.
    pub batch: usize,
    /// Seed of all random choices. Tile number n depends only on it and on n.
    pub seed: u64,
}

impl Feeder {
    /// Starts making batches, from number `first` on.
    ///
    /// An image yields as many tiles as its area holds, so that one epoch shows each pixel about once, whether its
    /// image is large or small.
    pub fn start(source: BatchSource, first: usize) -> Self {
        let (sender, receiver) = mpsc::sync_channel(AHEAD);
        thread::spawn(move || {
            let epoch = epoch(&source.examples, source.size);
            let mut order = ExampleOrder::new(epoch, source.seed);
            for batch in first.. {
                let numbers = batch * source.batch..(batch + 1) * source.batch;
                let tiles = numbers.map(|number| source.tile(number, &mut order));
                // It fails when the receiver is gone.
                if sender.send(tiles.collect()).is_err() {
                    return;
                }
            }
        });
        Feeder(receiver)
    }

    /// The next batch; waits for it.
    pub fn next(&self) -> Vec<Tile> {
        self.0
            .recv()
            .expect("the thread runs as long as this exists")
    }
}

impl BatchSource {
    fn tile(&self, number: usize, order: &mut ExampleOrder) -> Tile {
        let example = &self.examples[order.example(number)];
        let mut rng = numbers(self.seed, Purpose::Tile, number as u64);
        self.augmentation.tile(example, self.size, &mut rng)
    }
}

/// The example of each tile: epoch after epoch, each in its own random order.
struct ExampleOrder {
    /// The examples of one epoch.
    epoch: Vec<usize>,
    seed: u64,
    /// The number of the epoch whose order is in `shuffled`.
    current: Option<usize>,
    shuffled: Vec<usize>,
}

impl ExampleOrder {
    fn new(epoch: Vec<usize>, seed: u64) -> Self {
        ExampleOrder {
            epoch,
            seed,
            current: None,
            shuffled: Vec::new(),
        }
    }

    /// The index of the example of a tile.
    fn example(&mut self, tile: usize) -> usize {
        let number = tile / self.epoch.len();
        if self.current != Some(number) {
            self.shuffled.clone_from(&self.epoch);
            let mut rng = numbers(self.seed, Purpose::Round, number as u64);
            self.shuffled.shuffle(&mut rng);
            self.current = Some(number);
        }
        self.shuffled[tile % self.epoch.len()]
    }
}

/// The index of each example, as often as it is shown in one epoch.
fn epoch(examples: &[Example], size: TileSize) -> Vec<usize> {
    let tiles = |example: &Example| {
        (example.border.data.len() as f64 / size.output.pow(2) as f64).ceil() as usize
    };
    examples
        .iter()
        .enumerate()
        .flat_map(|(index, example)| std::iter::repeat_n(index, tiles(example)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::plane::Plane;
    use crate::train::target::Truth;
    use crate::train::weight_map::PixelWeights;

    fn example(height: usize, width: usize, brightness: f32) -> Example {
        Example {
            image: vec![Plane::filled(height, width, brightness)],
            truth: Truth {
                cells: Plane::filled(height, width, 0),
                classes: None,
                ignored: None,
            },
            border: Plane::filled(height, width, 0.0),
            pixel_weights: PixelWeights {
                classes: vec![1.0; 2],
                border_on_cells: false,
            },
        }
    }

    #[test]
    fn an_epoch_shows_each_image_in_proportion_to_its_area() {
        let size = TileSize {
            input: 20,
            output: 10,
        };
        let source = BatchSource {
            examples: vec![example(10, 10, 1.0), example(20, 15, 2.0)],
            augmentation: Augmentation::NONE,
            size,
            batch: 2,
            seed: 1,
        };
        let feeder = Feeder::start(source, 0);
        let mut seen: Vec<_> = (0..4)
            .flat_map(|_| feeder.next())
            .map(|tile| tile.image[0].data[0])
            .collect();
        seen.sort_by(f32::total_cmp);
        assert_eq!(seen, [1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn one_seed_gives_one_sequence_of_batches() {
        let size = TileSize {
            input: 12,
            output: 12,
        };
        let mut image = example(30, 30, 0.0);
        for (at, x) in image.image[0].data.iter_mut().enumerate() {
            *x = (at % 37) as f32;
        }
        let batches = |seed, range: std::ops::Range<usize>| {
            let source = BatchSource {
                examples: vec![image.clone()],
                augmentation: Augmentation::default(),
                size,
                batch: 2,
                seed,
            };
            let feeder = Feeder::start(source, range.start);
            let batches = range.flat_map(|_| feeder.next());
            batches.map(|tile| tile.image).collect::<Vec<_>>()
        };
        assert_ne!(batches(1, 0..1), batches(2, 0..1));
        // The sequence is the same when started in the middle of an epoch (nine tiles) or of a later one.
        let all = batches(1, 0..12);
        for first in [0, 3, 7] {
            assert_eq!(all[2 * first..], batches(1, first..12));
        }
    }
}
