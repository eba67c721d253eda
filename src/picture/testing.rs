//! Pictures for the tests of [`picture`](super).

use super::format::{Format, Layout};
use super::frame::{Frame, FrameMut, Plane, PlaneMut};
use super::yuv::YuvCoding;

/// The formats with red, green and blue in one plane.
pub const PACKED_FORMATS: [Format; 6] = [
    Format::Rgb,
    Format::Bgr,
    Format::Rgba,
    Format::Bgra,
    Format::Rgbx,
    Format::Bgrx,
];

/// A picture that owns its bytes. Rows have an odd number of bytes of padding, except the last one, which has
/// none.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub format: Format,
    pub width: usize,
    pub height: usize,
    pub coding: YuvCoding,
    planes: [Vec<u8>; 3],
}

impl Picture {
    /// A picture whose pixels are not set yet.
    pub fn new(format: Format, (width, height): (usize, usize), coding: YuvCoding) -> Self {
        let bytes = |plane| {
            let (row, rows) = format.plane_shape(plane, width, height);
            vec![0xa5; (rows - 1) * stride(format, width, plane) + row]
        };
        let mut planes: [Vec<u8>; 3] = Default::default();
        for (index, plane) in planes.iter_mut().enumerate().take(format.planes()) {
            *plane = bytes(index);
        }
        Picture {
            format,
            width,
            height,
            coding,
            planes,
        }
    }

    /// A picture of the given colours. Chroma is that of the upper left of four pixels; grey formats take red.
    pub fn color(
        format: Format,
        size: (usize, usize),
        coding: YuvCoding,
        color: impl Fn(usize, usize) -> [u8; 3],
    ) -> Self {
        let mut picture = Picture::new(format, size, coding);
        for (y, x) in places(size) {
            picture.set(x, y, color(x, y));
        }
        picture
    }

    /// A grey picture. Only formats of 16 bits hold more than 255.
    pub fn gray(
        format: Format,
        size: (usize, usize),
        coding: YuvCoding,
        value: impl Fn(usize, usize) -> u16,
    ) -> Self {
        if format.depth() == 8 {
            return Picture::color(format, size, coding, |x, y| [value(x, y) as u8; 3]);
        }
        let mut picture = Picture::new(format, size, coding);
        for (y, x) in places(size) {
            let bytes = match format.layout() {
                Layout::Gray16 { big_endian: true } => value(x, y).to_be_bytes(),
                _ => value(x, y).to_le_bytes(),
            };
            picture.bytes(0, y)[2 * x..][..2].copy_from_slice(&bytes);
        }
        picture
    }

    fn set(&mut self, x: usize, y: usize, color: [u8; 3]) {
        match self.format.layout() {
            Layout::Gray8 => self.bytes(0, y)[x] = color[0],
            Layout::Gray16 { .. } => unreachable!("set by `gray`"),
            Layout::Packed { bytes, rgb, .. } => {
                for (offset, sample) in rgb.into_iter().zip(color) {
                    self.bytes(0, y)[bytes * x + offset] = sample;
                }
            }
            Layout::Yuv { chroma, step } => {
                let [luma, u, v] = self.coding.encode(color);
                self.bytes(0, y)[x] = luma;
                if x.is_multiple_of(2) && y.is_multiple_of(2) {
                    for ((plane, offset), sample) in chroma.into_iter().zip([u, v]) {
                        self.bytes(plane, y / 2)[x / 2 * step + offset] = sample;
                    }
                }
            }
        }
    }

    /// The bytes from the start of a row on.
    pub fn bytes(&mut self, plane: usize, y: usize) -> &mut [u8] {
        let stride = stride(self.format, self.width, plane);
        &mut self.planes[plane][y * stride..]
    }

    pub fn frame(&self) -> Frame<'_> {
        let plane = |index: usize| Plane {
            data: &self.planes[index],
            stride: stride(self.format, self.width, index),
        };
        let planes: Vec<_> = (0..self.format.planes()).map(plane).collect();
        Frame::new(self.format, self.width, self.height, &planes, self.coding).unwrap()
    }

    pub fn frame_mut(&mut self) -> FrameMut<'_> {
        let Picture {
            format,
            width,
            height,
            coding,
            ref mut planes,
        } = *self;
        let mut index = 0;
        let planes = planes.each_mut().map(|data| {
            index += 1;
            PlaneMut {
                data,
                stride: stride(format, width, index - 1),
            }
        });
        let planes = planes.into_iter().take(format.planes());
        FrameMut::new(format, width, height, planes, coding).unwrap()
    }
}

fn stride(format: Format, width: usize, plane: usize) -> usize {
    let (row, _) = format.plane_shape(plane, width, 1);
    row + 3 + 2 * plane
}

/// All (y, x) of a picture of (width, height).
pub fn places((width, height): (usize, usize)) -> impl Iterator<Item = (usize, usize)> {
    (0..height).flat_map(move |y| (0..width).map(move |x| (y, x)))
}

/// Pseudo-random numbers, always the same for the same place.
pub fn noise(x: usize, y: usize) -> u16 {
    let mixed = (x as u32 * 0x9e37 + y as u32 * 0x85eb + 1).wrapping_mul(0xc2b2_ae35);
    ((mixed ^ (mixed >> 15)).wrapping_mul(0x27d4_eb2f) >> 16) as u16
}
