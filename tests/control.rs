//! Properties that change while frames flow, from this thread and others.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use common::{Files, SMALL, cells, element, gray8, harness, mask_of, pixels};
use gst::prelude::*;
use gst_controller::prelude::*;
use gstreamer as gst;
use gstreamer_controller as gst_controller;

const WIDTH: usize = 90;
const HEIGHT: usize = 61;

fn picture() -> Vec<u8> {
    cells(WIDTH, HEIGHT, 1)
}

#[test]
fn the_output_may_change_while_frames_flow() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[]);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let mut expected = None;
    for (output, format) in [
        ("overlay", "RGBA"),
        ("mask", "GRAY8"),
        ("probability", "GRAY8"),
        ("none", "GRAY8"),
        ("mask", "GRAY8"),
        ("overlay", "RGBA"),
    ] {
        element.set_property_from_str("output", output);
        let out = harness
            .push_and_pull(gray8(&picture(), WIDTH, HEIGHT))
            .unwrap();
        let (mask, ..) = mask_of(&out);
        let (pixels, found) = pixels(&harness, &out);
        assert_eq!(found, format, "{output}");
        match output {
            "mask" => assert_eq!(pixels, mask),
            "none" => assert_eq!(pixels, picture()),
            "probability" => assert!(pixels != mask && pixels != picture()),
            _ => {}
        }
        assert_eq!(*expected.get_or_insert(mask.clone()), mask, "{output}");
    }
}

/// Caps are asked for and agreed on for one output while another thread already wants the next. How the
/// threads meet is left to chance, so that many streams are started.
#[test]
fn the_output_may_change_at_any_moment() {
    let files = Files::new();
    let model = files.model(&SMALL);
    common::init();
    for _ in 0..20 {
        stream_while_the_output_changes(&model);
    }
}

fn stream_while_the_output_changes(model: &Path) {
    let text = format!(
        "videotestsrc num-buffers=100 pattern=ball ! video/x-raw,format=GRAY8,width=48,height=40 ! \
         unetsegment name=segment model-file={} ! fakesink name=sink signal-handoffs=true",
        model.display()
    );
    let pipeline = gst::parse::launch(&text).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let segment = pipeline.by_name("segment").unwrap();
    let frames = Arc::new(AtomicUsize::new(0));
    let arrived = frames.clone();
    let sink = pipeline.by_name("sink").unwrap();
    sink.connect("handoff", false, move |values| {
        let buffer: gst::Buffer = values[1].get().unwrap();
        let (mask, width, height) = mask_of(&buffer);
        assert_eq!((width, height, mask.len()), (48, 40, 48 * 40));
        arrived.fetch_add(1, Ordering::Relaxed);
        None
    });
    let done = Arc::new(AtomicBool::new(false));
    let changer = thread::spawn({
        let done = done.clone();
        move || {
            let outputs = ["mask", "overlay", "probability", "none"].iter().cycle();
            for output in outputs.take_while(|_| !done.load(Ordering::Relaxed)) {
                segment.set_property_from_str("output", output);
                thread::yield_now();
            }
        }
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let kinds = [gst::MessageType::Error, gst::MessageType::Eos];
    let limit = gst::ClockTime::from_seconds(120);
    let end = pipeline.bus().unwrap().timed_pop_filtered(limit, &kinds);
    done.store(true, Ordering::Relaxed);
    changer.join().unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    let end = end.expect("the stream stands still");
    assert!(matches!(end.view(), gst::MessageView::Eos(_)), "{end:?}");
    assert_eq!(frames.load(Ordering::Relaxed), 100);
}

#[test]
fn opacity_follows_a_curve() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[]);
    let curve = gst_controller::InterpolationControlSource::new();
    curve.set_mode(gst_controller::InterpolationMode::Linear);
    assert!(curve.set(gst::ClockTime::ZERO, 0.0) && curve.set(gst::ClockTime::SECOND, 1.0));
    let binding = gst_controller::DirectControlBinding::new(&element, "opacity", &curve);
    element.add_control_binding(&binding).unwrap();
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let mut push = |ms| {
        let mut buffer = gray8(&picture(), WIDTH, HEIGHT);
        let time = gst::ClockTime::from_mseconds(ms);
        buffer.get_mut().unwrap().set_pts(time);
        let out = harness.push_and_pull(buffer).unwrap();
        pixels(&harness, &out).0
    };
    let first = push(0);
    assert_eq!(element.property::<f64>("opacity"), 0.0);
    let second = push(250);
    assert_eq!(element.property::<f64>("opacity"), 0.25);
    assert_ne!(first, second, "the same was drawn");
}

