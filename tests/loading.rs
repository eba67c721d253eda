//! A model that takes long to load: nobody waits for it who need not, and nobody can't end it.

mod common;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::watch::messages;
use common::{Files, SMALL, cells, element, error_on, foreign, gray8, harness};
use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::inference::{Canceller, Model, ModelError, Options};
use gstunetsegment::mask_meta;
use gstunetsegment::unet::UNet;

const SIDE: usize = 200;

/// What the change of a state may take.
const SOON: Duration = Duration::from_millis(500);

/// The paper's network, which has to be tried on many sizes because it does not say which are legal.
fn paper(classes: usize) -> UNet {
    UNet {
        width: 64,
        depth: 4,
        classes,
        ..SMALL
    }
}

/// A model that takes much longer to load than a start waits.
fn slow() -> &'static Path {
    static MODEL: OnceLock<(Files, PathBuf)> = OnceLock::new();
    let (_, path) = MODEL.get_or_init(|| {
        common::init();
        let files = Files::new();
        let path = files.write("slow.onnx", &foreign(&paper(2), |_| ()));
        let start = Instant::now();
        Model::open(&path, &Options::default()).unwrap();
        assert!(start.elapsed() > Duration::from_millis(600), "it is quick");
        (files, path)
    });
    path
}

fn frame(number: u64) -> gst::Buffer {
    let mut buffer = gray8(&cells(SIDE, SIDE, number), SIDE, SIDE);
    let time = gst::ClockTime::from_mseconds(40 * number);
    buffer.get_mut().unwrap().set_pts(time);
    buffer
}

/// The messages about models on `bus`: whether each was loaded.
fn told(bus: &gst::Bus) -> Vec<bool> {
    let of_models = messages(bus, "unetsegment-model").into_iter();
    of_models
        .map(|fields| fields.get("loaded").unwrap())
        .collect()
}

#[test]
fn frames_wait_for_the_model_where_they_wait_for_masks() {
    let element = element(slow(), &[]);
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let start = Instant::now();
    element.set_state(gst::State::Playing).unwrap();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let provider: Option<String> = element.property("active-provider");
    assert_eq!(provider, None);
    let mut harness = harness(&element, "GRAY8", SIDE, SIDE);
    let out = harness.push_and_pull(frame(0)).unwrap();
    assert!(mask_meta::of(&out).is_some());
    assert!(told(&bus).contains(&true));
    let provider: String = element.property("active-provider");
    assert_eq!(provider, "cpu");
}

#[test]
fn frames_pass_meanwhile_where_they_do_not_wait() {
    let element = element(slow(), &[("mode", "latest"), ("max-mask-age", "0")]);
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut harness = harness(&element, "GRAY8", SIDE, SIDE);
    let start = Instant::now();
    let out = harness.push_and_pull(frame(0)).unwrap();
    assert!(mask_meta::of(&out).is_none() && start.elapsed() < SOON);
    for number in 1.. {
        let out = harness.push_and_pull(frame(number)).unwrap();
        if mask_meta::of(&out).is_some() {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "no mask");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(told(&bus).contains(&true));
}

/// Whether a stream waits for it or not, at any moment.
#[test]
fn a_stop_does_not_wait_for_it() {
    let rounds = match std::env::var_os("UNETSEGMENT_SOAK") {
        Some(_) => 200,
        None => 6,
    };
    for round in 0..rounds {
        let element = element(slow(), &[]);
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        element.set_state(gst::State::Playing).unwrap();
        let waiting = (round % 2 == 1).then(|| {
            let pad = element.static_pad("sink").unwrap();
            assert!(pad.send_event(gst::event::StreamStart::new("slow")));
            let caps = common::caps("GRAY8", SIDE, SIDE);
            std::thread::spawn(move || pad.send_event(gst::event::Caps::new(&caps)))
        });
        std::thread::sleep(Duration::from_millis(round * 37 % 290));
        let start = Instant::now();
        element.set_state(gst::State::Null).unwrap();
        let took = start.elapsed();
        assert!(took < SOON, "round {round}: {took:?}");
        if let Some(waiting) = waiting {
            assert!(!waiting.join().unwrap(), "round {round}: caps were taken");
        }
        // What was ended is no fault.
        assert!(bus.pop_filtered(&[gst::MessageType::Error]).is_none());
    }
}

/// What is wrong with a model that is late is told on the bus, and the stream ends.
#[test]
fn a_late_refusal_is_an_error() {
    common::init();
    let files = Files::new();
    let path = files.write("many.onnx", &foreign(&paper(300), |_| ()));
    let element = element(&path, &[]);
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut harness = harness(&element, "GRAY8", SIDE, SIDE);
    assert!(harness.push(frame(0)).is_err());
    let text = error_on(&bus);
    assert!(text.contains("300 output channels"), "{text}");
}

/// A model that was named meanwhile, or is named then, stands in for it.
#[test]
fn another_model_stands_in_for_one_that_is_refused_late() {
    common::init();
    let files = Files::new();
    let bad = files.write("many.onnx", &foreign(&paper(300), |_| ()));
    let good = files.model(&SMALL);
    for (in_flight, waits) in [("1", true), ("2", true), ("2", false)] {
        let element = element(&bad, &[("frames-in-flight", in_flight), ("output", "none")]);
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let mut harness = harness(&element, "GRAY8", SIDE, SIDE);
        if waits {
            // Nobody has seen a frame yet.
            error_on(&bus);
        }
        element.set_property("model-file", good.to_str().unwrap());
        let out = harness.push_and_pull(frame(0)).unwrap();
        assert!(mask_meta::of(&out).is_some(), "{in_flight} {waits}");
    }
}

/// Good models and bad ones by turns in the middle of a stream: each is told of once, a bad one leaves the last good
/// one at work, and every frame comes out as it went in.
#[test]
fn models_come_and_go_without_loss() {
    let rounds = match std::env::var_os("UNETSEGMENT_SOAK") {
        Some(_) => 500,
        None => 10,
    };
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
        let bus = gst::Bus::new();
        let mut harness = harness(&element, "GRAY8", SIDE, SIDE);
        element.set_bus(Some(&bus));
        let stats = |name: &str| {
            let stats: gst::Structure = element.property("stats");
            stats.value(name).unwrap().to_owned()
        };
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
                messages.extend(told(&bus));
            }
            assert_eq!(messages, [expected]);
        };
        for round in 0..rounds / 2 {
            let before: String = stats("model-hash").get().unwrap();
            element.set_property("model-file", bad[round % bad.len()].to_str().unwrap());
            pass(false);
            assert_eq!(stats("model-hash").get::<String>().unwrap(), before);
            element.set_property("model-file", good[(round + 1) % 2].to_str().unwrap());
            pass(true);
            assert_ne!(stats("model-hash").get::<String>().unwrap(), before);
        }
        let [came, went, dropped] =
            ["in", "out", "dropped"].map(|name| stats(name).get::<u64>().unwrap());
        assert_eq!((came, went, dropped), (frames, frames, 0), "{mode}");
        let kinds = [gst::MessageType::Error, gst::MessageType::Warning];
        assert!(bus.pop_filtered(&kinds).is_none());
    }
}

