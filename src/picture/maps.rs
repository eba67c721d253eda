//! Writes maps as grey pictures.

use super::format::{Format, Layout};
use super::frame::FrameMut;

/// The format or size of a picture does not match the map to be written into it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} can't be written into a picture of {width}x{height} pixels in {}", format.name())]
pub struct WriteError {
    /// The map to be written.
    pub what: &'static str,
    /// Format of the picture.
    pub format: Format,
    /// Its columns.
    pub width: usize,
    /// Its rows.
    pub height: usize,
}

impl WriteError {
    /// For writing `what` into `target`.
    pub(super) fn new(what: &'static str, target: &FrameMut) -> Self {
        WriteError {
            what,
            format: target.format(),
            width: target.width(),
            height: target.height(),
        }
    }
}

/// Writes classes, rows of the frame's width without padding, into a picture in GRAY8.
///
/// # Errors
/// If the picture is in another format, or `mask` is shorter than it.
pub fn write_mask(mask: &[u8], target: &mut FrameMut) -> Result<(), WriteError> {
    let width = target.width();
    if target.format() != Format::Gray8 || mask.len() < width * target.height() {
        return Err(WriteError::new("a mask", target));
    }
    for y in 0..target.height() {
        target
            .row(0, y)
            .copy_from_slice(&mask[y * width..][..width]);
    }
    Ok(())
}

/// Writes object numbers, rows of the frame's width without padding, into a picture in GRAY16_LE.
///
/// # Errors
/// If the picture is in another format, or `labels` is shorter than it.
pub fn write_labels(labels: &[u16], target: &mut FrameMut) -> Result<(), WriteError> {
    let width = target.width();
    if target.format() != Format::Gray16Le || labels.len() < width * target.height() {
        return Err(WriteError::new("labels", target));
    }
    for y in 0..target.height() {
        let (samples, _) = target.row(0, y).as_chunks_mut();
        for (bytes, label) in samples.iter_mut().zip(&labels[y * width..]) {
            *bytes = label.to_le_bytes();
        }
    }
    Ok(())
}

/// Writes probabilities, rows of the frame's width without padding, into a grey picture: 0 to 1 become
/// 0 to 255 or 65535, rounded. NaN becomes 0.
///
/// # Errors
/// If the picture is not grey, or `probability` is shorter than it.
pub fn write_probability(probability: &[f32], target: &mut FrameMut) -> Result<(), WriteError> {
    write_shares("probabilities", probability, target, |p| p)
}

/// Writes the uncertainty of probabilities, their [`entropy`], the way [`write_probability`] writes them: white where
/// both classes are equally likely.
///
/// # Errors
/// If the picture is not grey, or `probability` is shorter than it.
pub fn write_uncertainty(probability: &[f32], target: &mut FrameMut) -> Result<(), WriteError> {
    write_shares("uncertainties", probability, target, entropy)
}

/// The entropy of a binary choice with probability `p`, in bits: 0 if it is certain, 1 at one half.
pub fn entropy(p: f32) -> f32 {
    let term = |p: f32| if p > 0.0 { -p * p.log2() } else { 0.0 };
    (term(p) + term(1.0 - p)).clamp(0.0, 1.0)
}

/// Converts samples of 16 bits, little-endian, to 8 bits, with the result of [`write_probability`] in 8 bits.
pub fn narrow(samples: &[u8], bytes: &mut [u8]) {
    let (samples, _) = samples.as_chunks();
    for (byte, sample) in bytes.iter_mut().zip(samples) {
        *byte = in_8_bits(u16::from_le_bytes(*sample));
    }
}

/// A value in `0..=1` as a 16-bit sample, rounded.
fn sample(share: f32) -> u16 {
    (share * 65_535.0 + 0.5) as u16
}

/// A 257th of a sample, rounded: 65535 / 257 is 255. As 257 is odd, no sample lies half-way between two results, so
/// rounding twice equals rounding once.
fn in_8_bits(sample: u16) -> u8 {
    ((u32::from(sample) * 255 + 32_895) >> 16) as u8
}

