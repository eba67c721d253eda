//! Caps that can't be used are reported, and the previous ones stay in force; those that a flush interrupts are no
//! failure.

mod common;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::frames::{HEIGHT, WIDTH, frame};
use common::schedulings::{OVERLAPPING, SCHEDULINGS, SEQUENTIAL};
use common::watch::{Hold, bus_of, has_failed, wait};
use common::{Files, SLOW, SMALL, begin_segment, caps, element, error_on, gray8, harness, mask_of};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::mask_meta;

/// Caps of more pixels than 32 bits can count.
fn too_large(format: &str) -> gst::Event {
    gst::event::Caps::new(&caps(format, 1 << 16, 1 << 16))
}

/// The caps that the harness begins with.
fn usual() -> gst::Event {
    gst::event::Caps::new(&caps("GRAY8", WIDTH, HEIGHT))
}

/// Pushes frames until one has a mask, which must have its size.
fn assert_masks(harness: &mut Harness) {
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
fn refused_caps_leave_the_previous_ones_in_force() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for scheduling in SCHEDULINGS {
        for output in ["none", "mask", "overlay"] {
            for come_again in [true, false] {
                let (element, mut harness, bus) =
                    scheduling.start(&model, &[("output", output)], (WIDTH, HEIGHT));
                if output != "mask" {
                    assert_masks(&mut harness);
                }
                let sink = element.static_pad("sink").unwrap();
                assert!(!sink.send_event(too_large("GRAY8")));
                let text = error_on(&bus);
                assert!(text.contains("65536"), "{text}");
                if come_again {
                    assert!(sink.send_event(usual()));
                }
                if output == "mask" && scheduling.is_latest() {
                    wait("a mask", || {
                        harness.push(frame(1)).unwrap();
                        harness.try_pull().is_some()
                    });
                } else {
                    assert_masks(&mut harness);
                }
                assert!(!has_failed(&bus), "{scheduling} {output}");
            }
        }
    }
}

/// The same ones come again with each frame, while others are another error.
#[test]
fn refused_caps_are_reported_once() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("output", "none")]);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    let sink = element.static_pad("sink").unwrap();
    let errors = |event: gst::Event| {
        assert!(!sink.send_event(event));
        let posted = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Error]));
        posted.count()
    };
    assert_eq!(errors(too_large("GRAY8")), 1);
    assert_eq!(errors(too_large("GRAY8")), 0);
    assert_eq!(errors(too_large("RGB")), 1);
    assert_eq!(errors(too_large("RGB")), 0);
    // After caps that were accepted they are reported again.
    assert_masks(&mut harness);
    assert_eq!(errors(too_large("RGB")), 1);
}

/// The flush comes while the network prepares for other caps. Depending on GStreamer's version, the pad keeps them, and
/// the next frame negotiates them; or it discards them, and the previous ones stay in force until upstream repeats them.
#[test]
fn a_flush_that_interrupts_caps_is_no_failure() {
    let files = Files::new();
    // It takes a while to prepare for the other caps.
    let model = files.model(&SLOW);
    let other = caps("GRAY8", 400, 400);
    let event = || gst::event::Caps::new(&other);
    for scheduling in [SEQUENTIAL, OVERLAPPING] {
        let (element, mut harness, bus) =
            scheduling.start(&model, &[("output", "none")], (WIDTH, HEIGHT));
        let [sink, src] = ["sink", "src"].map(|name| element.static_pad(name).unwrap());
        let start = Instant::now();
        assert!(sink.send_event(event()));
        let whole = start.elapsed();
        wait("a flush that interrupts it", || {
            assert!(sink.send_event(usual()));
            assert_masks(&mut harness);
            let (pad, caps) = (sink.clone(), event());
            let sending = std::thread::spawn(move || pad.send_event(caps));
            std::thread::sleep(whole / 4);
            assert!(sink.send_event(gst::event::FlushStart::new()));
            sending.join().unwrap();
            let interrupted = src.current_caps().unwrap() != other;
            assert!(sink.send_event(gst::event::FlushStop::new(true)));
            begin_segment(&mut harness);
            if sink.current_caps().unwrap() != other {
                assert_masks(&mut harness);
                assert!(sink.send_event(event()));
            }
            let frame = gray8(&[100; 400 * 400], 400, 400);
            let out = harness.push_and_pull(frame).unwrap();
            let (_, width, height) = mask_of(&out);
            assert_eq!((width, height), (400, 400));
            interrupted
        });
        assert!(!has_failed(&bus), "{scheduling}");
    }
}

/// Bytes of a frame that are freed only after `until`.
struct Lingering {
    bytes: Vec<u8>,
    until: mpsc::Receiver<()>,
}

impl AsRef<[u8]> for Lingering {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let _ = self.until.recv_timeout(Duration::from_secs(60));
    }
}

/// It reaches this element before those downstream; caps that were not negotiated because of it are no error.
#[test]
fn a_flush_during_a_change_of_output_is_no_failure() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let properties = [("output", "none"), ("check-seams", "true")];
    let (element, mut harness, bus) = OVERLAPPING.start(&model, &properties, (WIDTH, HEIGHT));
    let sink = element.static_pad("sink").unwrap();
    let held = Hold::network(&bus);
    harness.push(frame(0)).unwrap();
    let bytes = frame(1).map_readable().unwrap().to_vec();
    let (pushed, until) = mpsc::channel();
    let lingering = Lingering { bytes, until };
    harness.push(gst::Buffer::from_slice(lingering)).unwrap();
    // The caps wait until both frames are out. The flush drops the second one, which takes until it has interrupted
    // them.
    element.set_property_from_str("output", "overlay");
    let pad = sink.clone();
    let pushing = std::thread::spawn(move || {
        let flow = pad.chain(frame(2));
        drop(pushed);
        flow
    });
    std::thread::sleep(Duration::from_millis(300));
    assert!(sink.send_event(gst::event::FlushStart::new()));
    assert_eq!(pushing.join().unwrap(), Err(gst::FlowError::Flushing));
    drop(held);
    assert!(sink.send_event(gst::event::FlushStop::new(true)));
    begin_segment(&mut harness);
    assert_masks(&mut harness);
    let kinds = [gst::MessageType::Error, gst::MessageType::Warning];
    assert!(bus.pop_filtered(&kinds).is_none());
}
