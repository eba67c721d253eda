//! Frames that overlap on the element's threads go out as if they had come one after the other.

mod common;

use std::sync::{Arc, Mutex};

use common::frames::{HEIGHT, WIDTH, frame};
use common::schedulings::{LATEST, OVERLAPPING, SCHEDULINGS, SEQUENTIAL, Scheduling};
use common::watch::{
    Passed, assert_nothing_of_before, bus_of, conditions, has_failed, passed, wait,
};
use common::{Files, SLOW, SMALL, begin_segment, cells, element, flush, harness, mask_of, timed};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::mask_meta;
use gstunetsegment::unet::UNet;

/// Frames and events that came out.
#[derive(Debug, PartialEq)]
enum Out {
    Frame {
        time: Option<gst::ClockTime>,
        flags: gst::BufferFlags,
        pixels: Vec<u8>,
        mask: Vec<u8>,
    },
    Event(String),
}

/// Records everything that comes out of the element.
fn record(harness: &Harness) -> Arc<Mutex<Vec<Out>>> {
    let seen: Arc<Mutex<Vec<Out>>> = Arc::default();
    let noted = seen.clone();
    let pad = harness.element().unwrap().static_pad("src").unwrap();
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(kinds, move |_, info| {
        let out = match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => Out::Frame {
                time: buffer.pts(),
                flags: buffer.flags() & gst::BufferFlags::DISCONT,
                pixels: buffer.map_readable().unwrap().to_vec(),
                mask: mask_of(buffer).0,
            },
            Some(gst::PadProbeData::Event(event)) => Out::Event(event.type_().to_string()),
            _ => unreachable!("nothing else was asked for"),
        };
        noted.lock().unwrap().push(out);
        gst::PadProbeReturn::Ok
    });
    seen
}

/// Pushes frames with events and other caps between them.
fn outcome(model: &std::path::Path, output: &str, in_flight: &str) -> Vec<Out> {
    let properties = [("output", output), ("frames-in-flight", in_flight)];
    let element = element(model, &properties);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let seen = record(&harness);
    for number in 0..14 {
        if number == 5 {
            let structure = gst::Structure::new_empty("between");
            assert!(harness.push_event(gst::event::CustomDownstream::new(structure)));
        }
        if number == 9 {
            // The same pixels, otherwise laid out.
            let caps = common::info("GRAY8", HEIGHT, WIDTH).to_caps().unwrap();
            assert!(harness.push_event(gst::event::Caps::new(&caps)));
        }
        harness
            .push(match number {
                0..9 => frame(number),
                _ => timed(&cells(HEIGHT, WIDTH, number), HEIGHT, WIDTH, number),
            })
            .unwrap();
    }
    assert!(harness.push_event(gst::event::Eos::new()));
    std::mem::take(&mut seen.lock().unwrap())
}

#[test]
fn frames_and_events_keep_their_order() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for output in ["overlay", "mask", "probability", "none"] {
        let expected = outcome(&model, output, "1");
        let frames = expected
            .iter()
            .filter(|out| matches!(out, Out::Frame { .. }));
        assert_eq!(frames.count(), 14);
        assert_eq!(expected.last(), Some(&Out::Event("eos".into())));
        for in_flight in ["2", "3", "16"] {
            let found = outcome(&model, output, in_flight);
            assert!(found == expected, "{output}, {in_flight} in flight");
        }
    }
}

/// A flush drops frames on their way, even without a flush-start, and those after it have their masks.
#[test]
fn nothing_from_before_a_flush_comes_after_it() {
    let files = Files::new();
    let model = files.model(&SLOW);
    // More than are on their way when a flush begins.
    let overlapping = Scheduling {
        in_flight: "4",
        ..OVERLAPPING
    };
    for scheduling in [SEQUENTIAL, overlapping, LATEST] {
        for begins in [true, false] {
            let what = format!("{scheduling} {begins}");
            let (element, mut harness, bus) =
                scheduling.start(&model, &[("output", "none")], (WIDTH, HEIGHT));
            let seen = passed(&element);
            let sink = element.static_pad("sink").unwrap();
            let rounds = 8;
            for round in 0..rounds {
                for number in 0..3 {
                    harness.push(frame(10_000 * round + number)).unwrap();
                }
                if begins {
                    assert!(sink.send_event(gst::event::FlushStart::new()));
                }
                assert!(sink.send_event(gst::event::FlushStop::new(true)));
                begin_segment(&mut harness);
                let mut number = 10_000 * round + 50;
                wait("a mask", || {
                    harness.push(frame(number)).unwrap();
                    number += 1;
                    while harness.try_pull().is_some() {}
                    let seen = seen.lock().unwrap();
                    let mut since = seen.rsplit(|passed| *passed == Passed::Flushed);
                    let mut since = since.next().unwrap().iter();
                    since.any(|passed| matches!(passed, Passed::Frame { mask: Some(_), .. }))
                });
            }
            let seen = seen.lock().unwrap();
            let flushes = seen.iter().filter(|passed| **passed == Passed::Flushed);
            assert_eq!(flushes.count() as u64, rounds);
            assert_nothing_of_before(&seen, |flush| 10_000 * flush + 50, &what);
            assert!(!has_failed(&bus), "{what}");
        }
    }
}

