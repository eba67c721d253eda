//! Borrowed pictures with any stride, checked once.

use super::format::Format;
use super::yuv::YuvCoding;

/// Bytes of one plane.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plane<'a> {
    /// The rows; the last one may lack its padding.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// Bytes of one plane to write to.
#[derive(Debug, Default)]
pub struct PlaneMut<'a> {
    /// The rows; the last one may lack its padding.
    pub data: &'a mut [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// A picture whose planes have been checked: [`Frame`] or [`FrameMut`].
#[derive(Clone, Copy, Debug)]
pub struct Pixels<P> {
    pub(super) format: Format,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) planes: [P; 3],
    pub(super) coding: YuvCoding,
}

/// A picture to read.
pub type Frame<'a> = Pixels<Plane<'a>>;

/// A picture to write.
pub type FrameMut<'a> = Pixels<PlaneMut<'a>>;

/// Why bytes are not a valid picture of the given format and size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No pixels, or more than memory can hold.
    #[error("a picture can't have {width}x{height} pixels")]
    Size {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// There are too few or too many planes.
    #[error("{} has {} planes, and {given} were given", format.name(), format.planes())]
    Planes {
        /// The pixel format.
        format: Format,
        /// Number of planes given.
        given: usize,
    },
    /// Rows would overlap.
    #[error(
        "rows of plane {plane} of {} have {row} bytes, but the stride is only {stride}",
        format.name()
    )]
    Stride {
        /// The pixel format.
        format: Format,
        /// Index of the plane.
        plane: usize,
        /// Bytes per row without padding.
        row: usize,
        /// Bytes from one row to the next.
        stride: usize,
    },
    /// The buffer ends early.
    #[error(
        "plane {plane} of {width}x{height} {} needs {needed} bytes, but the buffer holds {given}: \
         the source sends less than its caps say",
        format.name()
    )]
    Short {
        /// The pixel format.
        format: Format,
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// Index of the plane.
        plane: usize,
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
}

/// Checks `given` planes, each as (bytes, stride).
fn check(
    format: Format,
    (width, height): (usize, usize),
    given: usize,
    planes: impl Iterator<Item = (usize, usize)>,
) -> Result<(), FrameError> {
    const LONGEST: usize = 1 << 30;
    if !(1..=LONGEST).contains(&width) || !(1..=LONGEST).contains(&height) {
        return Err(FrameError::Size { width, height });
    }
    if given != format.planes() {
        return Err(FrameError::Planes { format, given });
    }
    for (plane, (given, stride)) in planes.take(given).enumerate() {
        let (row, rows) = format.plane_shape(plane, width, height);
        if stride < row {
            return Err(FrameError::Stride {
                format,
                plane,
                row,
                stride,
            });
        }
        let needed = (rows - 1).saturating_mul(stride).saturating_add(row);
        if given < needed {
            return Err(FrameError::Short {
                format,
                width,
                height,
                plane,
                needed,
                given,
            });
        }
    }
    Ok(())
}

impl<P> Pixels<P> {
    /// The pixel format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }
}

impl<'a> Frame<'a> {
    /// Checks that the planes fit the picture. `coding` matters for NV12 and I420 only.
    pub fn new(
        format: Format,
        width: usize,
        height: usize,
        planes: &[Plane<'a>],
        coding: YuvCoding,
    ) -> Result<Self, FrameError> {
        let shapes = planes.iter().map(|plane| (plane.data.len(), plane.stride));
        check(format, (width, height), planes.len(), shapes)?;
        let mut own = [Plane::default(); 3];
        own[..planes.len()].copy_from_slice(planes);
        Ok(Pixels {
            format,
            width,
            height,
            planes: own,
            coding,
        })
    }

    /// Row `y` of a plane, without padding.
    pub(super) fn row(&self, plane: usize, y: usize) -> &'a [u8] {
        let (bytes, _) = self.format.plane_shape(plane, self.width, self.height);
        let Plane { data, stride } = self.planes[plane];
        &data[y * stride..][..bytes]
    }
}