/// The text of the property.
fn model_file(element: &gst::Element) -> String {
    element.property("model-file")
}

/// Whoever writes properties while the element starts holds nothing up, whichever comes first.
#[test]
fn writes_during_a_start_hold_nothing_up() {
    let rounds = match std::env::var_os("UNETSEGMENT_SOAK") {
        Some(_) => 500,
        None => 20,
    };
    common::init();
    let files = Files::new();
    let [first, second] = ["first.onnx", "second.onnx"].map(|name| {
        files
            .write(name, &common::model(&SMALL))
            .display()
            .to_string()
    });
    let text = format!(
        "videotestsrc num-buffers=5 ! video/x-raw,format=GRAY8,width=48,height=40 ! unetsegment name=unet model-file={first} ! \
         fakesink sync=false"
    );
    for round in 0..rounds {
        let pipeline = gst::parse::launch(&text).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let element = pipeline.by_name("unet").unwrap();
        let (written, other) = (element.clone(), second.clone());
        let writing = std::thread::spawn(move || {
            for number in 0..100 {
                written.set_property("model-file", &other);
                written.set_property("opacity", f64::from(number) / 100.0);
            }
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        writing.join().unwrap();
        let kinds = [gst::MessageType::Error, gst::MessageType::Eos];
        let limit = gst::ClockTime::from_seconds(30);
        let end = pipeline.bus().unwrap().timed_pop_filtered(limit, &kinds);
        let end = end.unwrap_or_else(|| panic!("round {round}: the stream stands still"));
        assert!(matches!(end.view(), gst::MessageView::Eos(_)), "{end:?}");
        assert_eq!(model_file(&element), second);
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

/// A wish that a newer one overtakes is told of too, and `model-file` names the newest that was not refused.
#[test]
fn each_of_many_wishes_is_told_of() {
    let files = Files::new();
    let path = |name: &str, bytes: &[u8]| files.write(name, bytes).display().to_string();
    let (model, bad) = (common::model(&SMALL), path("text.onnx", b"no model"));
    let (first, second) = (path("first.onnx", &model), path("second.onnx", &model));
    let element = element(first.as_ref(), &[("output", "none")]);
    let bus = gst::Bus::new();
    let mut harness = harness(&element, "GRAY8", SIDE, SIDE);
    element.set_bus(Some(&bus));
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
            messages.extend(told(&bus));
        }
        assert_eq!(messages.len(), wishes.len(), "{messages:?}");
        assert_eq!(messages.last(), Some(&true), "{messages:?}");
        let stats: gst::Structure = element.property("stats");
        assert_eq!(stats.get::<String>("model-file").unwrap(), second);
        assert_eq!(model_file(&element), second);
    }
    // Where a good one waits for a frame, that is the one to come back to.
    element.set_property("model-file", &first);
    std::thread::sleep(Duration::from_millis(500));
    element.set_property("model-file", &bad);
    let start = Instant::now();
    while told(&bus).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(30), "no refusal");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(model_file(&element), first);
}

/// Models with one session take turns, and a run may take long.
#[test]
fn a_load_that_waits_for_the_run_of_another_can_be_ended() {
    let path = slow();
    let mut busy = Model::open(path, &Options::default()).unwrap();
    let stopper = busy.stopper();
    let (height, width) = busy.contract().geometry.legal(700, 700).unwrap();
    let running =
        std::thread::spawn(
            move || {
                while busy.shape(height, width).is_ok() && busy.run().is_ok() {}
            },
        );
    let canceller = Canceller::default();
    let options = Options {
        canceller: canceller.clone(),
        ..Default::default()
    };
    let ended = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1000));
        canceller.cancel();
        Instant::now()
    });
    let error = Model::open(path, &options).err();
    let took = ended.join().unwrap().elapsed();
    stopper.stop();
    running.join().unwrap();
    assert!(
        matches!(error, Some(ModelError::Stopped { .. })),
        "{error:?}"
    );
    assert!(took < SOON, "{took:?}");
}
