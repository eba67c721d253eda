//! The latency of the element: what was measured, and what was asked for, for which other things are given up.

mod common;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::frames::{HEIGHT, WIDTH, frame};
use common::process::alone;
use common::schedulings::{LATEST, OVERLAPPING};
use common::watch::{bus_of, messages, on_frames, wait};
use common::{Files, SLOW, SMALL, cells, element, harness, mask_of};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::mask_meta;
use gstunetsegment::unet::UNet;

#[test]
fn latency_is_what_was_measured() {
    let _alone = alone();
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[]);
    let bus = bus_of(&element);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    harness.set_upstream_latency(gst::ClockTime::from_mseconds(7));
    // Known before the first frame, so that a live one is not late.
    assert!(
        bus.pop_filtered(&[gst::MessageType::Latency]).is_some(),
        "no latency message"
    );
    let took = (0..20).map(|number| {
        let start = Instant::now();
        harness.push_and_pull(frame(number)).unwrap();
        start.elapsed()
    });
    let slowest = took.max().unwrap();
    let mut query = gst::query::Latency::new();
    assert!(element.static_pad("src").unwrap().query(&mut query));
    let (_, least, _) = query.result();
    let own = Duration::from(least).saturating_sub(Duration::from_millis(7));
    // Some is kept in reserve, and a black frame may have taken longer before the first of these.
    assert!(
        !own.is_zero() && own < 3 * slowest + Duration::from_millis(100),
        "{own:?} of {slowest:?}"
    );
}

/// The time that downstream takes for a frame, however long, is not counted as latency of the element.
#[test]
fn latency_excludes_downstream() {
    let _alone = alone();
    let files = Files::new();
    for in_flight in ["1", "3"] {
        let properties = [("frames-in-flight", in_flight), ("max-latency", "900")];
        let element = element(&files.model(&SMALL), &properties);
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let bus = bus_of(&element);
        on_frames(&element, "src", || {
            std::thread::sleep(Duration::from_secs(1));
        });
        for _ in 0..4 {
            harness.push(frame(0)).unwrap();
        }
        for _ in 0..4 {
            harness.pull().unwrap();
        }
        let latency = harness.query_latency().unwrap();
        assert!(latency < gst::ClockTime::from_mseconds(500), "{latency}");
        let warned = bus.pop_filtered(&[gst::MessageType::Warning]);
        assert!(warned.is_none(), "{warned:?}");
    }
}

/// The structures of the messages on `bus`.
fn posted(bus: &gst::Bus) -> impl Iterator<Item = gst::Structure> {
    let messages = std::iter::from_fn(move || bus.pop());
    messages.filter_map(|message| Some(message.structure()?.to_owned()))
}

/// A network, and properties with which it sees a frame in several tiles that overlap.
const TILED: UNet = UNet {
    padded: true,
    width: 24,
    ..SMALL
};
const TILES: [(&str, &str); 2] = [("tile-size", "32"), ("blend", "average")];

/// Nothing is given up any more, where [`TILES`] are used and tiles overlap by `overlap`.
fn assert_all_back(step: &gst::Structure, overlap: u32, what: &str) {
    assert_eq!(step.get("inference-interval"), Ok(1_u32), "{what}");
    assert_eq!(step.get("averaging"), Ok(true), "{what}");
    assert_eq!(step.get("overlap"), Ok(overlap), "{what}");
}

/// The first of these steps hold the latency and the last does not, and things are given up in the promised order.
fn assert_all_given_up(steps: &[gst::Structure], mode: &str) {
    let held = |step: &gst::Structure| step.get::<bool>("held").unwrap();
    assert!(
        !held(steps.last().unwrap()) && held(&steps[0]),
        "{mode}: {steps:?}"
    );
    let values = |name: &str| -> Vec<u32> {
        let values = steps.iter().map(|step| step.get::<u32>(name).unwrap());
        values.collect()
    };
    let (intervals, overlaps) = (values("inference-interval"), values("overlap"));
    let averaging: Vec<bool> = steps
        .iter()
        .map(|step| step.get("averaging").unwrap())
        .collect();
    assert!(intervals.is_sorted(), "{mode}: {intervals:?}");
    assert!(overlaps.is_sorted_by(|a, b| a >= b), "{mode}: {overlaps:?}");
    assert_eq!(overlaps.last(), Some(&0), "{mode}: {overlaps:?}");
    // Averaging goes before overlap.
    for (averages, overlap) in averaging.iter().zip(&overlaps) {
        assert!(!averages || overlap == &overlaps[0], "{mode}: {steps:?}");
    }
    assert!(!averaging.last().unwrap(), "{mode}");
}

