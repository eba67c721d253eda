//! Connected components of a mask.

use super::plane::Plane;

/// Numbers the 4-connected components of the pixels that are `true`: 1, 2, 3 and so on in the order
/// of their first pixel, row by row; 0 elsewhere.
pub fn components(mask: &Plane<bool>) -> Plane<u32> {
    let (height, width) = (mask.height, mask.width);
    let mut labels = Plane::filled(height, width, 0);
    let mut count = 0;
    let mut waiting = Vec::new();
    for start in 0..mask.data.len() {
        if !mask.data[start] || labels.data[start] != 0 {
            continue;
        }
        count += 1;
        labels.data[start] = count;
        waiting.push(start);
        while let Some(at) = waiting.pop() {
            for neighbour in neighbours(at, height, width).into_iter().flatten() {
                if mask.data[neighbour] && labels.data[neighbour] == 0 {
                    labels.data[neighbour] = count;
                    waiting.push(neighbour);
                }
            }
        }
    }
    labels
}

/// Indices of the up to four pixels that touch pixel `at` at an edge.
pub fn neighbours(at: usize, height: usize, width: usize) -> [Option<usize>; 4] {
    let (row, column) = (at / width, at % width);
    [
        (row > 0).then(|| at - width),
        (column > 0).then(|| at - 1),
        (column + 1 < width).then_some(at + 1),
        (row + 1 < height).then_some(at + width),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_do_not_connect() {
        let mask = Plane {
            height: 3,
            width: 5,
            data: [1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 1]
                .map(|v| v == 1)
                .to_vec(),
        };
        let expected = [1, 1, 0, 0, 2, 0, 0, 3, 0, 2, 4, 0, 0, 2, 2];
        assert_eq!(components(&mask).data, expected);
    }

    #[test]
    fn rows_do_not_wrap_round() {
        let mask = Plane {
            height: 2,
            width: 2,
            data: vec![false, true, true, false],
        };
        assert_eq!(components(&mask).data, [0, 1, 2, 0]);
    }
}
