//! A mask that is too old to be taken for what is on the picture, made to look like it.

use super::colors::Color;

/// Classes of a marked mask: what was found, and the two kinds of stripes.
const FOUND: u8 = 1;
const STRIPES: [u8; 2] = [2, 3];

/// Colours of the classes that [`mark_stale`] makes: grey, orange and black.
pub const STALE_COLORS: [Color; 4] = [
    Color([0, 0, 0]),
    Color([160, 160, 160]),
    Color([255, 140, 0]),
    Color([0, 0, 0]),
];

/// Draws the outlines of what is on `mask`, rows of `width` pixels, into `marked` of the same size, in a frame of
/// stripes: it can be seen that the mask belongs to another picture.
pub fn mark_stale(mask: &[u8], width: usize, marked: &mut [u8]) {
    if width == 0 {
        return;
    }
    let height = mask.len() / width;
    // A frame that is seen from afar and hides little: 1.5 % of the shorter side.
    let thickness = (width.min(height) * 3 / 200).max(2);
    let is_inside = |x: usize, y: usize| {
        let class = mask[y * width + x];
        let beside = [
            (x.wrapping_sub(1), y),
            (x + 1, y),
            (x, y.wrapping_sub(1)),
            (x, y + 1),
        ];
        beside
            .iter()
            .all(|(x, y)| *x < width && *y < height && mask[y * width + x] == class)
    };
    for (y, row) in marked.chunks_exact_mut(width).take(height).enumerate() {
        let across = y < thickness || y + thickness >= height;
        for (x, class) in row.iter_mut().enumerate() {
            *class = match across || x < thickness || x + thickness >= width {
                true => STRIPES[(x + y) / (2 * thickness) % 2],
                false if mask[y * width + x] != 0 && !is_inside(x, y) => FOUND,
                false => 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_framed() {
        let (width, height) = (40, 30);
        let mut mask = vec![0; width * height];
        for y in 10..15 {
            mask[y * width + 20..][..5].fill(7);
        }
        let mut marked = vec![9; width * height];
        mark_stale(&mask, width, &mut marked);
        assert_eq!([10, 12].map(|y| marked[y * width + 22]), [FOUND, 0]);
        assert_eq!(
            [20, 24, 25].map(|x| marked[12 * width + x]),
            [FOUND, FOUND, 0]
        );
        let border = |i: usize| {
            let (x, y) = (i % width, i / width);
            x < 2 || y < 2 || x >= width - 2 || y >= height - 2
        };
        for (i, class) in marked.iter().enumerate() {
            assert_eq!(STRIPES.contains(class), border(i), "{i}");
        }
        for stripe in STRIPES {
            assert!(marked.contains(&stripe));
        }
        mark_stale(&[], 0, &mut []);
    }
}
