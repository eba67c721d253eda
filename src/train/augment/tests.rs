use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::tiling::mirror;
use crate::train::components::components;

const SIZE: TileSize = TileSize {
    input: 61,
    output: 33,
};

fn pixel_weights(classes: [f32; 2]) -> PixelWeights {
    PixelWeights {
        classes: classes.to_vec(),
        border_on_cells: false,
    }
}

/// Stripes of one cell, so that no rotation or shift goes unnoticed.
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
        image: vec![cells.map(|cell| cell as f32)],
        border: cells.map(|cell| 3.0 - cell as f32),
        truth: Truth {
            cells,
            classes: None,
            ignored: None,
        },
        pixel_weights: pixel_weights([0.5, 2.0]),
    }
}

/// The centre of a tile's image.
fn middle(tile: &Tile) -> Vec<f32> {
    let margin = (SIZE.input - SIZE.output) / 2;
    let inner = margin..margin + SIZE.output;
    let rows = tile.image[0].rows().skip(margin).take(SIZE.output);
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
            // In the interpolation the nearest pixel outweighs all others together.
            if *class == 1 {
                assert!(brightness > 0.0);
                assert_eq!(*weight, 2.0);
            } else {
                assert!(brightness < 1.0);
                // Cubic and bilinear interpolation differ by less than a shift of a pixel would.
                assert!((weight - (3.5 - brightness)).abs() < 0.4);
            }
        }
    }
}

#[test]
fn cells_that_touch_are_separated_without_holes_under_any_transform() {
    let cells = Plane {
        height: 70,
        width: 90,
        data: (0..70 * 90).map(|at| 1 + at / 90 / 35).collect(),
    };
    let example = Example {
        image: vec![cells.map(|_| 0.0)],
        border: cells.map(|_| 10.0),
        truth: Truth {
            cells,
            classes: None,
            ignored: None,
        },
        pixel_weights: pixel_weights([1.0, 1.0]),
    };
    let settings = Augmentation {
        scale: 2.0,
        elastic: 2.0,
        grey_values: None,
        ..Augmentation::default()
    };
    let mut rng = StdRng::seed_from_u64(4);
    for _ in 0..20 {
        let transform = Transform {
            centre: [35.0, 45.0],
            ..Transform::random(&settings, &example.truth.cells, SIZE.input, &mut rng)
        };
        let tile = transform.cut(&example, SIZE);
        let gap = tile
            .classes
            .data
            .iter()
            .filter(|class| **class == 0)
            .count();
        assert!(gap > 0 && gap < SIZE.output * 6, "{gap}");
        let found = components(&tile.classes.map(|class| class == 1));
        // The gap, which may leave the tile and enter it again, cuts it into at least two.
        assert!(*found.data.iter().max().unwrap() >= 2);
    }
}

#[test]
fn tiles_are_mirrored_only_where_that_is_wanted() {
    let mut example = example();
    // Brightness that grows from row to row in one channel, and from column to column in the other, shows handedness.
    let ramp = |brightness: fn(usize) -> usize| Plane {
        height: 70,
        width: 90,
        data: (0..70 * 90).map(|at| brightness(at) as f32).collect(),
    };
    example.image = vec![ramp(|at| at / 90), ramp(|at| at % 90)];
    let mut rng = StdRng::seed_from_u64(5);
    let mut mirrored = |mirror| {
        let settings = Augmentation {
            mirror,
            elastic: 0.0,
            ..Augmentation::default()
        };
        let cut = |_: &usize| {
            let transform = Transform {
                centre: [35.0, 45.0],
                ..Transform::random(&settings, &example.truth.cells, SIZE.input, &mut rng)
            };
            let tile = transform.cut(&example, SIZE);
            let step = |plane: &Plane<f32>, row, column| plane.at(row, column) - plane.at(30, 30);
            let [rows, columns] = [&tile.image[0], &tile.image[1]];
            step(rows, 31, 30) * step(columns, 30, 31) < step(rows, 30, 31) * step(columns, 31, 30)
        };
        (0..50).filter(cut).count()
    };
    assert_eq!(mirrored(false), 0);
    assert!((10..40).contains(&mirrored(true)));
}

#[test]
fn without_variation_a_tile_is_a_piece_of_the_mirrored_image() {
    let example = example();
    let half = SIZE.input as isize / 2;
    let mut rng = StdRng::seed_from_u64(2);
    for _ in 0..20 {
        let mut again = rng.clone();
        let row = again.random_range(0..example.image[0].height) as isize - half;
        let column = again.random_range(0..example.image[0].width) as isize - half;
        let tile = Augmentation::NONE.tile(&example, SIZE, &mut rng);
        for (r, line) in (row..).zip(tile.image[0].rows()) {
            for (c, found) in (column..).zip(line) {
                let expected = example.image[0].at(mirror(r, 70), mirror(c, 90));
                assert_eq!(*found, expected, "row {r} column {c}");
            }
        }
    }
}

#[test]
fn tiles_on_cells_have_a_cell_in_their_centre() {
    let mut cells = Plane::filled(50, 50, 0);
    for row in 20..30 {
        cells.data[row * 50 + 5..row * 50 + 15].fill(1);
    }
    let mut rng = StdRng::seed_from_u64(3);
    let mut hits = |on_cells| {
        let drawn = (0..100).map(|_| centre(&cells, on_cells, &mut rng));
        drawn
            .filter(|[row, column]| cells.at(*row, *column) == 1)
            .count()
    };
    assert!(hits(0.0) < 20);
    assert_eq!(hits(1.0), 100);
    // The search ends in a picture without cells, too.
    let empty = cells.map(|_| 0);
    assert!(centre(&empty, 1.0, &mut rng)[0] < 50);
}

#[test]
fn an_elastic_deformation_by_zero_is_the_identity() {
    let example = example();
    let transform = |displacement| Transform {
        centre: [35.0, 45.0],
        matrix: [[1.0, 0.0], [0.0, 1.0]],
        displacement,
    };
    let zero = Plane::filled(SIZE.input, SIZE.input, 0.0);
    let still = transform(Some([zero.clone(), zero.clone()])).cut(&example, SIZE);
    let plain = transform(None).cut(&example, SIZE);
    assert_eq!(still.image, plain.image);
    assert_eq!(still.classes, plain.classes);

    let one = zero.map(|_| 1.0);
    let moved = transform(Some([one, zero])).cut(&example, SIZE);
    assert_eq!(
        moved.image[0].data[..100],
        plain.image[0].data[SIZE.input..SIZE.input + 100]
    );
}

#[test]
fn a_rotation_by_a_right_angle_rotates() {
    let example = example();
    let transform = Transform {
        centre: [35.0, 45.0],
        matrix: [[0.0, -1.0], [1.0, 0.0]],
        displacement: None,
    };
    let tile = transform.cut(&example, SIZE);
    // 30 pixels right of the centre of the tile is the pixel 30 rows above the centre of the image.
    assert_eq!(tile.image[0].at(30, 60), example.image[0].at(5, 45));
    assert_eq!(tile.image[0].at(0, 30), example.image[0].at(35, 15));
}
