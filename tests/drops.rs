//! Frames that do not go out are counted and reported, and messages number the others as if all did.

mod common;

use std::thread;

use common::frames::{HEIGHT, WIDTH, frame};
use common::schedulings::{LATEST, OVERLAPPING, SEQUENTIAL, Scheduling};
use common::watch::{Hold, bus_of, dropped, messages, stats, wait};
use common::{Files, SMALL, caps, element, harness};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::mask_meta;

/// How many frames went out, and were dropped, by the last message on `bus` about it.
fn last_dropped(bus: &gst::Bus) -> Option<(i64, i64)> {
    let posted = dropped(bus);
    posted.last().map(|(_, out, dropped)| (*out, *dropped))
}

/// Where frames overlap, there is room for those behind one that is blocked.
const SCHEDULINGS: [Scheduling; 3] = [
    SEQUENTIAL,
    Scheduling {
        in_flight: "4",
        ..OVERLAPPING
    },
    LATEST,
];

/// Every frame that came in has gone out to `harness`, or was dropped, and the last message agrees.
fn assert_counts(element: &gst::Element, harness: &Harness, bus: &gst::Bus, what: &str) {
    let reported = last_dropped(bus).expect("a message");
    let [came, out, dropped] = ["in", "out", "dropped"].map(|name| stats(element, name));
    assert_eq!(out, u64::from(harness.buffers_received()), "{what}");
    assert_eq!(came, out + dropped, "{what}");
    assert_eq!(reported, (out as i64, dropped as i64), "{what}");
    assert!(dropped > 0, "{what}");
}

/// Also one that is being pushed when the flush comes.
#[test]
fn frames_dropped_by_a_flush_are_reported() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for scheduling in SCHEDULINGS {
        let (element, mut harness, bus) =
            scheduling.start(&model, &[("output", "none")], (WIDTH, HEIGHT));
        let [sink, src] = ["sink", "src"].map(|name| element.static_pad(name).unwrap());
        drop(harness.push_and_pull(frame(0)).unwrap());
        // The next frame gets as far as the pad, and the others are behind it.
        let kinds = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
        let held = src.add_probe(kinds, |_, _| gst::PadProbeReturn::Ok);
        let pad = sink.clone();
        let pushing = thread::spawn(move || {
            for number in 1..4 {
                let _ = pad.chain(frame(number));
            }
        });
        wait("a push", || src.is_blocking());
        assert!(sink.send_event(gst::event::FlushStart::new()));
        pushing.join().unwrap();
        assert!(sink.send_event(gst::event::FlushStop::new(true)));
        src.remove_probe(held.unwrap());
        assert_counts(&element, &harness, &bus, &scheduling.to_string());
    }
}

/// Lets downstream accept no more frames.
fn refuse(element: &gst::Element) {
    let src = element.static_pad("src").unwrap();
    src.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        info.flow_res = Err(gst::FlowError::Eos);
        gst::PadProbeReturn::Handled
    });
}

#[test]
fn frames_refused_downstream_are_reported() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for scheduling in SCHEDULINGS {
        let (element, mut harness, bus) =
            scheduling.start(&model, &[("output", "none")], (WIDTH, HEIGHT));
        drop(harness.push_and_pull(frame(0)).unwrap());
        refuse(&element);
        // Where frames overlap, it is returned for later ones.
        let mut pushed = (1..10).map(|number| harness.push(frame(number)));
        let heard = pushed.find(Result::is_err);
        assert_eq!(heard, Some(Err(gst::FlowError::Eos)), "{scheduling}");
        assert_counts(&element, &harness, &bus, &scheduling.to_string());
    }
}

/// No other frame comes with which they could be.
#[test]
fn frames_refused_at_the_end_are_reported() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for scheduling in SCHEDULINGS {
        let segment_done = gst::event::SegmentDone::new(gst::ClockTime::SECOND);
        for end in [gst::event::Eos::new(), segment_done] {
            let what = format!("{scheduling} {:?}", end.type_());
            let (element, mut harness, bus) =
                scheduling.start(&model, &[("output", "none")], (WIDTH, HEIGHT));
            refuse(&element);
            // Where frames overlap, it is still at work when this returns.
            let _ = harness.push(frame(0));
            assert!(harness.push_event(end), "{what}");
            assert_counts(&element, &harness, &bus, &what);
        }
    }
}

