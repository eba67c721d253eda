//! Random tiles: shift, flips, rotation, scale and elastic deformation of an image together with its
//! cells and weights (section 3.1 of the paper), then changes of its grey values.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::field::Field;
use super::grey::GreyValues;
use super::plane::Plane;
use super::weight_map::{separated, weight_of};
use crate::tiling::mirror;

/// An image prepared for learning; the three planes have one size.
#[derive(Clone, Debug)]
pub struct Example {
    /// Normalised brightness.
    pub image: Plane<f32>,
    /// The cells: one number for each, 0 for the background. They may touch.
    pub cells: Plane<u32>,
    /// How much more each pixel weighs if it is background, see [`WeightMap::border_term`].
    ///
    /// [`WeightMap::border_term`]: super::weight_map::WeightMap::border_term
    pub border: Plane<f32>,
    /// Weights of background and foreground.
    pub class_weights: [f32; 2],
}

/// What the network is shown in one step, and what it should answer.
#[derive(Clone, Debug)]
pub struct Tile {
    /// Brightness, a square of [`TileSize::input`] pixels.
    pub image: Plane<f32>,
    /// The class of each pixel, a square of [`TileSize::output`] pixels: the middle of the image.
    pub classes: Plane<u8>,
    /// The weight of each pixel in the loss, of the same size.
    pub weights: Plane<f32>,
}

/// Sides of a square tile in pixels.
#[derive(Clone, Copy, Debug)]
pub struct TileSize {
    /// What the network sees.
    pub input: usize,
    /// What it answers; smaller by an even number of pixels.
    pub output: usize,
}

/// How strongly tiles are varied.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Share of tiles whose middle is drawn from the foreground alone, in `0..=1`. Pictures of few
    /// cells are mostly background, which is soon learned.
    pub on_cells: f64,
    /// Whether tiles are flipped and turned, by any angle. Off they are shifted only.
    pub turn: bool,
    /// Largest factor by which a tile is made larger or smaller; 1 leaves its scale.
    pub scale: f32,
    /// Standard deviation of the displacements of the elastic deformation, in pixels; 0 for none.
    pub elastic: f32,
    /// Changes of grey values; `None` leaves them.
    pub grey_values: Option<GreyValues>,
}

impl Default for Augmentation {
    fn default() -> Self {
        Augmentation {
            on_cells: 0.5,
            turn: true,
            scale: 1.3,
            elastic: 10.0,
            grey_values: Some(GreyValues::default()),
        }
    }
}

impl Augmentation {
    /// Tiles that are only cut out.
    pub const NONE: Self = Augmentation {
        on_cells: 0.0,
        turn: false,
        scale: 1.0,
        elastic: 0.0,
        grey_values: None,
    };

    /// A random tile of `example`.
    pub fn tile(&self, example: &Example, size: TileSize, rng: &mut impl Rng) -> Tile {
        let way = Way::random(self, &example.cells, size.input, rng);
        let mut tile = way.cut(example, size);
        if let Some(grey_values) = &self.grey_values {
            grey_values.vary(&mut tile.image, rng);
        }
        tile
    }
}

/// From the pixels of a tile to places in an image: displacement, then rotation, flip and scale, then
/// shift.
struct Way {
    /// Row and column of the image in the middle of the tile.
    centre: [f32; 2],
    /// Rows of the matrix that turns, flips and scales.
    matrix: [[f32; 2]; 2],
    /// Displacement of each pixel of the tile along rows and columns.
    displacement: Option<[Plane<f32>; 2]>,
}

impl Way {
    fn random(
        settings: &Augmentation,
        cells: &Plane<u32>,
        size: usize,
        rng: &mut impl Rng,
    ) -> Self {
        let centre = centre(cells, settings.on_cells, rng);
        // With an even number of pixels the middle lies between two of them.
        let half = if size.is_multiple_of(2) { 0.5 } else { 0.0 };
        let (angle, flip) = match settings.turn {
            true => (rng.random_range(0.0..std::f32::consts::TAU), rng.random()),
            false => (0.0, false),
        };
        let limit = settings.scale.max(1.0).ln();
        // A step of 1 / scale in the image for each pixel of the tile.
        let step = (-rng.random_range(-limit..=limit)).exp();
        let (sin, cos) = (angle.sin() * step, angle.cos() * step);
        let sign = if flip { -1.0 } else { 1.0 };
        let displacement = (settings.elastic > 0.0)
            .then(|| [(); 2].map(|()| Field::random(settings.elastic, rng).plane(size)));
        Way {
            centre: centre.map(|at| at as f32 + half),
            matrix: [[cos, -sin * sign], [sin, cos * sign]],
            displacement,
        }
    }

