//! Mirroring at the frame's edge.

/// The pixel of a line of `length` pixels that is seen at `index`, which may lie outside.
///
/// Reflection without repeating the edge pixel, as often as needed: `…2 1 | 0 1 2 | 1 0 1 2…`.
/// A line of one pixel shows that pixel everywhere. `length` must not be 0.
pub fn mirror(index: isize, length: usize) -> usize {
    if length <= 1 {
        return 0;
    }
    let last = length as isize - 1;
    let within_period = index.rem_euclid(2 * last);
    (last - (last - within_period).abs()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks from the edge step by step and turns round at each end.
    fn walk(index: isize, length: usize) -> usize {
        let (mut at, mut step) = (0_isize, 1_isize);
        for _ in 0..index.unsigned_abs() {
            if length == 1 {
                return 0;
            }
            if !(0..length as isize).contains(&(at + step)) {
                step = -step;
            }
            at += step;
        }
        at as usize
    }

    #[test]
    fn equals_a_walk_that_turns_round_at_the_ends() {
        for length in 1..12 {
            for index in -60..60 {
                assert_eq!(
                    mirror(index, length),
                    walk(index, length),
                    "{index} of {length}"
                );
            }
        }
    }

    #[test]
    fn the_edge_pixel_is_not_repeated() {
        let seen: Vec<_> = (-4..7).map(|index| mirror(index, 3)).collect();
        assert_eq!(seen, [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
    }
}