/// Whoever hears of a refused value may look at the element, on the thread that set it.
#[test]
fn a_refused_value_is_told_with_nothing_locked() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("display-range", "100,4000")]);
    let bus = gst::Bus::new();
    let (sender, heard) = std::sync::mpsc::channel();
    let weak = element.downgrade();
    bus.set_sync_handler(move |_, message| {
        if let (gst::MessageView::Warning(warning), Some(element)) =
            (message.view(), weak.upgrade())
        {
            let range: String = element.property("display-range");
            sender.send((warning.error().to_string(), range)).unwrap();
        }
        gst::BusSyncReply::Drop
    });
    element.set_bus(Some(&bus));
    let setting = element.clone();
    thread::spawn(move || setting.set_property("display-range", "bright"));
    let limit = std::time::Duration::from_secs(20);
    let (text, range) = heard
        .recv_timeout(limit)
        .expect("no warning, or a deadlock");
    assert!(
        text.contains("display-range") && text.contains("bright"),
        "{text}"
    );
    assert_eq!(range, "100,4000");
}

/// The background is no class to show.
#[test]
fn class_0_is_refused() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("show-classes", "2")]);
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    for text in ["0", "0,1"] {
        element.set_property("show-classes", text);
        assert_eq!(element.property::<String>("show-classes"), "2");
        let warning = bus.pop_filtered(&[gst::MessageType::Warning]);
        assert!(warning.is_some(), "{text} is taken");
    }
}

#[test]
fn what_is_read_at_the_start_says_so() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[]);
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    element.set_property("tile-size", 64_u32);
    assert!(bus.pop_filtered(&[gst::MessageType::Warning]).is_none());
    element.set_state(gst::State::Paused).unwrap();
    element.set_property("opacity", 0.5);
    assert!(bus.pop_filtered(&[gst::MessageType::Warning]).is_none());
    element.set_property("tile-size", 32_u32);
    let message = bus.pop_filtered(&[gst::MessageType::Warning]);
    let message = message.expect("no warning");
    let gst::MessageView::Warning(warning) = message.view() else {
        unreachable!()
    };
    let text = warning.error().to_string();
    assert!(
        text.contains("tile-size") && text.contains("next start"),
        "{text}"
    );
    element.set_state(gst::State::Null).unwrap();
}

/// A text that was refused with a warning counts no further: not for models to come, nor for the next start.
#[test]
fn a_refused_text_that_was_told_of_is_forgotten() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let element = element(&model, &[]);
    let bus = gst::Bus::new();
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    element.set_bus(Some(&bus));
    element.set_property("display-range", "bright");
    assert!(bus.pop_filtered(&[gst::MessageType::Warning]).is_some());
    element.set_property("model-file", model.to_str().unwrap());
    let start = std::time::Instant::now();
    let loaded: bool = loop {
        let frame = gray8(&picture(), WIDTH, HEIGHT);
        drop(harness.push_and_pull(frame).unwrap());
        let message = bus.pop_filtered(&[gst::MessageType::Element]);
        if let Some(loaded) = message.and_then(|message| message.structure()?.get("loaded").ok()) {
            break loaded;
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(30));
    };
    assert!(loaded, "a text that was refused has refused the model");
    drop(harness);
    element.set_state(gst::State::Null).unwrap();
    element.set_state(gst::State::Paused).unwrap();
    element.set_state(gst::State::Null).unwrap();
    // Before a start nobody listens.
    element.set_property("trigger", "nonsense");
    assert!(common::refusal(&element).contains("trigger"));
}
