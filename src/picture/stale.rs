//! A mask that is too old to be taken for what is on the picture, made to look like it.

use super::palette::Color;

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

/// Turns the classes of `mask`, rows of `width` pixels, into one, and puts a frame of stripes around them:
/// whoever looks at the picture sees that the mask belongs to another one.
pub fn mark_stale(mask: &mut [u8], width: usize) {
    if width == 0 {
        return;
    }
    let height = mask.len() / width;
    // A frame that is seen from afar and hides little: 1.5 % of the shorter side.
    let thickness = (width.min(height) * 3 / 200).max(2);
    for (y, row) in mask.chunks_exact_mut(width).enumerate() {
        let across = y < thickness || y + thickness >= height;
        for (x, class) in row.iter_mut().enumerate() {
            *class = match across || x < thickness || x + thickness >= width {
                true => STRIPES[(x + y) / (2 * thickness) % 2],
                false => (*class).min(FOUND),
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
        mask[15 * width + 20] = 7;
        mark_stale(&mut mask, width);
        assert_eq!(mask[15 * width + 20], FOUND);
        assert_eq!(mask[10 * width + 10], 0);
        let border = |i: usize| {
            let (x, y) = (i % width, i / width);
            x < 2 || y < 2 || x >= width - 2 || y >= height - 2
        };
        for (i, class) in mask.iter().enumerate() {
            assert_eq!(STRIPES.contains(class), border(i), "{i}");
        }
        for stripe in STRIPES {
            assert!(mask.contains(&stripe));
        }
        mark_stale(&mut [], 0);
    }
}
