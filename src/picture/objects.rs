//! What counts of a mask, so that a picture shows what is counted.

/// Leaves of `map`, values of pixels in rows of `width`, what is part of an object of `labels` (one number for each,
/// 0 for none), with a line of background between objects that touch. Nothing changes where `labels` are of another
/// size.
pub fn keep_objects(map: &mut [u8], labels: &[u16], width: usize) {
    if width == 0 || map.len() != labels.len() {
        return;
    }
    let rows = map
        .chunks_exact_mut(width)
        .zip(labels.chunks_exact(width))
        .enumerate();
    for (y, (values, here)) in rows {
        // The last row lies above itself: no other object.
        let below = labels.get((y + 1) * width..(y + 2) * width).unwrap_or(here);
        let right = here.iter().skip(1).chain(here.last());
        let neighbours = right.zip(below);
        for ((value, label), (right, below)) in values.iter_mut().zip(here).zip(neighbours) {
            let meets = |other: &u16| *other != 0 && other != label;
            if *label == 0 || meets(right) || meets(below) {
                *value = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_that_touch_get_a_line_between_them() {
        let mut map = [1, 1, 1, 1, 2, 0, 1, 1, 1, 1, 2, 0];
        let labels = [1, 1, 2, 2, 0, 0, 1, 1, 1, 2, 0, 5];
        keep_objects(&mut map, &labels, 6);
        // The first meets the second beside it, the second the first below it. A number where the map has nothing
        // draws nothing.
        assert_eq!(map, [1, 0, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0]);
        let before = map;
        keep_objects(&mut map, &labels[1..], 6);
        keep_objects(&mut map, &labels, 0);
        assert_eq!(map, before);
    }
}
