//! Random tiles: an image is shifted, flipped, rotated, scaled and elastically deformed together with its
//! cells and weights (section 3.1 of the paper), then its grey values are changed.

pub mod field;
pub mod grey;
pub mod interpolate;

use rand::Rng;

use self::field::Field;
use self::grey::GreyValues;
use self::interpolate::{bicubic, bilinear};
use super::plane::Plane;
use super::target::Truth;
use super::weight_map::PixelWeights;
use crate::contract::Geometry;

/// An image prepared for training; all planes have the same size.
#[derive(Clone, Debug)]
pub struct Example {
    /// Normalised brightness, a plane for each channel.
    pub image: Vec<Plane<f32>>,
    /// Its cells and classes.
    pub truth: Truth,
    /// The additional weight of each pixel, see [`WeightMap::additional_weights`].
    ///
    /// [`WeightMap::additional_weights`]: super::weight_map::WeightMap::additional_weights
    pub border: Plane<f32>,
    /// What it is added to.
    pub pixel_weights: PixelWeights,
}

/// One training tile: the network's input and its target.
#[derive(Clone, Debug)]
pub struct Tile {
    /// Brightness, a square of [`TileSize::input`] pixels for each channel.
    pub image: Vec<Plane<f32>>,
    /// The class of each pixel, a square of [`TileSize::output`] pixels: the centre of the image.
    pub classes: Plane<u8>,
    /// The weight of each pixel in the loss, of the same size.
    pub weights: Plane<f32>,
}

/// Sides of a square tile in pixels.
#[derive(Clone, Copy, Debug)]
pub struct TileSize {
    /// The network's input.
    pub input: usize,
    /// Its output; smaller by an even number of pixels.
    pub output: usize,
}

impl TileSize {
    /// The smallest tiles of at least `side` pixels that a network of this geometry accepts.
    ///
    /// # Panics
    /// If the geometry has one fixed size: networks in training have steps of sizes.
    pub fn legal(geometry: &Geometry, side: usize) -> Self {
        let (input, _) = geometry
            .legal(side, side)
            .expect("a network with steps of sizes has a legal size for everything");
        TileSize {
            input,
            output: input - 2 * geometry.margin,
        }
    }
}

/// How strongly tiles are varied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    /// Share of tiles whose centre is drawn from the foreground only, in `0..=1`. Pictures of few
    /// cells are mostly background, which is soon learned.
    pub on_cells: f64,
    /// Whether tiles are rotated, by any angle.
    pub turn: bool,
    /// Whether half of the tiles that are rotated are flipped, too.
    pub mirror: bool,
    /// Largest factor by which a tile is enlarged or shrunk; 1 keeps its scale.
    pub scale: f32,
    /// Standard deviation of the displacements of the elastic deformation, in pixels; 0 for none.
    pub elastic: f32,
    /// Changes of grey values; `None` for none.
    pub grey_values: Option<GreyValues>,
}

impl Default for Augmentation {
    fn default() -> Self {
        Augmentation {
            on_cells: 0.5,
            turn: true,
            mirror: true,
            scale: 1.3,
            elastic: 10.0,
            grey_values: Some(GreyValues::default()),
        }
    }
}

impl Augmentation {
    /// Tiles that are only shifted.
    pub const NONE: Self = Augmentation {
        on_cells: 0.0,
        turn: false,
        mirror: false,
        scale: 1.0,
        elastic: 0.0,
        grey_values: None,
    };

    /// A random tile of `example`.
    pub fn tile(&self, example: &Example, size: TileSize, rng: &mut impl Rng) -> Tile {
        let transform = Transform::random(self, &example.truth.cells, size.input, rng);
        let mut tile = transform.cut(example, size);
        if let Some(grey_values) = &self.grey_values {
            grey_values.vary(&mut tile.image, rng);
        }
        tile
    }
}

