//! Tells masks that number cells from others that hold many numbers: foreground or numbers that were smoothed when they
//! were resized, classes, photographs.
//!
//! The levels of a smooth picture lie against each other, in thin and scattered pieces. Cells are wide, or mostly touch
//! the background, or are in one piece. Which number is larger than which doesn't matter.

use std::collections::{BTreeMap, BTreeSet};

use super::DatasetError;
use super::page::Page;
use crate::train::components::touching;
use crate::train::plane::Plane;

/// Fewest numbers by which a mask is judged: one or two may well be those of cells in pieces.
const FEWEST: usize = 3;

/// Fewest numbers in levels of a smooth picture.
const FEWEST_LEVELS: usize = 8;

/// Pieces that are too many for one cell.
const TOO_MANY_PIECES: u32 = 4;

/// Pieces of a level, unless it is [tiny](TINY).
const PIECES_OF_LEVEL: u32 = 3;

/// Most pixels of a level in one piece, as with 16 bits. Thin cells may touch each other, but have more.
const TINY: u32 = 2;

/// A connected piece of one number.
#[derive(Clone, Default)]
struct Piece {
    value: u32,
    pixels: u32,
    /// Pixels with the number on all four sides.
    inner: u32,
    /// Pixels that touch the background.
    outer: u32,
    /// Pixels that touch other numbers.
    crowded: u32,
}

impl Piece {
    /// Whether it is like the rim that smoothing puts between a number and the background.
    fn is_rim(&self) -> bool {
        self.inner <= self.pixels / 3 && self.crowded > self.pixels / 2
    }
}

/// The pieces of a number.
#[derive(Default)]
struct Number {
    pixels: u32,
    crowded: u32,
    pieces: u32,
    /// Pieces with an inner pixel.
    wide_pieces: u32,
    /// The first of its largest pieces, and the pixels of that.
    largest: (usize, u32),
}

impl Number {
    /// Whether its pieces are too many for a cell. Those of a long thin one may be many, but lie in the background.
    fn is_scattered(&self) -> bool {
        self.wide_pieces >= TOO_MANY_PIECES || self.pieces >= TOO_MANY_PIECES && self.is_crowded()
    }

    /// Whether it is like a level of a smooth picture.
    fn is_level(&self) -> bool {
        let is_small = self.pixels <= TINY || self.pieces >= PIECES_OF_LEVEL;
        self.wide_pieces == 0 && self.is_crowded() && is_small
    }

    fn is_crowded(&self) -> bool {
        self.crowded > self.pixels / 2
    }
}

/// Refuses masks if most of them hold numbers that can't be those of cells.
pub fn check<'a>(
    masks: impl Iterator<Item = (&'a Plane<u32>, &'a Page)>,
    ignore: Option<u32>,
) -> Result<(), DatasetError> {
    let (mut numbered, mut doubtful) = (0, Vec::new());
    for (mask, page) in masks {
        let mask = mask.map(|value| if Some(value) == ignore { 0 } else { value });
        let pieces = pieces(&mask);
        numbered += usize::from(!pieces.is_empty());
        doubtful.extend(doubt(&pieces).map(|values| (page, values)));
    }
    match doubtful.first() {
        Some((page, values)) if 2 * doubtful.len() > numbered => Err(DatasetError::NoCellNumbers {
            mask: Page::clone(page),
            values: *values,
        }),
        _ => Ok(()),
    }
}

/// Two numbers that can't be those of cells, if most numbers of the mask can't or much of the foreground has a rim.
fn doubt(pieces: &[Piece]) -> Option<[u32; 2]> {
    let numbers = numbers(pieces);
    if numbers.len() < FEWEST {
        return None;
    }
    let may_be_levels = numbers.len() >= FEWEST_LEVELS;
    let is_odd = |number: &Number| number.is_scattered() || may_be_levels && number.is_level();
    let odd: Vec<u32> = numbers
        .iter()
        .filter(|(_, number)| is_odd(number))
        .map(|(value, _)| *value)
        .collect();
    match odd[..] {
        [first, second, ..] if 2 * odd.len() > numbers.len() => Some([first, second]),
        _ => in_rims(pieces, &numbers),
    }
}

/// Two numbers of rims around others, if more than a quarter of the edge of the foreground is in rims.
fn in_rims(pieces: &[Piece], numbers: &BTreeMap<u32, Number>) -> Option<[u32; 2]> {
    let (mut edge, mut in_rims, mut values) = (0, 0, BTreeSet::new());
    for (at, piece) in pieces.iter().enumerate() {
        let outer = piece.outer as usize;
        edge += outer;
        // The largest piece of a number may be a thin cell.
        if piece.is_rim() && numbers[&piece.value].largest.0 != at {
            in_rims += outer;
            values.insert(piece.value);
        }
    }
    let mut values = values.into_iter();
    (4 * in_rims > edge).then_some([values.next()?, values.next()?])
}

fn numbers(pieces: &[Piece]) -> BTreeMap<u32, Number> {
    let mut numbers = BTreeMap::<u32, Number>::new();
    for (at, piece) in pieces.iter().enumerate() {
        let number = numbers.entry(piece.value).or_default();
        number.pixels += piece.pixels;
        number.crowded += piece.crowded;
        number.pieces += 1;
        number.wide_pieces += u32::from(piece.inner > 0);
        if piece.pixels > number.largest.1 {
            number.largest = (at, piece.pixels);
        }
    }
    numbers
}

