//! Maps as grey pictures.

use super::format::Layout;
use super::frame::FrameMut;

/// Writes classes, rows of the frame's width without gaps, into a picture in GRAY8.
///
/// # Panics
/// If the picture is in another format, or `mask` is shorter than it.
pub fn write_mask(mask: &[u8], target: &mut FrameMut) {
    assert_eq!(target.format().layout(), Layout::Gray8, "masks have 8 bits");
    let width = target.width();
    for y in 0..target.height() {
        target
            .row(0, y)
            .copy_from_slice(&mask[y * width..][..width]);
    }
}

/// Writes probabilities, rows of the frame's width without gaps, into a grey picture: 0 to 1 become
/// 0 to 255 or 65535, rounded. What is no number becomes 0.
///
/// # Panics
/// If the picture is not grey, or `probability` is shorter than it.
pub fn write_probability(probability: &[f32], target: &mut FrameMut) {
    let width = target.width();
    let layout = target.format().layout();
    for y in 0..target.height() {
        let values = &probability[y * width..][..width];
        let row = target.row(0, y);
        match layout {
            Layout::Gray8 => {
                for (byte, p) in row.iter_mut().zip(values) {
                    *byte = (p * 255.0 + 0.5) as u8;
                }
            }
            Layout::Gray16 { big_endian } => {
                let (samples, _) = row.as_chunks_mut();
                for (bytes, p) in samples.iter_mut().zip(values) {
                    let value = (p * 65_535.0 + 0.5) as u16;
                    *bytes = if big_endian {
                        value.to_be_bytes()
                    } else {
                        value.to_le_bytes()
                    };
                }
            }
            _ => panic!("probabilities can't be written into {layout:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::Format;
    use super::super::testing::Picture;
    use super::super::yuv::YuvCoding;
    use super::*;

    fn written(format: Format, write: impl Fn(&mut FrameMut)) -> Vec<u8> {
        let mut picture = Picture::new(format, (3, 2), YuvCoding::default());
        write(&mut picture.frame_mut());
        let (row, _) = format.plane_shape(0, 3, 2);
        // The first row with one of the bytes between the rows, and the second.
        let mut bytes = picture.bytes(0, 0)[..=row].to_vec();
        bytes.extend_from_slice(&picture.bytes(0, 1)[..row]);
        bytes
    }

    #[test]
    fn masks_are_copied_row_by_row() {
        let got = written(Format::Gray8, |target| {
            write_mask(&[0, 1, 2, 3, 4, 255], target)
        });
        assert_eq!(got, [0, 1, 2, 0xa5, 3, 4, 255]);
    }

    #[test]
    fn probabilities_fill_the_range() {
        let p = [0.0, 0.5, 1.0, -0.1, 7.0, f32::NAN];
        let got = |format| written(format, |target| write_probability(&p, target));
        assert_eq!(got(Format::Gray8), [0, 128, 255, 0xa5, 0, 255, 0]);
        let expected = [0, 0, 0x80, 0, 0xff, 0xff, 0xa5, 0, 0, 0xff, 0xff, 0, 0];
        assert_eq!(got(Format::Gray16Be), expected);
        let expected = [0, 0, 0, 0x80, 0xff, 0xff, 0xa5, 0, 0, 0xff, 0xff, 0, 0];
        assert_eq!(got(Format::Gray16Le), expected);
    }
}
