//! A model that takes long to load: nothing waits for it without need, and loading can be cancelled.

mod common;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::pipelines::{end, launch};
use common::process::alone;
use common::watch::{bus_of, loads};
use common::{Files, SMALL, cells, element, error_on, foreign, harness, short_or_long, timed};
use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::inference::{Canceller, Model, ModelError, Options};
use gstunetsegment::mask_meta;
use gstunetsegment::unet::UNet;

const SIDE: usize = 200;

/// The longest time for a change of state: in the short form, which runs beside other programs, enough to distinguish
/// it from waiting for the model.
fn soon() -> Duration {
    short_or_long(slow().takes / 2, Duration::from_millis(500))
}

/// The paper's network, which has to be probed with many sizes because it does not declare which are legal.
fn paper(classes: usize) -> UNet {
    UNet {
        width: 64,
        depth: 4,
        classes,
        ..SMALL
    }
}

/// A model that takes much longer to load than a start waits.
struct Slow {
    path: PathBuf,
    takes: Duration,
    _files: Files,
}

fn slow() -> &'static Slow {
    static MODEL: OnceLock<Slow> = OnceLock::new();
    MODEL.get_or_init(|| {
        common::init();
        let files = Files::new();
        // A wider one where a processor is quick.
        for width in [64, 96, 128] {
            let unet = UNet { width, ..paper(2) };
            let path = files.write("slow.onnx", &foreign(&unet, |_| ()));
            // The first time is the longest.
            let times = [(); 2].map(|()| {
                let start = Instant::now();
                Model::open(&path, &Options::default()).unwrap();
                start.elapsed()
            });
            let [_, takes] = times;
            if takes >= Duration::from_secs(2) {
                return Slow {
                    path,
                    takes,
                    _files: files,
                };
            }
        }
        panic!("it is quick");
    })
}

fn frame(number: u64) -> gst::Buffer {
    timed(&cells(SIDE, SIDE, number), SIDE, SIDE, number)
}

#[test]
fn frames_wait_for_the_model_with_mode_sync() {
    let _alone = alone();
    let element = element(&slow().path, &[]);
    let bus = bus_of(&element);
    let start = Instant::now();
    element.set_state(gst::State::Playing).unwrap();
    assert!(start.elapsed() < soon(), "{:?}", start.elapsed());
    let provider: Option<String> = element.property("active-provider");
    assert_eq!(provider, None);
    let mut harness = harness(&element, "GRAY8", SIDE, SIDE);
    let out = harness.push_and_pull(frame(0)).unwrap();
    assert!(mask_meta::of(&out).is_some());
    assert!(loads(&bus).iter().any(|(loaded, _)| *loaded));
    let provider: String = element.property("active-provider");
    assert_eq!(provider, "cpu");
}

#[test]
fn frames_pass_during_the_load_with_mode_latest() {
    let _alone = alone();
    let properties = [
        ("mode", "latest"),
        ("max-mask-age", "0"),
        // The first one that it can see counts as the first.
        ("inference-interval", "100000"),
    ];
    let element = element(&slow().path, &properties);
    let bus = bus_of(&element);
    let mut harness = harness(&element, "GRAY8", SIDE, SIDE);
    let start = Instant::now();
    let out = harness.push_and_pull(frame(0)).unwrap();
    assert!(mask_meta::of(&out).is_none() && start.elapsed() < soon());
    for number in 1.. {
        let out = harness.push_and_pull(frame(number)).unwrap();
        if mask_meta::of(&out).is_some() {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "no mask");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(loads(&bus).iter().any(|(loaded, _)| *loaded));
}

/// A program that can have no more threads gets an error, and no change of state that takes as long as the load.
#[test]
#[cfg(target_os = "linux")]
fn nothing_is_loaded_without_a_thread() {
    // No thread can have a stack of this size.
    let stack = (1_u64 << 60).to_string();
    common::process::run_child("child_without_threads", &[("RUST_MIN_STACK", &stack)]);
}

#[test]
#[ignore = "a part of nothing_is_loaded_without_a_thread, which runs it in a process of its own"]
fn child_without_threads() {
    if !common::process::is_child() {
        return;
    }
    let files = Files::new();
    // With two classes, a test model would be run to be made.
    let model = files.model(&UNet {
        classes: 3,
        ..SMALL
    });
    let properties = [("mode", "sync"), ("frames-in-flight", "1")];
    let text = common::refusal(&element(&model, &properties));
    assert!(text.contains("a thread can't be created"), "{text}");
}

/// At any moment, whether a stream waits for the load or not.
#[test]
fn a_stop_does_not_wait_for_the_load() {
    let _alone = alone();
    for round in 0..short_or_long(6, 200) {
        let element = element(&slow().path, &[]);
        let bus = bus_of(&element);
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
        assert!(took < soon(), "round {round}: {took:?}");
        if let Some(waiting) = waiting {
            waiting.join().unwrap();
        }
        // A load that was cancelled is no error.
        assert!(bus.pop_filtered(&[gst::MessageType::Error]).is_none());
    }
}

/// The refusal of a model after the start is posted on the bus, and the stream ends.
#[test]
fn a_late_refusal_is_an_error() {
    let _alone = alone();
    common::init();
    let files = Files::new();
    let path = files.write("many.onnx", &foreign(&paper(300), |_| ()));
    let element = element(&path, &[]);
    let bus = bus_of(&element);
    let mut harness = harness(&element, "GRAY8", SIDE, SIDE);
    assert!(harness.push(frame(0)).is_err());
    let text = error_on(&bus);
    assert!(text.contains("300 output channels"), "{text}");
}

/// One that is set during the load, or after the refusal, replaces it.
#[test]
fn another_model_replaces_one_that_is_refused_late() {
    let _alone = alone();
    common::init();
    let files = Files::new();
    let bad = files.write("many.onnx", &foreign(&paper(300), |_| ()));
    let good = files.model(&SMALL);
    for (in_flight, waits) in [("1", true), ("2", true), ("2", false)] {
        let element = element(&bad, &[("frames-in-flight", in_flight), ("output", "none")]);
        let bus = bus_of(&element);
        let mut harness = harness(&element, "GRAY8", SIDE, SIDE);
        if waits {
            // No frame has come yet.
            error_on(&bus);
        }
        element.set_property("model-file", good.to_str().unwrap());
        let out = harness.push_and_pull(frame(0)).unwrap();
        assert!(mask_meta::of(&out).is_some(), "{in_flight} {waits}");
    }
}

/// Properties are written while the element starts, whichever comes first.
#[test]
fn writes_during_a_start_do_not_delay_it() {
    let _alone = alone();
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
    for _ in 0..short_or_long(20, 500) {
        let pipeline = launch(&text);
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
        end(&pipeline);
        assert_eq!(element.property::<String>("model-file"), second);
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

/// Models with one session take turns, and a run may take long.
#[test]
fn a_load_that_waits_for_the_run_of_another_can_be_ended() {
    let _alone = alone();
    let path = &slow().path;
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
    assert!(took < soon(), "{took:?}");
}
