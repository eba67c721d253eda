//! Restricts a map to the objects that are counted.

/// Clears all pixels of `map`, rows of `width`, that belong to no object of `labels` (one number per pixel, 0 for
/// none), and a line between objects that touch. Does nothing if `labels` have another size.
pub fn keep_objects(map: &mut [u8], labels: &[u16], width: usize) {
    if width == 0 || map.len() != labels.len() {
        return;
    }
    let rows = map
        .chunks_exact_mut(width)
        .zip(labels.chunks_exact(width))
        .enumerate();
    for (y, (values, here)) in rows {
        // The last row is compared with itself: no other object.
        let below = labels.get((y + 1) * width..(y + 2) * width).unwrap_or(here);
        let right = here.iter().skip(1).chain(here.last());
        let neighbours = right.zip(below);
        for ((value, label), (right, below)) in values.iter_mut().zip(here).zip(neighbours) {
            let is_other = |other: &u16| *other != 0 && other != label;
            if *label == 0 || is_other(right) || is_other(below) {
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
        // The first object touches the second beside it, the second the first below it. A label where the map is 0
        // draws nothing.
        assert_eq!(map, [1, 0, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0]);
        let before = map;
        keep_objects(&mut map, &labels[1..], 6);
        keep_objects(&mut map, &labels, 0);
        assert_eq!(map, before);
    }
}
