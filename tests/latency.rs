//! The latency of the element: what was measured, and what was asked for, which is held at the price that is told.

mod common;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::frames::{HEIGHT, WIDTH, frame};
use common::process::alone;
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

/// What downstream takes for a frame is no latency of the element, however long it is.
#[test]
fn downstream_is_no_latency_of_ours() {
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

/// What is told on `bus`, apart from counts.
fn told(bus: &gst::Bus) -> impl Iterator<Item = gst::Structure> {
    let messages = std::iter::from_fn(move || bus.pop());
    let structures = messages.filter_map(|message| Some(message.structure()?.to_owned()));
    structures.filter(|fields| fields.name() != "unetsegment")
}

/// The first of these steps hold the latency and the last does not, and what is given up is so in the promised order.
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

/// What the network gives up so that masks are not late, in the promised order; and that it all comes back.
#[test]
fn a_latency_is_held_at_the_price_that_is_told() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&UNet {
        padded: true,
        width: 24,
        ..SMALL
    });
    let tiles = [("tile-size", "32"), ("blend", "average")];
    let of_this = |properties: &[(&str, &str)]| element(&model, properties);
    let whole = of_this(&tiles);
    let expected = common::segment(&whole, &cells(WIDTH, HEIGHT, 0), WIDTH, HEIGHT);
    for mode in ["sync", "latest"] {
        let element = of_this(&[tiles[0], tiles[1], ("mode", mode)]);
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let bus = bus_of(&element);
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
            let (of_pace, others): (Vec<_>, Vec<_>) =
                told(&bus).partition(|fields| fields.name() == "unetsegment-latency");
            steps.extend(of_pace);
            warned |= others
                .iter()
                .any(|fields| fields.name() == "GstMessageWarning");
            warned
        });
        assert_all_given_up(&steps, mode);

        element.set_property("max-latency", 0_u32);
        let mut back = Vec::new();
        wait("all taken back", || {
            push(&mut harness);
            back.extend(told(&bus).filter(|fields| fields.name() == "unetsegment-latency"));
            !back.is_empty()
        });
        let now = &back[0];
        assert_eq!(now.get("inference-interval"), Ok(1_u32), "{mode}");
        assert_eq!(now.get("averaging"), Ok(true), "{mode}");
        let all = steps[0].get::<u32>("overlap");
        assert_eq!(now.get::<u32>("overlap"), all, "{mode}");
        wait("the mask of before", || {
            let out = harness.push_and_pull(frame(0)).unwrap();
            mask_meta::of(&out).is_some() && mask_of(&out).0 == expected
        });
    }
}

/// What can be held is held: of a camera that is faster than the network.
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
