//! Properties that change while frames flow, from this thread and others.

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use common::frames::{HEIGHT, WIDTH};
use common::pipelines::{end, launch};
use common::process::run_child;
use common::watch::{bus_of, has_failed, stats, wait, warnings};
use common::{
    Files, SMALL, caps, cells, discs, element, gray8, harness, mask_of, pixels, short_or_long,
};
use gst::glib;
use gst::prelude::*;
use gst_controller::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstreamer_controller as gst_controller;
use gstunetsegment::unetsegment::Output;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

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

#[test]
fn the_threshold_may_change_while_frames_flow() {
    let (element, mut harness, _) = discs::finder(&[("output", "mask")]);
    let (width, height) = (discs::WIDTH, discs::HEIGHT);
    let picture: Vec<u8> = (0..width * height).map(|at| (at % 256) as u8).collect();
    let mut foreground = |threshold: f64| {
        element.set_property("threshold", threshold);
        let out = harness
            .push_and_pull(gray8(&picture, width, height))
            .unwrap();
        let mask = out.map_readable().unwrap();
        mask.iter().filter(|class| **class == 1).count()
    };
    let usual = foreground(-1.0);
    assert_eq!(foreground(0.5), usual);
    let (strict, lax) = (foreground(0.99), foreground(0.01));
    assert!(strict < usual && usual < lax, "{strict} {usual} {lax}");
    assert_eq!(foreground(-1.0), usual);
}

/// Caps are negotiated for one output while another thread already sets the next. How the threads interleave is left to
/// chance, so that many streams are started.
#[test]
fn the_output_may_change_at_any_moment() {
    let files = Files::new();
    let model = files.model(&SMALL);
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
    let pipeline = launch(&text);
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
    end(&pipeline);
    done.store(true, Ordering::Relaxed);
    changer.join().unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(frames.load(Ordering::Relaxed), 100);
}

/// A frame that comes while downstream is asked whether it accepts another output goes out with the previous one.
#[test]
fn an_output_that_is_refused_is_never_tried() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("output", "none")]);
    let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
    let gray = || caps("GRAY8", WIDTH, HEIGHT);
    harness.set_caps(gray(), gray());
    let bus = bus_of(&element);
    let frame = || gray8(&picture(), WIDTH, HEIGHT);
    drop(harness.push_and_pull(frame()).unwrap());
    // Downstream accepts this one, and the next frame has to negotiate it.
    element.set_property_from_str("output", "mask");
    assert!(warnings(&bus).is_empty());
    let [sink, src] = ["sink", "src"].map(|name| element.static_pad(name).unwrap());
    let meanwhile = Mutex::new(Some(frame()));
    let (sender, pushed) = channel();
    src.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, move |_, info| {
        let asks = info.query().map(|query| query.type_());
        let is_asked = asks == Some(gst::QueryType::Caps);
        // The frame itself causes another query.
        let frame = is_asked.then(|| meanwhile.lock().unwrap().take());
        if let Some(frame) = frame.flatten() {
            let sink = sink.clone();
            let pushing = thread::spawn(move || sink.chain(frame));
            sender.send(pushing.join().unwrap()).unwrap();
        }
        gst::PadProbeReturn::Ok
    });
    element.set_property_from_str("output", "labels");
    assert_eq!(pushed.try_recv(), Ok(Ok(gst::FlowSuccess::Ok)));
    let posted = warnings(&bus);
    assert!(
        posted.len() == 1 && posted[0].contains("does not accept"),
        "{posted:?}"
    );
    assert_eq!(element.property::<Output>("output"), Output::Mask);
    for _ in 0..2 {
        let out = harness.pull().unwrap();
        assert_eq!(pixels(&harness, &out).0, mask_of(&out).0);
        harness.push(frame()).unwrap();
    }
    assert!(!has_failed(&bus));
}

/// Tells a child in which mode frames flow.
const MODE: &str = "UNETSEGMENT_MODE";