    /// The place in the image that is seen at a pixel of a tile of `size` pixels.
    fn at(&self, row: usize, column: usize, size: usize) -> [f32; 2] {
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

    /// The tile of `example` that is seen this way.
    ///
    /// Cells are separated here, not before: a gap one pixel wide that is turned or made smaller has
    /// holes, and would teach the network to leave some.
    fn cut(&self, example: &Example, TileSize { input, output }: TileSize) -> Tile {
        let margin = (input - output) / 2;
        let mut image = Plane::filled(input, input, 0.0);
        let mut cells = Plane::filled(output, output, 0);
        let mut weights = Plane::filled(output, output, 0.0);
        for row in 0..input {
            for column in 0..input {
                let place = self.at(row, column, input);
                image.data[row * input + column] = bilinear(&example.image, place);
                let (row, column) = (row.wrapping_sub(margin), column.wrapping_sub(margin));
                if row < output && column < output {
                    let at = row * output + column;
                    cells.data[at] = nearest(&example.cells, place);
                    weights.data[at] = bilinear(&example.border, place);
                }
            }
        }
        let cells = separated(&cells);
        for (weight, cell) in weights.data.iter_mut().zip(&cells.data) {
            *weight = weight_of(example.class_weights, *cell, *weight);
        }
        Tile {
            image,
            classes: cells.map(|cell| u8::from(cell != 0)),
            weights,
        }
    }
}

/// A random pixel, with a probability of `on_cells` one of the foreground.
fn centre(cells: &Plane<u32>, on_cells: f64, rng: &mut impl Rng) -> [usize; 2] {
    // So often that cells of a hundredth of the picture are mostly met, and an empty one costs little.
    const TRIES: usize = 200;
    let only_cells = on_cells > 0.0 && rng.random_bool(on_cells);
    let mut draw = || [cells.height, cells.width].map(|n| rng.random_range(0..n));
    let first = draw();
    let is_cell = |[row, column]: &[usize; 2]| cells.at(*row, *column) != 0;
    match only_cells && !is_cell(&first) {
        true => (0..TRIES).map(|_| draw()).find(is_cell).unwrap_or(first),
        false => first,
    }
}

/// The value at a place between pixels. Beyond the edges the plane is mirrored.
fn bilinear(plane: &Plane<f32>, [row, column]: [f32; 2]) -> f32 {
    let (top, left) = (row.floor(), column.floor());
    let (down, right) = (row - top, column - left);
    let (top, left) = (top as isize, left as isize);
    let inside =
        top >= 0 && left >= 0 && top + 1 < plane.height as isize && left + 1 < plane.width as isize;
    let [a, b, c, d] = if inside {
        let at = top as usize * plane.width + left as usize;
        [at, at + 1, at + plane.width, at + plane.width + 1].map(|at| plane.data[at])
    } else {
        let rows = [top, top + 1].map(|row| mirror(row, plane.height));
        let columns = [left, left + 1].map(|column| mirror(column, plane.width));
        let at = |row: usize, column: usize| plane.at(rows[row], columns[column]);
        [at(0, 0), at(0, 1), at(1, 0), at(1, 1)]
    };
    let upper = a + (b - a) * right;
    let lower = c + (d - c) * right;
    upper + (lower - upper) * down
}

/// The value of the pixel nearest to a place. Beyond the edges the plane is mirrored.
fn nearest<T: Copy>(plane: &Plane<T>, [row, column]: [f32; 2]) -> T {
    plane.at(
        mirror(row.round() as isize, plane.height),
        mirror(column.round() as isize, plane.width),
    )
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::train::components::components;

    const SIZE: TileSize = TileSize {
        input: 61,
        output: 33,
    };

    /// Stripes of one cell, so that no turn or shift goes unseen.
    fn example() -> Example {
        let (height, width) = (70, 90);
        let pixels = (0..height * width).map(|at| (at / width, at % width));
        let cells = Plane {
            height,
            width,
            data: pixels
                .map(|(row, column)| u32::from(row % 7 < 3 || (row + 2 * column) % 31 < 9))
                .collect(),
        };
        Example {
            image: cells.map(|cell| cell as f32),
            border: cells.map(|cell| 3.0 - cell as f32),
            cells,
            class_weights: [0.5, 2.0],
        }
    }

    /// The middle of a tile's image.
    fn middle(tile: &Tile) -> Vec<f32> {
        let margin = (SIZE.input - SIZE.output) / 2;
        let inner = margin..margin + SIZE.output;
        let rows = tile.image.rows().skip(margin).take(SIZE.output);
        rows.flat_map(|row| row[inner.clone()].to_vec()).collect()
    }

    #[test]
    fn image_classes_and_weights_stay_aligned() {
        let example = example();
        let settings = Augmentation {
            grey_values: None,
            ..Augmentation::default()
        };
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..10 {
            let tile = settings.tile(&example, SIZE, &mut rng);
            let pixels = tile.classes.data.iter().zip(&tile.weights.data);
            for ((class, weight), brightness) in pixels.zip(middle(&tile)) {
                // The nearest of four pixels has at least a quarter of the say in their interpolation.
                let least = 0.25 - 1e-4;
                if *class == 1 {
                    assert!(brightness >= least);
                    assert_eq!(*weight, 2.0);
                } else {
                    assert!(1.0 - brightness >= least);
                    // Image and border term are interpolated alike.
                    assert!((weight - (3.5 - brightness)).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn cells_that_touch_are_separated_without_holes_however_they_are_turned() {
        let cells = Plane {
            height: 70,
            width: 90,
            data: (0..70 * 90).map(|at| 1 + at / 90 / 35).collect(),
        };
        let example = Example {
            image: cells.map(|_| 0.0),
            border: cells.map(|_| 10.0),
            cells,
            class_weights: [1.0, 1.0],
        };
        let settings = Augmentation {
            scale: 2.0,
            elastic: 2.0,
            grey_values: None,
            ..Augmentation::default()
        };
        let mut rng = StdRng::seed_from_u64(4);
        for _ in 0..20 {
            let way = Way {
                centre: [35.0, 45.0],
                ..Way::random(&settings, &example.cells, SIZE.input, &mut rng)
            };
            let tile = way.cut(&example, SIZE);
            let gap = tile
                .classes
                .data
                .iter()
                .filter(|class| **class == 0)
                .count();
            assert!(gap > 0 && gap < SIZE.output * 6, "{gap}");
            let found = components(&tile.classes.map(|class| class == 1));
            // The gap, which may leave the tile in between, cuts it in two at least.
            assert!(*found.data.iter().max().unwrap() >= 2);
        }
    }

    #[test]
    fn without_variation_a_tile_is_a_piece_of_the_mirrored_image() {
        let example = example();
        let half = SIZE.input as isize / 2;
        let mut rng = StdRng::seed_from_u64(2);
        for _ in 0..20 {
            let mut again = rng.clone();
            let row = again.random_range(0..example.image.height) as isize - half;
            let column = again.random_range(0..example.image.width) as isize - half;
            let tile = Augmentation::NONE.tile(&example, SIZE, &mut rng);
            for (r, line) in (row..).zip(tile.image.rows()) {
                for (c, found) in (column..).zip(line) {
                    let expected = example.image.at(mirror(r, 70), mirror(c, 90));
                    assert_eq!(*found, expected, "row {r} column {c}");
                }
            }
        }
    }

    #[test]
    fn tiles_on_cells_have_a_cell_in_their_middle() {
        let mut cells = Plane::filled(50, 50, 0);
        for row in 20..30 {
            cells.data[row * 50 + 5..row * 50 + 15].fill(1);
        }
        let mut rng = StdRng::seed_from_u64(3);
        let mut met = |on_cells| {
            let drawn = (0..100).map(|_| centre(&cells, on_cells, &mut rng));
            drawn
                .filter(|[row, column]| cells.at(*row, *column) == 1)
                .count()
        };
        assert!(met(0.0) < 20);
        assert_eq!(met(1.0), 100);
        // A picture without cells is no endless search.
        let empty = cells.map(|_| 0);
        assert!(centre(&empty, 1.0, &mut rng)[0] < 50);
    }

    #[test]
    fn an_elastic_deformation_of_nothing_is_the_identity() {
        let example = example();
        let way = |displacement| Way {
            centre: [35.0, 45.0],
            matrix: [[1.0, 0.0], [0.0, 1.0]],
            displacement,
        };
        let zero = Plane::filled(SIZE.input, SIZE.input, 0.0);
        let still = way(Some([zero.clone(), zero.clone()])).cut(&example, SIZE);
        let plain = way(None).cut(&example, SIZE);
        assert_eq!(still.image, plain.image);
        assert_eq!(still.classes, plain.classes);

        let one = zero.map(|_| 1.0);
        let moved = way(Some([one, zero])).cut(&example, SIZE);
        assert_eq!(
            moved.image.data[..100],
            plain.image.data[SIZE.input..SIZE.input + 100]
        );
    }

    #[test]
    fn a_turn_by_a_right_angle_turns() {
        let example = example();
        let way = Way {
            centre: [35.0, 45.0],
            matrix: [[0.0, -1.0], [1.0, 0.0]],
            displacement: None,
        };
        let tile = way.cut(&example, SIZE);
        // 30 pixels right of the middle of the tile lies what is 30 rows above the middle of the image.
        assert_eq!(tile.image.at(30, 60), example.image.at(5, 45));
        assert_eq!(tile.image.at(0, 30), example.image.at(35, 15));
    }
}