/// The pieces of all numbers, in the order of their first pixels.
fn pieces(mask: &Plane<u32>) -> Vec<Piece> {
    // Values that become the same one are joined where they touch, which only makes pieces fewer.
    let folded = mask.map(|value| match value {
        0 => 0,
        value => ((value - 1) % 255 + 1) as u8,
    });
    let places = touching(&folded);
    let count = places.data.iter().max().map_or(0, |last| *last as usize);
    let mut pieces = vec![Piece::default(); count];
    let rows: Vec<&[u32]> = mask.rows().collect();
    for (at, (row, places)) in rows.iter().zip(places.rows()).enumerate() {
        // Cells may go on beyond the edges.
        let above = rows[at.saturating_sub(1)];
        let below = rows.get(at + 1).unwrap_or(row);
        for (column, (value, place)) in row.iter().zip(places).enumerate() {
            if *value == 0 {
                continue;
            }
            let (left, right) = (column.saturating_sub(1), (column + 1).min(row.len() - 1));
            let sides = [above[column], row[left], row[right], below[column]];
            let corners = [above[left], above[right], below[left], below[right]];
            let touches = |counts: fn(u32, u32) -> bool| {
                let mut around = sides.iter().chain(&corners);
                u32::from(around.any(|other| counts(*other, *value)))
            };
            let piece = &mut pieces[*place as usize - 1];
            piece.value = *value;
            piece.pixels += 1;
            piece.inner += u32::from(sides == [*value; 4]);
            piece.outer += touches(|other, _| other == 0);
            piece.crowded += touches(|other, value| other != 0 && other != value);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_doubtful(value: impl Fn(usize, usize) -> usize) -> bool {
        const SIDE: usize = 40;
        let mask = Plane {
            height: SIDE,
            width: SIDE,
            data: (0..SIDE * SIDE)
                .map(|at| value(at / SIDE, at % SIDE) as u32)
                .collect(),
        };
        doubt(&pieces(&mask)).is_some()
    }

    /// Four cells, enlarged four times with linear interpolation; `numbers` are theirs.
    fn enlarged(numbers: [usize; 4], row: usize, column: usize) -> usize {
        let small = |row: usize, column: usize| {
            let is_cell = (1..4).contains(&(row % 5)) && (1..4).contains(&(column % 5));
            let number = numbers[row / 5 % 2 * 2 + column / 5 % 2];
            if is_cell { number } else { 0 }
        };
        let (y, x) = (row / 4, column / 4);
        let (down, right) = (row % 4, column % 4);
        let above = small(y, x) * (4 - right) + small(y, x + 1) * right;
        let below = small(y + 1, x) * (4 - right) + small(y + 1, x + 1) * right;
        (above * (4 - down) + below * down + 8) / 16
    }

    #[test]
    fn smoothed_edges_and_photographs_do_not_number_cells() {
        // One cell: hardly two pixels of its rim have the same number.
        assert!(is_doubtful(|row, column| {
            let far = f32::hypot(row as f32 - 19.3, column as f32 - 20.6);
            ((16.0 - far) * 64.0).clamp(0.0, 255.0) as usize
        }));
        // Squares: three numbers, each in all of them.
        assert!(is_doubtful(|row, column| {
            let depth = |at: usize| (at % 10).min(9 - at % 10);
            [0, 64, 128, 255][depth(row).min(depth(column)).min(3)]
        }));
        assert!(is_doubtful(|row, column| {
            100 + (7 * row * row + 3 * column * column + 5 * row * column) % 97
        }));
    }

    #[test]
    fn smooth_pictures_do_not_number_cells_whatever_the_order_of_numbers() {
        // 16 bits, nearly each pixel with its own number; multiples modulo a prime are another order.
        for factor in [1, 2, 31_337, 65_536] {
            assert!(is_doubtful(|row, column| {
                let near = |at: usize, middle: f32| (at as f32 % 20.0 - middle).powi(2);
                let level = 60_000.0 * (-(near(row, 9.7) + near(column, 9.2)) / 12.0).exp();
                level as usize * factor % 65_537
            }));
        }
        for numbers in [[1, 2, 3, 4], [4, 3, 2, 1], [3, 1, 4, 2], [2, 4, 1, 3]] {
            assert!(is_doubtful(|row, column| enlarged(numbers, row, column)));
        }
        // Classes: each has cells apart from those of the others.
        assert!(is_doubtful(|row, column| {
            let is_cell = row % 8 < 5 && column % 8 < 5;
            usize::from(is_cell) * ((row / 8 + column / 8) % 3 + 1)
        }));
    }

    #[test]
    fn cells_may_be_tiny_or_in_pieces() {
        // Cells of 2x2 pixels.
        assert!(!is_doubtful(|row, column| {
            let is_cell = row % 3 < 2 && column % 3 < 2;
            usize::from(is_cell) * (row / 3 * 14 + column / 3 + 1)
        }));
        // Two cells in pieces.
        assert!(!is_doubtful(|row, column| {
            let is_cell = row % 4 < 3 && column % 4 < 3;
            usize::from(is_cell) * ((row / 4 + column / 4) % 2 + 1)
        }));
    }

    #[test]
    fn cells_may_be_thin() {
        // Fifteen rods and a disk, whichever is the last: multiples modulo a prime are another order.
        for factor in 1..17 {
            assert!(!is_doubtful(|row, column| {
                let is_rod = row % 2 == 0 && row < 30 && column < 14;
                let is_disk = row.abs_diff(20).pow(2) + column.abs_diff(30).pow(2) < 65;
                let number = if is_disk { 16 } else { row / 2 + 1 };
                usize::from(is_rod || is_disk) * number * factor % 17
            }));
        }
        // Filaments with gaps.
        assert!(!is_doubtful(|row, column| {
            let is_cell = row % 3 == 0 && column % 5 < 3;
            usize::from(is_cell) * (row / 3 + 1)
        }));
        // Rods side by side.
        assert!(!is_doubtful(|row, column| row / 2 * 4 + column / 10 + 1));
    }
}