/// The properties of `element` that may be written while frames flow, each with values for it. Another model is not one
/// of these values: loading takes longer than all other writes.
fn writable(element: &gst::Element) -> Vec<(gst::Element, String, Vec<String>)> {
    let properties = element.list_properties();
    let may_be_written = |property: &&glib::ParamSpec| {
        let flags = property.flags();
        flags.contains(gst::PARAM_FLAG_MUTABLE_PLAYING) && property.name() != "model-file"
    };
    properties
        .iter()
        .filter(may_be_written)
        .map(|property| {
            let name = property.name().to_owned();
            (element.clone(), name, values(property))
        })
        .collect()
}

/// Values of a property: all of them if they have names, and otherwise some of its range, with both ends.
fn values(property: &glib::ParamSpec) -> Vec<String> {
    let kind = property.value_type();
    if let Some(class) = glib::EnumClass::with_type(kind) {
        let nicks = class.values().iter().map(|value| value.nick().to_owned());
        return nicks.collect();
    }
    if let Some(class) = glib::FlagsClass::with_type(kind) {
        let nicks = class.values().iter().map(|value| value.nick());
        let mut values: Vec<String> = nicks.map(str::to_owned).collect();
        values.extend([String::new(), values.join("+")]);
        return values;
    }
    if let Some(range) = property.downcast_ref::<glib::ParamSpecUInt>() {
        let some = [range.minimum(), range.minimum() + 2, range.maximum()];
        return some.map(|value| value.to_string()).to_vec();
    }
    if let Some(range) = property.downcast_ref::<glib::ParamSpecInt>() {
        let some = [range.minimum(), range.minimum() + 2, range.maximum()];
        return some.map(|value| value.to_string()).to_vec();
    }
    if let Some(range) = property.downcast_ref::<glib::ParamSpecDouble>() {
        let (least, most) = (range.minimum(), range.maximum());
        let quarters = [0.0, 0.25, 0.5, 0.75, 1.0];
        return quarters
            .map(|share| (least + share * (most - least)).to_string())
            .to_vec();
    }
    let texts: &[&str] = match property.name() {
        _ if kind == bool::static_type() => &["false", "true"],
        "display-range" | "value-range" => &["auto", "0,255", "nonsense"],
        "trigger" => &["", "objects > 3", "coverage > 0.2 until 0.1", "nonsense"],
        "palette" => &["", "#ff0000,#00ff00", "nonsense"],
        "show-classes" => &["all", "1", "2", "nonsense"],
        name => panic!("no values of {name} are known"),
    };
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Properties are written at random while frames flow: in a process of its own, which GLib aborts where it logs
/// anything critical.
#[test]
fn properties_may_be_written_at_any_moment() {
    for mode in ["sync", "latest"] {
        let variables = [(MODE, mode), ("G_DEBUG", "fatal-criticals")];
        run_child("child_that_is_written_to", &variables);
    }
}

#[test]
#[ignore = "a part of properties_may_be_written_at_any_moment, which runs it in a process of its own"]
fn child_that_is_written_to() {
    let Ok(mode) = std::env::var(MODE) else {
        return;
    };
    let files = Files::new();
    let model = files.model(&SMALL);
    let text = format!(
        "videotestsrc ! video/x-raw,format=GRAY8,width=64,height=48 ! unetsegment name=unet mode={mode} model-file={} ! tee name=t \
         t. ! queue ! fakesink sync=false t. ! queue ! unetmask name=masks without-mask=empty ! fakesink sync=false",
        model.display()
    );
    let pipeline = launch(&text);
    let element = pipeline.by_name("unet").unwrap();
    let masks = pipeline.by_name("masks").unwrap();
    let writable = [writable(&element), writable(&masks)].concat();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut random = StdRng::seed_from_u64(11);
    for number in 0..short_or_long(3_000, 100_000) {
        let (target, name, values) = &writable[random.random_range(0..writable.len())];
        let value = &values[random.random_range(0..values.len())];
        target.set_property_from_str(name, value);
        let _: gst::Structure = element.property("stats");
        if number % 200 == 0 {
            element.set_property("model-file", model.to_str().unwrap());
        }
    }
    // Whatever was written last, frames go out with this.
    element.set_property_from_str("output", "none");
    let before = stats(&element, "out");
    wait("frames", || stats(&element, "out") >= before + 5);
    assert!(!has_failed(&pipeline.bus().unwrap()));
    pipeline.set_state(gst::State::Null).unwrap();
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
