//! What goes out changes while frames flow that show an older mask: they never carry anything but what was asked for.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::discs::objects;
use common::watch::{bus_of, messages};
use common::{BRIGHTNESS, Files, brightness, caps, element, gray8, pixels};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::mask_meta;

const WIDTH: usize = 61;
const HEIGHT: usize = 40;

type Properties = &'static [(&'static str, &'static str)];

/// Frames for which the network is asked, and how.
const MANNERS: [Properties; 5] = [
    &[],
    &[("inference-interval", "4")],
    &[("inference-interval", "4"), ("frames-in-flight", "1")],
    &[("mode", "latest")],
    &[("mode", "latest"), ("inference-interval", "100000")],
];

/// A pale square, of which the network is not sure, and a bright one, of which it is.
fn frame() -> gst::Buffer {
    let picture: Vec<u8> = (0..WIDTH * HEIGHT)
        .map(|at| match (at % WIDTH, at / WIDTH) {
            (5..20, 5..30) => 135,
            (30..50, 5..30) => 200,
            _ => 20,
        })
        .collect();
    gray8(&picture, WIDTH, HEIGHT)
}

/// The element, and a harness that takes any format, or one.
fn start(
    model: &Path,
    properties: &[(&str, &str)],
    format: Option<&str>,
) -> (gst::Element, Harness) {
    let usual = [BRIGHTNESS[0], BRIGHTNESS[1], ("max-mask-age", "0")];
    let element = element(model, &[&usual, properties].concat());
    let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
    let came = caps("GRAY8", WIDTH, HEIGHT);
    match format {
        Some(format) => harness.set_caps(came, caps(format, WIDTH, HEIGHT)),
        None => harness.set_src_caps(came),
    }
    (element, harness)
}

/// The frames that come out with a mask of the next one that does; all do where frames wait for theirs.
fn next_shown(harness: &mut Harness, manner: Properties, what: &str) -> Vec<gst::Buffer> {
    if !is_latest(manner) {
        return vec![harness.push_and_pull(frame()).unwrap()];
    }
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}: nothing");
        let pushed = harness.push(frame());
        assert!(pushed.is_ok(), "{what}: {pushed:?}");
        let out = std::iter::from_fn(|| harness.try_pull());
        let masked: Vec<_> = out.filter(|out| mask_meta::of(out).is_some()).collect();
        if !masked.is_empty() {
            return masked;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_latest(manner: Properties) -> bool {
    manner.contains(&("mode", "latest"))
}

/// Goes from every output to every other one.
fn switch(outputs: &[&str], format: Option<&str>) {
    common::init();
    let files = Files::new();
    let model = files.write("brightness.onnx", &brightness());
    let expected: Vec<_> = outputs
        .iter()
        .map(|output| {
            let (_element, mut harness) = start(&model, &[("output", output)], format);
            let out = harness.push_and_pull(frame()).unwrap();
            pixels(&harness, &out)
        })
        .collect();
    for manner in MANNERS {
        for (from, first) in outputs.iter().zip(&expected) {
            for (to, then) in outputs.iter().zip(&expected) {
                let what = format!("{manner:?} {format:?} {from} -> {to}");
                let all = [manner, &[("output", *from)]].concat();
                let (element, mut harness) = start(&model, &all, format);
                let mut shows = |expected: &(Vec<u8>, String), times: usize| {
                    for _ in 0..times {
                        for out in next_shown(&mut harness, manner, &what) {
                            assert!(pixels(&harness, &out) == *expected, "{what}");
                        }
                    }
                };
                shows(first, 2);
                element.set_property_from_str("output", to);
                shows(then, 3);
            }
        }
    }
}

#[test]
fn any_output_follows_any_other() {
    let all = [
        "mask",
        "labels",
        "probability",
        "uncertainty",
        "overlay",
        "none",
    ];
    switch(&all, None);
}

/// Where downstream takes one format, no new caps tell of the change.
#[test]
fn outputs_of_8_bits_follow_one_another() {
    switch(
        &["mask", "probability", "uncertainty", "none"],
        Some("GRAY8"),
    );
}

#[test]
fn outputs_of_16_bits_follow_one_another() {
    switch(&["labels", "probability", "uncertainty"], Some("GRAY16_LE"));
}

/// Frames with an older mask, which has no probability, end no stream of probabilities.
#[test]
fn probabilities_may_be_asked_for_at_any_time() {
    common::init();
    let files = Files::new();
    let model = files.write("brightness.onnx", &brightness());
    for manner in MANNERS {
        let all = [manner, &[("output", "none")]].concat();
        let (element, mut harness) = start(&model, &all, None);
        next_shown(&mut harness, manner, "none");
        element.set_property("keep-probability", true);
        for _ in 0..3 {
            for out in next_shown(&mut harness, manner, "none") {
                let mask = mask_meta::of(&out).unwrap();
                assert!(mask.probability.is_some(), "{manner:?}");
            }
        }
    }
}

/// Objects, too, with all that is to be known of them; other rules hold soon.
#[test]
fn objects_may_be_asked_for_at_any_time() {
    common::init();
    let files = Files::new();
    let model = files.write("brightness.onnx", &brightness());
    for manner in MANNERS {
        let all = [manner, &[("output", "none")]].concat();
        let (element, mut harness) = start(&model, &all, None);
        let bus = bus_of(&element);
        next_shown(&mut harness, manner, "nothing");
        element.set_property("find-objects", true);
        for out in next_shown(&mut harness, manner, "objects") {
            let mask = mask_meta::of(&out).unwrap();
            assert_eq!(mask.objects, Some(2), "{manner:?}");
            assert!(mask.labels.is_some(), "{manner:?}");
        }
        element.set_property("post-objects", true);
        element.set_property("post-messages", true);
        let mut reports = |what: &str| {
            next_shown(&mut harness, manner, what);
            let reports = messages(&bus, "unetsegment");
            assert!(!reports.is_empty(), "{manner:?} {what}");
            reports
        };
        for report in reports("measures") {
            let measured: Vec<f64> = objects(&report)
                .iter()
                .map(|object| {
                    assert!(object.get::<f64>("perimeter").unwrap() > 0.0, "{manner:?}");
                    object.get("intensity").unwrap()
                })
                .collect();
            assert_eq!(measured, [135.0, 200.0], "{manner:?}");
        }
        element.set_property("track", true);
        let tracked = reports("numbers");
        assert!(tracked.iter().all(|report| report.has_field("births")));
        let births: gst::Array = tracked[0].get("births").unwrap();
        assert_eq!(births.len(), 2, "{manner:?}");
        element.set_property("measure-uncertainty", true);
        let uncertain = reports("uncertainty");
        assert!(
            uncertain
                .iter()
                .all(|report| report.has_field("uncertainty"))
        );
        // The pale one is smaller than that.
        element.set_property("min-area", 400);
        let start = Instant::now();
        while reports("rules").last().unwrap().get("objects") != Ok(1_u32) {
            assert!(is_latest(manner) && start.elapsed() < Duration::from_secs(60));
        }
        // Nobody asks any more.
        for property in ["find-objects", "post-messages", "track"] {
            element.set_property(property, false);
        }
        for out in next_shown(&mut harness, manner, "nothing again") {
            let mask = mask_meta::of(&out).unwrap();
            assert!(
                mask.objects.is_none() && mask.labels.is_none(),
                "{manner:?}"
            );
        }
    }
}
