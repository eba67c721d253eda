//! Frames with bright discs, the element that finds them, and the objects that it reports.

use gstreamer as gst;
use gstreamer_check::Harness;

use super::watch::bus_of;
use super::{Files, bright, harness, timed};

pub const WIDTH: usize = 96;
pub const HEIGHT: usize = 64;

/// A frame with bright discs, each a centre and a radius.
pub fn frame(number: u64, discs: &[(f64, f64, f64)]) -> gst::Buffer {
    let bright = |at: usize| {
        let (x, y) = ((at % WIDTH) as f64, (at / WIDTH) as f64);
        let is_in = |(cx, cy, r): &(f64, f64, f64)| (x - cx).hypot(y - cy) <= *r;
        if discs.iter().any(is_in) { 200 } else { 20 }
    };
    let picture: Vec<u8> = (0..WIDTH * HEIGHT).map(bright).collect();
    timed(&picture, WIDTH, HEIGHT, number)
}

/// The element that segments bright pixels, on a bus of its own.
pub fn finder(properties: &[(&str, &str)]) -> (gst::Element, Harness, gst::Bus) {
    let files = Files::new();
    let element = bright(&files, properties);
    let harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    (element, harness, bus)
}

/// The labels in a map of 16 bits.
pub fn labels_of(buffer: &gst::BufferRef) -> Vec<u16> {
    let bytes = buffer.map_readable().unwrap();
    let (samples, _) = bytes.as_chunks();
    samples
        .iter()
        .map(|bytes| u16::from_le_bytes(*bytes))
        .collect()
}

/// The numbers of objects in a field of a message.
pub fn numbers(message: &gst::Structure, field: &str) -> Vec<u32> {
    let array: gst::Array = message.get(field).unwrap();
    array.iter().map(|value| value.get().unwrap()).collect()
}

/// The objects that a message lists.
pub fn objects(message: &gst::Structure) -> Vec<gst::Structure> {
    let list: gst::Array = message.get("object-list").unwrap();
    list.iter().map(|value| value.get().unwrap()).collect()
}
