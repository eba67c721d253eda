//! Turned and mirrored pictures.

use std::f64::consts::TAU;

use crate::tiling::{Size, mirror};

/// A version of a picture: mirrored left to right or not, then turned clockwise about its centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The angle is `part` of `parts` equal parts of a full turn.
    part: usize,
    parts: usize,
    mirrored: bool,
}

impl Turn {
    /// The identity, then the other rotations of `rotations` by equal angles, and the mirror images of all of them if
    /// asked for. Without rotations, 0 or 1, the picture is not turned.
    pub fn all(rotations: usize, mirrors: bool) -> Vec<Turn> {
        let parts = rotations.max(1);
        let mut angles: Vec<usize> = (0..parts).collect();
        // Angles that are equally far from a half or a full turn give one size: the segmenter prepares for it once.
        angles.sort_by_key(|part| {
            let beyond = (2 * *part) % parts;
            beyond.min(parts - beyond)
        });
        let mirrored: &[bool] = if mirrors { &[false, true] } else { &[false] };
        let turn = |part| {
            let both = mirrored.iter();
            both.map(move |mirrored| Turn {
                part,
                parts,
                mirrored: *mirrored,
            })
        };
        angles.into_iter().flat_map(turn).collect()
    }

    /// Size of the turned picture, which holds all of the original one, of `size`.
    pub fn size(self, size: Size) -> Size {
        let (cos, sin) = self.direction();
        let side = |along: usize, across: usize| {
            let side = along as f64 * cos.abs() + across as f64 * sin.abs();
            side.ceil() as usize
        };
        Size {
            width: side(size.width, size.height),
            height: side(size.height, size.width),
        }
    }

    /// For each pixel of the turned picture, row by row, its place in the original one, of `size`. In the corners
    /// that is outside, unless the picture is turned by quarters.
    pub fn places(self, size: Size) -> impl Iterator<Item = Place> {
        let turned = self.size(size);
        let (from, to) = (Place::middle(turned), Place::middle(size));
        let (cos, sin) = self.direction();
        let flip = self.flip();
        pixels(turned).map(move |pixel| {
            let (x, y) = (pixel.column - from.column, pixel.row - from.row);
            Place {
                row: to.row + y * cos - x * sin,
                column: to.column + flip * (x * cos + y * sin),
            }
        })
    }

    /// The `values` of the turned picture turned back: one for each pixel of the original one, of `size`.
    pub fn turned_back(self, values: &[f32], size: Size) -> impl Iterator<Item = f32> {
        let turned = self.size(size);
        let (from, to) = (Place::middle(size), Place::middle(turned));
        let (cos, sin) = self.direction();
        let flip = self.flip();
        pixels(size).map(move |pixel| {
            let (x, y) = (flip * (pixel.column - from.column), pixel.row - from.row);
            let place = Place {
                row: to.row + y * cos + x * sin,
                column: to.column + x * cos - y * sin,
            };
            place.value(turned, |at| f64::from(values[at])) as f32
        })
    }

    /// Cosine and sine of the angle. Those of quarter turns are exact, so that places are those of pixels, and values
    /// are copied.
    fn direction(self) -> (f64, f64) {
        let quarters = 4 * self.part;
        if quarters.is_multiple_of(self.parts) {
            match quarters / self.parts {
                0 => (1.0, 0.0),
                1 => (0.0, 1.0),
                2 => (-1.0, 0.0),
                _ => (0.0, -1.0),
            }
        } else {
            let angle = TAU * self.part as f64 / self.parts as f64;
            (angle.cos(), angle.sin())
        }
    }

    fn flip(self) -> f64 {
        if self.mirrored { -1.0 } else { 1.0 }
    }
}

/// A place in a picture, in pixels from the centre of the first one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    row: f64,
    column: f64,
}

impl Place {
    /// The centre of a picture.
    fn middle(size: Size) -> Self {
        let middle = |side: usize| (side as f64 - 1.0) / 2.0;
        Place {
            row: middle(size.height),
            column: middle(size.width),
        }
    }

    /// The value here of a picture of `size` that has a `value` at the index of each pixel: interpolated bilinearly,
    /// with the picture mirrored beyond its edges, as the network sees it.
    pub fn value(self, size: Size, value: impl Fn(usize) -> f64) -> f64 {
        let pair = |at: f64, length: usize| {
            let first = at.floor();
            let share = at - first;
            [(0, 1.0 - share), (1, share)].map(|(next, share)| {
                let index = mirror(first as isize + next, length);
                (index, share)
            })
        };
        let columns = pair(self.column, size.width);
        let rows = pair(self.row, size.height).into_iter();
        rows.flat_map(|(row, of_row)| {
            columns.map(|(column, share)| of_row * share * value(row * size.width + column))
        })
        .sum()
    }
}