/// Downstream wants other caps all of a sudden, which the element can't produce.
#[test]
fn frames_whose_caps_are_refused_are_reported() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for scheduling in SCHEDULINGS {
        let (element, mut harness, bus) =
            scheduling.start(&model, &[("output", "none")], (WIDTH, HEIGHT));
        drop(harness.push_and_pull(frame(0)).unwrap());
        harness.set_sink_caps(caps("RGB", WIDTH, HEIGHT));
        let heard = harness.push(frame(1));
        assert_eq!(heard, Err(gst::FlowError::NotNegotiated), "{scheduling}");
        assert_counts(&element, &harness, &bus, &scheduling.to_string());
    }
}

#[test]
fn frames_without_a_mask_pass_unless_only_maps_go_out() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for (output, passes) in [("overlay", true), ("none", true), ("mask", false)] {
        let properties = [("output", output), ("check-seams", "true")];
        let (element, mut harness, bus) = LATEST.start(&model, &properties, (WIDTH, HEIGHT));
        let _held = Hold::network(&bus);
        harness.push(frame(0)).unwrap();
        assert_eq!(last_dropped(&bus), (!passes).then_some((0, 1)), "{output}");
        let out = harness.try_pull();
        assert_eq!(out.is_some(), passes, "{output}");
        if let Some(out) = out {
            assert!(mask_meta::of(&out).is_none(), "{output}");
        }
        assert_eq!(stats(&element, "dropped"), u64::from(!passes), "{output}");
    }
}

/// Downstream reports that the frame of 40 ms came 40 ms too late.
fn be_late(harness: &mut Harness) {
    let late = gst::event::Qos::new(
        gst::QOSType::Underflow,
        2.0,
        40_000_000,
        gst::ClockTime::from_mseconds(40),
    );
    harness.push_upstream_event(late);
}

/// Frames that downstream can't show in time.
#[test]
fn late_frames_are_dropped_and_reported() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[]);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    drop(harness.push_and_pull(frame(0)).unwrap());
    be_late(&mut harness);
    for number in 1..=5 {
        harness.push(frame(number)).unwrap();
    }
    let times: Vec<_> = (0..3)
        .map(|_| harness.pull().unwrap().pts().unwrap().mseconds())
        .collect();
    assert_eq!(times, [120, 160, 200]);
    assert_eq!((stats(&element, "in"), stats(&element, "out")), (6, 4));
    assert_eq!(
        (stats(&element, "dropped"), stats(&element, "late")),
        (2, 2)
    );
    let expected = [1, 2].map(|n: i64| (frame(n as u64).pts(), 1, n));
    assert_eq!(dropped(&bus), expected);
    element.set_property("qos", false);
    harness.push(frame(1)).unwrap();
    assert_eq!(harness.pull().unwrap().pts(), frame(1).pts());
}

/// Messages number frames in the order in which they came, whatever became of those before.
#[test]
fn frames_are_numbered_as_they_come_in() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let numbers = |bus: &gst::Bus| {
        let reports = messages(bus, "unetsegment").into_iter();
        reports
            .map(|fields| {
                let timestamp: u64 = fields.get("timestamp").unwrap();
                (fields.get::<u64>("frame").unwrap(), timestamp)
            })
            .collect::<Vec<_>>()
    };
    let start = |scheduling: Scheduling, output: &str| {
        let properties = [("output", output), ("post-messages", "true")];
        scheduling.start(&model, &properties, (WIDTH, HEIGHT))
    };
    // Where maps go out, the first frames do not.
    let (element, mut harness, bus) = start(LATEST, "mask");
    let mut number = 0;
    wait("a mask", || {
        harness.push(frame(number)).unwrap();
        number += 1;
        stats(&element, "out") > 1
    });
    let messages = numbers(&bus);
    assert!(messages.len() > 1 && messages[0].0 > 0, "{messages:?}");
    for (frame, timestamp) in messages {
        assert_eq!(timestamp, 40_000_000 * frame);
    }
    // Neither do late ones.
    let (_element, mut harness, bus) = start(OVERLAPPING, "none");
    drop(harness.push_and_pull(frame(0)).unwrap());
    be_late(&mut harness);
    for number in 1..=4 {
        harness.push(frame(number)).unwrap();
    }
    drop([harness.pull().unwrap(), harness.pull().unwrap()]);
    assert_eq!(
        numbers(&bus),
        [0, 3, 4].map(|number| (number, 40_000_000 * number))
    );
}
