//! Marks a mask that is too old to match the picture.

use super::colors::Color;

/// Classes of a marked mask: outlines of regions, and the two kinds of stripes.
const OUTLINE: u8 = 1;
const STRIPES: [u8; 2] = [2, 3];

/// Colours of the classes that [`mark_stale`] makes: grey, orange and black.
pub const STALE_COLORS: [Color; 4] = [
    Color([0, 0, 0]),
    Color([160, 160, 160]),
    Color([255, 140, 0]),
    Color([0, 0, 0]),
];

/// Draws the outlines of `mask`, rows of `width` pixels, into `marked` of the same size, within a striped border: a
/// visible sign that the mask belongs to another picture.
pub fn mark_stale(mask: &[u8], width: usize, marked: &mut [u8]) {
    if width == 0 {
        return;
    }
    let height = mask.len() / width;
    // A border that is noticed easily and hides little: 1.5 % of the shorter side.
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
            *class = if across || x < thickness || x + thickness >= width {
                STRIPES[(x + y) / (2 * thickness) % 2]
            } else if mask[y * width + x] != 0 && !is_inside(x, y) {
                OUTLINE
            } else {
                0
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_lie_within_a_striped_border() {
        let (width, height) = (40, 30);
        let mut mask = vec![0; width * height];
        for y in 10..15 {
            mask[y * width + 20..][..5].fill(7);
        }
        let mut marked = vec![9; width * height];
        mark_stale(&mask, width, &mut marked);
        assert_eq!([10, 12].map(|y| marked[y * width + 22]), [OUTLINE, 0]);
        assert_eq!(
            [20, 24, 25].map(|x| marked[12 * width + x]),
            [OUTLINE, OUTLINE, 0]
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
