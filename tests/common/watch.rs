//! Watches an element that plays: its statistics, the frames at its pads, and what it posts on its bus.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::mask_meta;

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

/// What passed the source pad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Passed {
    /// The frame of this number, of 25 a second, with the mask of that one, if it has one.
    Frame {
        number: u64,
        mask: Option<u64>,
        is_discont: bool,
    },
    /// The end of a flush.
    Flushed,
}

/// Notes the frames that leave `element`, and the ends of flushes between them.
pub fn passed(element: &gst::Element) -> Arc<Mutex<Vec<Passed>>> {
    let seen: Arc<Mutex<Vec<Passed>>> = Arc::default();
    let noted = seen.clone();
    let pad = element.static_pad("src").unwrap();
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_FLUSH;
    pad.add_probe(kinds, move |_, info| {
        let passed = match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => {
                let number = |time: gst::ClockTime| time.mseconds() / 40;
                let mask = mask_meta::of(buffer).and_then(|mask| mask.timestamp);
                Passed::Frame {
                    number: buffer.pts().map(number).unwrap(),
                    mask: mask.map(number),
                    is_discont: buffer.flags().contains(gst::BufferFlags::DISCONT),
                }
            }
            Some(gst::PadProbeData::Event(event)) if event.type_() == gst::EventType::FlushStop => {
                Passed::Flushed
            }
            _ => return gst::PadProbeReturn::Ok,
        };
        noted.lock().unwrap().push(passed);
        gst::PadProbeReturn::Ok
    });
    seen
}

/// After each flush there is neither a frame nor a mask from before it: their numbers begin with that which `first`
/// gives for the flush.
pub fn assert_nothing_of_before(passed: &[Passed], first: impl Fn(u64) -> u64, what: &str) {
    let sections = passed.split(|passed| *passed == Passed::Flushed).skip(1);
    for (flush, section) in (0..).zip(sections) {
        let first = first(flush);
        for passed in section {
            let Passed::Frame { number, mask, .. } = *passed else {
                continue;
            };
            let is_current = number >= first && mask.is_none_or(|mask| mask >= first);
            assert!(is_current, "{what}, after {flush} flushes: {section:?}");
        }
        if let Some(Passed::Frame { is_discont, .. }) = section.first() {
            assert!(is_discont, "{what}, after {flush} flushes: {section:?}");
        }
    }
}

/// Blocks the network of an element, once it has seen a frame and before anybody gets the mask, until it is dropped:
/// the thread that runs the network is held in posting the seams of the first frame. It takes `check-seams=true`, and
/// an element that posts on a [bus of its own](bus_of).
pub struct Hold(Arc<(Mutex<bool>, Condvar)>);

impl Hold {
    pub fn network(bus: &gst::Bus) -> Self {
        let held = Arc::new((Mutex::new(true), Condvar::new()));
        let holding = held.clone();
        bus.set_sync_handler(move |_, message| {
            let fields = message.structure();
            if fields.is_some_and(|fields| fields.name() == "unetsegment-seams") {
                let (held, released) = &*holding;
                let held = held.lock().unwrap();
                drop(released.wait_while(held, |held| *held).unwrap());
            }
            gst::BusSyncReply::Pass
        });
        Hold(held)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let (held, released) = &*self.0;
        *held.lock().unwrap() = false;
        released.notify_all();
    }
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

/// Whether a model was loaded, or else why not, for each message about one on `bus`.
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
    let triggers = messages(bus, "unetsegment-trigger").into_iter();
    triggers
        .map(|fields| fields.get("active").unwrap())
        .collect()
}

/// For each frame that was dropped, by the messages on `bus`: its time, how many went out until then, and how many were
/// dropped.
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
