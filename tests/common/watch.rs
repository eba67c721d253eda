//! What an element that plays tells: its statistics, and what it posts on its bus.

use std::time::{Duration, Instant};

use gst::prelude::*;
use gstreamer as gst;

/// A counter of the element's `stats`.
pub fn stats(element: &gst::Element, name: &str) -> u64 {
    let stats: gst::Structure = element.property("stats");
    stats.get(name).unwrap()
}

/// Waits until `done`, for as long as a slow machine may need.
pub fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}: in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Lets `element` post on a bus that is read by the test alone. In a harness it has to be set last.
pub fn bus_of(element: &gst::Element) -> gst::Bus {
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    bus
}

/// Takes the element messages of this name from `bus`, and those of other names away.
pub fn messages(bus: &gst::Bus, name: &str) -> Vec<gst::Structure> {
    let messages = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Element]));
    let fields = messages.filter_map(|message| Some(message.structure()?.to_owned()));
    fields.filter(|fields| fields.name() == name).collect()
}

/// Takes the warnings from `bus`.
pub fn warnings(bus: &gst::Bus) -> Vec<String> {
    let messages = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Warning]));
    messages
        .map(|message| match message.view() {
            gst::MessageView::Warning(warning) => warning.error().to_string(),
            _ => unreachable!("nothing else was asked for"),
        })
        .collect()
}

/// Whether an error waits on `bus`.
pub fn has_failed(bus: &gst::Bus) -> bool {
    bus.pop_filtered(&[gst::MessageType::Error]).is_some()
}
