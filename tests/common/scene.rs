//! A scene as of a microscope, in which little moves: cells, shot noise, and one cell on its way.

use std::path::Path;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, Poisson};

/// A still picture, over which a piece of it wanders.
pub struct Scene {
    still: Vec<u8>,
    pub width: usize,
    pub height: usize,
    /// Centre and radius of the piece.
    cell: (usize, usize),
    radius: usize,
    /// Photons for each grey value: with 8 of them the noise of grey value 128 is 4.
    photons: f64,
    random: StdRng,
}

impl Scene {
    /// Of a picture with a cell around `cell`, column and row.
    pub fn new(
        (still, width, height): (Vec<u8>, usize, usize),
        cell: (usize, usize),
        radius: usize,
        photons: f64,
    ) -> Self {
        Scene {
            still,
            width,
            height,
            cell,
            radius,
            photons,
            random: StdRng::seed_from_u64(1),
        }
    }

    /// Frame `number`, in which the cell is `number` pixels further right, with noise of its own.
    pub fn frame(&mut self, number: usize) -> Vec<u8> {
        let mut frame = self.still.clone();
        let (x, y) = self.cell;
        let radius = self.radius as isize;
        for down in -radius..=radius {
            for across in -radius..=radius {
                if down * down + across * across <= radius * radius {
                    let at = |x: usize| {
                        let row = y.checked_add_signed(down)?;
                        let column = x.checked_add_signed(across)?;
                        let inside = row < self.height && column < self.width;
                        inside.then_some(row * self.width + column)
                    };
                    // It begins beside the place that it was cut from.
                    if let (Some(from), Some(to)) = (at(x), at(x + number + 2 * self.radius)) {
                        frame[to] = self.still[from];
                    }
                }
            }
        }
        for value in &mut frame {
            let photons = Poisson::new(f64::from(*value).max(1.0) * self.photons).unwrap();
            *value = (photons.sample(&mut self.random) / self.photons)
                .round()
                .min(255.0) as u8;
        }
        frame
    }

    /// The first frame of a real time-lapse, if it is there, with one of its cells.
    pub fn real(folder: &Path, photons: f64) -> Option<Self> {
        let picture = image::open(folder.join("t000.png")).ok()?.into_luma8();
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let picture = (picture.into_raw(), width, height);
        Some(Scene::new(picture, (255, 460), 36, photons))
    }
}
