//! The pictures in GStreamer's buffers.

use gst_video::{VideoColorMatrix, VideoColorRange, VideoInfo};

use super::job::ProcessError;
use crate::picture::{Format, Frame, FrameMut, Plane, PlaneMut, YuvCoding, YuvRange};
use crate::tiling::Size;

/// Most planes of a format.
const PLANES: usize = 3;

/// The pictures that caps describe.
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
struct Placement([Place; PLANES]);

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
    Mismatch { found: String, expected: String },
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

    /// Hands the picture in `buffer` to `work`, to be read where it lies: each memory is mapped on its own. GStreamer
    /// maps several at once by copying them into a new one, which replaces them, and the source's pool loses the buffer.
    pub fn with_frame<R>(
        &self,
        buffer: &gst::BufferRef,
        work: impl FnOnce(&Frame) -> R,
    ) -> Result<R, ProcessError> {
        let placement = self.placement(buffer)?;
        let count = buffer.n_memory();
        if (2..=PLANES).contains(&count) {
            let mut maps: [Option<_>; PLANES] = Default::default();
            for (index, map) in maps.iter_mut().enumerate().take(count) {
                *map = Some(buffer.map_range_readable(index..=index)?);
            }
            let parts = maps.each_ref();
            let parts = parts.map(|map| map.as_deref().unwrap_or_default());
            // A plane may reach over several memories.
            if let Ok(frame) = self.frame(&placement, &parts) {
                return Ok(work(&frame));
            }
        }
        let bytes = buffer.map_readable()?;
        Ok(work(&self.frame(&placement, &[bytes.as_slice()])?))
    }

    /// As [`with_frame`](Self::with_frame), to be drawn upon.
    pub fn with_frame_mut(
        &self,
        buffer: &mut gst::BufferRef,
        work: impl FnOnce(&mut FrameMut) -> Result<(), ProcessError>,
    ) -> Result<(), ProcessError> {
        let placement = self.placement(buffer)?;
        if (2..=PLANES).contains(&buffer.n_memory())
            && let Ok(memories) = buffer.iter_memories_mut()
        {
            let mut maps: [Option<_>; PLANES] = Default::default();
            // A memory may be read-only. Mapping the whole buffer copies it then.
            let are_mapped = maps.iter_mut().zip(memories).all(|(map, memory)| {
                *map = memory.map_writable().ok();
                map.is_some()
            });
            let parts = maps.each_mut();
            let parts = parts.map(|map| map.as_deref_mut().unwrap_or_default());
            if are_mapped && let Ok(mut frame) = self.frame_mut(&placement, parts) {
                return work(&mut frame);
            }
        }
        let mut bytes = buffer.map_writable()?;
        let parts = [bytes.as_mut_slice(), &mut [], &mut []];
        work(&mut self.frame_mut(&placement, parts)?)
    }

    /// Where the planes lie in `buffer`.
    fn placement(&self, buffer: &gst::BufferRef) -> Result<Placement, PlacementError> {
        let meta = buffer.meta::<gst_video::VideoMeta>();
        let (offsets, strides) = match &meta {
            Some(meta) => {
                let found = (meta.format(), meta.width(), meta.height());
                let expected = (self.info.format(), self.info.width(), self.info.height());
                let text = |(format, width, height)| format!("{width}x{height} {format}");
                if found != expected {
                    return Err(PlacementError::Mismatch {
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

    /// The picture in the bytes of a buffer, which are those of its `parts` one after the other.
    fn frame<'a>(
        &self,
        placement: &Placement,
        parts: &[&'a [u8]],
    ) -> Result<Frame<'a>, ProcessError> {
        let mut planes = [Plane::default(); PLANES];
        let count = self.format.planes();
        let places = placement.0.iter().take(count);
        for (index, (plane, place)) in planes.iter_mut().zip(places).enumerate() {
            let Place { offset, stride } = *place;
            plane.stride = stride;
            plane.data = bytes_from(parts, offset).ok_or_else(|| PlacementError::Offset {
                plane: index,
                offset,
                bytes: parts.iter().map(|part| part.len()).sum(),
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

    /// As [`frame`](Self::frame), to be drawn upon.
    fn frame_mut<'a>(
        &self,
        placement: &Placement,
        parts: [&'a mut [u8]; PLANES],
    ) -> Result<FrameMut<'a>, ProcessError> {
        // Each plane fits, if it may reach to the end of its part.
        self.frame(placement, &parts.each_ref().map(|part| &**part))?;
        let mut end = 0;
        let mut parts = parts.map(|bytes| {
            let begin = end;
            end += bytes.len();
            (begin, bytes)
        });
        // They may lie in any order. Now each ends where the next one begins.
        let count = self.format.planes();
        let mut order: [usize; PLANES] = std::array::from_fn(|index| index);
        order.sort_by_key(|index| placement.0.get(*index).map(|place| place.offset));
        let mut planes: [PlaneMut; PLANES] = Default::default();
        for index in order.into_iter().rev().filter(|index| *index < count) {
            let (Some(place), Some(plane)) = (placement.0.get(index), planes.get_mut(index)) else {
                continue;
            };
            let mut parts = parts.iter_mut().rev();
            let Some((begin, bytes)) = parts.find(|(begin, _)| *begin <= place.offset) else {
                continue;
            };
            let (before, data) = std::mem::take(bytes)
                .split_at_mut_checked(place.offset - *begin)
                .ok_or(PlacementError::Overlap)?;
            let stride = place.stride;
            *plane = PlaneMut { data, stride };
            *bytes = before;
        }
        let Size { width, height } = self.size();
        let planes = planes.into_iter().take(count);
        let frame = FrameMut::new(self.format, width, height, planes, self.coding);
        Ok(frame.map_err(|_| PlacementError::Overlap)?)
    }
}

/// The bytes from `offset` on, to the end of the part that it lies in.
fn bytes_from<'a>(parts: &[&'a [u8]], offset: usize) -> Option<&'a [u8]> {
    let mut rest = offset;
    for part in parts {
        match part.get(rest..) {
            Some(bytes) if !bytes.is_empty() => return Some(bytes),
            _ => rest -= part.len(),
        }
    }
    (rest == 0).then(<&[u8]>::default)
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
