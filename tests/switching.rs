//! The output changes while frames show an older mask: they never carry anything but what was asked for.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::discs::objects;
use common::schedulings::{LATEST, OVERLAPPING, SEQUENTIAL, Scheduling};
use common::watch::{bus_of, messages};
use common::{BRIGHTNESS, Files, brightness, caps, element, gray8, pixels};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::mask_meta::{self, Mask};

const WIDTH: usize = 61;
const HEIGHT: usize = 40;

/// How frames are scheduled, and the inference interval.
type Asked = (Scheduling, &'static str);

const ASKED: [Asked; 5] = [
    (OVERLAPPING, "1"),
    (OVERLAPPING, "4"),
    (SEQUENTIAL, "4"),
    (LATEST, "1"),
    (LATEST, "100000"),
];

/// A pale square, of which the network is uncertain, and a bright one, of which it is certain.
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
    (scheduling, interval): Asked,
    output: &str,
    format: Option<&str>,
) -> (gst::Element, Harness) {
    let properties = [
        BRIGHTNESS[0],
        BRIGHTNESS[1],
        ("max-mask-age", "0"),
        ("inference-interval", interval),
        ("output", output),
    ];
    let element = element(model, &[&scheduling.properties()[..], &properties].concat());
    let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
    let came = caps("GRAY8", WIDTH, HEIGHT);
    match format {
        Some(format) => harness.set_caps(came, caps(format, WIDTH, HEIGHT)),
        None => harness.set_src_caps(came),
    }
    (element, harness)
}

/// The next frames that come out with a mask; all do if frames wait for theirs.
fn next_shown(harness: &mut Harness, scheduling: Scheduling, what: &str) -> Vec<gst::Buffer> {
    if !scheduling.is_latest() {
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

/// Goes from every output to every other one.
fn switch(outputs: &[&str], format: Option<&str>) {
    common::init();
    let files = Files::new();
    let model = files.write("brightness.onnx", &brightness());
    let expected: Vec<_> = outputs
        .iter()
        .map(|output| {
            let (_element, mut harness) = start(&model, ASKED[0], output, format);
            let out = harness.push_and_pull(frame()).unwrap();
            pixels(&harness, &out)
        })
        .collect();
    for (scheduling, interval) in ASKED {
        for (from, first) in outputs.iter().zip(&expected) {
            for (to, then) in outputs.iter().zip(&expected) {
                let what = format!("{scheduling} {interval} {format:?} {from} -> {to}");
                let (element, mut harness) = start(&model, (scheduling, interval), from, format);
                let mut shows = |expected: &(Vec<u8>, String), times: usize| {
                    for _ in 0..times {
                        for out in next_shown(&mut harness, scheduling, &what) {
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

/// If downstream accepts one format only, no new caps come with the change.
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

/// Runs `test` on an element with each scheduling, once it has shown a frame with nothing but its mask.
fn when_shown(test: impl Fn(&gst::Element, &mut Shown)) {
    common::init();
    let files = Files::new();
    let model = files.write("brightness.onnx", &brightness());
    for (scheduling, interval) in ASKED {
        let (element, harness) = start(&model, (scheduling, interval), "none", None);
        let bus = bus_of(&element);
        let mut shown = Shown {
            scheduling,
            what: format!("{scheduling} {interval}"),
            harness,
            bus,
        };
        shown.masks();
        test(&element, &mut shown);
    }
}

/// The frames and messages of an element.
struct Shown {
    scheduling: Scheduling,
    /// Names the element.
    what: String,
    harness: Harness,
    bus: gst::Bus,
}

impl Shown {
    /// The masks of the next frames that have one.
    fn masks(&mut self) -> Vec<Mask> {
        let frames = next_shown(&mut self.harness, self.scheduling, &self.what);
        let masks = frames.iter().map(|frame| mask_meta::of(frame).unwrap());
        masks.collect()
    }

    /// The messages about the next frames.
    fn reports(&mut self) -> Vec<gst::Structure> {
        self.masks();
        let reports = messages(&self.bus, "unetsegment");
        assert!(!reports.is_empty(), "{}", self.what);
        reports
    }
}

/// Frames with an older mask, which has no probability, end no stream of probabilities.
#[test]
fn probabilities_may_be_asked_for_at_any_time() {
    when_shown(|element, shown| {
        element.set_property("keep-probability", true);
        for _ in 0..3 {
            for mask in shown.masks() {
                assert!(mask.probability.is_some(), "{}", shown.what);
            }
        }
    });
}

#[test]
fn objects_may_be_asked_for_at_any_time() {
    when_shown(|element, shown| {
        element.set_property("find-objects", true);
        for mask in shown.masks() {
            assert_eq!(mask.objects, Some(2), "{}", shown.what);
            assert!(mask.labels.is_some(), "{}", shown.what);
        }
        // They are not asked for any more.
        element.set_property("find-objects", false);
        for mask in shown.masks() {
            let has_none = mask.objects.is_none() && mask.labels.is_none();
            assert!(has_none, "{}", shown.what);
        }
    });
}

/// With all measures of objects.
#[test]
fn messages_may_be_asked_for_at_any_time() {
    when_shown(|element, shown| {
        element.set_property("find-objects", true);
        shown.masks();
        for property in ["post-objects", "post-messages"] {
            element.set_property(property, true);
        }
        for report in shown.reports() {
            let measured: Vec<f64> = objects(&report)
                .iter()
                .map(|object| {
                    assert!(object.get::<f64>("perimeter").unwrap() > 0.0, "{report:?}");
                    object.get("intensity").unwrap()
                })
                .collect();
            assert_eq!(measured, [135.0, 200.0], "{}", shown.what);
        }
        element.set_property("track", true);
        let tracked = shown.reports();
        assert!(tracked.iter().all(|report| report.has_field("births")));
        let births: gst::Array = tracked[0].get("births").unwrap();
        assert_eq!(births.len(), 2, "{}", shown.what);
        element.set_property("measure-uncertainty", true);
        let mut uncertain = shown.reports().into_iter();
        assert!(uncertain.all(|report| report.has_field("uncertainty")));
        // They are not asked for any more.
        for property in ["find-objects", "post-messages", "track"] {
            element.set_property(property, false);
        }
        for mask in shown.masks() {
            let has_none = mask.objects.is_none() && mask.labels.is_none();
            assert!(has_none, "{}", shown.what);
        }
    });
}

/// Also to objects that are followed and measured.
#[test]
fn new_object_rules_apply_to_masks_already_shown() {
    when_shown(|element, shown| {
        for property in [
            "find-objects",
            "post-objects",
            "post-messages",
            "track",
            "measure-uncertainty",
        ] {
            element.set_property(property, true);
        }
        shown.reports();
        // The pale one is smaller than that.
        element.set_property("min-area", 400);
        let start = Instant::now();
        while shown.reports().last().unwrap().get("objects") != Ok(1_u32) {
            assert!(shown.scheduling.is_latest() && start.elapsed() < Duration::from_secs(60));
        }
    });
}
