//! GStreamer's buffers as pictures.

use gst_video::{VideoColorMatrix, VideoColorRange, VideoInfo};

use super::job::ProcessError;
use crate::picture::{Format, Frame, FrameMut, Plane, PlaneMut, YuvCoding, YuvRange};
use crate::tiling::Size;

/// Most planes of a format.
const PLANES: usize = 3;

/// What the caps say of a picture.
#[derive(Clone, Debug)]
pub struct Picture {
    info: VideoInfo,
    format: Format,
    coding: YuvCoding,
}

/// Where the planes of a picture begin in a buffer, and how far their rows lie apart, in bytes.
///
/// A buffer may say so itself, and differ from the one before: cameras and decoders pad their rows.
#[derive(Clone, Copy, Debug)]
pub struct Placement([Place; PLANES]);

/// Where a plane begins, and how far apart its rows are, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    offset: usize,
    stride: usize,
}

/// Why a buffer does not hold the picture of its caps.
#[derive(Debug, thiserror::Error)]
pub enum PlacementError {
    #[error("the buffer describes a picture of {found}, and the caps one of {expected}")]
    Other { found: String, expected: String },
    #[error(
        "the buffer says that rows of plane {plane} lie {stride} bytes apart, which can't be read"
    )]
    Stride { plane: usize, stride: i32 },
    #[error(
        "the buffer holds {bytes} bytes, and plane {plane} begins at byte {offset}: the source sends less than its caps say"
    )]
    Offset {
        plane: usize,
        offset: usize,
        bytes: usize,
    },
    #[error("the planes of the buffer share bytes, so that none can be drawn upon alone")]
    Overlap,
}

impl Picture {
    /// Reads the caps of a raw video stream.
    pub fn of(caps: &gst::CapsRef) -> Result<Picture, ProcessError> {
        let unfit = || ProcessError::Caps(caps.to_string());
        let info = VideoInfo::from_caps(caps).map_err(|_| unfit())?;
        let format = Format::from_name(info.format().to_str()).ok_or_else(unfit)?;
        let coding = coding(&info);
        Ok(Picture {
            info,
            format,
            coding,
        })
    }

    pub fn info(&self) -> &VideoInfo {
        &self.info
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub fn size(&self) -> Size {
        Size {
            width: self.info.width() as usize,
            height: self.info.height() as usize,
        }
    }

    /// Where the planes lie in `buffer`.
    pub fn placement(&self, buffer: &gst::BufferRef) -> Result<Placement, PlacementError> {
        let meta = buffer.meta::<gst_video::VideoMeta>();
        let (offsets, strides) = match &meta {
            Some(meta) => {
                let found = (meta.format(), meta.width(), meta.height());
                let expected = (self.info.format(), self.info.width(), self.info.height());
                let text = |(format, width, height)| format!("{width}x{height} {format}");
                if found != expected {
                    return Err(PlacementError::Other {
                        found: text(found),
                        expected: text(expected),
                    });
                }
                (meta.offset(), meta.stride())
            }
            None => (self.info.offset(), self.info.stride()),
        };
        let mut places = [Place::default(); PLANES];
        let found = offsets.iter().zip(strides);
        for (plane, (place, (&offset, &stride))) in places.iter_mut().zip(found).enumerate() {
            let stride =
                usize::try_from(stride).map_err(|_| PlacementError::Stride { plane, stride })?;
            *place = Place { offset, stride };
        }
        Ok(Placement(places))
    }

    /// The picture in the bytes of a buffer.
    pub fn frame<'a>(
        &self,
        placement: &Placement,
        bytes: &'a [u8],
    ) -> Result<Frame<'a>, ProcessError> {
        let mut planes = [Plane::default(); PLANES];
        let count = self.format.planes();
        let places = placement.0.iter().take(count);
        for (index, (plane, place)) in planes.iter_mut().zip(places).enumerate() {
            let Place { offset, stride } = *place;
            plane.stride = stride;
            plane.data = bytes.get(offset..).ok_or(PlacementError::Offset {
                plane: index,
                offset,
                bytes: bytes.len(),
            })?;
        }
        let Size { width, height } = self.size();
        Ok(Frame::new(
            self.format,
            width,
            height,
            planes.get(..count).unwrap_or(&planes),
            self.coding,
        )?)
    }

    /// The picture in the bytes of a buffer, to draw upon.
    pub fn frame_mut<'a>(
        &self,
        placement: &Placement,
        bytes: &'a mut [u8],
    ) -> Result<FrameMut<'a>, ProcessError> {
        // Each plane fits, if it may reach to the end of the buffer.
        self.frame(placement, bytes)?;
        // They may lie in any order. Now each ends where the next one begins.
        let count = self.format.planes();
        let mut order: [usize; PLANES] = std::array::from_fn(|index| index);
        order.sort_by_key(|index| placement.0.get(*index).map(|place| place.offset));
        let mut planes: [PlaneMut; PLANES] = Default::default();
        let mut rest = bytes;
        for index in order.into_iter().rev().filter(|index| *index < count) {
            let (Some(place), Some(plane)) = (placement.0.get(index), planes.get_mut(index)) else {
                continue;
            };
            let (before, data) = rest
                .split_at_mut_checked(place.offset)
                .ok_or(PlacementError::Overlap)?;
            let stride = place.stride;
            *plane = PlaneMut { data, stride };
            rest = before;
        }
        let Size { width, height } = self.size();
        let planes = planes.into_iter().take(count);
        let frame = FrameMut::new(self.format, width, height, planes, self.coding);
        Ok(frame.map_err(|_| PlacementError::Overlap)?)
    }
}

/// How the caps say that luma and chroma make colours; where they say nothing, GStreamer has filled
/// in what is usual for the size.
fn coding(info: &VideoInfo) -> YuvCoding {
    let colorimetry = info.colorimetry();
    let (kr, kb) = match colorimetry.matrix() {
        VideoColorMatrix::Bt709 => (0.2126, 0.0722),
        VideoColorMatrix::Bt2020 => (0.2627, 0.0593),
        VideoColorMatrix::Smpte240m => (0.212, 0.087),
        VideoColorMatrix::Fcc => (0.30, 0.11),
        _ => (0.299, 0.114),
    };
    let range = match colorimetry.range() {
        VideoColorRange::Range0_255 => YuvRange::Full,
        _ => YuvRange::Limited,
    };
    YuvCoding { range, kr, kb }
}
