//! The table of pixel formats.

/// A pixel format, with GStreamer's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Brightness, 8 bits.
    Gray8,
    /// Brightness, 16 bits, low byte first.
    Gray16Le,
    /// Brightness, 16 bits, high byte first.
    Gray16Be,
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Red, green, blue, opacity.
    Rgba,
    /// Blue, green, red, opacity.
    Bgra,
    /// Red, green, blue, an unused byte.
    Rgbx,
    /// Blue, green, red, an unused byte.
    Bgrx,
    /// A plane of luma, a plane of interleaved chroma at half the size.
    Nv12,
    /// A plane of luma, two planes of chroma at half the size.
    I420,
}

/// The memory layout of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One sample per pixel.
    Gray8,
    /// One sample of two bytes per pixel.
    Gray16 { big_endian: bool },
    /// Interleaved samples: bytes per pixel, offsets of red, green and blue, and offset of the fourth byte.
    Packed {
        bytes: usize,
        rgb: [usize; 3],
        rest: Option<usize>,
    },
    /// Planar. For each of the two chroma components its plane and its offset there; and the bytes from one chroma
    /// sample to the next.
    Yuv {
        chroma: [(usize, usize); 2],
        step: usize,
    },
}

const fn packed(bytes: usize, rgb: [usize; 3], rest: Option<usize>) -> Layout {
    Layout::Packed { bytes, rgb, rest }
}

const fn yuv(chroma: [(usize, usize); 2], step: usize) -> Layout {
    Layout::Yuv { chroma, step }
}

/// The table of formats, in the order of the enum.
const TABLE: [(Format, &str, Layout); 11] = [
    (Format::Gray8, "GRAY8", Layout::Gray8),
    (
        Format::Gray16Le,
        "GRAY16_LE",
        Layout::Gray16 { big_endian: false },
    ),
    (
        Format::Gray16Be,
        "GRAY16_BE",
        Layout::Gray16 { big_endian: true },
    ),
    (Format::Rgb, "RGB", packed(3, [0, 1, 2], None)),
    (Format::Bgr, "BGR", packed(3, [2, 1, 0], None)),
    (Format::Rgba, "RGBA", packed(4, [0, 1, 2], Some(3))),
    (Format::Bgra, "BGRA", packed(4, [2, 1, 0], Some(3))),
    (Format::Rgbx, "RGBx", packed(4, [0, 1, 2], Some(3))),
    (Format::Bgrx, "BGRx", packed(4, [2, 1, 0], Some(3))),
    (Format::Nv12, "NV12", yuv([(1, 0), (1, 1)], 2)),
    (Format::I420, "I420", yuv([(1, 0), (2, 0)], 1)),
];

impl Format {
    /// All formats.
    pub const ALL: [Format; TABLE.len()] = {
        let mut all = [Format::Gray8; TABLE.len()];
        let mut index = 0;
        while index < all.len() {
            all[index] = TABLE[index].0;
            index += 1;
        }
        all
    };

    /// Its name in GStreamer.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// The format with this name in GStreamer, if it is supported.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Whether a pixel is one sample of brightness.
    pub fn is_gray(self) -> bool {
        matches!(self.layout(), Layout::Gray8 | Layout::Gray16 { .. })
    }

    /// Bits per sample.
    pub fn depth(self) -> u32 {
        match self.layout() {
            Layout::Gray16 { .. } => 16,
            _ => 8,
        }
    }

    /// Number of planes.
    pub fn planes(self) -> usize {
        match self.layout() {
            Layout::Yuv { chroma, .. } => 1 + chroma[1].0,
            _ => 1,
        }
    }

    /// Its memory layout.
    pub(super) fn layout(self) -> Layout {
        TABLE[self as usize].2
    }

    /// Bytes per row without padding, and rows, of plane `index` of a picture.
    pub(super) fn plane_shape(self, index: usize, width: usize, height: usize) -> (usize, usize) {
        match self.layout() {
            Layout::Gray8 => (width, height),
            Layout::Gray16 { .. } => (width * 2, height),
            Layout::Packed { bytes, .. } => (width * bytes, height),
            Layout::Yuv { .. } if index == 0 => (width, height),
            Layout::Yuv { step, .. } => (width.div_ceil(2) * step, height.div_ceil(2)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, format) in Format::ALL.into_iter().enumerate() {
            assert_eq!(format as usize, index);
            assert_eq!(Format::from_name(format.name()), Some(format));
        }
        assert_eq!(Format::from_name("YUY2"), None);
    }

    #[test]
    fn planes_of_odd_sizes() {
        assert_eq!(Format::Nv12.planes(), 2);
        assert_eq!(Format::I420.planes(), 3);
        assert_eq!(Format::Nv12.plane_shape(1, 5, 3), (6, 2));
        assert_eq!(Format::I420.plane_shape(2, 5, 3), (3, 2));
        assert_eq!(Format::Gray16Be.plane_shape(0, 5, 3), (10, 3));
    }
}
