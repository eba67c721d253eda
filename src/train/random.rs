//! Random numbers that depend on a seed and a place alone, not on earlier draws, so that a run can be resumed anywhere.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The purpose of random numbers: numbers for one purpose don't depend on those for another.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// The order of the images in a round.
    Round,
    /// How a tile is cut and varied.
    Tile,
    /// Which values a step drops.
    Dropout,
}

/// The random numbers of the `number`-th round, tile or step.
pub fn numbers(seed: u64, purpose: Purpose, number: u64) -> StdRng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = purpose as u8 + 1;
    key[16..24].copy_from_slice(&number.to_le_bytes());
    StdRng::from_seed(key)
}

/// One random number, as [`numbers`] has it.
pub fn number(seed: u64, purpose: Purpose, number: u64) -> u64 {
    numbers(seed, purpose, number).random()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_purpose_and_place_all_count() {
        let first = number(1, Purpose::Tile, 1);
        assert_eq!(first, number(1, Purpose::Tile, 1));
        for other in [
            number(2, Purpose::Tile, 1),
            number(1, Purpose::Round, 1),
            number(1, Purpose::Tile, 2),
        ] {
            assert_ne!(first, other);
        }
    }
}
