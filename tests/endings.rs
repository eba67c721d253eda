//! The end of a stream: news of its last frames is reported, though no other frame comes with which it could be.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::discs::{self, finder};
use common::frames::{HEIGHT, WIDTH, frame};
use common::pipelines::launch;
use common::schedulings::{OVERLAPPING, SCHEDULINGS, Scheduling};
use common::watch::{conditions, has_failed, messages, wait};
use common::{Files, SMALL, error_on};
use gst::prelude::*;
use gstreamer as gst;

/// Lets downstream return `flow` for each frame.
fn answer(element: &gst::Element, flow: gst::FlowError) {
    let pad = element.static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        info.flow_res = Err(flow);
        gst::PadProbeReturn::Handled
    });
}

/// It is returned for the last frame or, if that has returned before it is out, posted on the bus.
#[test]
fn a_flow_error_on_the_last_frame_is_reported() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let ends: [fn() -> gst::Event; 2] = [gst::event::Eos::new, || {
        gst::event::SegmentDone::new(gst::ClockTime::SECOND)
    }];
    for scheduling in SCHEDULINGS {
        for end in ends {
            for flow in [
                gst::FlowError::NotLinked,
                gst::FlowError::NotNegotiated,
                gst::FlowError::Error,
                gst::FlowError::Eos,
            ] {
                let what = format!("{scheduling} {flow:?} {:?}", end().type_());
                let (element, mut harness, bus) =
                    scheduling.start(&model, &[("output", "none")], (WIDTH, HEIGHT));
                answer(&element, flow);
                let heard = harness.push(frame(0)).err();
                assert!(harness.push_event(end()), "{what}");
                if !scheduling.is_latest() && scheduling.in_flight == OVERLAPPING.in_flight {
                    assert_eq!(heard, None, "{what}");
                    // The end of the stream is no error.
                    let wrong = flow != gst::FlowError::Eos;
                    assert_eq!(has_failed(&bus), wrong, "{what}");
                } else {
                    assert_eq!(heard, Some(flow), "{what}");
                }
                assert!(!has_failed(&bus), "{what}: it is posted twice");
            }
        }
    }
}

#[test]
fn a_flow_error_that_upstream_got_is_not_posted_at_the_end() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for in_flight in ["2", "4"] {
        let scheduling = Scheduling {
            in_flight,
            ..OVERLAPPING
        };
        let (element, mut harness, bus) =
            scheduling.start(&model, &[("output", "none")], (WIDTH, HEIGHT));
        answer(&element, gst::FlowError::NotLinked);
        let heard = (0..10).find_map(|number| harness.push(frame(number)).err());
        assert_eq!(heard, Some(gst::FlowError::NotLinked), "{scheduling}");
        assert!(harness.push_event(gst::event::Eos::new()));
        assert!(!has_failed(&bus), "{scheduling}");
    }
}

/// In a pipeline the source posts it, but only what is returned to it.
#[test]
fn a_frame_that_no_sink_takes_is_an_error() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for in_flight in [1, 2, 4] {
        let pipeline = launch(&format!(
            "videotestsrc num-buffers=1 ! video/x-raw,format=GRAY8,width=64,height=64 ! \
             unetsegment model-file={} frames-in-flight={in_flight} ! tee",
            model.display()
        ));
        pipeline.set_state(gst::State::Playing).unwrap();
        let text = error_on(&pipeline.bus().unwrap());
        assert!(text.contains("Internal data stream error"), "{text}");
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

/// A frame of one bright disc.
fn disc(number: u64) -> gst::Buffer {
    discs::frame(number, &[(20.0, 20.0, 9.0)])
}

/// Whoever acts upon a condition that holds learns that nothing watches it any more.
#[test]
fn a_condition_ends_with_the_stream() {
    let properties = [("output", "none"), ("trigger", "objects > 0")];
    for scheduling in SCHEDULINGS {
        let (_element, mut harness, bus) =
            finder(&[&scheduling.properties()[..], &properties].concat());
        let mut number = 0;
        let mut states = Vec::new();
        wait("the condition", || {
            drop(harness.push_and_pull(disc(number)).unwrap());
            number += 1;
            states.extend(conditions(&bus));
            !states.is_empty()
        });
        assert_eq!(states, [true], "{scheduling}");
        assert!(harness.push_event(gst::event::Eos::new()));
        let posted = messages(&bus, "unetsegment-trigger");
        assert_eq!(posted.len(), 1, "{scheduling}: {posted:?}");
        assert_eq!(posted[0].get("active"), Ok(false), "{scheduling}");
        assert_eq!(posted[0].get("frame"), Ok(number - 1), "{scheduling}");
        assert!(!posted[0].has_field("timestamp"), "{scheduling}");
        // Another stream has nothing left to end.
        assert!(harness.push_event(gst::event::StreamStart::new("another")));
        assert!(conditions(&bus).is_empty(), "{scheduling}");
    }
}

/// A stream start waits for the frames before it. If a flush interrupts it, some may be in the element still, and it
/// leaves their state alone, which the end of the flush resets.
#[test]
fn a_stream_start_that_a_flush_interrupts_leaves_frames_alone() {
    let properties = [
        ("frames-in-flight", "2"),
        ("output", "none"),
        ("trigger", "objects > 0"),
    ];
    let (element, mut harness, bus) = finder(&properties);
    drop(harness.push_and_pull(disc(0)).unwrap());
    assert_eq!(conditions(&bus), [true]);
    let [sink, src] = ["sink", "src"].map(|name| element.static_pad(name).unwrap());
    // The next frame gets as far as the pad.
    let kinds = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
    let held = src.add_probe(kinds, |_, _| gst::PadProbeReturn::Ok);
    harness.push(disc(1)).unwrap();
    wait("a push", || src.is_blocking());
    let came = Arc::new(AtomicBool::new(false));
    let noted = came.clone();
    sink.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, _| {
        noted.store(true, Ordering::SeqCst);
        gst::PadProbeReturn::Ok
    });
    let pad = sink.clone();
    let starting = thread::spawn(move || pad.send_event(gst::event::StreamStart::new("another")));
    wait("the start", || came.load(Ordering::SeqCst));
    // By then it waits for that frame.
    thread::sleep(Duration::from_millis(100));
    assert!(!starting.is_finished());
    assert!(sink.send_event(gst::event::FlushStart::new()));
    let _ = starting.join().unwrap();
    let ended = conditions(&bus);
    assert!(ended.is_empty(), "it ends what the flush is to end");
    assert!(sink.send_event(gst::event::FlushStop::new(true)));
    assert_eq!(conditions(&bus), [false]);
    assert!(!has_failed(&bus));
    src.remove_probe(held.unwrap());
}
