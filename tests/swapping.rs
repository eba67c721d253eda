//! While frames flow another model replaces the current one, or is refused and leaves it at work.

mod common;

use std::time::{Duration, Instant};

use common::frames::{HEIGHT, WIDTH, frame};
use common::watch::{bus_of, loads, model_hash, stats, wait, warnings};
use common::{Files, SMALL, element, harness, mask_of, short_or_long};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::unet::UNet;

fn masks(harness: &mut Harness, frames: u64) -> Vec<Vec<u8>> {
    (0..frames)
        .map(|number| mask_of(&harness.push_and_pull(frame(number)).unwrap()).0)
        .collect()
}

/// Lets frames flow, which come out as they were, until `done`.
fn flow_until(harness: &mut Harness, what: &str, mut done: impl FnMut() -> bool) {
    wait(what, || {
        let out = harness.push_and_pull(frame(1)).unwrap();
        assert_eq!(
            *out.map_readable().unwrap(),
            *frame(1).map_readable().unwrap()
        );
        done()
    });
}

/// No frame was lost, and there is neither an error nor a warning on `bus`.
fn assert_undisturbed(element: &gst::Element, bus: &gst::Bus) {
    let [came, went, dropped] = ["in", "out", "dropped"].map(|name| stats(element, name));
    assert_eq!((came, dropped), (went, 0));
    let kinds = [gst::MessageType::Error, gst::MessageType::Warning];
    assert!(bus.pop_filtered(&kinds).is_none());
}

#[test]
fn a_refused_model_leaves_the_current_one_at_work() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let broken = files.write("broken.onnx", b"no model");
    for mode in ["sync", "latest"] {
        let element = element(&model, &[("mode", mode), ("output", "none")]);
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let bus = bus_of(&element);
        let before = model_hash(&element);
        element.set_property("model-file", broken.to_str().unwrap());
        let mut posted = Vec::new();
        flow_until(&mut harness, "the refusal", || {
            posted.extend(loads(&bus));
            !posted.is_empty()
        });
        let (is_loaded, reason) = &posted[0];
        assert!(
            !is_loaded && reason.contains("broken.onnx is not an ONNX file"),
            "{posted:?}"
        );
        assert_eq!(model_hash(&element), before);
        assert_eq!(model_file(&element), model.to_str().unwrap());
        assert_undisturbed(&element, &bus);
    }
}

#[test]
fn another_model_takes_over_between_two_frames() {
    let files = Files::new();
    let first = files.model(&SMALL);
    let second = files.model(&UNet {
        width: 8,
        padded: true,
        ..SMALL
    });
    for mode in ["sync", "latest"] {
        let element = element(&first, &[("mode", mode), ("output", "none")]);
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let bus = bus_of(&element);
        let before = model_hash(&element);
        element.set_property("model-file", second.to_str().unwrap());
        flow_until(&mut harness, "the swap", || model_hash(&element) != before);
        let mut posted = Vec::new();
        wait("the message", || {
            posted.extend(loads(&bus));
            !posted.is_empty()
        });
        assert_eq!(posted, [(true, String::new())]);
        if mode == "sync" {
            let found = masks(&mut harness, 3);
            let other = common::element(&second, &[("output", "none")]);
            let expected = masks(&mut common::harness(&other, "GRAY8", WIDTH, HEIGHT), 3);
            assert!(found == expected, "masks are not those of the second model");
        }
        assert_undisturbed(&element, &bus);
    }
}

/// Whether the model was loaded, for each message about one on `bus`.
fn loaded(bus: &gst::Bus) -> Vec<bool> {
    let loads = loads(bus).into_iter();
    loads.map(|(loaded, _)| loaded).collect()
}