/// Writes `share` of each value, in `0..=1`.
fn write_shares(
    what: &'static str,
    values: &[f32],
    target: &mut FrameMut,
    share: impl Fn(f32) -> f32,
) -> Result<(), WriteError> {
    let width = target.width();
    if values.len() < width * target.height() {
        return Err(WriteError::new(what, target));
    }
    let layout = target.format().layout();
    for y in 0..target.height() {
        let values = &values[y * width..][..width];
        let row = target.row(0, y);
        match layout {
            Layout::Gray8 => {
                for (byte, value) in row.iter_mut().zip(values) {
                    *byte = in_8_bits(sample(share(*value)));
                }
            }
            Layout::Gray16 { big_endian } => {
                let (samples, _) = row.as_chunks_mut();
                for (bytes, value) in samples.iter_mut().zip(values) {
                    let sample = sample(share(*value));
                    *bytes = if big_endian {
                        sample.to_be_bytes()
                    } else {
                        sample.to_le_bytes()
                    };
                }
            }
            _ => return Err(WriteError::new(what, target)),
        }
    }
    Ok(())
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
        // The first row with one byte of its padding, and the second row.
        let mut bytes = picture.bytes(0, 0)[..=row].to_vec();
        bytes.extend_from_slice(&picture.bytes(0, 1)[..row]);
        bytes
    }

    #[test]
    fn masks_are_copied_row_by_row() {
        let got = written(Format::Gray8, |target| {
            write_mask(&[0, 1, 2, 3, 4, 255], target).unwrap()
        });
        assert_eq!(got, [0, 1, 2, 0xa5, 3, 4, 255]);
    }

    #[test]
    fn probabilities_fill_the_range() {
        let p = [0.0, 0.5, 1.0, -0.1, 7.0, f32::NAN];
        let got = |format| written(format, |target| write_probability(&p, target).unwrap());
        assert_eq!(got(Format::Gray8), [0, 128, 255, 0xa5, 0, 255, 0]);
        let expected = [0, 0, 0x80, 0, 0xff, 0xff, 0xa5, 0, 0, 0xff, 0xff, 0, 0];
        assert_eq!(got(Format::Gray16Be), expected);
        let expected = [0, 0, 0, 0x80, 0xff, 0xff, 0xa5, 0, 0, 0xff, 0xff, 0, 0];
        assert_eq!(got(Format::Gray16Le), expected);
    }

    #[test]
    fn eight_bits_are_sixteen_rounded() {
        for sample in 0..=u16::MAX {
            let expected = (f64::from(sample) / 257.0).round();
            assert_eq!(f64::from(in_8_bits(sample)), expected, "{sample}");
        }
        // Rounding twice equals rounding once, except for ties within the precision of `f32`.
        for step in 0..1_000_000 {
            let p = f64::from(step) / 999_999.0;
            let exact = 255.0 * p + 0.5;
            let byte = f64::from(in_8_bits(sample(p as f32)));
            let is_tie = (exact - exact.round()).abs() < 1e-4;
            assert!(byte == exact.floor() || is_tie, "{p}");
        }
        let mut bytes = [9; 4];
        narrow(&[0, 0, 0x80, 0x80, 0xff, 0xff, 7], &mut bytes);
        assert_eq!(bytes, [0, 128, 255, 9]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let mut colour = Picture::new(Format::Rgb, (3, 2), YuvCoding::default());
        let error = write_mask(&[0; 6], &mut colour.frame_mut()).unwrap_err();
        assert!(error.to_string().contains("3x2 pixels in RGB"), "{error}");
        assert!(write_probability(&[0.0; 6], &mut colour.frame_mut()).is_err());
        let mut gray = Picture::new(Format::Gray8, (3, 2), YuvCoding::default());
        assert!(write_mask(&[0; 5], &mut gray.frame_mut()).is_err());
        assert!(write_probability(&[0.0; 5], &mut gray.frame_mut()).is_err());
    }

    #[test]
    fn one_half_is_the_least_certain() {
        let expected = |p: f64| -(p * p.log2() + (1.0 - p) * (1.0 - p).log2());
        for p in [0.001, 0.1, 0.3, 0.5, 0.9] {
            let found = f64::from(entropy(p as f32));
            assert!((found - expected(p)).abs() < 1e-5, "{p}: {found}");
        }
        assert_eq!([0.0, 1.0, f32::NAN].map(entropy)[..2], [0.0, 0.0]);
        let bytes = written(Format::Gray8, |frame| {
            write_uncertainty(&[0.0, 0.5, 1.0, 0.5, 0.5, 0.0], frame).unwrap();
        });
        assert_eq!(bytes[..3], [0, 255, 0]);
    }
}