impl<'a> FrameMut<'a> {
    /// Checks that the planes fit the picture. `coding` matters for NV12 and I420 only.
    pub fn new(
        format: Format,
        width: usize,
        height: usize,
        planes: impl IntoIterator<Item = PlaneMut<'a>>,
        coding: YuvCoding,
    ) -> Result<Self, FrameError> {
        let mut own: [PlaneMut; 3] = Default::default();
        let mut given = 0;
        for plane in planes {
            if let Some(own) = own.get_mut(given) {
                *own = plane;
            }
            given += 1;
        }
        let shapes = own.iter().map(|plane| (plane.data.len(), plane.stride));
        check(format, (width, height), given, shapes)?;
        Ok(Pixels {
            format,
            width,
            height,
            planes: own,
            coding,
        })
    }

    /// Row `y` of a plane, without padding.
    pub(super) fn row(&mut self, plane: usize, y: usize) -> &mut [u8] {
        let (bytes, _) = self.format.plane_shape(plane, self.width, self.height);
        let PlaneMut { data, stride } = &mut self.planes[plane];
        &mut data[y * *stride..][..bytes]
    }

    /// Sets the padding to 0: pool memory still holds old bytes, and equal pictures should be output as equal
    /// bytes.
    pub fn clear_padding(&mut self) {
        for index in 0..self.format.planes() {
            let (bytes, rows) = self.format.plane_shape(index, self.width, self.height);
            let PlaneMut { data, stride } = &mut self.planes[index];
            if bytes == *stride {
                continue;
            }
            for row in data.chunks_mut(*stride).take(rows) {
                if let Some(padding) = row.get_mut(bytes..) {
                    padding.fill(0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        format: Format,
        size: (usize, usize),
        planes: &[(usize, usize)],
    ) -> Result<(), FrameError> {
        let bytes = [0; 100];
        let plane = |&(length, stride): &(usize, usize)| Plane {
            data: &bytes[..length],
            stride,
        };
        let planes: Vec<_> = planes.iter().map(plane).collect();
        Frame::new(format, size.0, size.1, &planes, YuvCoding::default()).map(|_| ())
    }

    #[test]
    fn the_last_row_may_be_short() {
        assert_eq!(read(Format::Rgb, (3, 2), &[(12 + 9, 12)]), Ok(()));
        let short = read(Format::Rgb, (3, 2), &[(12 + 8, 12)]).unwrap_err();
        assert!(
            short
                .to_string()
                .contains("needs 21 bytes, but the buffer holds 20")
        );
    }

    #[test]
    fn wrong_planes_are_refused() {
        let nv12 = [(15, 5), (12, 6)];
        assert_eq!(read(Format::Nv12, (5, 3), &nv12), Ok(()));
        let refusal = |format, size, planes: &[_]| read(format, size, planes).unwrap_err();
        assert!(matches!(
            refusal(Format::Nv12, (5, 3), &[(15, 5), (11, 6)]),
            FrameError::Short {
                plane: 1,
                needed: 12,
                given: 11,
                ..
            }
        ));
        assert!(matches!(
            refusal(Format::Nv12, (5, 3), &[(15, 5), (12, 5)]),
            FrameError::Stride {
                plane: 1,
                row: 6,
                stride: 5,
                ..
            }
        ));
        assert!(matches!(
            refusal(Format::I420, (5, 3), &nv12),
            FrameError::Planes { given: 2, .. }
        ));
        assert!(matches!(
            refusal(Format::Gray8, (0, 3), &[(15, 5)]),
            FrameError::Size { .. }
        ));
        assert!(matches!(
            refusal(Format::Gray8, (1, 1 << 30), &[(15, usize::MAX)]),
            FrameError::Short { .. }
        ));
    }
}
