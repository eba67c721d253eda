//! What an element that plays tells: its statistics, and what it posts on its bus.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstreamer as gst;

/// A counter of the element's `stats`.
pub fn stats(element: &gst::Element, name: &str) -> u64 {
    let stats: gst::Structure = element.property("stats");
    stats.get(name).unwrap()
}

/// The hash of the model at work.
pub fn model_hash(element: &gst::Element) -> String {
    let stats: gst::Structure = element.property("stats");
    stats.get("model-hash").unwrap()
}

/// Calls `note` for each frame that passes a pad.
pub fn on_frames(element: &gst::Element, pad: &str, note: impl Fn() + Send + Sync + 'static) {
    let pad = element.static_pad(pad).unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        note();
        gst::PadProbeReturn::Ok
    });
}

/// Counts the frames that pass a pad.
pub fn counted(element: &gst::Element, pad: &str) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let passed = count.clone();
    on_frames(element, pad, move || {
        passed.fetch_add(1, Ordering::SeqCst);
    });
    count
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

/// Whether a model was loaded, and why not, for each that the messages on `bus` are about.
pub fn loads(bus: &gst::Bus) -> Vec<(bool, String)> {
    let of_models = messages(bus, "unetsegment-model").into_iter();
    of_models
        .map(|fields| {
            let loaded = fields.get("loaded").unwrap();
            (loaded, fields.get("reason").unwrap_or_default())
        })
        .collect()
}

/// Whether the trigger's condition has begun to hold or has ended, for each message about it on `bus`.
pub fn conditions(bus: &gst::Bus) -> Vec<bool> {
    let told = messages(bus, "unetsegment-trigger").into_iter();
    told.map(|fields| fields.get("active").unwrap()).collect()
}

/// For each frame that was dropped, as the messages on `bus` tell: its time, how many went out until then, and how
/// many were dropped.
pub fn dropped(bus: &gst::Bus) -> Vec<(Option<gst::ClockTime>, i64, i64)> {
    let messages = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Qos]));
    messages
        .map(|message| match message.view() {
            gst::MessageView::Qos(qos) => {
                let (out, dropped) = qos.stats();
                (qos.timestamp(), out.value(), dropped.value())
            }
            _ => unreachable!("nothing else was asked for"),
        })
        .collect()
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
