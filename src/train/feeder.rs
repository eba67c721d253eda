//! Tiles made ahead of time on a thread of their own.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::augment::{Augmentation, Example, Tile, TileSize};

/// Batches that wait for the network.
const AHEAD: usize = 4;

/// An endless row of batches, the same for the same seed. The thread ends when this is dropped.
pub struct Feeder(Receiver<Vec<Tile>>);

impl Feeder {
    /// Starts to make batches of `batch` tiles of `size` from `examples`, of which there must be one.
    ///
    /// An image gives as many tiles as its area holds, so that one round through all images shows each
    /// pixel about once, whether it is part of a large or a small image.
    pub fn start(
        examples: Arc<Vec<Example>>,
        augmentation: Augmentation,
        size: TileSize,
        batch: usize,
        seed: u64,
    ) -> Self {
        let (sender, receiver) = mpsc::sync_channel(AHEAD);
        thread::spawn(move || {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut round = round(&examples, size);
            let mut left = Vec::new();
            loop {
                let mut tile = || {
                    if left.is_empty() {
                        round.shuffle(&mut rng);
                        left.clone_from(&round);
                    }
                    let example = left.pop().unwrap_or_default();
                    augmentation.tile(&examples[example], size, &mut rng)
                };
                let tiles = (0..batch).map(|_| tile()).collect();
                // Nobody takes any more.
                if sender.send(tiles).is_err() {
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
            .expect("the thread runs as long as this is there")
    }
}

/// The index of each example as often as it is shown in one round.
fn round(examples: &[Example], size: TileSize) -> Vec<usize> {
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

    fn example(height: usize, width: usize, brightness: f32) -> Example {
        Example {
            image: vec![Plane::filled(height, width, brightness)],
            truth: Truth {
                cells: Plane::filled(height, width, 0),
                classes: None,
                ignored: None,
            },
            border: Plane::filled(height, width, 0.0),
            class_weights: vec![1.0; 2],
        }
    }

    #[test]
    fn a_round_shows_each_image_as_often_as_its_area_asks() {
        let size = TileSize {
            input: 20,
            output: 10,
        };
        let examples = Arc::new(vec![example(10, 10, 1.0), example(20, 15, 2.0)]);
        let feeder = Feeder::start(examples, Augmentation::NONE, size, 2, 1);
        let mut seen: Vec<_> = (0..4)
            .flat_map(|_| feeder.next())
            .map(|tile| tile.image[0].data[0])
            .collect();
        seen.sort_by(f32::total_cmp);
        assert_eq!(seen, [1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn one_seed_gives_one_row_of_batches() {
        let size = TileSize {
            input: 12,
            output: 12,
        };
        let mut image = example(30, 30, 0.0);
        for (at, x) in image.image[0].data.iter_mut().enumerate() {
            *x = (at % 37) as f32;
        }
        let examples = Arc::new(vec![image]);
        let first = |seed| {
            let augmentation = Augmentation::default();
            let feeder = Feeder::start(examples.clone(), augmentation, size, 1, seed);
            feeder.next().remove(0).image
        };
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }
}
