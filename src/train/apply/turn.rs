//! Turned and mirrored pictures.

use crate::tiling::Size;

/// One of the eight orientations of a picture: mirrored left to right or not, then turned clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Quarter turns clockwise, `0..4`.
    quarters: u8,
    mirrored: bool,
}

impl Turn {
    /// The identity, then the other rotations by quarter turns and the mirror images of all of them, as far as
    /// asked for: 1, 2, 4 or 8. Those that swap width and height come last.
    pub fn all(rotations: bool, mirrors: bool) -> Vec<Turn> {
        let quarters: &[u8] = if rotations { &[0, 2, 1, 3] } else { &[0] };
        let mirrored: &[bool] = if mirrors { &[false, true] } else { &[false] };
        let turn = |quarters| {
            let both = mirrored.iter();
            both.map(move |mirrored| Turn {
                quarters,
                mirrored: *mirrored,
            })
        };
        quarters.iter().copied().flat_map(turn).collect()
    }

    /// Size of the turned picture.
    pub fn size(self, size: Size) -> Size {
        match self.quarters % 2 {
            0 => size,
            _ => Size {
                width: size.height,
                height: size.width,
            },
        }
    }

    /// For each pixel of the turned picture, row by row, the index of its source in the original picture, of
    /// `size`.
    pub fn sources(self, size: Size) -> impl Iterator<Item = usize> {
        let Size { width, height } = size;
        let turned = self.size(size);
        let source = move |row: usize, column: usize| {
            let (row, column) = match self.quarters {
                0 => (row, column),
                1 => (height - 1 - column, row),
                2 => (height - 1 - row, width - 1 - column),
                _ => (column, width - 1 - row),
            };
            let column = if self.mirrored {
                width - 1 - column
            } else {
                column
            };
            row * width + column
        };
        (0..turned.height)
            .flat_map(move |row| (0..turned.width).map(move |column| source(row, column)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The letters of a picture of 3 x 2 after a turn.
    fn turned(turn: Turn) -> Vec<String> {
        let size = Size {
            width: 3,
            height: 2,
        };
        let letters: Vec<char> = turn.sources(size).map(|at| b"abcdef"[at].into()).collect();
        let rows = letters.chunks(turn.size(size).width);
        rows.map(|row| row.iter().collect()).collect()
    }

    #[test]
    fn orientations_are_as_expected() {
        let all: Vec<_> = Turn::all(true, true).into_iter().map(turned).collect();
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
    }

    #[test]
    fn only_requested_turns_are_listed() {
        let identity = Turn::default();
        assert_eq!(Turn::all(false, false), [identity]);
        for (rotations, mirrors, count) in [(true, false, 4), (false, true, 2), (true, true, 8)] {
            let turns = Turn::all(rotations, mirrors);
            assert_eq!((turns.len(), turns[0]), (count, identity));
            assert_eq!(turns.iter().any(|turn| turn.mirrored), mirrors);
        }
    }
}