/// The pixels of a picture, row by row.
fn pixels(size: Size) -> impl Iterator<Item = Place> {
    (0..size.height).flat_map(move |row| {
        (0..size.width).map(move |column| Place {
            row: row as f64,
            column: column as f64,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Size = Size {
        width: 3,
        height: 2,
    };

    fn turned(turn: Turn, values: &[f32], size: Size) -> Vec<f32> {
        let places = turn.places(size);
        places
            .map(|place| place.value(size, |at| f64::from(values[at])) as f32)
            .collect()
    }

    /// The letters of a picture of 3 x 2 after a turn without interpolation.
    fn letters(turn: Turn) -> Vec<String> {
        let values = turned(turn, &b"abcdef".map(f32::from), SMALL);
        let rows = values.chunks(turn.size(SMALL).width);
        rows.map(|row| row.iter().map(|value| char::from(*value as u8)).collect())
            .collect()
    }

    #[test]
    fn quarter_turns_are_exact() {
        let all: Vec<_> = Turn::all(4, true).into_iter().map(letters).collect();
        let expected = [
            vec!["abc", "def"],
            vec!["cba", "fed"],
            vec!["fed", "cba"],
            vec!["def", "abc"],
            vec!["da", "eb", "fc"],
            vec!["fc", "eb", "da"],
            vec!["cf", "be", "ad"],
            vec!["ad", "be", "cf"],
        ];
        assert_eq!(all, expected);
        let values: [f32; 6] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
        for turn in Turn::all(4, true) {
            let there = turned(turn, &values, SMALL);
            let back: Vec<f32> = turn.turned_back(&there, SMALL).collect();
            assert_eq!(back, values, "{turn:?}");
        }
    }

    #[test]
    fn only_requested_turns_are_listed() {
        for (rotations, mirrors, count) in [
            (0, false, 1),
            (1, true, 2),
            (4, false, 4),
            (4, true, 8),
            (7, true, 14),
        ] {
            let turns = Turn::all(rotations, mirrors);
            assert_eq!(turns.len(), count);
            assert_eq!((turns[0].part, turns[0].mirrored), (0, false));
            assert_eq!(turns.iter().any(|turn| turn.mirrored), mirrors);
        }
    }

    #[test]
    fn a_smooth_picture_comes_back_from_any_turn() {
        let size = Size {
            width: 44,
            height: 31,
        };
        let wave = |at: usize| {
            let (x, y) = ((at % size.width) as f32, (at / size.width) as f32);
            (x / 6.0).sin() + (y / 7.0).cos()
        };
        let picture: Vec<f32> = (0..size.area()).map(wave).collect();
        for rotations in [3, 7, 8] {
            for turn in Turn::all(rotations, true) {
                let there = turned(turn, &picture, size);
                assert_eq!(there.len(), turn.size(size).area());
                let back = turn.turned_back(&there, size);
                // Each interpolation is off by up to 1/8 (1/36 + 1/49), or more where it sees the mirrored edge.
                for (at, value) in back.enumerate() {
                    let (x, y) = (at % size.width, at / size.width);
                    if (3..size.width - 3).contains(&x) && (3..size.height - 3).contains(&y) {
                        let error = (value - picture[at]).abs();
                        assert!(error < 0.015, "{turn:?} at {x}, {y}: {error}");
                    }
                }
            }
        }
    }

    /// A seventh of a turn clockwise: what is above the centre moves to the right.
    #[test]
    fn turns_are_clockwise() {
        let size = Size {
            width: 41,
            height: 41,
        };
        let mut picture = vec![0.0; size.area()];
        picture[5 * 41 + 20] = 1.0;
        let turn = Turn::all(7, false).into_iter().find(|turn| turn.part == 1);
        let turn = turn.unwrap();
        let there = turned(turn, &picture, size);
        let width = turn.size(size).width;
        let from_the_centre = |at: usize| {
            let (x, y) = ((at % width) as f64, (at / width) as f64);
            let middle = (width as f64 - 1.0) / 2.0;
            (x - middle, middle - y)
        };
        // Further out are the reflections that fill the corners.
        let inner = (0..there.len()).filter(|at| {
            let (right, up) = from_the_centre(*at);
            right.hypot(up) < 20.0
        });
        let brightest = inner.max_by(|a, b| there[*a].total_cmp(&there[*b]));
        // 15 pixels from the centre, by 51.4 degrees.
        let (right, up) = from_the_centre(brightest.unwrap());
        assert!((right - 11.7).abs() < 1.0 && (up - 9.4).abs() < 1.0);
    }
}
