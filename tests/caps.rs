//! Caps that can't be played, or that a flush ends: they are told of, and those of before go on.

mod common;

use std::time::Instant;

use common::frames::{HEIGHT, WIDTH, frame};
use common::manners::{ALONE, MANNERS, OVERLAPPING};
use common::watch::{bus_of, has_failed, wait};
use common::{Files, SLOW, SMALL, begin_segment, caps, element, error_on, harness, mask_of};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::mask_meta;

/// Caps of more pixels than anybody can count in 32 bits.
fn too_large(format: &str) -> gst::Event {
    gst::event::Caps::new(&caps(format, 1 << 16, 1 << 16))
}

/// The caps that the harness begins with.
fn usual() -> gst::Event {
    gst::event::Caps::new(&caps("GRAY8", WIDTH, HEIGHT))
}

/// Pushes frames until one has a mask, which is of its own size.
fn is_played(harness: &mut Harness) {
    wait("a mask", || {
        let out = harness.push_and_pull(frame(1)).unwrap();
        let has_mask = mask_meta::of(&out).is_some();
        if has_mask {
            let (_, width, height) = mask_of(&out);
            assert_eq!((width, height), (WIDTH, HEIGHT));
        }
        has_mask
    });
}

#[test]
fn the_caps_of_before_go_on_after_refused_ones() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for manner in MANNERS {
        for output in ["none", "mask", "overlay"] {
            for come_again in [true, false] {
                let (element, mut harness, bus) =
                    manner.start(&model, &[("output", output)], (WIDTH, HEIGHT));
                if output != "mask" {
                    is_played(&mut harness);
                }
                let sink = element.static_pad("sink").unwrap();
                assert!(!sink.send_event(too_large("GRAY8")));
                let text = error_on(&bus);
                assert!(text.contains("65536"), "{text}");
                if come_again {
                    assert!(sink.send_event(usual()));
                }
                if output == "mask" && manner.is_latest() {
                    wait("a mask", || {
                        harness.push(frame(1)).unwrap();
                        harness.try_pull().is_some()
                    });
                } else {
                    is_played(&mut harness);
                }
                assert!(!has_failed(&bus), "{manner} {output}");
            }
        }
    }
}

/// The same ones come again with each frame, and others are another fault.
#[test]
fn refused_caps_are_told_of_once() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("output", "none")]);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    let sink = element.static_pad("sink").unwrap();
    let told = |event: gst::Event| {
        assert!(!sink.send_event(event));
        let errors = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Error]));
        errors.count()
    };
    assert_eq!(told(too_large("GRAY8")), 1);
    assert_eq!(told(too_large("GRAY8")), 0);
    assert_eq!(told(too_large("RGB")), 1);
    assert_eq!(told(too_large("RGB")), 0);
    // After some that are played they are news.
    is_played(&mut harness);
    assert_eq!(told(too_large("RGB")), 1);
}

/// A flush that ends what the network does for other caps leaves those of before.
#[test]
fn a_flush_in_the_middle_of_other_caps_leaves_those_of_before() {
    let files = Files::new();
    // A while for a frame of the other caps.
    let model = files.model(&SLOW);
    let other = || gst::event::Caps::new(&caps("GRAY8", 400, 400));
    for manner in [ALONE, OVERLAPPING] {
        let (element, mut harness, bus) =
            manner.start(&model, &[("output", "none")], (WIDTH, HEIGHT));
        let sink = element.static_pad("sink").unwrap();
        let start = Instant::now();
        assert!(sink.send_event(other()));
        let whole = start.elapsed();
        wait("a flush that meets it", || {
            assert!(sink.send_event(usual()));
            is_played(&mut harness);
            let (pad, event) = (sink.clone(), other());
            let sending = std::thread::spawn(move || pad.send_event(event));
            std::thread::sleep(whole / 4);
            assert!(sink.send_event(gst::event::FlushStart::new()));
            let taken = sending.join().unwrap();
            assert!(sink.send_event(gst::event::FlushStop::new(true)));
            begin_segment(&mut harness);
            if !taken {
                is_played(&mut harness);
                assert!(sink.send_event(usual()));
                is_played(&mut harness);
            }
            !taken
        });
        assert!(!has_failed(&bus), "{manner}");
    }
}
