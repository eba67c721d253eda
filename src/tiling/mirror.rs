//! Mirroring at the frame's edges.

use std::ops::Range;

/// The index of the pixel of a line of `length` pixels that is seen at `index`, which may lie outside.
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

/// A run of neighbouring pixels of a line, forward or reversed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirroredRun {
    /// The pixels; never empty.
    pub source: Range<usize>,
    /// Whether they are seen from the last to the first.
    pub reversed: bool,
}

impl MirroredRun {
    /// The pixels in the order in which they are seen.
    pub fn pixels(self) -> impl Iterator<Item = usize> {
        let Range { start, end } = self.source;
        (start..end).map(move |at| {
            if self.reversed {
                start + end - 1 - at
            } else {
                at
            }
        })
    }
}

/// The pixels that [`mirror`] shows at `count` places from `start` on, in as few runs as possible.
pub fn mirrored_runs(
    start: isize,
    count: usize,
    length: usize,
) -> impl Iterator<Item = MirroredRun> {
    let last = length.saturating_sub(1);
    let mut at = start;
    let end = start + count as isize;
    std::iter::from_fn(move || {
        let left = usize::try_from(end - at).ok().filter(|left| *left > 0)?;
        // Position in the period of forward and back; a line of one pixel has a period of 1.
        let phase = at.rem_euclid((2 * last).max(1) as isize) as usize;
        let run = if phase <= last {
            let most = length - phase;
            MirroredRun {
                source: phase..phase + most.min(left),
                reversed: false,
            }
        } else {
            // Back to pixel 1; pixel 0 starts the next forward run.
            let first = 2 * last - phase;
            MirroredRun {
                source: first + 1 - first.min(left)..first + 1,
                reversed: true,
            }
        };
        at += run.source.len() as isize;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks from the edge step by step and turns around at each end.
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
    fn equals_a_walk_that_turns_around_at_the_ends() {
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

    #[test]
    fn runs_are_the_mirrored_pixels() {
        for length in 1..9 {
            for start in -20..20 {
                for count in 0..30 {
                    let seen: Vec<usize> = mirrored_runs(start, count, length)
                        .flat_map(MirroredRun::pixels)
                        .collect();
                    let expected: Vec<usize> = (start..start + count as isize)
                        .map(|index| mirror(index, length))
                        .collect();
                    assert_eq!(seen, expected, "{count} from {start} of {length}");
                }
            }
        }
    }
}