/// Good models and bad ones by turns in the middle of a stream: each is reported once, a bad one leaves the last good
/// one at work, and every frame comes out.
#[test]
fn models_come_and_go_without_loss() {
    let rounds: usize = short_or_long(10, 500);
    let files = Files::new();
    let good = [0, 1].map(|index| {
        let unet = UNet {
            padded: index == 1,
            ..SMALL
        };
        files.write(&format!("good{index}.onnx"), &common::model(&unet))
    });
    let whole = common::model(&SMALL);
    let bad = [
        files.write("text.onnx", b"no model"),
        files.write("cut.onnx", &whole[..whole.len() / 2]),
        files.path("nothing.onnx"),
    ];
    for mode in ["sync", "latest"] {
        let element = element(&good[0], &[("output", "none"), ("mode", mode)]);
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let bus = bus_of(&element);
        let mut frames = 0;
        // Frames pass until a message comes, and all of them come out.
        let mut pass = |expected: bool| {
            let start = Instant::now();
            let mut messages = Vec::new();
            while messages.is_empty() {
                assert!(start.elapsed() < Duration::from_secs(10), "no message");
                let out = harness.push_and_pull(frame(frames)).unwrap();
                assert_eq!(out.pts(), frame(frames).pts());
                frames += 1;
                messages.extend(loaded(&bus));
            }
            assert_eq!(messages, [expected]);
        };
        for round in 0..rounds / 2 {
            let before = model_hash(&element);
            element.set_property("model-file", bad[round % bad.len()].to_str().unwrap());
            pass(false);
            assert_eq!(model_hash(&element), before);
            element.set_property("model-file", good[(round + 1) % 2].to_str().unwrap());
            pass(true);
            assert_ne!(model_hash(&element), before);
        }
        assert_eq!(stats(&element, "in"), frames, "{mode}");
        assert_undisturbed(&element, &bus);
    }
}

/// The value of the property.
fn model_file(element: &gst::Element) -> String {
    element.property("model-file")
}

/// A model that a newer one overtakes is reported, too, and `model-file` names the newest that was not refused.
#[test]
fn each_of_many_models_is_reported() {
    let files = Files::new();
    let path = |name: &str, bytes: &[u8]| files.write(name, bytes).display().to_string();
    let (model, bad) = (common::model(&SMALL), path("text.onnx", b"no model"));
    let (first, second) = (path("first.onnx", &model), path("second.onnx", &model));
    let element = element(first.as_ref(), &[("output", "none")]);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    for round in 0..5 {
        // Each one soon after the one before, so that their loading overlaps.
        let set = [&bad, &second, &bad, &first, &second];
        for path in set {
            element.set_property("model-file", path);
            std::thread::sleep(Duration::from_micros(100 * round));
        }
        let (mut messages, mut number) = (Vec::new(), 0);
        let start = Instant::now();
        while messages.len() < set.len() {
            assert!(start.elapsed() < Duration::from_secs(30), "{messages:?}");
            drop(harness.push_and_pull(frame(number)).unwrap());
            number += 1;
            messages.extend(loaded(&bus));
        }
        assert_eq!(messages.len(), set.len(), "{messages:?}");
        assert_eq!(messages.last(), Some(&true), "{messages:?}");
        let stats: gst::Structure = element.property("stats");
        assert_eq!(stats.get::<String>("model-file").unwrap(), second);
        assert_eq!(model_file(&element), second);
    }
    // A good one that waits for a frame stays the model of the element when a bad one is set. That it waits shows in a
    // second warning: it has no class 9 either.
    drop(warnings(&bus));
    element.set_property("show-classes", "1,9");
    assert_eq!(warnings(&bus).len(), 1);
    element.set_property("model-file", &first);
    wait("the load", || !warnings(&bus).is_empty());
    element.set_property("model-file", &bad);
    let start = Instant::now();
    while loaded(&bus).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(30), "no refusal");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(model_file(&element), first);
}

/// Properties that take effect at the next start are no part of a model that comes before it.
#[test]
fn another_model_is_opened_by_the_settings_of_the_start() {
    let files = Files::new();
    let other = files.write("other.onnx", &common::model(&SMALL));
    let properties = [("reuse", "exact"), ("output", "none")];
    let element = element(&files.model(&SMALL), &properties);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    // The two exclude each other.
    element.set_property_from_str("blend", "average");
    element.set_property("model-file", other.to_str().unwrap());
    let mut posted = Vec::new();
    flow_until(&mut harness, "the swap", || {
        posted.extend(loads(&bus));
        !posted.is_empty()
    });
    assert_eq!(posted, [(true, String::new())]);
}
