//! True and found outlines in an image.

use image::RgbImage;

use super::canvas::{Brightness, Canvas};
use crate::train::plane::Plane;

/// Colours of true and found outlines, which most people can tell apart.
const TRUE: [u8; 3] = [0, 220, 120];
const FOUND: [u8; 3] = [255, 140, 0];

/// The image, plain, with the outlines of `truth` and with those of `found`, which hold one number for each
/// object and 0 elsewhere.
pub fn draw_outlines(image: &[Plane<f32>], truth: &Plane<u32>, found: &Plane<u32>) -> RgbImage {
    let plain = Brightness::of(image).draw(image);
    let outlined = |objects, color| outlined(&plain, objects, color);
    let pictures = [outlined(truth, TRUE), outlined(found, FOUND)];
    Canvas::new([plain.clone()].into_iter().chain(pictures)).image()
}

/// The picture with the outlines of objects in `color`: their pixels with a 4-neighbour outside of the object.
fn outlined(picture: &Plane<[u8; 3]>, objects: &Plane<u32>, color: [u8; 3]) -> Plane<[u8; 3]> {
    let mut drawn = picture.clone();
    for row in 0..objects.height {
        for column in 0..objects.width {
            let object = objects.at(row, column);
            let around = [
                (row.wrapping_sub(1), column),
                (row + 1, column),
                (row, column.wrapping_sub(1)),
                (row, column + 1),
            ];
            let inside =
                |(row, column): &(usize, usize)| *row < objects.height && *column < objects.width;
            let differs = |(row, column)| objects.at(row, column) != object;
            if object != 0 && around.into_iter().filter(inside).any(differs) {
                drawn.data[row * objects.width + column] = color;
            }
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn outlines_lie_where_objects_end() {
        let image = [Plane::filled(3, 5, 0.0)];
        let truth = Plane {
            height: 3,
            width: 5,
            data: [[1, 1, 1, 0, 2]; 3].concat(),
        };
        let drawn = draw_outlines(&image, &truth, &Plane::filled(3, 5, 7));
        // The three pictures begin at columns 0, 9 and 18.
        assert_eq!(drawn.dimensions(), (3 * 5 + 2 * 4, 3));
        let row: Vec<_> = (9..14).map(|column| *drawn.get_pixel(column, 1)).collect();
        let [black, green] = [[0; 3], TRUE].map(Rgb);
        assert_eq!(row, [black, black, green, black, green]);
        // An object that fills the image has no outline.
        assert!((18..23).all(|column| *drawn.get_pixel(column, 0) == black));
    }
}
