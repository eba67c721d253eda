//! The planes of a frame as a buffer and its caps describe them: what is accepted can be read whole.
#![no_main]

use gstunetsegment::contract::{Channels, Normalization};
use gstunetsegment::picture::{Format, Frame, Normalizer, Plane, YuvCoding, YuvRange};
use libfuzzer_sys::fuzz_target;

const CODING: YuvCoding = YuvCoding {
    range: YuvRange::Limited,
    kr: 0.299,
    kb: 0.114,
};

fuzz_target!(|input: (u8, u16, u16, [(u16, u16); 3], Vec<u8>)| {
    let (format, width, height, planes, bytes) = input;
    let format = Format::ALL[usize::from(format) % Format::ALL.len()];
    let planes = planes.map(|(offset, stride)| Plane {
        data: bytes.get(usize::from(offset)..).unwrap_or_default(),
        stride: usize::from(stride),
    });
    let (width, height) = (usize::from(width), usize::from(height));
    let planes = &planes[..format.planes()];
    if let Ok(frame) = Frame::new(format, width, height, planes, CODING) {
        let mut normalizer = Normalizer::new(Normalization::ZScore);
        let scaling = normalizer.scaling(&frame, Channels::Gray);
        assert!(scaling.apply(1.0).is_finite());
    }
});