/// Maps the pixels of a tile to positions in an image: displacement, then rotation, flip and scale, then
/// shift.
struct Transform {
    /// Row and column of the image in the centre of the tile.
    centre: [f32; 2],
    /// Rows of the matrix that rotates, flips and scales.
    matrix: [[f32; 2]; 2],
    /// Displacement of each pixel of the tile along rows and columns.
    displacement: Option<[Plane<f32>; 2]>,
}

impl Transform {
    fn random(
        settings: &Augmentation,
        cells: &Plane<u32>,
        size: usize,
        rng: &mut impl Rng,
    ) -> Self {
        let centre = centre(cells, settings.on_cells, rng);
        // With an even number of pixels the centre lies between two of them.
        let half = if size.is_multiple_of(2) { 0.5 } else { 0.0 };
        let (angle, flip) = if settings.turn {
            let angle = rng.random_range(0.0..std::f32::consts::TAU);
            // Drawn anyway, so that the other variations are the same with and without it.
            let flip: bool = rng.random();
            (angle, flip && settings.mirror)
        } else {
            (0.0, false)
        };
        let limit = settings.scale.max(1.0).ln();
        // A step of 1 / scale in the image for each pixel of the tile.
        let step = (-rng.random_range(-limit..=limit)).exp();
        let (sin, cos) = (angle.sin() * step, angle.cos() * step);
        let sign = if flip { -1.0 } else { 1.0 };
        let displacement = (settings.elastic > 0.0)
            .then(|| [(); 2].map(|()| Field::random(settings.elastic, rng).plane(size)));
        Transform {
            centre: centre.map(|at| at as f32 + half),
            matrix: [[cos, -sin * sign], [sin, cos * sign]],
            displacement,
        }
    }

    /// The position in the image of a pixel of a tile of `size` pixels.
    fn apply(&self, row: usize, column: usize, size: usize) -> [f32; 2] {
        let middle = (size - 1) as f32 / 2.0;
        let mut from = [row as f32 - middle, column as f32 - middle];
        if let Some(displacement) = &self.displacement {
            for (from, displacement) in from.iter_mut().zip(displacement) {
                *from += displacement.at(row, column);
            }
        }
        std::array::from_fn(|axis| {
            let [a, b] = self.matrix[axis];
            self.centre[axis] + a * from[0] + b * from[1]
        })
    }

    /// Cuts a tile from `example`.
    ///
    /// Cells are separated here, not before: a gap one pixel wide has holes after it was rotated or shrunk, and would
    /// teach the network to leave some.
    fn cut(&self, example: &Example, TileSize { input, output }: TileSize) -> Tile {
        let pixels = (0..input).flat_map(|row| (0..input).map(move |column| (row, column)));
        let positions = Plane {
            height: input,
            width: input,
            data: pixels
                .map(|(row, column)| self.apply(row, column, input))
                .collect(),
        };
        let image = example
            .image
            .iter()
            .map(|plane| positions.map(|at| bicubic(plane, at)))
            .collect();
        let positions = positions.cropped((input - output) / 2);
        let truth = example.truth.sampled(&positions);
        let classes = truth.classes();
        let border = positions.map(|at| bilinear(&example.border, at));
        Tile {
            image,
            weights: truth.weights(&classes, &border, &example.pixel_weights),
            classes,
        }
    }
}

/// A random pixel; with a probability of `on_cells`, one of the foreground.
fn centre(cells: &Plane<u32>, on_cells: f64, rng: &mut impl Rng) -> [usize; 2] {
    // Enough to mostly hit cells that cover a hundredth of the picture, and few enough to be cheap for an empty one.
    const TRIES: usize = 200;
    let only_cells = on_cells > 0.0 && rng.random_bool(on_cells);
    let mut draw = || [cells.height, cells.width].map(|n| rng.random_range(0..n));
    let first = draw();
    let is_cell = |[row, column]: &[usize; 2]| cells.at(*row, *column) != 0;
    if only_cells && !is_cell(&first) {
        (0..TRIES).map(|_| draw()).find(is_cell).unwrap_or(first)
    } else {
        first
    }
}

#[cfg(test)]
mod tests;
