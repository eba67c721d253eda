use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const PAPER: WeightMap = WeightMap {
    border: WeightMap::BORDER,
    sigma: WeightMap::SIGMA,
    border_on_cells: false,
    background: 1.0,
    background_sigma: 10.0,
};

/// Discs at random places; later ones cover earlier ones, so that some touch.
fn discs(height: usize, width: usize, count: u32, rng: &mut StdRng) -> Plane<u32> {
    let mut labels = Plane::filled(height, width, 0);
    for label in 1..=count {
        let (r, c) = (rng.random_range(0..height), rng.random_range(0..width));
        let radius = rng.random_range(1..8_usize);
        for at in 0..labels.data.len() {
            if (at / width).abs_diff(r).pow(2) + (at % width).abs_diff(c).pow(2) <= radius.pow(2) {
                labels.data[at] = label;
            }
        }
    }
    labels
}

/// w(x) with w_c as given for background and foreground.
fn weights(map: &WeightMap, labels: &Plane<u32>, classes: [f32; 2]) -> Vec<f32> {
    let weights = PixelWeights {
        classes: classes.to_vec(),
        border_on_cells: map.border_on_cells,
    };
    let additional = map.additional_weights(labels, classes[0]).data;
    let pixels = labels.data.iter().zip(additional);
    pixels
        .map(|(label, additional)| weights.of(u8::from(*label != 0), additional))
        .collect()
}

/// Whether a pixel has a neighbour, at an edge, with another number.
fn is_at_border(labels: &Plane<u32>, at: usize) -> bool {
    let place = |at: usize| (at / labels.width, at % labels.width);
    let (row, column) = place(at);
    let differs = |other: usize| {
        let (r, c) = place(other);
        r.abs_diff(row) + c.abs_diff(column) == 1 && labels.data[other] != labels.data[at]
    };
    (0..labels.data.len()).any(differs)
}

/// Equation 2 taken literally: all distances from all pixels to all cells or their borders.
fn naive(map: &WeightMap, labels: &Plane<u32>, classes: [f32; 2]) -> Vec<f32> {
    let width = labels.width;
    let mut numbers = labels.data.clone();
    numbers.sort_unstable();
    numbers.dedup();
    let pixels = 0..labels.data.len();
    let ends = pixels.filter(|at| !map.border_on_cells || is_at_border(labels, *at));
    let ends: Vec<usize> = ends.collect();
    let weight = |at: usize| {
        if labels.data[at] != 0 && !map.border_on_cells {
            return classes[1];
        }
        let mut distances: Vec<f64> = numbers
            .iter()
            .filter(|number| **number != 0)
            .map(|number| {
                ends.iter()
                    .filter(|other| labels.data[**other] == *number)
                    .map(|other| {
                        let rows = (at / width).abs_diff(other / width) as f64;
                        rows.hypot((at % width).abs_diff(other % width) as f64)
                    })
                    .fold(f64::INFINITY, f64::min)
            })
            .collect();
        distances.sort_by(f64::total_cmp);
        let term = match distances[..] {
            [first, second, ..] => {
                (-(first + second).powi(2) / (2.0 * f64::from(map.sigma).powi(2))).exp()
            }
            _ => 0.0,
        };
        let share = distances.first().map_or(map.background, |first| {
            let near = (-(first / f64::from(map.background_sigma)).powi(2) / 2.0).exp();
            map.background + (1.0 - map.background) * near as f32
        });
        let class = match labels.data[at] {
            0 => classes[0] * share,
            _ => classes[1],
        };
        class + map.border * term as f32
    };
    (0..labels.data.len()).map(weight).collect()
}

#[test]
fn equals_the_formula() {
    let mut rng = StdRng::seed_from_u64(3);
    for (height, width, count) in [
        (40, 70, 12),
        (70, 33, 5),
        (20, 20, 1),
        (9, 9, 0),
        (1, 60, 4),
    ] {
        let labels = separated(&discs(height, width, count, &mut rng));
        let narrow = WeightMap {
            border: 50.0,
            sigma: 2.0,
            ..PAPER
        };
        let freiburg = WeightMap {
            border: 50.0,
            sigma: 6.0,
            background: 0.1,
            background_sigma: 4.0,
            ..PAPER
        };
        let on_cells = |map: WeightMap| WeightMap {
            border_on_cells: true,
            ..map
        };
        for (map, classes) in [
            (PAPER, [1.0, 1.0]),
            (narrow, [0.6, 2.5]),
            (freiburg, [1.5, 1.0]),
            (on_cells(PAPER), [0.6, 2.5]),
            (on_cells(freiburg), [1.5, 1.0]),
        ] {
            let found = weights(&map, &labels, classes);
            for (found, expected) in found.iter().zip(naive(&map, &labels, classes)) {
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
    }
}

#[test]
fn the_narrowest_gap_weighs_most() {
    let labels = Plane {
        height: 1,
        width: 7,
        data: vec![1, 1, 0, 2, 2, 0, 0],
    };
    let on_cells = WeightMap {
        border_on_cells: true,
        ..PAPER
    };
    // d_1 = 1, d_2 = 3 at the left of the first cell: its border is not there, but beside the gap.
    let inside = weights(&on_cells, &labels, [1.0, 1.0])[0];
    assert!((inside - (1.0 + 10.0 * (-16.0_f32 / 50.0).exp())).abs() < 1e-5);
    let weights = weights(&PAPER, &labels, [1.0, 1.0]);
    // d_1 = d_2 = 1 in the gap.
    assert!((weights[2] - (1.0 + 10.0 * (-4.0_f32 / 50.0).exp())).abs() < 1e-5);
    // d_1 = 1, d_2 = 4 at the right of the second cell.
    assert!((weights[5] - (1.0 + 10.0 * (-25.0_f32 / 50.0).exp())).abs() < 1e-5);
    assert_eq!(weights[0], 1.0);
}

#[test]
fn cells_that_touch_get_a_gap_of_one_pixel() {
    let labels = Plane {
        height: 2,
        width: 6,
        data: vec![1, 1, 0, 2, 2, 2, 1, 1, 1, 2, 0, 3],
    };
    let expected = [1, 1, 0, 0, 2, 2, 1, 1, 1, 0, 0, 0];
    assert_eq!(separated(&labels).data, expected);
}

#[test]
fn no_two_cells_touch_after_separation() {
    let labels = separated(&discs(60, 60, 40, &mut StdRng::seed_from_u64(4)));
    for (row, column) in (0..60 * 60).map(|at| (at / 60, at % 60)) {
        assert!(labels.at(row, column) == 0 || !touches_smaller(&labels, row, column));
    }
}

#[test]
fn balanced_classes_have_the_same_influence() {
    assert_eq!(balanced(&[6, 2]), [8.0 / 12.0, 2.0]);
    assert_eq!(balanced(&[6, 2, 4]), [12.0 / 18.0, 2.0, 1.0]);
    assert!(balanced(&[5, 0])[1].is_finite());
}
