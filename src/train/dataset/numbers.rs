//! Tells masks that number cells from others that hold many numbers: foreground whose edges were smoothed when it was
//! resized, classes, photographs.

use std::collections::BTreeMap;

use super::DatasetError;
use super::page::Page;
use crate::train::components::touching;
use crate::train::plane::Plane;

/// Fewest numbers by which a mask is judged: one or two may well be those of cells in pieces.
const FEWEST: usize = 3;

/// Fewest numbers in smoothed rims.
const FEWEST_IN_RIMS: usize = 8;

/// Pieces that are too many for one cell.
const TOO_MANY_PIECES: usize = 4;

/// What a mask shows of a number.
#[derive(Default)]
struct Shown {
    pixels: usize,
    pieces: usize,
    /// Whether one of its pixels has the number on all four sides.
    is_wide: bool,
}

/// Refuses masks if most of them hold numbers that can't be those of cells.
pub fn check<'a>(
    masks: impl Iterator<Item = (&'a Plane<u32>, &'a Page)>,
    ignore: Option<u32>,
) -> Result<(), DatasetError> {
    let (mut numbered, mut doubtful) = (0, Vec::new());
    for (mask, page) in masks {
        let mask = mask.map(|value| if Some(value) == ignore { 0 } else { value });
        let shown = shown(&mask);
        numbered += usize::from(!shown.is_empty());
        doubtful.extend(doubt(&shown).map(|values| (page, values)));
    }
    match doubtful.first() {
        Some((page, values)) if 2 * doubtful.len() > numbered => Err(DatasetError::NoCellNumbers {
            mask: Page::clone(page),
            values: *values,
        }),
        _ => Ok(()),
    }
}

/// Two numbers that can't be those of cells, if most numbers of the mask can't.
fn doubt(shown: &BTreeMap<u32, Shown>) -> Option<[u32; 2]> {
    let foreground: usize = shown.values().map(|number| number.pixels).sum();
    // The largest number is then that of the foreground itself, and few pixels of the rims share another.
    let may_be_smoothed = shown.len() >= FEWEST_IN_RIMS
        && shown
            .last_key_value()
            .is_some_and(|(_, largest)| 4 * largest.pixels > foreground);
    let is_odd =
        |number: &Shown| number.pieces >= TOO_MANY_PIECES || may_be_smoothed && !number.is_wide;
    let odd: Vec<u32> = shown
        .iter()
        .filter(|(_, number)| is_odd(number))
        .map(|(value, _)| *value)
        .collect();
    match odd[..] {
        [first, second, ..] if shown.len() >= FEWEST && 2 * odd.len() > shown.len() => {
            Some([first, second])
        }
        _ => None,
    }
}

/// What a mask shows of each of its numbers.
fn shown(mask: &Plane<u32>) -> BTreeMap<u32, Shown> {
    let mut numbers = BTreeMap::<u32, Shown>::new();
    let rows: Vec<&[u32]> = mask.rows().collect();
    for (at, row) in rows.iter().enumerate() {
        // Cells may go on beyond the edges.
        let above = rows[at.saturating_sub(1)];
        let below = rows.get(at + 1).unwrap_or(row);
        let mut end = 0;
        for run in row.chunk_by(|left, right| left == right) {
            let (start, value) = (end, run[0]);
            end += run.len();
            if value == 0 {
                continue;
            }
            let number = numbers.entry(value).or_default();
            number.pixels += run.len();
            let mut inner = start + usize::from(start > 0)..end - usize::from(end < row.len());
            number.is_wide |= inner.any(|column| above[column] == value && below[column] == value);
        }
    }
    for value in values_of_pieces(mask) {
        if let Some(number) = numbers.get_mut(&value) {
            number.pieces += 1;
        }
    }
    numbers
}

/// The value of each connected piece of one value, and 0.
fn values_of_pieces(mask: &Plane<u32>) -> Vec<u32> {
    // Values that become the same one are joined where they touch, which only makes pieces fewer.
    let folded = mask.map(|value| match value {
        0 => 0,
        value => ((value - 1) % 255 + 1) as u8,
    });
    let pieces = touching(&folded);
    let count = pieces.data.iter().max().map_or(0, |last| *last as usize);
    let mut values = vec![0; count + 1];
    for (piece, value) in pieces.data.iter().zip(&mask.data) {
        values[*piece as usize] = *value;
    }
    values
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
        doubt(&shown(&mask)).is_some()
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
}