/// The frames before one that is too small go out, and the error is posted and returned upstream.
#[test]
fn frames_before_one_that_fails_go_out() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("frames-in-flight", "4")]);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    let seen = record(&harness);
    for number in 0..3 {
        harness.push(frame(number)).unwrap();
    }
    let small = gst::Buffer::with_size(WIDTH * HEIGHT / 2).unwrap();
    assert_eq!(harness.push(small), Err(gst::FlowError::Error));
    assert!(common::error_on(&bus).contains("less than its caps say"));
    harness.push(frame(7)).unwrap();
    harness.push_event(gst::event::Eos::new());
    let seen = seen.lock().unwrap();
    let times = seen.iter().filter_map(|out| match out {
        Out::Frame { time, .. } => *time,
        Out::Event(_) => None,
    });
    let expected = [0, 1, 2, 7].map(|number| gst::ClockTime::from_mseconds(40 * number));
    assert_eq!(times.collect::<Vec<_>>(), expected);
}

/// A new stream shows something else, even if its caps are the same.
#[test]
fn a_new_stream_has_masks_of_its_own() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let properties = [
        ("inference-interval", "1000"),
        ("output", "none"),
        ("trigger", "objects < 1000000"),
    ];
    for scheduling in SCHEDULINGS {
        let (_element, mut harness, bus) = scheduling.start(&model, &properties, (WIDTH, HEIGHT));
        let mut states: Vec<bool> = Vec::new();
        let mut of = None;
        let mut push = |harness: &mut Harness, number| {
            let out = harness.push_and_pull(frame(number)).unwrap();
            of = mask_meta::of(&out).map(|mask| mask.timestamp.unwrap().mseconds() / 40);
            states.extend(conditions(&bus));
            of
        };
        wait("a mask", || push(&mut harness, 3).is_some());
        assert!(harness.push_event(gst::event::StreamStart::new("another")));
        let caps = common::info("GRAY8", WIDTH, HEIGHT).to_caps().unwrap();
        assert!(harness.push_event(gst::event::Caps::new(&caps)));
        begin_segment(&mut harness);
        let first = push(&mut harness, 7);
        assert!(
            first.is_none_or(|of| of == 7),
            "{scheduling}: a mask of frame {first:?}"
        );
        wait("another mask", || push(&mut harness, 7) == Some(7));
        // The condition ends with the stream before, and begins again.
        assert_eq!(states, [true, false, true], "{scheduling}");
    }
}

/// A frame without a mask carries none, even if it came with that of an element upstream.
#[test]
fn masks_of_other_elements_are_removed() {
    let files = Files::new();
    let first = element(&files.model(&SMALL), &[("output", "none")]);
    let mut upper = harness(&first, "GRAY8", WIDTH, HEIGHT);
    let masked = upper.push_and_pull(frame(1)).unwrap();
    assert!(mask_meta::of(&masked).is_some());
    for output in ["none", "overlay"] {
        let properties = [
            ("output", output),
            ("mode", "latest"),
            ("inference-interval", "1000"),
        ];
        let second = element(&files.model(&UNet { width: 12, ..SMALL }), &properties);
        let mut lower = harness(&second, "GRAY8", WIDTH, HEIGHT);
        let out = lower.push_and_pull(masked.copy()).unwrap();
        assert!(mask_meta::of(&out).is_none(), "{output}");
    }
}

/// A position query gives the end of the last frame that went out, in stream time.
#[test]
fn the_position_is_that_of_the_frames_that_go_out() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let ms = gst::ClockTime::from_mseconds;
    for scheduling in SCHEDULINGS {
        let (element, mut harness, _bus) =
            scheduling.start(&model, &[("output", "none")], (WIDTH, HEIGHT));
        let pad = element.static_pad("src").unwrap();
        let position = || pad.query_position::<gst::ClockTime>();
        let push = |harness: &mut Harness, number| {
            let mut frame = frame(number);
            frame.get_mut().unwrap().set_duration(ms(40));
            harness.push_and_pull(frame).unwrap();
        };
        assert_eq!(position(), Some(ms(0)), "{scheduling}");
        for number in 0..4 {
            push(&mut harness, number);
            let end = ms(40 * number + 40);
            assert_eq!(position(), Some(end), "{scheduling}");
        }
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(ms(400));
        segment.set_position(ms(400));
        segment.set_time(ms(1_000));
        assert!(harness.push_event(gst::event::Segment::new(&segment)));
        assert_eq!(position(), Some(ms(1_000)), "{scheduling}");
        push(&mut harness, 11);
        assert_eq!(position(), Some(ms(1_080)), "{scheduling}");
        flush(&mut harness);
        assert_eq!(position(), Some(ms(0)), "{scheduling}");
    }
}