/// Things are given up in the promised order so that masks are not late, and all of them come back.
#[test]
fn what_is_given_up_for_a_latency_is_reported() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&TILED);
    let whole = element(&model, &TILES);
    let expected = common::segment(&whole, &cells(WIDTH, HEIGHT, 0), WIDTH, HEIGHT);
    for scheduling in [OVERLAPPING, LATEST] {
        let (element, mut harness, bus) = scheduling.start(&model, &TILES, (WIDTH, HEIGHT));
        let what = scheduling.to_string();
        drop(harness.push_and_pull(frame(0)).unwrap());
        // One that nothing can hold: the time of a frame is more than none.
        element.set_property("max-latency", 1_u32);
        let (mut steps, mut warned) = (Vec::new(), false);
        let mut number = 0;
        let mut push = |harness: &mut Harness| {
            number += 1;
            // As with a camera that does not wait.
            drop(harness.push_and_pull(frame(number)).unwrap());
        };
        wait("all given up", || {
            push(&mut harness);
            let (given_up, others): (Vec<_>, Vec<_>) =
                posted(&bus).partition(|fields| fields.name() == "unetsegment-latency");
            steps.extend(given_up);
            warned |= others
                .iter()
                .any(|fields| fields.name() == "GstMessageWarning");
            warned
        });
        assert_all_given_up(&steps, &what);

        element.set_property("max-latency", 0_u32);
        let mut back = Vec::new();
        wait("all to come back", || {
            push(&mut harness);
            back.extend(messages(&bus, "unetsegment-latency"));
            !back.is_empty()
        });
        assert_all_back(&back[0], steps[0].get("overlap").unwrap(), &what);
        wait("the first mask", || {
            let out = harness.push_and_pull(frame(0)).unwrap();
            mask_meta::of(&out).is_some() && mask_of(&out).0 == expected
        });
    }
}

/// Nothing is given up for another model yet, and a message says so.
#[test]
fn another_model_restores_what_was_given_up() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&TILED);
    // Nothing can hold it: the time of a frame is more than none.
    let properties = [("max-latency", "1"), TILES[0], TILES[1]];
    for scheduling in [OVERLAPPING, LATEST] {
        let (element, mut harness, bus) = scheduling.start(&model, &properties, (WIDTH, HEIGHT));
        let what = scheduling.to_string();
        let mut number = 0;
        let mut push = |harness: &mut Harness| {
            drop(harness.push_and_pull(frame(number)).unwrap());
            number += 1;
        };
        let mut steps = Vec::new();
        wait("all given up", || {
            push(&mut harness);
            steps.extend(messages(&bus, "unetsegment-latency"));
            let last = steps.last();
            last.is_some_and(|step| step.get("held") == Ok(false))
        });
        element.set_property("model-file", model.to_str().unwrap());
        let mut since: Vec<gst::Structure> = Vec::new();
        let mut back = None;
        wait("all to come back", || {
            push(&mut harness);
            since.extend(posted(&bus));
            let mut after_swap = since.iter();
            let is_swapped = after_swap.any(|fields| fields.name() == "unetsegment-model");
            back = after_swap
                .find(|fields| fields.name() == "unetsegment-latency")
                .cloned();
            is_swapped && back.is_some()
        });
        let back = back.unwrap();
        assert_eq!(back.get("held"), Ok(true), "{what}");
        // Overlap is given up last.
        assert_all_back(&back, steps[0].get("overlap").unwrap(), &what);
    }
}

/// The frames come as from a camera that is faster than the network.
#[test]
fn a_latency_that_can_be_held_is_held() {
    let _alone = alone();
    let files = Files::new();
    let properties = [("frames-in-flight", "4"), ("output", "none")];
    let element = element(&files.model(&SLOW), &properties);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    let mut times: Vec<Duration> = (0..9)
        .map(|number| {
            let start = Instant::now();
            drop(harness.push_and_pull(frame(number)).unwrap());
            start.elapsed()
        })
        .collect();
    times.sort();
    let alone = times[4];
    // From the arrival of each frame to its way out, in their order.
    let came: Arc<Mutex<VecDeque<Instant>>> = Arc::default();
    let late: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let noted = came.clone();
    let note = move || noted.lock().unwrap().push_back(Instant::now());
    on_frames(&element, "sink", note);
    let noted = late.clone();
    let note = move || {
        let came = came.lock().unwrap().pop_front().unwrap();
        noted.lock().unwrap().push(came.elapsed());
    };
    on_frames(&element, "src", note);
    // How late most of some frames are.
    let mut usual = |frames: u64| {
        for number in 0..frames {
            harness.push(frame(number)).unwrap();
            while harness.try_pull().is_some() {}
            std::thread::sleep(alone / 3);
        }
        let mut late = std::mem::take(&mut *late.lock().unwrap());
        late.sort();
        late[late.len() / 2]
    };
    let before = usual(24);
    // Less than frames are late by themselves, and more than one takes.
    let limit = before.mul_f64(0.7);
    assert!(limit > alone, "{before:?}: the network keeps up, {alone:?}");
    element.set_property("max-latency", limit.as_millis() as u32);
    wait("masks in time", || {
        let stats: gst::Structure = element.property("stats");
        usual(16) <= limit && stats.get::<u32>("inference-interval").unwrap() > 1
    });
    let steps = messages(&bus, "unetsegment-latency");
    assert!(
        steps.last().unwrap().get::<bool>("held").unwrap(),
        "{steps:?}"
    );
}
