//! A bitmap font for numbers in pictures.

/// Pixels of a digit: five rows of three, from bit 14 down.
const DIGITS: [u16; 10] = [
    0b111_101_101_101_111,
    0b010_110_010_010_111,
    0b111_001_111_100_111,
    0b111_001_111_001_111,
    0b101_101_111_001_001,
    0b111_100_111_001_111,
    0b111_100_111_101_111,
    0b111_001_001_010_010,
    0b111_101_111_101_111,
    0b111_101_111_001_111,
];
const POINT: u16 = 0b000_000_000_000_010;

/// Height and width of a digit without the space after it.
pub const SIZE: (usize, usize) = (5, 3);

/// The pixels of digits and points that are set, as rows and columns; other characters are blank.
pub fn pixels(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let (height, width) = SIZE;
    text.bytes().enumerate().flat_map(move |(index, byte)| {
        let glyph = match byte {
            b'0'..=b'9' => DIGITS[usize::from(byte - b'0')],
            b'.' => POINT,
            _ => 0,
        };
        let set = (0..height * width).filter(move |at| glyph >> (height * width - 1 - at) & 1 == 1);
        set.map(move |at| (at / width, index * (width + 1) + at % width))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_and_a_point_are_drawn() {
        let mut drawn = [[' '; 7]; 5];
        for (row, column) in pixels("1.") {
            drawn[row][column] = '#';
        }
        let drawn = drawn.map(|row| row.iter().collect::<String>());
        assert_eq!(
            drawn,
            [" #     ", "##     ", " #     ", " #     ", "###  # "]
        );
    }
}
