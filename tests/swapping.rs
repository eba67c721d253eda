//! Another model takes the place of the one at work while frames flow, or is refused and leaves that one there.

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

#[test]
fn another_model_takes_its_place_between_two_frames() {
    let files = Files::new();
    let first = files.model(&SMALL);
    let second = files.model(&UNet {
        width: 8,
        padded: true,
        ..SMALL
    });
    let broken = files.write("broken.onnx", b"no model");
    for mode in ["sync", "latest"] {
        let element = element(&first, &[("mode", mode), ("output", "none")]);
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let bus = bus_of(&element);
        let mut flow_until = |what: &str, mut done: Box<dyn FnMut() -> bool + '_>| {
            wait(what, || {
                let out = harness.push_and_pull(frame(1)).unwrap();
                assert_eq!(
                    *out.map_readable().unwrap(),
                    *frame(1).map_readable().unwrap()
                );
                done()
            });
        };
        let before = model_hash(&element);
        let mut told = Vec::new();
        element.set_property("model-file", broken.to_str().unwrap());
        flow_until(
            "the refusal",
            Box::new(|| {
                told.extend(loads(&bus));
                !told.is_empty()
            }),
        );
        assert!(
            !told[0].0 && told[0].1.contains("broken.onnx is not an ONNX file"),
            "{told:?}"
        );
        assert_eq!(model_hash(&element), before);
        assert_eq!(
            element.property::<String>("model-file"),
            first.to_str().unwrap()
        );
        element.set_property("model-file", second.to_str().unwrap());
        flow_until("the swap", Box::new(|| model_hash(&element) != before));
        wait("the message", || {
            told.extend(loads(&bus));
            told.len() > 1
        });
        assert_eq!(told[1..], [(true, String::new())]);
        if mode == "sync" {
            let found = masks(&mut harness, 3);
            let other = common::element(&second, &[("output", "none")]);
            let expected = masks(&mut common::harness(&other, "GRAY8", WIDTH, HEIGHT), 3);
            assert!(found == expected, "masks are not those of the second model");
        }
        assert_eq!(stats(&element, "in"), stats(&element, "out"));
        assert!(
            bus.pop_filtered(&[gst::MessageType::Error, gst::MessageType::Warning])
                .is_none()
        );
    }
}

/// Whether each model was loaded that the messages on `bus` are about.
fn loaded(bus: &gst::Bus) -> Vec<bool> {
    let told = loads(bus).into_iter();
    told.map(|(loaded, _)| loaded).collect()
}

/// Good models and bad ones by turns in the middle of a stream: each is told of once, a bad one leaves the last good
/// one at work, and every frame comes out as it went in.
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
        let [came, went, dropped] = ["in", "out", "dropped"].map(|name| stats(&element, name));
        assert_eq!((came, went, dropped), (frames, frames, 0), "{mode}");
        let kinds = [gst::MessageType::Error, gst::MessageType::Warning];
        assert!(bus.pop_filtered(&kinds).is_none());
    }
}

/// The text of the property.
fn model_file(element: &gst::Element) -> String {
    element.property("model-file")
}

/// A wish that a newer one overtakes is told of too, and `model-file` names the newest that was not refused.
#[test]
fn each_of_many_wishes_is_told_of() {
    let files = Files::new();
    let path = |name: &str, bytes: &[u8]| files.write(name, bytes).display().to_string();
    let (model, bad) = (common::model(&SMALL), path("text.onnx", b"no model"));
    let (first, second) = (path("first.onnx", &model), path("second.onnx", &model));
    let element = element(first.as_ref(), &[("output", "none")]);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    for round in 0..5 {
        // Each one soon after the one before, so that their loading overlaps.
        let wishes = [&bad, &second, &bad, &first, &second];
        for wish in wishes {
            element.set_property("model-file", wish);
            std::thread::sleep(Duration::from_micros(100 * round));
        }
        let (mut messages, mut number) = (Vec::new(), 0);
        let start = Instant::now();
        while messages.len() < wishes.len() {
            assert!(start.elapsed() < Duration::from_secs(30), "{messages:?}");
            drop(harness.push_and_pull(frame(number)).unwrap());
            number += 1;
            messages.extend(loaded(&bus));
        }
        assert_eq!(messages.len(), wishes.len(), "{messages:?}");
        assert_eq!(messages.last(), Some(&true), "{messages:?}");
        let stats: gst::Structure = element.property("stats");
        assert_eq!(stats.get::<String>("model-file").unwrap(), second);
        assert_eq!(model_file(&element), second);
    }
    // Where a good one waits for a frame, that is the one to come back to. Once it waits, it is told that it has no
    // class 9 either.
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
